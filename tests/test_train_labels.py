"""Labels files: every form read, every bad row named."""

from __future__ import annotations

import json

import pytest

from bondlore import taxonomy
from bondlore.errors import LabelError
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
