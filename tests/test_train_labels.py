"""Labels files: every form read, every bad row named."""

from __future__ import annotations

import json

import pytest

from bondlore import taxonomy
from bondlore.errors import LabelError
from bondlore.train.labelling import convert
from bondlore.train.labelling.forms import form_of
from bondlore.train.labels import digest, read_all
from bondlore.train.split import folds, stories

TAXONOMY = taxonomy.parse(
    {"name": "t", "version": "1", "narratives": [{"id": "a", "definition": "x"}, {"id": "b", "definition": "y"}]},
    where="t",
)
GOOD = {"id": "1", "sentences": ["title", "one", "two"], "labels": {"1": {"a": "support"}, "2": {"b": "reject"}}}


def write(tmp_path, *rows, name="l.jsonl"):
    path = tmp_path / name
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def test_native_rows_keep_sentences_and_stance(tmp_path):
    (article,) = read_all([write(tmp_path, GOOD)], TAXONOMY)
    assert article.sentences == ("title", "one", "two")
    assert article.labels == {1: {"a": "support"}, 2: {"b": "reject"}}


def test_flat_rows_are_one_sentence_articles(tmp_path):
    (article,) = read_all([write(tmp_path, {"text": "Prices rose", "labels": ["a", "b"]})], TAXONOMY)
    assert article.sentences == ("", "Prices rose")
    assert article.labels == {1: {"a": "support", "b": "support"}}


def test_csv_rows_are_read(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text('text,labels\n"Prices, rose",a;b\nNothing,\n')
    labels = [a.labels for a in read_all([path], TAXONOMY)]
    assert labels == [{1: {"a": "support", "b": "support"}}, {}]


def test_a_flat_label_may_name_its_stance(tmp_path):
    (article,) = read_all([write(tmp_path, {"text": "Not so", "labels": ["a", "b:reject"]})], TAXONOMY)
    assert article.labels == {1: {"a": "support", "b": "reject"}}
    with pytest.raises(LabelError, match="unknown stance 'maybe'"):
        read_all([write(tmp_path, {"text": "Not so", "labels": ["b:maybe"]})], TAXONOMY)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (GOOD | {"labels": {"1": {"zzz": "support"}}}, "unknown narrative 'zzz'"),
        (GOOD | {"labels": {"1": {"a": "maybe"}}}, "unknown stance 'maybe'"),
        (GOOD | {"labels": {"9": {"a": "support"}}}, "label index '9'"),
        (GOOD | {"labels": {"1": "a"}}, "not a mapping"),
        (GOOD | {"sentences": "one"}, "not a list of strings"),
        ({"id": "2", "labels": {}}, "neither 'sentences' nor 'text'"),
        ({"id": "2", "text": "x", "label": "a"}, "no 'labels'"),
        ("{broken", "not JSON"),
        ("[1]", "not a JSON object"),
    ],
)
def test_a_bad_row_names_file_row_and_reason(tmp_path, row, reason):
    path = write(tmp_path, GOOD, row)
    with pytest.raises(LabelError, match=reason) as caught:
        read_all([path], TAXONOMY)
    assert caught.value.where == f"{path}:2"


def test_an_id_twice_is_refused(tmp_path):
    with pytest.raises(LabelError, match="occurs twice"):
        read_all([write(tmp_path, GOOD), write(tmp_path, GOOD, name="m.jsonl")], TAXONOMY)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LabelError, match=r"gone\.jsonl: cannot be read"):
        read_all([tmp_path / "gone.jsonl"], TAXONOMY)


def test_latin1_is_named(tmp_path):
    path = tmp_path / "l.csv"
    path.write_bytes("text,labels\ncaf\u00e9,a\n".encode("latin-1"))
    with pytest.raises(LabelError, match="not UTF-8"):
        read_all([path], TAXONOMY)


def test_an_empty_file_teaches_nothing(tmp_path):
    with pytest.raises(LabelError, match="no labelled article"):
        read_all([write(tmp_path)], TAXONOMY)


def test_the_digest_ignores_order(tmp_path):
    one = read_all([write(tmp_path, GOOD, GOOD | {"id": "2"})], TAXONOMY)
    assert digest(one) == digest(one[::-1]) != digest(one[:1])


def test_a_hugging_face_data_set_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    names = datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.List(datasets.ClassLabel(names=["b", "a"]))}
    )
    datasets.Dataset.from_dict({"text": ["one", "two"], "labels": [[1], []]}, features=names).save_to_disk(
        tmp_path / "d"
    )
    assert [a.labels for a in read_all([tmp_path / "d"], TAXONOMY)] == [{1: {"a": "support"}}, {}]


@pytest.mark.parametrize("name", ["flat.jsonl", "label_studio.json", "argilla.json", "doccano.jsonl", "flat.csv"])
def test_what_tools_export_is_read_as_it_is(root, tmp_path, name, capsys):
    """Training and evaluation need no conversion first; two annotators of one article must be told apart before."""
    golden = root / "tests" / "golden" / "labels"
    narratives = taxonomy.load(golden / "taxonomy.yaml")
    with pytest.raises(LabelError, match=r"'x1' occurs twice; keep one annotator's, with bondlore labels convert"):
        read_all([golden / name], narratives)
    articles = [a for a in convert.read(golden / name, narratives) if a.annotator != "bob"]
    out = tmp_path / name
    convert.write(articles, out, form_of(golden / name), narratives)
    capsys.readouterr()
    found = read_all([out], narratives)
    told = name not in ("doccano.jsonl", "flat.csv")
    assert [a.id for a in found] == ["x1", "x2", "x3"] + ["x4"] * (not told)
    assert found[0].labels == {0: {"a": "support"}, 1: {"a": "support", "b": "support"}, 2: {"b": "reject"}}
    assert ("1 articles are not labelled yet; they are left out" in capsys.readouterr().err) == told


def test_a_list_of_rows_in_one_json_file(tmp_path):
    path = tmp_path / "l.json"
    path.write_text(json.dumps([{"text": "Prices rose", "labels": "a"}, {"text": "So what", "labels": ["none"]}]))
    assert [a.labels for a in read_all([path], TAXONOMY)] == [{1: {"a": "support"}}, {}]
    path.write_text(json.dumps([GOOD, 3]))
    with pytest.raises(LabelError, match=r"l\.json:2: is not a JSON object"):
        read_all([path], TAXONOMY)


def test_a_data_set_by_name(tmp_path, monkeypatch):
    """`hf:` gives the name to `datasets`, for which a folder with a data file in it is one too."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "train.jsonl").write_text(
        '{"text": "Up", "labels": ["a"]}\n{"text": "Down", "labels": []}\n'
    )
    place = f"hf:{tmp_path}/corpus"
    assert [a.labels for a in read_all([place], TAXONOMY)] == [{1: {"a": "support"}}, {}]
    with pytest.raises(LabelError, match=r"has no split 'test'; it has train"):
        read_all([f"{place}:test"], TAXONOMY)
    with pytest.raises(LabelError, match="is not a data set the hub has"):
        read_all([f"hf:{tmp_path}/nothing"], TAXONOMY)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "x" * 100_001, "labels": []}, "sentence 1 has 100001 characters; split the text"),
        ('{"text": "half \\ud83d", "labels": []}', "sentence 1 holds half a character"),
        ({"text": "x", "labels": ["a", "a:reject"]}, "both supports and denies 'a'"),
        (GOOD | {"labels": {"1": {"a": "support"}, "01": {"b": "support"}}}, "sentence 1 is labelled twice"),
        (GOOD | {"labels": {"9" * 5000: {}}}, "is not one of 3 sentences"),
    ],
)
def test_a_row_that_would_break_or_lose_something_later_is_named(tmp_path, row, reason):
    path = write(tmp_path, GOOD | {"id": "0"}, row)
    with pytest.raises(LabelError, match=reason) as caught:
        read_all([path], TAXONOMY)
    assert caught.value.where == f"{path}:2"


def test_a_text_with_an_unquoted_comma_is_named(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text("text,labels\nUp,a\nPrices, rose,a\n")
    with pytest.raises(LabelError, match=r"l\.csv:3: the row has more fields than the header"):
        read_all([path], TAXONOMY)


def test_a_long_text_in_a_csv_is_one_field(tmp_path):
    """The csv module's own limit is 131,072 characters, and its message names no remedy."""
    path = tmp_path / "l.csv"
    path.write_text("text,labels\n" + "word " * 30_000 + ",a\n")
    with pytest.raises(LabelError, match=r"l\.csv:2: sentence 1 has 150000 characters"):
        read_all([path], TAXONOMY)


def test_what_else_a_row_holds_is_kept(tmp_path):
    (article,) = read_all([write(tmp_path, GOOD | {"inclusion_prob": 0.5, "title": "title", "note": None})], TAXONOMY)
    assert article.extra == {"inclusion_prob": 0.5, "note": None}


def test_a_folder_of_another_kind_is_refused(tmp_path):
    pytest.importorskip("datasets")
    with pytest.raises(LabelError, match="not a data set on disk"):
        read_all([tmp_path], TAXONOMY)


def articles(tmp_path, texts):
    rows = [
        {"id": str(i), "sentences": ["", *t], "labels": {"1": {"ab"[i % 2]: "support"}}} for i, t in enumerate(texts)
    ]
    return read_all([write(tmp_path, *rows)], TAXONOMY)


def test_updates_of_a_wire_story_are_one_story(tmp_path):
    first = "Treasuries fell on Monday as funds sold 10 billion of notes."
    update = "Treasuries fell on Monday as funds sold 12 billion of notes."
    found = stories(
        articles(tmp_path, [[first], [update, "More."], ["Gilts rose on Tuesday after the auction went well."]])
    )
    assert found[0] == found[1] != found[2]


def test_short_sentences_do_not_join_strangers(tmp_path):
    assert len(set(stories(articles(tmp_path, [["Here are the details:"], ["Here are the details:"]])))) == 2


def test_folds_are_disjoint_complete_and_keep_stories_whole(tmp_path):
    texts = [[f"This is the story number {chr(97 + i // 2)} about bonds and yields"] for i in range(40)]
    given = articles(tmp_path, texts)
    parts = folds(given, 4)
    assert sorted(i for p in parts for i in p) == list(range(40))
    story = stories(given)
    for s in set(story):
        assert sum(any(story[i] == s for i in p) for p in parts) == 1


def test_the_shipped_labels_fit_the_shipped_taxonomy(root):
    found = read_all(sorted((root / "corpus" / "labels").glob("*.jsonl")), taxonomy.load())
    assert sum(len(a.sentences) for a in found) > 8000


def test_shipped_labels_are_varied(root):
    """No six-word run in more than three articles: labels written from templates teach templates."""
    import re
    from collections import defaultdict

    for path in sorted((root / "corpus" / "labels").glob("*.jsonl")):
        seen = defaultdict(set)
        for article in read_all([path], taxonomy.load()):
            words = re.findall(r"\w+", " ".join(article.sentences[1:]).casefold())
            for i in range(len(words) - 5):
                seen[tuple(words[i : i + 6])].add(article.id)
        worst = [(" ".join(g), len(ids)) for g, ids in seen.items() if len(ids) > 6]
        assert not worst, f"{path.name}: {worst[:3]}"


def test_dev_is_not_in_train(root):
    labels = root / "corpus" / "labels"
    dev = read_all([labels / "passages.dev.jsonl"], taxonomy.load())
    train = read_all([p for p in labels.glob("*.jsonl") if ".dev." not in p.name], taxonomy.load())
    long = {s for a in train for s in a.sentences if len(s.split()) >= 8}
    assert not [s for a in dev for s in a.sentences if s in long]
