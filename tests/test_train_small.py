"""Few labels: flat rows without a taxonomy, heads on a frozen encoder, the choice by held-out folds, likely errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bondlore import taxonomy
from bondlore.cli import main
from bondlore.errors import InputError, LabelError, TaxonomyError
from bondlore.train.labels import parse
from bondlore.train.predictions import read_predictions

pytest.importorskip("torch")

PLANTED = (10, 25, 40, 55)


@pytest.mark.parametrize(
    ("label", "key"),
    [("cost-push", "cost_push"), ("  Énergie prices ", "energie_prices"), ("30y", "n30y"), ("a" * 50, "a" * 41)],
)
def test_a_label_gets_an_id(label, key):
    assert taxonomy.identifier(label) == key


def test_a_taxonomy_is_derived_and_read_back(tmp_path):
    made = taxonomy.derive([f"Story {k}" for k in range(9)], name="mine")
    path = tmp_path / "mine.yaml"
    path.write_text(taxonomy.to_yaml(made))
    assert taxonomy.load(path) == made
    assert made.ids[:2] == ("story_0", "story_1")
    assert made.core == made.ids
    assert len({(n.colour, n.dash) for n in made.narratives}) == 9  # every line of a chart can be told from the others


@pytest.mark.parametrize("labels", [["cost-push", "cost push"], ["???"], ["None!"]])
def test_labels_that_make_no_id_of_their_own_are_refused(labels):
    with pytest.raises(TaxonomyError, match="id"):
        taxonomy.derive(labels)


@pytest.mark.parametrize(
    ("labels", "read"),
    [
        (["Cost-push"], {1: {"cost_push": "support"}}),
        (["cost-push:reject"], {1: {"cost_push": "reject"}}),
        (["effect:prices"], {1: {"effect_prices": "support"}}),
        ("Cost-push", {1: {"cost_push": "support"}}),
        (["none"], {}),
        ("None", {}),
        (None, {}),
        ([""], {}),
    ],
)
def test_flat_labels_are_read_as_people_write_them(labels, read):
    known = taxonomy.derive(["cost-push", "effect:prices"])
    assert parse({"text": "x", "labels": labels}, known, "f:1").labels == read


@pytest.mark.parametrize("form", ["csv", "doccano", "flat"])
def test_a_taxonomy_of_any_files_labels_reads_that_file(tmp_path, form):
    from bondlore.train.labelling.derive import of_files
    from bondlore.train.labels import read_all

    texts = ["Headline here.", "The Fed moved.", "Prices rose.", "No idea."]
    said = [["None"], ["Fed policy", "effect: prices:reject"], ["effect"], []]
    path = tmp_path / f"l.{'csv' if form == 'csv' else 'jsonl'}"
    if form == "csv":
        lines = [f"{t},{';'.join(x)},one,{i}" for i, (t, x) in enumerate(zip(texts, said, strict=True))]
        path.write_text("\n".join(["text,labels,article,sentence", *lines]) + "\n")
    elif form == "doccano":
        starts = [sum(len(t) + 1 for t in texts[:i]) for i in range(4)]
        spans = [[s, s + len(t), n] for s, t, x in zip(starts, texts, said, strict=True) for n in x]
        path.write_text(json.dumps({"text": "\n".join(texts), "label": spans, "article": "one"}) + "\n")
    else:
        rows = [{"text": t, "labels": {n: "support"}} for t, n in (("The Fed.", "Fed policy"), ("Prices.", "effect"))]
        rows.append({"text": "Prices.", "labels": ["effect: prices:reject"]})
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    made = of_files([path])
    assert set(made.ids) == {"fed_policy", "effect", "effect_prices"}
    found = [m for a in read_all([path], made) for _, m in sorted(a.labels.items())]
    merged = {n: s for m in found for n, s in m.items()}
    assert merged == {"fed_policy": "support", "effect_prices": "reject", "effect": "support"}


def test_one_narrative_written_in_two_ways_has_one_stance():
    with pytest.raises(LabelError, match="both supports and denies 'cost_push'"):
        parse({"text": "x", "labels": ["cost-push", "Cost push:reject"]}, taxonomy.derive(["cost-push"]), "f:1")


def test_an_unknown_label_names_the_way_out():
    with pytest.raises(LabelError, match="bondlore labels taxonomy"):
        parse({"text": "x", "labels": ["z"]}, taxonomy.derive(["a"]), "f:1")


def test_labels_taxonomy_writes_the_most_frequent_first(tmp_path, capsys):
    rows = [
        {"text": "x", "labels": ["rare"]},
        {"text": "y", "labels": ["Often:reject"]},
        {"text": "z", "labels": "Often"},
    ]
    native = {"sentences": ["t", "s"], "labels": {"1": {"Often": "support"}}}
    given = tmp_path / "l.jsonl"
    given.write_text("".join(json.dumps(r) + "\n" for r in [*rows, native]))
    out = tmp_path / "mine.yaml"
    assert main(["labels", "taxonomy", str(given), "--out", str(out)]) == 0
    assert taxonomy.load(out).ids == ("often", "rare")
    assert main(["labels", "taxonomy", str(given), "--out", str(out)]) == 1
    assert "is there already" in capsys.readouterr().err


def test_heads_are_those_of_scikit_learns_regression():
    from sklearn.linear_model import LogisticRegression

    from bondlore.train.frozen import fit_heads

    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 6))
    y = (x @ rng.normal(size=(6, 2)) + rng.normal(size=(120, 2)) > 0.5).astype(float)
    heads = fit_heads(x, y, np.zeros_like(y), 0.7)
    for k in range(2):
        oracle = LogisticRegression(C=0.7, tol=1e-8).fit(x, y[:, k])
        assert heads.presence[k] == pytest.approx(oracle.coef_[0], abs=2e-3)
        assert heads.bias[k] == pytest.approx(oracle.intercept_[0], abs=2e-3)


def test_a_narrative_nobody_carries_gets_its_rate():
    from bondlore.train.frozen import fit_heads

    heads = fit_heads(np.eye(8), np.zeros((8, 1)), np.zeros((8, 1)), 1.0)
    assert not heads.presence.any()
    assert heads.bias[0] == pytest.approx(np.log(1 / 9))
    assert heads.denial_bias == pytest.approx(0)


@pytest.mark.parametrize(
    ("combine", "taught", "why"),
    [("refit", False, ""), ("refit", True, "goes on from its heads"), ("soup", False, "soup")],
)
def test_what_keeps_an_encoder_from_being_frozen_is_said(combine, taught, why):
    from bondlore.train import run
    from bondlore.train.recipe import Recipe

    said = run._not_frozen(Recipe(encoder="frozen", combine=combine), taught=taught)
    assert (why in said) if why else not said


def test_the_better_figure_ships_and_a_tie_goes_to_the_frozen_one(monkeypatch):
    from types import SimpleNamespace

    from bondlore.train import choice, run
    from bondlore.train.recipe import Recipe

    monkeypatch.setattr(choice, "micro_f1", lambda held_out, *_: held_out[0])
    probe = SimpleNamespace(strength=3.0)

    def chosen(frozen, tuned, encoder="auto", probe=probe):
        return run._choose(Recipe(encoder=encoder), probe, {0: frozen}, {0: tuned}, [], None)["encoder"]

    assert (chosen(0.4, 0.5), chosen(0.6, 0.5), chosen(0.5, 0.5)) == ("tuned", "frozen", "frozen")
    assert chosen(0.1, 0.5, probe=None) == "tuned"
    assert run._choose(Recipe(encoder="frozen"), probe, {}, {}, [], None)["encoder"] == "frozen"


def test_a_recipe_with_an_unknown_encoder_is_refused(tmp_path):
    from bondlore.train.recipe import read

    path = tmp_path / "r.toml"
    path.write_text('encoder = "icy"\n')
    with pytest.raises(InputError, match="auto, tuned or frozen"):
        read(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("window = 3", "window is 3"),
        ("batch = 0", "batch is 0"),
        ("folds = 1", "folds is 1"),
        ("epochs = -1", "epochs is -1"),
        ("average = true", "average must be float"),
        ("base_share = 2", "from 0 to 1"),
        ('combine = "mix"', "soup, refit or holdout"),
    ],
)
def test_a_recipe_that_nothing_can_be_done_with_is_refused(tmp_path, text, reason):
    from bondlore.train.recipe import read

    path = tmp_path / "r.toml"
    path.write_text(text + "\n")
    with pytest.raises(InputError, match=reason):
        read(path)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    import tiny_encoder

    return tiny_encoder.write(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def run(base, tmp_path_factory):
    """A model of 80 flat rows, four labelled wrong, without a taxonomy; its folder and the out-of-fold predictions."""
    import tiny_encoder

    home = tmp_path_factory.mktemp("small")
    rows = tiny_encoder.flat(80)
    for i in PLANTED:
        rows[i]["labels"] = []  # their words say margin calls
    (home / "flat.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    out, said = home / "mine", home / "said.jsonl"
    given = ["train", str(home / "flat.jsonl"), "--derive-taxonomy", "--base", str(base), "--encoder", "frozen"]
    assert main([*given, "--predictions", str(said), "--out", str(out)]) == 0
    return home


@pytest.mark.slow
def test_flat_rows_without_a_taxonomy_become_a_model(run):
    import tiny_encoder
    from bondlore import Tagger

    tagger = Tagger.load(run / "mine")
    assert set(tagger.taxonomy) == {"margin_calls", "supply"}
    right = 0
    for row in tiny_encoder.flat(20, seed=9):
        gold = {taxonomy.identifier(n) for n in row["labels"]} - {"none"}
        right += set(tagger.tag([{"sentences": ["", row["text"]]}])[0].sentences[1].labels) == gold
    assert right >= 18
    record = tagger.bundle.training["way"]
    assert record["encoder"] == "frozen"
    assert record["held_out_micro_f1"]["frozen"] > 0.9
    assert "left as it is under logistic regressions" in (run / "mine" / "README.md").read_text()
    assert tagger.bundle.confusion["n"] == 80  # without a subject every row counts, gate or not


@pytest.mark.slow
def test_out_of_fold_predictions_see_through_planted_errors(run):
    """What held-out models say puts the wrongly unlabelled rows first."""
    said = list(read_predictions(run / "said.jsonl").values())  # in the order of the rows
    rows = [json.loads(line) for line in (run / "flat.jsonl").read_text().splitlines()]
    assert len(said) == len(rows) == 80
    assert all(set(v["scores"]) == {"1"} for v in said)
    unlabelled = [i for i, row in enumerate(rows) if "Margin calls" not in row["labels"]]
    doubtful = sorted(unlabelled, key=lambda i: -said[i]["scores"]["1"]["margin_calls"])
    assert set(doubtful[:4]) == set(PLANTED)


@pytest.mark.slow
def test_labels_check_takes_what_train_wrote(run, capsys):
    taxonomy_file = run / "mine.yaml"
    assert main(["labels", "taxonomy", str(run / "flat.jsonl"), "--out", str(taxonomy_file)]) == 0
    capsys.readouterr()
    check = ["labels", "check", str(run / "flat.jsonl"), "--taxonomy", str(taxonomy_file), "--json"]
    assert main([*check, "--predictions", str(run / "said.jsonl")]) == 0
    assert json.loads(capsys.readouterr().out)["articles"] == 80


@pytest.mark.slow
def test_eight_examples_a_narrative_are_enough_to_try(base, tmp_path):
    """Both ways are tried; whichever ships finds what it was shown."""
    import tiny_encoder
    from bondlore.clock import utc_now
    from bondlore.train.recipe import Recipe
    from bondlore.train.run import train

    rows = tiny_encoder.flat(20)
    known = taxonomy.derive(["Margin calls", "supply"])
    articles = [parse(row | {"id": str(i)}, known, f"f:{i}") for i, row in enumerate(rows)]
    lines: list[str] = []
    recipe = Recipe(base=str(base), epochs=1, folds=2)
    made = train(articles, known, recipe, tmp_path / "m", now=utc_now(), report=lines.append)
    assert set(made.training["way"]["held_out_micro_f1"]) == {"frozen", "tuned"}
    assert any("held-out micro-F1: frozen" in line for line in lines)
