"""The renderings: safe with hostile text, complete, equal bytes for equal data. `test_report_browser.py` looks."""

from __future__ import annotations

import csv
import io
import json
import re
import struct
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from bondlore.errors import InputError
from bondlore.report.charts import chart_svg, picture_png
from bondlore.report.data import ReportData, from_json, to_json
from bondlore.report.figures import render_csv
from bondlore.report.html import render_html
from bondlore.report.markdown import render_markdown
from bondlore.report.plain import WIDTH, render_text
from bondlore.report.write import write_report
from report_samples import TAXONOMY, article, hostile, made_up, quotes, tagged

NOON = datetime(2025, 4, 9, 12, tzinfo=UTC)


class Page(HTMLParser):
    """Tags, attributes, ids and visible text of a page; text inside drawings is kept apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.drawn: list[str] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, k, v or "") for k, v in attrs]
        if tag in ("svg", "style"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open:
            self.words.append(data)
        elif self._open[-1] == "svg":
            self.drawn.append(data)

    def values(self, *names: str) -> list[str]:
        return [v for _, k, v in self.attributes if k in names]


@pytest.fixture(scope="module")
def page() -> str:
    return render_html(made_up())


@pytest.fixture(scope="module")
def hostile_page() -> str:
    return render_html(hostile())


def test_the_policy_forbids_everything_but_style(page: str) -> None:
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"" in page


@pytest.mark.parametrize("which", ["page", "hostile_page"])
def test_no_tag_or_attribute_can_run_or_fetch(which: str, request: pytest.FixtureRequest) -> None:
    parsed = Page(request.getfixturevalue(which))
    assert not {"script", "img", "iframe", "object", "embed", "image", "foreignobject", "form"} & set(parsed.tags)
    assert not [k for _, k, _ in parsed.attributes if k.startswith("on") or k in ("src", "srcset", "action")]
    links = parsed.values("href", "xlink:href")
    assert all(re.match(r"https://|#|data:,$", link) for link in links)
    assert not re.search(r"url\((?!#)|@import", "".join([*parsed.values("style", "clip-path")]))


def test_hostile_text_is_shown_as_text(hostile_page: str) -> None:
    words = "".join(Page(hostile_page).words)
    assert "<script>alert(1)</script>" in words
    assert "{{ 7 * 7 }}" in words


def test_no_bidi_or_control_character_reaches_a_reader() -> None:
    data = hostile()
    for text in (render_html(data), render_markdown(data), to_json(data), render_text(data)):
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f]", text)


def test_long_words_are_cut_everywhere() -> None:
    data = hostile()
    for text in (render_html(data), render_markdown(data), to_json(data), render_text(data)):
        assert "W" * 601 not in text


def test_hostile_markdown_has_no_live_link_or_html() -> None:
    text = render_markdown(hostile())
    assert not re.search(r"(?<!\\)\]\(\s*(?!https://)", text)
    assert not re.search(r"<[a-zA-Z/!]", text)
    assert not re.search(r"(?<!\\)!\[", text)
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads[0].startswith("# Deleveraging")
    assert "# head" not in heads


def test_markdown_tables_keep_their_columns() -> None:
    for block in render_markdown(hostile()).split("\n\n"):
        if block.startswith("| "):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_ids_are_unique(page: str) -> None:
    ids = Page(page).values("id")
    assert len(ids) == len(set(ids))


def test_labels_point_at_something(page: str) -> None:
    parsed = Page(page)
    ids = set(parsed.values("id"))
    wanted = {i for v in parsed.values("aria-labelledby") for i in v.split()}
    wanted |= {v[1:] for v in parsed.values("href") if v.startswith("#")}
    assert wanted <= ids


def test_every_drawing_has_a_title_and_a_description(page: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(drawings) == 2 + len(TAXONOMY)
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("role") == "img"
        assert root[0].tag == "title"
        assert root[0].text
        assert root[1].tag == "desc"
        assert root[1].text


def test_the_drawings_take_their_colours_from_the_page(page: str) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, re.S))
    assert "var(--n1)" in drawings
    assert not re.search(r"#0[12]0[12]0", drawings)
    assert not re.search(r"(?:fill|stroke):\s*#[0-9a-f]{6}", drawings.replace("#000000", ""))


def test_lines_are_labelled_directly() -> None:
    drawn = "".join(Page(str(chart_svg(made_up()))).drawn)
    assert all(TAXONOMY[n].name in drawn for n in TAXONOMY.core)
    assert all(f"{t}-year" in drawn for t in (2, 10, 30))


def test_dark_print_and_phone_have_their_rules(page: str) -> None:
    for rule in ("prefers-color-scheme: dark", "@media print", "max-width: 42rem"):
        assert rule in page
    assert 'name="viewport"' in page
    assert '<html lang="en">' in page


def test_every_number_on_the_page_is_in_the_json(page: str) -> None:
    data = made_up()
    allowed = {"7", "30", "95"}  # the words of the page itself

    def collect(value: object) -> None:
        if isinstance(value, dict):
            for inner in value.values():
                collect(inner)
        elif isinstance(value, list):
            allowed.add(str(len(value)))
            for inner in value:
                collect(inner)
        elif isinstance(value, str):
            allowed.update(re.findall(r"\d+(?:\.\d+)?", value))
            allowed.update(str(int(n)) for n in re.findall(r"\d+", value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            size = abs(value)
            allowed.update({f"{size:g}", f"{size:,d}" if isinstance(size, int) else "", f"{size:.2f}"})
            allowed.update({str(int(size + 0.5)), str(int(round(100 * size, 6) + 0.5))})

    collect(json.loads(to_json(data)))
    for shown in (" ".join(Page(page).words), render_markdown(data), render_text(data)):
        words = re.sub(r"\b\d\d:\d\d\b", " ", shown)  # publication times, told in New York time
        assert set(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", words)) - allowed == set()


def test_equal_data_gives_equal_bytes_whatever_the_users_style(page: str) -> None:
    with mpl.rc_context({"font.size": 22, "axes.facecolor": "red", "svg.fonttype": "path", "text.usetex": False}):
        assert render_html(made_up()) == page


def test_the_stamp_is_one_line_of_the_page() -> None:
    one, two = (render_html(made_up(stamp=s)).splitlines() for s in ("run 1", "run 2"))
    assert [a for a, b in zip(one, two, strict=True) if a != b] == ["<footer><p>run 1</p></footer>"]


def test_pictures_are_equal_and_1600_wide() -> None:
    one, two = picture_png(made_up()), picture_png(made_up(stamp="other"))
    assert one == two
    assert struct.unpack(">II", one[16:24]) == (1600, 1000)


def test_a_report_read_back_renders_the_same(page: str) -> None:
    assert render_html(from_json(to_json(made_up()))) == page


@pytest.mark.parametrize(
    "data",
    [
        made_up(tagged([])),
        made_up(tagged([]), yields=None),
        made_up(yields=None),
        made_up(tagged([article(1, datetime(2025, 4, 9, 12, tzinfo=UTC), verdicts={"deleveraging": "promotes"})])),
        made_up(tagged([article(i, NOON, verdicts={"deleveraging": "promotes"}) for i in range(20)])),
        made_up(freq="D", floor=1),
        made_up(freq="M", floor=1),
    ],
    ids=["no articles", "nothing", "no yields", "one article", "all one story", "days", "months"],
)
def test_unusual_days_render(data: ReportData) -> None:
    text = render_html(data)
    shown = " ".join(Page(text).words)
    assert "None" not in shown.replace("None of the", "")
    assert "nan" not in shown.lower().split()
    assert render_markdown(data)
    assert "None" not in render_text(data).replace("None of the", "")
    assert picture_png(data)[:4] == b"\x89PNG"


def test_two_years_of_days_stay_small() -> None:
    rows = []
    for i in range(1400):
        at = datetime(2023, 6, 1, 13, tzinfo=UTC) + timedelta(hours=12 * i)
        rows.append(article(i, at, verdicts={n: "contested" for k, n in enumerate(TAXONOMY.ids) if (i + k) % 3 == 0}))
    data = made_up(tagged(rows), day=date(2025, 4, 30), freq="D", floor=1, yields=quotes(date(2023, 5, 1)))
    assert len(render_html(data).encode()) < 600_000


def test_templates_mark_nothing_safe() -> None:
    import bondlore.report.html as module

    for path in (Path(module.__file__).parent / "templates").iterdir():
        assert "|safe" not in path.read_text().replace(" ", "")


def test_write_report_gives_the_files_asked_for(tmp_path: Path) -> None:
    paths = write_report(made_up(), tmp_path / "new", ("json", "md"))
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"report.json", "report.md"}
    assert from_json(paths["json"].read_text()) == made_up()


def test_write_report_refuses_an_unknown_format_before_writing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pdf"):
        write_report(made_up(), tmp_path, ("json", "pdf"))
    assert not list(tmp_path.iterdir())


def test_the_csv_has_the_numbers_of_the_charts() -> None:
    data = made_up()
    rows = list(csv.DictReader(io.StringIO(render_csv(data))))
    shares = [row for row in rows if row["kind"] == "share"]
    points = [point for line in data.lines for point in line.points]
    assert [float(row["value"]) if row["value"] else None for row in shares] == [p.share for p in points]
    assert [row["reason"] for row in shares if not row["value"]] == [p.reason for p in points if p.share is None]
    yields = [float(row["value"]) for row in rows if row["kind"] == "yield" and row["value"]]
    assert yields == [v for line in data.yields for v in line.percent if v is not None]


def test_plain_text_fits_a_mail() -> None:
    for data in (made_up(), hostile()):
        lines = render_text(data).splitlines()
        assert [x for x in lines if len(x) > WIDTH and not x.startswith("  <https://")] == []


def test_plain_text_says_what_the_page_says() -> None:
    data = made_up()
    text = " ".join(render_text(data).split())
    assert text.startswith("bondlore, 11 April 2025 " + data.headline.title)
    for story in data.stories:
        for e in (*story.support, *story.denials):
            assert e.text in text
            assert f"<{e.url}>" in text
    assert all(claim in text for claim in data.claims_not)
