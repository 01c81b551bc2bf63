"""The pages in a real browser: nothing runs or is fetched, everybody can read them, and two sheets print them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import browser
from bondlore.report.html import render_html
from bondlore.report.interactive import render_interactive
from report_samples import crowded, hostile, made_up

pytestmark = pytest.mark.slow
PAGES = ("demo", "hostile")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for the module; the tests skip where it or its driver is missing."""
    pytest.importorskip("playwright", reason="playwright is not installed: pip install -e '.[dev]'")
    if (path := browser.binary()) is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with browser.running(path) as started:
        yield started


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of a spring like the demo's and of one whose every text attacks, and both to explore."""
    folder = tmp_path_factory.mktemp("pages")
    out = {}
    for name, data in (("demo", made_up(in_sample=[(date(2025, 3, 10), date(2025, 3, 21))])), ("hostile", hostile())):
        for suffix, render in (("", render_html), ("-interactive", render_interactive)):
            out[name + suffix] = folder / f"{name}{suffix}.html"
            out[name + suffix].write_text(render(data), encoding="utf-8")
    out["crowded"] = folder / "crowded.html"
    out["crowded"].write_text(render_html(crowded()), encoding="utf-8")
    return out


def ready(seen: browser.Seen) -> None:
    seen.page.wait_for_selector("#chart[data-ready=yes]", state="attached")


def second_share(seen: browser.Seen) -> tuple[float, float]:
    """Where on the screen the second point of the first story is."""
    box = seen.page.locator("#chart .concat_0_layer_2_marks path").nth(1).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize("name", [*PAGES, "demo-interactive", "hostile-interactive"])
def test_no_foreign_script_runs_and_nothing_is_fetched(chromium: Any, files: dict[str, Path], name: str) -> None:
    with browser.opened(chromium, files[name]) as seen:
        if "interactive" in name:
            ready(seen)
        assert seen.console == []
        assert seen.requests == []
        assert seen.dialogs == []
        scripts = seen.page.evaluate("[...document.scripts].filter(s => s.type !== 'application/json').length")
        assert scripts == (2 if "interactive" in name else 0)
        assert seen.page.evaluate("document.querySelectorAll('[onerror],[onload],[onclick],img,iframe').length") == 0
        targets = seen.page.evaluate("[...document.links].map(a => a.protocol)")
        assert set(targets) <= {"https:", "file:"}


def test_the_policy_stops_a_script_that_got_in(chromium: Any, files: dict[str, Path], tmp_path: Path) -> None:
    page = files["demo"].read_text(encoding="utf-8")
    evil = "<script>document.title = 'owned'</script><img src='https://evil.example/x.png'>"
    file = tmp_path / "broken.html"
    file.write_text(page.replace("<main>", f"<main>{evil}"), encoding="utf-8")
    with browser.opened(chromium, file) as seen:
        assert seen.page.title() != "owned"
        assert [line for line in seen.console if "Content Security Policy" in line]
        # the driver also tells of requests that never left the page
        assert [(url, why) for url, why in seen.failed if "evil" in url] == [("https://evil.example/x.png", "csp")]


@pytest.mark.parametrize("name", [*PAGES, "demo-interactive"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(chromium: Any, files: dict[str, Path], name: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    with browser.opened(chromium, files[name], color_scheme=scheme, bypass_csp=True) as seen:
        if "interactive" in name:
            ready(seen)
        seen.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        found = axe.Axe().run(seen.page).response["violations"]
        bad = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
        assert bad == []


@pytest.mark.parametrize("name", [*PAGES, "demo-interactive", "hostile-interactive"])
@pytest.mark.parametrize("width", [320, 375], ids=["zoom 400%", "phone"])
def test_no_page_scrolls_sideways(chromium: Any, files: dict[str, Path], name: str, width: int) -> None:
    # 1280 pixels at 400% are 320 (WCAG 1.4.10)
    with browser.opened(chromium, files[name], width=width, height=640) as seen:
        if "interactive" in name:
            ready(seen)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", [*PAGES, "crowded"])
@pytest.mark.parametrize("sheet", ["A4", "Letter"])
def test_two_sheets_print_the_page(chromium: Any, files: dict[str, Path], name: str, sheet: str) -> None:
    with browser.opened(chromium, files[name]) as seen:
        printed = seen.page.pdf(format=sheet)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 2


def test_the_first_screen_says_what_changed_and_the_first_sheet_what_it_rests_on(
    chromium: Any, files: dict[str, Path]
) -> None:
    with browser.opened(chromium, files["demo"]) as seen:
        place = "el => el.getBoundingClientRect().bottom"
        assert seen.page.eval_on_selector("h1", place) < 500
        order = seen.page.evaluate("[...document.querySelectorAll('h1,figure,#quality,.says')].map(e => e.tagName)")
        assert order[:3] == ["H1", "FIGURE", "SECTION"]


def test_phone_and_desk_see_one_chart_each(chromium: Any, files: dict[str, Path]) -> None:
    visible = (
        "[...document.querySelectorAll('.wide,.narrow')].filter(e => e.offsetParent !== null).map(e => e.className)"
    )
    for width, shown in ((375, ["narrow"]), (1366, ["wide"])):
        with browser.opened(chromium, files["demo"], width=width) as seen:
            assert seen.page.evaluate(visible) == shown


def test_the_numbers_are_reached_by_the_keyboard(chromium: Any, files: dict[str, Path]) -> None:
    with browser.opened(chromium, files["demo"]) as seen:
        seen.page.focus("summary")
        seen.page.keyboard.press("Enter")
        assert seen.page.is_visible("details table")


def test_choosing_stories_and_denials_changes_the_lines(chromium: Any, files: dict[str, Path]) -> None:
    with browser.opened(chromium, files["demo-interactive"], height=1600) as seen:
        ready(seen)
        lines = "document.querySelectorAll('#chart .mark-line.role-mark path').length"
        rows = "Number(document.getElementById('chart').dataset.rows)"
        before, drawn = seen.page.evaluate(rows), seen.page.evaluate(lines)
        seen.page.uncheck("input[data-story] >> nth=0")
        assert seen.page.evaluate(rows) == before * 2 / 3
        assert seen.page.evaluate(lines) == drawn - 1
        seen.page.check("input[value=rejection]")
        assert seen.page.evaluate(rows) == before * 2 / 3


def test_pointing_at_a_share_tells_its_numbers(chromium: Any, files: dict[str, Path]) -> None:
    with browser.opened(chromium, files["demo-interactive"], height=1600) as seen:
        ready(seen)
        seen.page.mouse.move(*second_share(seen))
        seen.page.wait_for_selector("#vg-tooltip-element.visible")
        text = seen.page.inner_text("#vg-tooltip-element")
        assert "Story" in text
        assert re.search(r"\d+% \(\d+ to \d+\)", text)


def test_a_click_on_a_share_leads_to_its_sentences(chromium: Any, files: dict[str, Path]) -> None:
    with browser.opened(chromium, files["demo-interactive"], height=1600) as seen:
        ready(seen)
        seen.page.mouse.click(*second_share(seen))
        shown = seen.page.evaluate(
            "[...document.querySelectorAll('article[data-story]')].filter(e => !e.hidden).map(e => e.dataset.story)"
        )
        assert len(shown) == 1
        seen.page.click("#all")
        assert seen.page.locator("article[data-story]:visible").count() > 3


def test_dragging_over_the_strip_zooms_in(chromium: Any, files: dict[str, Path]) -> None:
    with browser.opened(chromium, files["demo-interactive"], height=1600) as seen:
        ready(seen)
        labels = (
            "[...document.querySelectorAll('#chart .concat_0_group .role-axis-label text')].map(t => t.textContent)"
        )
        before = seen.page.evaluate(labels)
        box = seen.page.locator("#chart .concat_2_group > g > path.background").first.bounding_box()
        y = box["y"] + box["height"] / 2
        seen.page.mouse.move(box["x"] + box["width"] * 0.6, y)
        seen.page.mouse.down()
        seen.page.mouse.move(box["x"] + box["width"] * 0.9, y, steps=4)
        seen.page.mouse.up()
        assert seen.page.evaluate(labels) != before
