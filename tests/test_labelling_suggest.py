"""What to label next: uncertain and unlike, or at random with known probabilities."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from bondlore.cli import main
from bondlore.errors import InputError
from bondlore.train.labelling.candidates import read_candidates
from bondlore.train.labelling.suggest import Candidate, for_audit, for_training


def candidate(i, p=0.1, q=0.01, words="", **changes):
    given = {"title": f"t{i}", "publisher": "P", "published": datetime(2025, 4, 1 + i % 28, tzinfo=UTC)}
    given |= {"cluster": f"c{i}", "gate": "causal", "words": words or f"word{i} more{i}"}
    return Candidate(id=f"x{i}", probabilities={"a": p, "b": q}, **(given | changes))


def ids(found):
    return [s.candidate.id for s in found]


def test_narratives_take_turns_and_the_least_certain_come_first():
    given = [
        candidate(0, 0.99),
        candidate(1, 0.5),
        candidate(2, 0.6),
        candidate(3, 0.01, 0.45),
        candidate(4, 0.01, 0.9),
    ]
    found = for_training(given, 4)
    assert ids(found) == ["x1", "x3", "x2", "x4"]
    assert [s.details["narrative"] for s in found] == ["a", "b", "a", "b"]
    assert found[0].why == "the model is unsure of a (probability 0.50, 1.00 bits)"


def test_a_likeness_of_one_chosen_waits_for_something_new():
    same = "funds sold bonds to meet margin calls"
    given = [candidate(0, 0.50, words=same), candidate(1, 0.49, words=same), candidate(2, 0.75, words="rice recipes")]
    found = for_training(given, 3)
    # the second turn is b's, of which all know as little
    assert ids(found)[:2] == ["x0", "x2"]
    assert found[2].details["likeness"] == pytest.approx(1, abs=1e-3)


def test_one_of_a_cluster_and_the_same_again_with_the_same_seed():
    given = [candidate(i, 0.5, cluster=f"c{i % 5}") for i in range(20)]
    found = for_training(given, 10, seed=3)
    assert len({s.candidate.cluster for s in found}) == len(found) == 5
    assert ids(found) == ids(for_training(given, 10, seed=3))
    assert ids(found) != ids(for_training(given, 10, seed=4))


def test_nothing_to_choose_from():
    assert for_training([], 5) == []


def many():
    """Strata of 90, 9 and 1."""
    return [candidate(i, 0.05 if i < 90 else 0.3 if i < 99 else 0.9) for i in range(100)]


def test_every_stratum_is_drawn_and_says_with_what_probability():
    found = for_audit(many(), 20, strata=["score"])
    drawn = Counter(s.details["stratum"] for s in found)
    assert drawn == {"low": 17, "middle": 2, "high": 1}
    assert {(s.details["stratum"], s.details["inclusion_prob"]) for s in found} == {
        ("low", 17 / 90),
        ("middle", 2 / 9),
        ("high", 1.0),
    }
    assert "17 of 90 in the stratum low" in next(s.why for s in found if s.details["stratum"] == "low")
    # Horvitz-Thompson: weights add up to the articles there are
    assert sum(1 / s.details["inclusion_prob"] for s in found) == pytest.approx(100)


def test_articles_are_drawn_as_often_as_recorded():
    seen = Counter(i for seed in range(2000) for i in ids(for_audit(many(), 20, strata=["score"], seed=seed)))
    low = [seen[f"x{i}"] / 2000 for i in range(90)]
    assert min(low) > 17 / 90 - 0.04  # 4.5 standard errors
    assert max(low) < 17 / 90 + 0.04
    assert seen["x99"] == 2000


def test_the_draw_depends_on_the_seed_and_not_on_the_order():
    given = many()
    assert ids(for_audit(given, 20, seed=1)) == ids(for_audit(given[::-1], 20, seed=1))
    assert ids(for_audit(given, 20, seed=1)) != ids(for_audit(given, 20, seed=2))


def test_all_there_are_when_more_are_asked_for():
    assert sorted(ids(for_audit(many(), 500))) == sorted(c.id for c in many())


def test_months_weeks_and_the_undated():
    given = [candidate(i, published=datetime(2025, 3 + i % 2, 3, tzinfo=UTC)) for i in range(10)]
    given += [candidate(10, published=None), candidate(11, published=None)]
    assert {s.details["stratum"] for s in for_audit(given, 6, strata=["month"])} == {"2025-03", "2025-04", "undated"}
    assert {s.details["stratum"] for s in for_audit(given, 6, strata=["week", "gate"])} == {
        "2025-W10 / causal",
        "2025-W14 / causal",
        "undated / causal",
    }


def test_strata_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="no stratum 'colour'"):
        for_audit(many(), 10, strata=["colour"])
    with pytest.raises(InputError, match="3 strata and 2 articles"):
        for_audit(many(), 2, strata=["score"])


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """A folder tagged by the tiny model, with its archive."""
    from bondlore.tag import batch
    from tiny_model import TinyLoader, archive, rows

    place = tmp_path_factory.mktemp("suggest")
    source = archive(place / "news.jsonl", rows(40))
    batch.run([source], place / "tagged", load=TinyLoader(), quiet=True)
    return place


def test_the_command_for_training(tagged, tmp_path, capsys):
    known = tmp_path / "known.jsonl"
    known.write_text("".join(json.dumps({"id": f"a{i}", "labels": {}}) + "\n" for i in range(30)))
    out = tmp_path / "next.jsonl"
    given = ["labels", "suggest", str(tagged / "tagged"), "--for", "training", "-n", "6", "--labels", str(known)]
    assert main([*given, "--archive", str(tagged / "news.jsonl"), "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 6
    assert all(int(r["id"][1:]) >= 30 and r["labels"] is None and len(r["sentences"]) == 2 for r in rows)
    assert all(r["why"].startswith("the model is unsure of ") for r in rows)
    capsys.readouterr()
    assert main([*given, "--out", str(out)]) == 1
    assert "is there already" in capsys.readouterr().err


def test_the_command_for_an_audit(tagged, tmp_path, capsys):
    given = ["labels", "suggest", str(tagged / "tagged"), "--for", "audit", "-n", "12", "--seed", "5"]
    assert main([*given, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main([*given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert sum(1 / r["inclusion_prob"] for r in first) == pytest.approx(len(read_candidates(tagged / "tagged")))
    assert main([*given, "--labels", str(tagged / "news.jsonl")]) == 1
    assert "draws from all articles" in capsys.readouterr().err
