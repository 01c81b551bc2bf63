"""The shipped model through its public face: the contract, wild input, repetition, tampering."""

from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bondlore import Article, Tagger
from bondlore.errors import InputError, ModelError
from bondlore.tag import bundle as bundles

CRASH = "Treasuries sank as hedge funds were forced to unwind basis trades to meet margin calls."
DENIAL = "There is no evidence that China or any other foreign holder is dumping Treasuries, officials said."


def read(tagger, *sentences):
    return tagger.tag([{"sentences": list(sentences)}])[0]


def test_given_sentences_come_back_by_index(tagger):
    t = read(tagger, "", "Stocks fell.", CRASH, "")
    assert [s.text for s in t.sentences] == ["", "Stocks fell.", CRASH, ""]
    assert t.narratives["deleveraging"].evidence == (2,)


def test_a_push_promotes(tagger):
    t = read(tagger, "Bonds slide", CRASH)
    assert (t.gate, t.primary, t.narratives["deleveraging"].verdict) == ("causal", "deleveraging", "promotes")


def test_a_denial_rejects(tagger):
    t = read(tagger, "", "Treasury yields jumped on Wednesday.", DENIAL)
    assert t.narratives["foreign_selling"].verdict == "rejects"


def test_every_sentence_scores_every_narrative(tagger):
    t = read(tagger, "", CRASH, DENIAL)
    for s in t.sentences:
        assert set(s.scores) == set(tagger.taxonomy.ids)
        assert all(0 <= p <= 1 for p in s.scores.values())


@pytest.mark.parametrize(
    "text",
    [
        "The striker scored twice and the goalkeeper was sent off.",
        "Die Bäckerei öffnet um acht Uhr und verkauft Brot.",
        "Bitcoin traders faced margin calls as the token slid.",
        "",
        "Treasuries",
        "\x00\x1b[31m\u202e",
        "🙂🙃" * 50,
        "<script>alert(1)</script><b>bold</b>",
    ],
)
def test_what_carries_nothing_is_given_nothing(tagger, text):
    t = tagger.tag([{"title": "", "text": text}])[0]
    assert t.primary == "none"
    assert t.narratives == {}
    assert t.gate in ("off_topic", "topical")


def test_off_topic_text_is_not_read(tagger):
    t = read(tagger, "", "The chef won a star for her bread.")
    assert t.gate == "off_topic"
    assert set(t.probabilities.values()) == {0.0}


def test_the_same_article_gets_the_same_answer_in_any_company(tagger):
    articles = [
        {"sentences": ["", CRASH]},
        {"sentences": ["", DENIAL, "x " * 300]},
        {"sentences": ["Gilts fall", CRASH]},
    ]
    alone = [tagger.tag([a])[0] for a in articles]
    assert tagger.tag(articles) == alone
    assert tagger.tag(articles[::-1]) == alone[::-1]


def test_another_thread_count_gives_the_same_labels(tagger):
    one = Tagger.load(threads=1)
    t, u = read(tagger, "", CRASH, DENIAL), read(one, "", CRASH, DENIAL)
    assert [s.labels for s in t.sentences] == [s.labels for s in u.sentences]


def test_fifty_thousand_words_are_read_to_the_end(tagger):
    filler = "The yield was little changed on the day in quiet trade. " * 4_600
    t = tagger.tag([{"title": "", "text": filler + CRASH}])[0]
    assert t.sentences[-1].labels["deleveraging"] == "support"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=300))
def test_any_text_has_an_answer_and_the_same_twice(tagger, text):
    article = {"title": text[:40], "text": "Treasury yields. " + text}
    assert tagger.tag([article]) == tagger.tag([article])


@pytest.mark.parametrize("item", [{"sentences": "x"}, {"sentences": [1]}, {"title": 3}, {"text": b"x"}])
def test_a_mapping_of_another_form_is_refused(tagger, item):
    with pytest.raises(InputError):
        tagger.tag([item])


def test_an_article_is_taken_as_it_is(tagger):
    assert tagger.tag_one(Article("7", "Bonds slide", CRASH)).id == "7"


# The model folder


@pytest.fixture
def copy(root, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(root / "models" / "default", folder)
    return folder


def test_a_copied_folder_is_the_same_model(copy, tagger):
    assert Tagger.load(copy).model == tagger.model


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_tampered_file_is_refused(copy, name):
    with (copy / name).open("ab") as handle:
        handle.write(b" ")
    with pytest.raises(ModelError, match="hash differs"):
        Tagger.load(copy)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "bondlore.json"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        Tagger.load(copy)


def test_a_pickle_in_the_folder_is_refused(copy):
    (copy / "extra.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="can run code"):
        Tagger.load(copy)


def test_a_path_out_of_the_folder_is_refused(copy):
    data = json.loads((copy / "bondlore.json").read_text())
    data["files"]["../secret"] = "0" * 64
    (copy / "bondlore.json").write_text(json.dumps(data))
    with pytest.raises(ModelError, match="does not list"):
        bundles.check_file(bundles.read(copy), "../secret")


@pytest.mark.parametrize(
    "change", [{"format": 99}, {"calibration": {}}, {"taxonomy": {}}, {"window": {"max_tokens": "x"}}]
)
def test_a_broken_manifest_is_refused(copy, change):
    data = json.loads((copy / "bondlore.json").read_text()) | change
    (copy / "bondlore.json").write_text(json.dumps(data))
    with pytest.raises(ModelError, match="cannot be read"):
        Tagger.load(copy)


def test_thresholds_are_part_of_the_models_name(copy, tagger):
    data = json.loads((copy / "bondlore.json").read_text())
    data["calibration"]["threshold"][0] += 0.01
    (copy / "bondlore.json").write_text(json.dumps(data))
    assert Tagger.load(copy).model != tagger.model


def test_what_is_expected_does_not_change_an_answer(tagger):
    articles = [Article(str(i), "Bonds slide", f"{CRASH} {i}") for i in range(12)]
    alone = [tagger.tag_one(a) for a in articles]
    tagger.expect(articles)
    assert [tagger.tag_one(a) for a in articles] == alone
    tagger.expect(articles[:6])
    assert [tagger.tag_one(a) for a in reversed(articles)] == alone[::-1]


def test_threads_do_not_change_an_answer():
    articles = [Article(str(i), "Bonds slide", f"{CRASH} {i}") for i in range(5)]
    assert Tagger.load(threads=1).tag(articles) == Tagger.load(threads=3).tag(articles)


def test_a_poison_article_costs_itself_alone(tagger):
    good, bad = Article("g", "Bonds slide", CRASH), Article("b", "Bonds slide", None)  # type: ignore[arg-type]
    tagger.expect([good, bad, good])
    assert tagger.tag_one(good).id == "g"
    with pytest.raises(Exception, match="None"):
        tagger.tag_one(bad)
    assert tagger.tag_one(good).id == "g"
