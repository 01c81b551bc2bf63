"""Training end to end on a tiny base made here: folder complete, reproducible, resumable, loadable everywhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

import tiny_encoder

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 2, tzinfo=UTC)
WORDS = [
    "funds",
    "sold",
    "on",
    "bonds",
    "to",
    "meet",
    "margin",
    "calls",
    "while",
    "foreign",
    "buyers",
    "left",
    "and",
    "yields",
    "rose",
    "not",
    "because",
    "the",
    "chef",
    "cooked",
    "rice",
]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_encoder.write(tmp_path_factory.mktemp("base"), hidden=64, layers=2, words=WORDS)


@pytest.fixture(scope="module")
def narratives():
    from bondlore import taxonomy

    return taxonomy.parse(
        {"name": "t", "narratives": [{"id": "margin", "definition": "x"}, {"id": "abroad", "definition": "y"}]},
        where="t",
    )


@pytest.fixture(scope="module")
def articles():
    from bondlore.train.labels import LabelledArticle

    rng = np.random.default_rng(0)
    out = []
    for i in range(60):
        filler = " ".join(rng.choice(WORDS[13:], 5))
        sentences = (
            "",
            f"funds sold on margin calls {i}",
            f"{filler} foreign buyers left {i}",
            f"{filler} {i}",
        )
        stance = "reject" if i % 3 == 0 else "support"
        if stance == "reject":
            sentences = (*sentences[:2], f"not because foreign buyers left {i}", sentences[3])
        out.append(LabelledArticle(str(i), sentences, {1: {"margin": "support"}, 2: {"abroad": stance}}, gate="causal"))
    return out


@pytest.fixture(scope="module")
def recipe(base):
    from bondlore.train.recipe import Recipe

    return Recipe(
        base=str(base), encoder="tuned", epochs=12, learning_rate=2e-3, head_learning_rate=5e-3, batch=4, folds=2
    )


@pytest.fixture(scope="module")
def model(articles, narratives, recipe, tmp_path_factory):
    from bondlore.train.run import train

    out = tmp_path_factory.mktemp("models") / "tiny"
    train(articles, narratives, recipe, out, now=NOW, sources=["made.jsonl"], report=lambda line: None)
    return out


def test_the_folder_is_complete_and_its_hashes_hold(model):
    from bondlore.tag import bundle as bundles

    found = bundles.read(model)
    for name in found.files:
        bundles.check_file(found, name)
    assert {"model.onnx", "tokenizer.json", "head.safetensors", "encoder/config.json"} <= set(found.files)
    assert not model.with_name("tiny.work").exists()


def test_it_learnt_the_labels_and_the_stance(model):
    from bondlore import Tagger

    t = Tagger.load(model).tag([{"sentences": ["", "funds sold on margin calls", "not because foreign buyers left"]}])[
        0
    ]
    assert t.sentences[1].labels["margin"] == "support"
    assert t.sentences[2].labels["abroad"] == "reject"
    assert t.narratives["abroad"].verdict == "rejects"


def test_the_card_names_data_and_annotators(model):
    card = (model / "README.md").read_text()
    assert "made.jsonl" in card
    assert "60 labelled articles" in card


def test_no_local_path_leaks_into_the_model(model, base):
    for path in (model / "bondlore.json", model / "README.md", model / "encoder" / "config.json"):
        assert str(base.parent) not in path.read_text()


def test_held_out_errors_are_counted(model):
    data = json.loads((model / "bondlore.json").read_text())["confusion"]
    assert data["n"] == 60
    assert sum(data["narratives"]["margin"]["presence"].values()) == 60


def test_the_scores_of_held_out_articles_are_kept(model):
    from bondlore.measure.heldout import parse_held_out

    found = parse_held_out(json.loads((model / "bondlore.json").read_text())["scores"], where="x")
    assert found.n == 60
    assert found.scores("margin", "presence").positive.sum() > 0
    assert set(found.stances) == {"margin", "abroad"}


def test_an_interrupted_run_goes_on_and_ends_the_same(model, articles, narratives, recipe, tmp_path):
    from bondlore.tag import bundle as bundles
    from bondlore.train.run import train

    lines: list[str] = []

    def stop_in_second_fold(line):
        lines.append(line)
        if "fold 2/2, epoch 3/" in line:
            raise KeyboardInterrupt

    out = tmp_path / "tiny"
    with pytest.raises(KeyboardInterrupt):
        train(articles, narratives, recipe, out, now=NOW, sources=["made.jsonl"], report=stop_in_second_fold)
    assert not out.exists()
    # training flushes denormals, a switch of the processor: left on, it breaks whatever runs next in this process
    assert np.float64(5e-324) * 1 > 0
    train(articles, narratives, recipe, out, now=NOW, sources=["made.jsonl"], report=lines.append)
    assert any("fold 1/2 was trained before" in line for line in lines)
    assert bundles.read(out).fingerprint == bundles.read(model).fingerprint


def test_articles_the_base_has_seen_stay_out_of_calibration(model, articles, narratives, tmp_path):
    from bondlore.train.recipe import Recipe
    from bondlore.train.run import train

    lines: list[str] = []
    again = Recipe(base=str(model / "encoder"), epochs=1, folds=2)
    made = train(articles, narratives, again, tmp_path / "m", now=NOW, report=lines.append)
    assert any("trained on 60 of these articles" in line for line in lines)
    assert made.confusion == {}


def test_fewer_stories_than_folds_are_refused(articles, narratives, recipe, tmp_path):
    from dataclasses import replace

    from bondlore.errors import LabelError
    from bondlore.train.run import train

    copies = [
        replace(articles[0], id=str(i), sentences=(*articles[0].sentences[:3], "the same words in every one of them"))
        for i in range(8)
    ]
    with pytest.raises(LabelError, match="fewer stories"):
        train(copies, narratives, recipe, tmp_path / "m", now=NOW)


def test_retraining_starts_from_the_shipped_encoder(model, articles, narratives, tmp_path):
    from bondlore.train.recipe import Recipe
    from bondlore.train.run import train

    again = Recipe(base=str(model / "encoder"), epochs=1, folds=0)
    made = train(articles, narratives, again, tmp_path / "m", now=NOW, report=lambda line: None)
    assert made.calibration.threshold == (0.5, 0.5)


def test_a_holdout_run_trains_once_and_is_calibrated_on_what_it_ships(articles, narratives, recipe, tmp_path):
    from dataclasses import replace

    from bondlore.train.run import train

    lines: list[str] = []
    once = replace(recipe, combine="holdout", folds=3, average=0.9)
    made = train(articles, narratives, once, tmp_path / "m", now=NOW, report=lines.append)
    assert made.confusion["n"] == 20
    assert sum("epoch 12/12" in line for line in lines) == 1


def test_a_taught_base_goes_on_from_its_own_heads(model, articles, narratives):
    from bondlore.train.recipe import Recipe
    from bondlore.train.run import _head_of

    taught = str(model / "encoder")
    assert _head_of(taught, narratives) == model / "head.safetensors"
    from bondlore import taxonomy

    others = taxonomy.parse({"name": "o", "narratives": [{"id": "margin", "definition": "x"}]}, where="o")
    assert _head_of(taught, others) is None

    from safetensors.torch import load_file

    from bondlore.train import fit

    built = fit.build(2, Recipe(base=taught), head=model / "head.safetensors")
    assert built.presence.weight.equal(load_file(model / "head.safetensors")["presence.weight"])


@pytest.fixture(scope="module")
def left(articles, narratives, recipe, tmp_path_factory):
    """A model whose encoder was left as it is: its heads work on sentences of length one."""
    from dataclasses import replace

    from bondlore.train.run import train

    out = tmp_path_factory.mktemp("models") / "left"
    train(articles, narratives, replace(recipe, encoder="frozen", folds=0), out, now=NOW, report=lambda _: None)
    return out


@pytest.mark.parametrize("combine", ["holdout", "soup"])
def test_what_goes_on_from_such_heads_works_on_the_same(left, articles, narratives, recipe, tmp_path, combine):
    from dataclasses import replace

    from safetensors.torch import load_file

    from bondlore.train.run import train

    again = replace(recipe, base=str(left / "encoder"), combine=combine, epochs=1)
    train(articles, narratives, again, tmp_path / "m", now=NOW, report=lambda _: None)
    assert "unit" in load_file(left / "head.safetensors")
    assert "unit" in load_file(tmp_path / "m" / "head.safetensors")


def test_torch_tags_with_such_heads_as_the_exported_model_does(left):
    from bondlore import Tagger
    from bondlore.train.device import LoadOnDevice

    given = [{"sentences": ["", "funds sold on margin calls", "the chef cooked rice"]}]
    exact, exported = Tagger.load(left).tag(given)[0], LoadOnDevice(str(left), "torch-cpu")(1)._tagger.tag(given)[0]
    for one, other in zip(exact.sentences, exported.sentences, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=0.05)


def test_the_card_of_an_uncalibrated_model_says_so(left):
    card = (left / "README.md").read_text()
    assert "the model is uncalibrated" in card
    assert "held-out folds" not in card


def test_a_fold_of_another_way_to_combine_or_of_other_heads_is_not_taken_up(articles, narratives, recipe, base, left):
    from dataclasses import replace

    from bondlore.train.checkpoint import Checkpoints

    made = [
        Checkpoints(left, articles, narratives, of, head)._path(0)
        for of, head in [
            (recipe, None),
            (replace(recipe, combine="soup"), None),
            (recipe, base / "model.safetensors"),
            (recipe, left / "head.safetensors"),
        ]
    ]
    assert len(set(made)) == 4


def test_the_exported_graph_has_its_attention_joined(model):
    import onnx

    kinds = [node.op_type for node in onnx.load(model / "model.onnx").graph.node]
    assert kinds.count("MultiHeadAttention") == 2  # layers
    assert "Softmax" not in kinds


def test_attention_of_another_pattern_is_left_as_it_is():
    from onnx import TensorProto, helper

    from bondlore.train.attention import joined

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"])], "g", values[:1], values[1:])
    plain = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    assert joined(plain, 2, {"x": np.ones((2, 3), np.float32)}) is plain


def test_a_base_share_of_all_keeps_the_base_as_it_was(model, articles, narratives, recipe, tmp_path):
    from dataclasses import replace

    from safetensors.torch import load_file

    from bondlore.train.run import train

    again = replace(recipe, base=str(model / "encoder"), base_share=1.0, epochs=1, folds=0)
    train(articles, narratives, again, tmp_path / "m", now=NOW, report=lambda _: None)
    before, after = (load_file(folder / "head.safetensors") for folder in (model, tmp_path / "m"))
    assert all(torch_close(before[name], after[name]) for name in before)


def torch_close(a, b):
    import torch

    return torch.allclose(a, b, atol=1e-5)


def test_a_base_without_heads_cannot_be_mixed_in(base, articles, narratives, recipe, tmp_path):
    from dataclasses import replace

    from bondlore.errors import ModelError
    from bondlore.train.run import train

    with pytest.raises(ModelError, match="base_share"):
        train(articles, narratives, replace(recipe, base_share=0.5), tmp_path / "m", now=NOW, report=lambda _: None)


def test_a_continued_model_without_a_fresh_article_keeps_the_bases_calibration(
    model, articles, narratives, recipe, tmp_path
):
    from dataclasses import replace

    from bondlore.tag import bundle as bundles
    from bondlore.train.run import train

    again = replace(recipe, base=str(model / "encoder"), base_share=0.5, combine="holdout", folds=2, epochs=1)
    made = train(articles, narratives, again, tmp_path / "m", now=NOW, report=lambda _: None)
    before = bundles.read(model)
    assert (made.calibration, made.confusion) == (before.calibration, before.confusion)


def test_a_model_without_a_fresh_held_out_article_says_that_it_is_uncalibrated(
    model, articles, narratives, recipe, tmp_path
):
    from dataclasses import replace

    from bondlore.train.run import train

    lines: list[str] = []
    again = replace(recipe, base=str(model / "encoder"), combine="holdout", folds=2, epochs=1)
    made = train(articles, narratives, again, tmp_path / "m", now=NOW, report=lines.append)
    assert any("only 0 held-out articles are new to the base" in line for line in lines)
    assert made.confusion == {}


def test_replay_shows_a_share_of_what_the_base_knows():
    import random

    from bondlore.tag.windows import Window
    from bondlore.train.fit import Example, _drawn

    data = [Example(i, Window((1,), (0,), ((0, 1),)), None, None) for i in range(400)]
    drawn = _drawn(data, set(range(200)), 0.25, random.Random(0))
    kept = sum(e.article < 200 for e in drawn)
    assert 30 <= kept <= 70
    assert len(drawn) - kept == 200
    assert len(_drawn(data, set(range(200)), 1.0, random.Random(0))) == 400


def test_articles_of_a_story_the_base_knows_are_not_held_out(articles):
    from dataclasses import replace

    from bondlore.train.split import unrelated

    told_again = replace(articles[5], sentences=("", "six plain words that strangers share"))
    known = replace(articles[0], sentences=("t", "six plain words that strangers share"))
    pool = [known, *articles[1:5], told_again]
    assert unrelated(pool, [1, 2, 5], {0}) == [1, 2]


def test_plain_transformers_loads_the_encoder(model):
    from transformers import AutoModel, AutoTokenizer

    assert AutoModel.from_pretrained(model / "encoder").config.hidden_size == 64
    assert AutoTokenizer.from_pretrained(model / "encoder").cls_token == "[CLS]"


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_labels_are_refused(articles, narratives, recipe, tmp_path, count):
    from bondlore.errors import LabelError
    from bondlore.train.run import train

    with pytest.raises(LabelError, match="labelled articles"):
        train(articles[:count], narratives, recipe, tmp_path / "m", now=NOW)
    assert not (tmp_path / "m").exists()


def test_a_missing_base_is_named(articles, narratives, tmp_path):
    from bondlore.errors import ModelError
    from bondlore.train.recipe import Recipe
    from bondlore.train.run import train

    with pytest.raises(ModelError, match="pass --base"):
        train(articles, narratives, Recipe(base=str(tmp_path / "nowhere")), tmp_path / "m", now=NOW)
