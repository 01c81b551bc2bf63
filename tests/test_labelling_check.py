"""labels check: each kind of trouble planted and found, with its row; clean labels are left in peace."""

from __future__ import annotations

import json
import random

import pytest

from bondlore import taxonomy
from bondlore.cli import main
from bondlore.train.labelling.check import check
from bondlore.train.labelling.confident import suspects
from bondlore.train.labelling.copies import copies
from bondlore.train.labelling.languages import language
from bondlore.train.labels import LabelledArticle

TAXONOMY = taxonomy.parse(
    {"name": "t", "version": "1", "narratives": [{"id": "a", "definition": "x"}, {"id": "b", "definition": "y"}]},
    where="t",
)
WORDS = [f"{x}{y}" for x in ("bond", "fund", "rate", "levy", "note", "bank") for y in ("er", "ing", "s", "ish", "let")]


def row(i, **changes):
    """An article in order, of its own words."""
    rng = random.Random(i)
    sentences = [" ".join(rng.choices(WORDS, k=12)) for _ in range(4)]
    labels = {"1": {"a": "support"}, "2": {"b": "support"}}
    return {"id": f"x{i}", "sentences": sentences, "labels": labels, "gate": "causal", "primary": "a"} | changes


def write(path, *rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def found(tmp_path, *extra, **options):
    """Findings beyond those of ten good articles; `extra` are rows 11 and on."""
    path = write(tmp_path / "l.jsonl", *map(row, range(10)), *extra)
    return [(f.level, f.kind, f.where.rpartition(":")[2]) for f in check([path], TAXONOMY, **options).findings]


def test_labels_in_order_have_no_finding(tmp_path):
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("bad", "level", "kind"),
    [
        (row(20, labels={"1": {"zzz": "support"}}), "error", "unusable row"),
        (row(20, labels={"9": {"a": "support"}}), "error", "unusable row"),
        (row(20, labels={"1": {"a": "perhaps"}}), "error", "unusable row"),
        ("{broken", "error", "unusable row"),
        (row(20, id="x3"), "error", "id twice"),
        (row(20, gate="topical"), "error", "rule"),
        (row(20, gate="causal", labels={}, primary="none"), "error", "rule"),
        (row(20, gate="sideways"), "error", "rule"),
        (row(20, primary="b", labels={"1": {"a": "support"}}), "error", "rule"),
        (row(20, primary="none"), "warning", "rule"),
        (row(20, sentences=["t", "", "two words", "more"]), "error", "empty sentence"),
        (row(20, sentences=["t", "one", "two", ""]), "warning", "empty sentence"),
        (row(20, sentences=["t", "x " * 1500, "two"]), "warning", "long sentence"),
        (row(20, sentences=["t", "the cafÃ© closed", "two"]), "warning", "garbled text"),
        (row(3, id="y", labels={"1": {"b": "support"}}, primary="b"), "error", "contradiction"),
        (row(3, id="y"), "warning", "copy"),
    ],
)
def test_each_trouble_is_named_with_its_row(tmp_path, bad, level, kind):
    assert found(tmp_path, bad) == [(level, kind, "11")]


def test_a_broken_row_hides_none_below_it(tmp_path):
    assert found(tmp_path, "{broken", row(20, gate="sideways"), "[1]") == [
        ("error", "unusable row", "11"),
        ("error", "unusable row", "13"),
        ("error", "rule", "12"),
    ]


def test_a_near_copy_is_found_and_strangers_are_not(tmp_path):
    near = row(3, id="y")
    near["sentences"] = [*near["sentences"][:3], "an end of other words"]
    assert found(tmp_path, near) == [("warning", "copy", "11")]


def test_a_copy_in_the_held_out_file_is_a_leak(tmp_path):
    dev = write(tmp_path / "dev.jsonl", row(4, id="d1"), row(50))
    assert found(tmp_path, held_out=[dev]) == [("error", "leak", "5")]


def test_a_shared_sentence_across_the_line_is_a_warning(tmp_path):
    other = row(60)
    other["sentences"][3] = row(4)["sentences"][3]
    dev = write(tmp_path / "dev.jsonl", other)
    assert found(tmp_path, held_out=[dev]) == [("warning", "shared story", "5")]


def test_too_little_and_one_class_only(tmp_path):
    few = check([write(tmp_path / "few.jsonl", *map(row, range(3)))], TAXONOMY).findings
    assert [(f.level, f.kind) for f in few] == [("error", "too few"), ("warning", "too few"), ("warning", "too few")]
    blank = [row(i, labels={}, gate="topical", primary="none") for i in range(10)]
    assert [(f.level, f.kind) for f in check([write(tmp_path / "no.jsonl", *blank)], TAXONOMY).findings] == [
        ("error", "one class only")
    ]


def test_imbalance_and_labels_on_everything(tmp_path):
    rows = [row(i, labels={str(k): {"a": "support"} for k in range(4)}) for i in range(110)]
    for r in rows[:8]:
        r["labels"]["0"] = {"a": "support", "b": "support"}
    kinds = [(f.kind, f.message) for f in check([write(tmp_path / "l.jsonl", *rows)], TAXONOMY).findings]
    assert [k for k, _ in kinds] == ["one class only", "imbalance"]
    assert kinds[1][1] == "8 examples of b, 440 of a"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Yields rose because the Treasury said it would sell more of its long bonds in the autumn.", "English"),
        ("Die Renditen stiegen, weil das Finanzministerium mehr lange Anleihen auf den Markt bringt.", "German"),
        ("Les rendements ont grimpé car le Trésor va vendre plus d'obligations longues à l'automne.", "French"),
        ("Los rendimientos subieron porque el Tesoro va a vender más bonos largos en el otoño.", "Spanish"),
        ("I rendimenti sono saliti perché il Tesoro venderà più titoli lunghi nel corso della stagione.", "Italian"),
        ("De rentes stegen omdat het ministerie in het najaar meer lange obligaties op de markt brengt.", "Dutch"),
        ("国債利回りは上昇した。財務省が発行を増やすためだ。", "Cjk"),
        ("10-year 4.31% 2-year 3.95%", ""),
        ("Apple Tesla Nvidia Amazon Google Meta Intel Broadcom Oracle", ""),
    ],
)
def test_languages(text, name):
    assert language(text) == name


def test_a_stray_language_is_pointed_out(tmp_path):
    english = [
        row(i, sentences=["t", f"The rise of the {w} is not what it was in the time of the levies.", "Two."])
        for i, w in enumerate(WORDS[:10])
    ]
    german = row(30, sentences=["t", "Die Renditen sind in der Nacht auf den Stand von dem Mai gestiegen.", "Zwei."])
    result = check([write(tmp_path / "l.jsonl", *english, german)], TAXONOMY)
    strays = [f for f in result.findings if f.kind == "language"]
    assert [(f.where.rpartition(":")[2], f.message) for f in strays] == [
        ("11", "looks German, most of the rest English")
    ]


def test_confident_learning_finds_planted_errors():
    rng = random.Random(0)
    articles, scores, planted = [], {}, set()
    for i in range(60):
        truth = {k: rng.random() < 0.3 for k in range(5)}
        given = dict(truth)
        if i in (7, 21, 40):
            given[2] = not given[2]
            planted.add((str(i), 2))
        labels = {k: {"a": "support"} for k, yes in given.items() if yes}
        articles.append(LabelledArticle(str(i), ("s",) * 5, labels))
        noisy = {k: min(max((0.85 if yes else 0.1) + rng.gauss(0, 0.05), 0), 1) for k, yes in truth.items()}
        scores[str(i)] = {"scores": {str(k): {"a": p} for k, p in noisy.items()}}
    found = suspects(articles, scores, ["a", "b"])
    assert {(s.article.id, s.sentence) for s in found} == planted
    assert all(s.given == (s.probability < 0.5) for s in found)


def test_a_rare_narrative_has_no_suspects():
    articles = [LabelledArticle(str(i), ("s",), {0: {"a": "support"}} if i < 4 else {}) for i in range(20)]
    scores = {str(i): {"scores": {"0": {"a": 0.99}}} for i in range(20)}
    assert suspects(articles, scores, ["a"]) == []


def test_many_copies_name_the_first_once_each():
    articles = [LabelledArticle(str(i), ("", "the same eight words stand in every row"), {}) for i in range(5)]
    assert [(c.a, c.b, c.same) for c in copies(articles)] == [(0, i, True) for i in range(1, 5)]


def test_the_command_fails_where_training_would_be_wrong(tmp_path, root, capsys):
    path = write(tmp_path / "l.jsonl", *map(row, range(10)), row(20, gate="topical"))
    mine = tmp_path / "t.yaml"
    mine.write_text("name: t\nnarratives:\n  - {id: a, definition: x}\n  - {id: b, definition: y}\n")
    assert main(["labels", "check", str(path), "--taxonomy", str(mine)]) == 1
    out = capsys.readouterr().out
    assert f"error: {path}:11: the gate is 'topical' and sentences carry a, b [rule]" in out
    assert out.endswith("1 errors, 0 warnings\n")
    assert main(["labels", "check", str(path), "--taxonomy", str(mine), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["where"] == f"{path}:11"


def test_predictions_of_the_command(tmp_path, capsys):
    path = write(tmp_path / "l.jsonl", *map(row, range(10)))
    mine = tmp_path / "t.yaml"
    mine.write_text("name: t\nnarratives:\n  - {id: a, definition: x}\n  - {id: b, definition: y}\n")

    def scores(i):
        said = {k: {"a": 0.9 if k == 1 else 0.1, "b": 0.9 if k == 2 else 0.1} for k in range(4)}
        if i == 6:
            said[3]["a"] = 0.97
        return {"id": f"x{i}", "labels": {}, "scores": said}

    told = write(tmp_path / "p.jsonl", *map(scores, range(10)))
    given = ["labels", "check", str(path), "--taxonomy", str(mine), "--predictions", str(told)]
    assert main(given) == 0
    out = capsys.readouterr().out
    assert f"{path}:7: sentence 3 does not carry a; the model gives it 0.97 [likely label error]" in out
    write(tmp_path / "p.jsonl", {"id": "x1", "scores": [0.5]})
    assert main(given) == 1
    assert "p.jsonl:1: is no row of predictions" in capsys.readouterr().err


def test_doubts_come_from_folds_that_have_not_seen_the_label(tmp_path):
    """Sentences whose words say `a` or `b`; three carry a label that their words contradict."""
    pytest.importorskip("sklearn")
    rng = random.Random(0)

    def one(i):
        says = [[["levies prices", "a"], ["margin calls", "b"], ["weather", ""]][rng.randrange(3)] for _ in range(4)]
        sentences = [f"{word} {rng.choice(WORDS)} {rng.choice(WORDS)}" for word, _ in says]
        labels = {str(k): {n: "support"} for k, (_, n) in enumerate(says, 1) if n}
        return {"id": f"x{i}", "sentences": ["", *sentences], "labels": labels}

    rows = [one(i) for i in range(60)]
    planted = set()
    for i in (7, 21, 40):
        key, given = next(iter(rows[i]["labels"].items()))
        rows[i]["labels"][key] = {"b" if "a" in given else "a": "support"}
        planted.add((f"{i + 1}", int(key)))
    path = write(tmp_path / "l.jsonl", *rows)
    told = [f for f in check([path], TAXONOMY, doubts=True).findings if f.kind == "likely label error"]
    assert {(f.where.rpartition(":")[2], int(f.message.split()[1])) for f in told} == planted


def test_doubts_about_too_little_are_none(tmp_path):
    pytest.importorskip("sklearn")
    path = write(tmp_path / "l.jsonl", {"text": "Prices rose", "labels": ["a"]}, {"text": "So what", "labels": []})
    assert "likely label error" not in {f.kind for f in check([path], TAXONOMY, doubts=True).findings}


def test_articles_not_labelled_yet_are_told_and_do_not_count(tmp_path):
    assert found(tmp_path, row(20, labels=None, gate="", primary="")) == [("warning", "not labelled", "11")]


def test_what_a_tool_exported_is_checked_row_by_row(tmp_path):
    def task(i, *spans):
        regions = [
            {"type": "labels", "from_name": "label", "value": {"start": s, "end": e, "text": q, "labels": ["a"]}}
            for s, e, q in spans
        ]
        return {"id": i, "data": {"text": f"Word {i} of a text."}, "annotations": [{"result": regions}]}

    path = tmp_path / "export.json"
    path.write_text(json.dumps([task(1, (0, 4, "Word")), task(2, (0, 4, "Other")), task(3), 7]))
    told = [(f.kind, f.where) for f in check([path], TAXONOMY).findings if f.kind == "unusable row"]
    assert told == [("unusable row", f"{path}:2"), ("unusable row", f"{path}:4")]


def test_labels_that_do_not_name_their_version_are_told_where_it_matters(tmp_path):
    changed = taxonomy.parse(
        {
            "name": "t",
            "version": "2",
            "narratives": [{"id": "a"}, {"id": "b"}],
            "history": [{"version": "1", "narratives": ["a", "c"], "map": {"c": "b"}}],
        },
        where="t",
    )
    path = write(tmp_path / "l.jsonl", *map(row, range(8)), *(row(i, taxonomy="t/2") for i in range(8, 10)))
    (told,) = check([path], changed).findings
    assert (told.kind, told.message[:37]) == ("version", "8 articles do not say under which ver")
    old = check([write(tmp_path / "l.jsonl", row(0, taxonomy="t/1"))], changed).findings[0]
    assert "labelled under t/1, not t/2" in old.message


def test_a_line_that_is_too_long_hides_none_below_it(tmp_path):
    path = write(tmp_path / "l.jsonl", *map(row, range(10)), "x" * 10_000_001, row(20, gate="sideways"))
    told = [(f.kind, f.where) for f in check([path], TAXONOMY).findings]
    assert told == [("unusable row", f"{path}:11"), ("rule", f"{path}:12")]


def test_the_shipped_labels_pass(root):
    labels = root / "corpus" / "labels"
    train = [p for p in sorted(labels.glob("*.jsonl")) if ".dev." not in p.name]
    result = check(train, taxonomy.load(), held_out=[labels / "passages.dev.jsonl"])
    assert result.errors == 0
    assert {f.kind for f in result.findings} <= {"shared story"}
