"""Agreement: published worked examples, two packages as oracles, and the real pair of annotators."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest

from bondlore import taxonomy
from bondlore.cli import main
from bondlore.errors import LabelError
from bondlore.train.labelling import coefficients as on
from bondlore.train.labelling.agreement import measure
from bondlore.train.labelling.annotations import side_by_side

TAXONOMY = taxonomy.parse(
    {"name": "t", "version": "1", "narratives": [{"id": "a", "definition": "x"}, {"id": "b", "definition": "y"}]},
    where="t",
)
# Krippendorff 2011, examples A (binary), B (nominal, two observers), C (four observers, missing data)
BINARY = ("0100000010", "1110010000")
NOMINAL = ("aabbdcccedda", "babbbccceddd")
FOUR = ("1233214 12...".replace(" ", ""), "1233224125.3", ".3332342251.", "12332441251.")


def counts(coders):
    """(units, K) counts of answers; a full stop is a missing one."""
    kinds = sorted({c for coder in coders for c in coder} - {"."})
    return np.array([[sum(coder[u] == k for coder in coders) for k in kinds] for u in range(len(coders[0]))], float)


def total(c, distance=None):
    distance = on.nominal(c.shape[1]) if distance is None else distance
    return on.summed(c, distance, np.zeros(len(c), dtype=np.int64), 1).total()


def alpha(c):
    return float(on.alpha(total(c), on.nominal(c.shape[1]))[0])


@pytest.mark.parametrize(("coders", "published"), [(BINARY, 0.095), (NOMINAL, 0.692), (FOUR, 0.743)])
def test_krippendorffs_own_examples(coders, published):
    assert alpha(counts(coders)) == pytest.approx(published, abs=0.0005)


def test_gwets_four_raters():
    """The same twelve subjects in Gwet's Handbook: AC1 0.775, raw agreement 0.818."""
    sums = total(counts(FOUR))
    assert float(on.ac1(sums)[0]) == pytest.approx(0.77544, abs=5e-6)
    assert float(on.agreement(sums)[0]) == pytest.approx(0.81818, abs=5e-6)


def test_gwets_paradox():
    """118 yes/yes, 5 and 2 split, 0 no/no: Gwet 2002 gives AC1 0.9408 where kappa is below 0."""
    c = np.array([[0, 2]] * 118 + [[1, 1]] * 7, float)
    assert float(on.ac1(total(c))[0]) == pytest.approx(0.9408, abs=5e-5)
    assert alpha(c) < 0


def test_positive_agreement_of_two_is_the_f1_of_one_against_the_other():
    sums = total(counts(BINARY))
    assert float(on.positive(sums)[0]) == pytest.approx(2 * 1 / (2 + 4))
    assert float(on.prevalence(sums)[0]) == pytest.approx(6 / 20)


def test_a_label_nobody_or_everybody_gave_has_no_alpha():
    assert math.isnan(alpha(np.array([[2.0, 0.0]] * 5)))
    assert math.isnan(alpha(np.array([[1.0, 0.0], [0.0, 1.0]])))  # nobody was paired


@pytest.mark.parametrize("seed", range(5))
def test_alpha_agrees_with_the_package_krippendorff(seed):
    krippendorff = pytest.importorskip("krippendorff")
    rng = np.random.default_rng(seed)
    answers = rng.integers(0, 4, (4, 60)).astype(float)
    answers[:, ::3] = answers[0, ::3]
    answers[rng.random(answers.shape) < 0.3] = np.nan
    c = np.array([[np.sum(answers[:, u] == k) for k in range(4)] for u in range(60)], float)
    assert alpha(c) == pytest.approx(krippendorff.alpha(answers, level_of_measurement="nominal"))


def test_masi_is_nltks_but_for_its_rounded_thirds():
    distance = pytest.importorskip("nltk.metrics.distance").masi_distance
    sets = [frozenset(s) for s in ("a", "b", "ab", "abc", "bcd", "abcd", "e")]
    for a in sets:
        for b in sets:
            assert on.masi(a, b) == pytest.approx(distance(a, b), abs=0.004)
    assert on.masi(frozenset(), frozenset()) == 0
    assert on.masi(frozenset(), {"a"}) == 1


def test_alpha_of_sets_agrees_with_nltk():
    task = pytest.importorskip("nltk.metrics.agreement").AnnotationTask
    rng = random.Random(3)
    units = [[frozenset(rng.sample("abcd", rng.randint(0, 2))) for _ in range(3)] for _ in range(50)]
    units = [[u[0], u[0], u[2]] if rng.random() < 0.7 else u for u in units]
    triples = [(str(coder), str(i), s) for i, u in enumerate(units) for coder, s in enumerate(u)]
    kinds = sorted({s for u in units for s in u}, key=sorted)
    c = np.array([[u.count(k) for k in kinds] for u in units], float)
    apart = np.array([[on.masi(a, b) for b in kinds] for a in kinds])
    found = float(on.alpha(total(c, apart), apart)[0])
    assert found == pytest.approx(task(data=triples, distance=on.masi).alpha())
    assert 0.2 < found < 0.95


def write(path, *rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def pair(tmp_path, n=12):
    """Two annotators of `n` articles of four sentences; the second misses `b` in each third."""
    first, second = [], []
    for i in range(n):
        labels = {"1": {"a": "support"}, "2": {"b": "reject" if i % 2 else "support"}}
        first.append({"id": str(i), "sentences": ["t", "one", "two", "three"], "labels": labels, "gate": "causal"})
        other = (
            {"1": {"a": "support"}}
            | ({} if i % 3 == 0 else {"2": labels["2"]})
            | ({"3": {"a": "support"}} if i == 1 else {})
        )
        second.append({"id": str(i), "labels": other, "gate": "causal" if i else "topical"})
    return write(tmp_path / "first.jsonl", *first), write(tmp_path / "second.jsonl", *second)


def row(result, question, unit="sentence"):
    (found,) = [r for r in result.rows if (r.question, r.unit) == (question, unit)]
    return found


def test_two_files_by_hand(tmp_path):
    result = measure(side_by_side(pair(tmp_path), TAXONOMY), TAXONOMY)
    b = row(result, "b")
    assert (b.units, b.named) == (48, 12 + 8)
    assert b.figures["positive_agreement"].value == pytest.approx(2 * 8 / 20)
    # alpha by hand: 4 of 48 pairs differ, so Do = 4 * 2 / 96; 20 of 96 values are yes
    assert b.figures["alpha"].value == pytest.approx(1 - (8 / 96) / (2 * 20 * 76 / (96 * 95)), abs=1e-4)
    assert b.figures["alpha"].low < b.figures["alpha"].value < b.figures["alpha"].high
    assert row(result, "stance, where both see the narrative").figures["alpha"].value == 1
    assert row(result, "a", "article").figures["alpha"].value is None  # everybody used it everywhere
    assert row(result, "gate", "article").figures["agreement"].value == pytest.approx(11 / 12, abs=1e-4)
    assert [(c.a, c.b, c.count) for c in result.confusions] == [("b", "none", 4), ("a", "none", 1)]
    assert result.confusions[0].example == "0, sentence 2"


def test_another_label_in_its_place_is_a_confusion_of_two_labels(tmp_path):
    one = write(tmp_path / "1.jsonl", {"id": "x", "sentences": ["", "s"], "labels": {"1": {"a": "support"}}})
    two = write(tmp_path / "2.jsonl", {"id": "x", "labels": {"1": {"b": "support"}}})
    (confusion,) = measure(side_by_side([one, two], TAXONOMY), TAXONOMY).confusions
    assert (confusion.a, confusion.b, confusion.count) == ("a", "b", 1)


def test_one_file_of_three_annotators_with_gaps(tmp_path):
    def by(name, i, labels):
        return {"id": i, "sentences": ["", "one", "two"], "labels": labels, "annotator": name}

    yes = {"1": {"a": "support"}}
    path = write(tmp_path / "all.jsonl", by("p", "x", yes), by("q", "x", yes), by("r", "x", {}), by("p", "y", {}))
    result = measure(side_by_side([path], TAXONOMY), TAXONOMY, draws=0)
    assert (result.annotators, result.articles, result.alone) == (("p", "q", "r"), 1, 1)
    assert row(result, "a").figures["positive_agreement"].value == pytest.approx(0.5)


def test_two_annotators_of_one_label_studio_project(tmp_path):
    """Its export holds both, and may come in parts: then names count, not files."""

    def task(i, text, *people):
        def regions(label):
            value = {"start": 0, "end": len(text), "text": text, "labels": [label]}
            return [{"type": "labels", "from_name": "label", "to_name": "text", "value": value}] if label else []

        annotations = [{"completed_by": {"email": who}, "result": regions(label)} for who, label in people]
        return {"id": i, "data": {"text": text}, "annotations": annotations}

    p, q = "p@x.org", "q@x.org"
    first = [task(1, "One.", (p, "a"), (q, "a")), task(2, "Two.", (p, "a"), (q, ""))]
    second = [task(3, "Three.", (q, "b"), (p, "a")), task(4, "Four.", (p, "a")), task(5, "Five.")]
    paths = [tmp_path / "1.json", tmp_path / "2.json"]
    for path, tasks in zip(paths, (first, second), strict=True):
        path.write_text(json.dumps(tasks))
    given = side_by_side(paths, TAXONOMY)
    assert (given.annotators, list(given.articles), given.alone) == ((p, q), ["1", "2", "3"], 1)
    result = measure(given, TAXONOMY, draws=0)
    assert row(result, "a").figures["positive_agreement"].value == pytest.approx(2 * 1 / (3 + 1))
    assert {(c.a, c.b) for c in result.confusions} == {("a", "none"), ("a", "b")}


def test_the_same_seed_gives_the_same_intervals(tmp_path):
    given = side_by_side(pair(tmp_path), TAXONOMY)
    assert measure(given, TAXONOMY, seed=1).plain() == measure(given, TAXONOMY, seed=1).plain()
    assert measure(given, TAXONOMY, seed=1).plain() != measure(given, TAXONOMY, seed=2).plain()


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ({"id": "x", "sentences": ["", "other words"], "labels": {}}, "other sentences under the id 'x'"),
        ({"id": "z", "labels": {}}, "sentences of 'z' are in none"),
        ({"id": "x", "labels": {"7": {"a": "support"}}}, "label index '7'"),
        ({"id": "y", "sentences": ["", "s"], "labels": {}}, "no article was labelled by two"),
    ],
)
def test_files_that_cannot_be_compared_say_why(tmp_path, second, reason):
    one = write(tmp_path / "1.jsonl", {"id": "x", "sentences": ["", "s"], "labels": {}})
    with pytest.raises(LabelError, match=reason):
        side_by_side([one, write(tmp_path / "2.jsonl", second)], TAXONOMY)


def test_the_same_id_twice_under_one_name_is_refused(tmp_path):
    x = {"id": "x", "sentences": ["", "s"], "labels": {}}
    with pytest.raises(LabelError, match="occurs twice under 'unnamed'") as caught:
        side_by_side([write(tmp_path / "1.jsonl", x, x)], TAXONOMY)
    assert caught.value.where.startswith(f"{tmp_path}/1.jsonl:2 ")


def test_the_command_on_the_shipped_pair(root, capsys):
    files = [str(root / "corpus" / "labels" / p) for p in ("passages.dev.jsonl", "second/passages.dev.jsonl")]
    assert main(["labels", "agreement", *files, "--json", "--draws", "50"]) == 0
    out, err = capsys.readouterr()
    assert "consistency, not human agreement" in err
    result = json.loads(out)
    assert (result["articles"], result["annotators"]) == (55, ["lm-1", "lm-2"])
    rows = {(r["question"], r["unit"]): r for r in result["rows"]}
    # the reference scorer's detection F1 of lm-2 against lm-1 is the positive agreement on "any narrative"
    from bondlore.train.evaluate import gold_rows
    from bondlore.train.figures import score

    given = side_by_side([root / f for f in files], taxonomy.load())
    first, second = (gold_rows([g[k] for g in given.articles.values()]) for k in (0, 1))
    v = score(first, second, narratives=taxonomy.load().ids, core=taxonomy.load().core, draws=0).values
    assert rows["any narrative", "sentence"]["positive_agreement"]["value"] == pytest.approx(
        v["detection_f1"], abs=1e-4
    )
    for n in taxonomy.load():
        assert rows[n, "sentence"]["positive_agreement"]["value"] == pytest.approx(v[f"f1_{n}"], abs=1e-4)


def test_the_command_prints_a_table(tmp_path, root, capsys):
    shown = root / "corpus" / "labels"
    assert (
        main(["labels", "agreement", str(shown / "passages.dev.jsonl"), str(shown / "second/passages.dev.jsonl")]) == 0
    )
    out = capsys.readouterr().out
    assert "label set (MASI)" in out
    assert "confused on a sentence" in out
