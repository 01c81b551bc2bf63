"""Comparing two models: paired, honest about noise; slices and lists of errors."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from bondlore.cli import main
from bondlore.errors import InputError
from bondlore.train.compare import compare
from bondlore.train.figures import score
from bondlore.train.labels import LabelledArticle
from bondlore.train.predictions import read_predictions
from bondlore.train.slices import errors, sliced

NAMES, CORE = ("a", "b"), ("a",)


def data(n, *skills, seed=0):
    """Gold and, for each skill, predictions that copy a gold label with that probability and invent few."""
    rng = random.Random(seed)
    gold = {}
    for i in range(n):
        labels = {
            str(k): {rng.choice(NAMES): rng.choice(("support", "reject"))} for k in range(6) if rng.random() < 0.5
        }
        gold[str(i)] = {"sentences": ["s"] * 6, "labels": labels}
    return gold, *(copied(gold, skill, rng) for skill in skills)


def copied(gold, skill, rng):
    return {
        i: {"labels": {k: v for k, v in g["labels"].items() if rng.random() < skill} | invent(rng)}
        for i, g in gold.items()
    }


def invent(rng):
    return {str(rng.randrange(6)): {"a": "support"}} if rng.random() < 0.1 else {}


def test_a_plainly_better_model_wins_from_either_side():
    gold, good, poor = data(200, 0.9, 0.5)
    result = compare(gold, poor, good, narratives=NAMES, core=CORE)
    d = result.figures["core_micro_f1"]
    assert (result.winner, result.deciding) == ("b", "core_micro_f1")
    assert 0 < d.low < d.difference < d.high
    assert d.p < 0.01
    assert compare(gold, good, poor, narratives=NAMES, core=CORE).winner == "a"


def test_the_points_are_those_of_evaluate():
    gold, x, y = data(60, 0.8, 0.6)
    result = compare(gold, x, y, narratives=NAMES, core=CORE, draws=100)
    for predicted, side in ((x, "a"), (y, "b")):
        values = score(gold, predicted, narratives=NAMES, core=CORE, draws=0).values
        for name, d in result.figures.items():
            assert getattr(d, side) == pytest.approx(values[name], abs=1e-4), name


def test_the_same_model_is_no_winner():
    gold, x = data(60, 0.7)
    result = compare(gold, x, x, narratives=NAMES, core=CORE)
    assert result.winner == ""
    assert (result.figures["micro_f1"].low, result.figures["micro_f1"].high, result.figures["micro_f1"].p) == (0, 0, 1)


def test_equal_skill_is_crowned_about_as_rarely_as_stated():
    crowned = 0
    for seed in range(150):
        gold, x, y = data(40, 0.7, 0.7, seed=seed)
        crowned += bool(compare(gold, x, y, narratives=NAMES, core=CORE, draws=300).winner)
    assert 1 <= crowned <= 17  # 5% of 150 is 7.5; 17 is 3.6 standard errors above


def test_pairing_sees_what_two_separate_intervals_do_not():
    """Two models that fail on the same hard articles, one of them a little more often."""
    rng = random.Random(4)
    gold, x, y = {}, {}, {}
    for i in range(150):
        labels = {str(k): {"a": "support"} for k in range(5)}
        gold[str(i)] = {"sentences": ["s"] * 5, "labels": labels}
        kept = {} if rng.random() < 0.5 else labels
        x[str(i)] = {"labels": kept}
        y[str(i)] = {"labels": dict(list(kept.items())[: 4 if rng.random() < 0.3 else 5])}
    f, g = (score(gold, p, narratives=NAMES, core=CORE).intervals["core_micro_f1"] for p in (x, y))
    assert f[0] < g[1]  # they overlap
    assert compare(gold, x, y, narratives=NAMES, core=CORE).winner == "a"


def test_of_rejections_read_as_support_fewer_is_better():
    gold, _ = data(100, 0.5)
    right = {i: {"labels": g["labels"]} for i, g in gold.items()}
    wrong = {i: {"labels": {k: dict.fromkeys(v, "support") for k, v in g["labels"].items()}} for i, g in gold.items()}
    result = compare(gold, wrong, right, narratives=NAMES, core=CORE, deciding="reject_as_support")
    assert (result.winner, result.figures["reject_as_support"].difference) == ("b", -1)


def test_few_articles_crown_nobody():
    gold, good, poor = data(12, 1.0, 0.1)
    result = compare(gold, poor, good, narratives=NAMES, core=CORE)
    assert result.winner == ""
    assert "too few to tell" in result.reason


def test_copies_of_a_story_are_one_piece_of_evidence():
    """Every article ten times over: as strangers they would crown a winner, as stories they must not."""
    gold, x, y = data(25, 0.62, 0.7, seed=3)
    many, tenfold = range(10), {}
    for name, part in (("gold", gold), ("x", x), ("y", y)):
        tenfold[name] = {f"{i}-{k}": v for i, v in part.items() for k in many}
    numbers = [int(key.split("-")[0]) for key in tenfold["gold"]]
    alone = compare(gold, x, y, narratives=NAMES, core=CORE).figures["core_micro_f1"]
    told = compare(*tenfold.values(), narratives=NAMES, core=CORE, stories=numbers).figures["core_micro_f1"]
    fooled = compare(*tenfold.values(), narratives=NAMES, core=CORE).figures["core_micro_f1"]
    assert (told.low, told.high, told.p) == (alone.low, alone.high, alone.p)
    assert fooled.high - fooled.low < 0.5 * (told.high - told.low)
    few = compare(*tenfold.values(), narratives=NAMES, core=CORE, stories=[n % 10 for n in numbers])
    assert "on 10 stories: too few to tell" in few.reason
    again = score(tenfold["gold"], tenfold["x"], narratives=NAMES, core=CORE, stories=numbers)
    assert again.intervals["micro_f1"] == score(gold, x, narratives=NAMES, core=CORE).intervals["micro_f1"]


def test_other_articles_and_unknown_figures_are_refused():
    gold, x, y = data(30, 0.8, 0.6)
    with pytest.raises(InputError, match="the second model has no prediction of '7'"):
        compare(gold, x, {k: v for k, v in y.items() if k != "7"}, narratives=NAMES, core=CORE)
    with pytest.raises(InputError, match="'beauty' is not defined"):
        compare(gold, x, y, narratives=NAMES, core=CORE, deciding="beauty")


def article(i, date="", publisher="", n=3, labels=None):
    return LabelledArticle(f"x{i}", ("t", *(f"s{k}" for k in range(n))), labels or {}, publisher, date, source=f"f:{i}")


def test_slices_hold_every_article_once():
    given = [article(i, f"2025-0{3 + i % 2}-11", "P" if i < 8 else f"Q{i}", n=2 + 7 * (i % 3)) for i in range(12)]
    assert {k: len(v) for k, v in sliced(given, "period").items()} == {"2025-03": 6, "2025-04": 6}
    assert {k: len(v) for k, v in sliced(given, "publisher").items()} == {"P": 8, "the rest": 4}
    by_length = {k: len(v) for k, v in sliced([*given, *given], "length").items()}
    assert by_length == {"up to 5 sentences": 8, "6 to 15 sentences": 8, "over 15 sentences": 8}
    assert list(sliced([article(i) for i in range(5)], "period")) == ["undated"]


def test_errors_are_listed_the_surest_first():
    gold = article(1, labels={1: {"a": "support"}, 2: {"b": "reject"}, 3: {"a": "support"}})
    said = {
        "labels": {"0": {"a": "support"}, "2": {"b": "support"}, "3": {"a": "support"}},
        "scores": {"0": {"a": 0.6}, "1": {"a": 0.02}, "2": {"b": 0.8}, "3": {"a": 0.9}},
    }
    found = list(errors([gold], {"x1": said}))
    assert [(e["error"], e["narrative"], e["sentence"], e["probability"]) for e in found] == [
        ("missed", "a", 1, 0.02),
        ("stance", "b", 2, 0.8),
        ("false alarm", "a", 0, 0.6),
    ]
    assert (found[0]["before"], found[0]["text"], found[0]["after"], found[0]["where"]) == ("t", "s0", "s1", "f:1")


def write(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(path)


def test_the_command_on_files_of_predictions(tmp_path, capsys):
    gold, good, poor = data(80, 0.9, 0.5)
    mine = tmp_path / "t.yaml"
    mine.write_text("name: t\nnarratives:\n  - {id: a}\n  - {id: b, kind: context}\n")
    files = [
        write(tmp_path / f"{n}.jsonl", [{"id": i, **v} for i, v in p.items()]) for n, p in (("g", good), ("p", poor))
    ]
    files.append(write(tmp_path / "gold.jsonl", [{"id": i, **g} for i, g in gold.items()]))
    assert main(["compare", *files, "--taxonomy", str(mine)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("A is better: core_micro_f1 differs by -")
    assert main(["compare", files[0], files[0], files[2], "--taxonomy", str(mine), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["winner"], result["articles"]) == ("", 80)
    assert "inside the noise" in result["reason"]


@pytest.mark.parametrize("bad", ["{", '{"labels": {}}', '{"id": 1, "scores": [1]}', '{"id": 1, "labels": {"1": "a"}}'])
def test_a_bad_row_of_predictions_is_named(tmp_path, bad):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "x"}\n' + bad + "\n")
    with pytest.raises(InputError, match=r"no row of predictions|the row is not JSON") as caught:
        read_predictions(path)
    assert caught.value.where == f"{path}:2"


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """`Tagger.load` gives the tiny model; labels of 12 articles in its words."""
    from bondlore.tag.tagger import Tagger
    from tiny_model import TinyLoader

    monkeypatch.setattr(Tagger, "load", classmethod(lambda cls, model: TinyLoader(name=str(model))(1)))
    rng = np.random.default_rng(0)
    rows = [
        {
            "id": str(i),
            "date": f"2025-0{3 + i % 2}-01",
            "sentences": [f"w{k}" for k in rng.integers(0, 200, 4)],
            "labels": {"1": {"up": "support"}, "2": {"down": "reject"}},
        }
        for i in range(24)
    ]
    return write(tmp_path / "gold.jsonl", rows)


def test_evaluate_by_period_with_its_errors(tiny, tmp_path, capsys):
    wrong, said = tmp_path / "errors.jsonl", tmp_path / "said.jsonl"
    given = ["evaluate", "m", tiny, "--by", "period", "--by", "length"]
    assert main([*given, "--json", "--errors", str(wrong), "--predictions", str(said)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {k: v["articles"] for k, v in result["slices"].items()} == {
        "gold.jsonl: 2025-03": 12,
        "gold.jsonl: 2025-04": 12,
        "gold.jsonl: up to 5 sentences": 24,
    }
    listed = [json.loads(line) for line in wrong.read_text().splitlines()]
    predicted = read_predictions(said)
    differ = 0
    for i in range(24):
        for k, gold in (("0", {}), ("1", {"up": "support"}), ("2", {"down": "reject"}), ("3", {})):
            found = predicted[str(i)]["labels"].get(k, {})
            differ += sum(gold.get(n) != found.get(n) for n in gold | found)
    assert len(listed) == differ > 20
    assert main(given) == 0
    assert "gold.jsonl: 2025-03" in capsys.readouterr().out


def test_compare_of_two_models(tiny, capsys):
    assert main(["compare", "one", "two", tiny]) == 0
    out = capsys.readouterr().out
    assert "24 articles; B - A" in out
    assert main(["compare", "one", "one", tiny, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["core_micro_f1"]["difference"] == 0
