"""Keyed labels: no word of the text travels, and every sentence is found again in the archive."""

from __future__ import annotations

import json

import pytest

from bondlore import taxonomy
from bondlore.errors import LabelError
from bondlore.train.keyed import key, keyed_row
from bondlore.train.labels import read_all

TAXONOMY = taxonomy.parse({"name": "t", "narratives": [{"id": "a", "definition": "x"}]}, where="t")
ARTICLE = {"id": "n1", "title": "Bonds slip", "text": "Yields rose on supply. The dollar held. Nobody knew why."}
ROW = {
    "id": "n1-1",
    "sentences": ["Bonds slip", "Yields rose on supply.", "The dollar held."],
    "labels": {"1": {"a": "support"}},
    "gate": "causal",
    "publisher": "A Paper",
}


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "archive.jsonl"
    path.write_text(json.dumps(ARTICLE) + "\n")
    return path


def labels(tmp_path, *rows):
    path = tmp_path / "keyed.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_a_keyed_row_holds_no_word_of_the_text():
    text = json.dumps(keyed_row(ROW, "n1")).casefold()
    assert not [w for s in ROW["sentences"] for w in s.casefold().strip(".").split() if len(w) > 3 and w in text]
    assert "paper" not in text


def test_the_archive_gives_the_words_back(tmp_path, archive):
    (found,) = read_all([labels(tmp_path, keyed_row(ROW, "n1"))], TAXONOMY, texts=[archive])
    assert found.sentences == tuple(ROW["sentences"])
    assert found.labels == {1: {"a": "support"}}


def test_a_missing_title_is_an_empty_sentence(tmp_path, archive):
    row = keyed_row(ROW | {"sentences": ["", *ROW["sentences"][1:]]}, "n1")
    (found,) = read_all([labels(tmp_path, row)], TAXONOMY, texts=[archive])
    assert found.sentences[0] == ""


def test_without_an_archive_the_remedy_is_named(tmp_path):
    with pytest.raises(LabelError, match=r"keyed\.jsonl:1: .*pass --texts"):
        read_all([labels(tmp_path, keyed_row(ROW, "n1"))], TAXONOMY)


def test_another_archive_is_refused(tmp_path, archive):
    with pytest.raises(LabelError, match="no article that"):
        read_all([labels(tmp_path, keyed_row(ROW, "elsewhere"))], TAXONOMY, texts=[archive])


def test_rows_whose_article_is_missing_are_left_out_with_a_warning(tmp_path, archive, capsys):
    other = keyed_row(ROW | {"id": "n2-1", "sentences": ["Gilts jump", "Yields rose on supply."]}, "n2")
    found = read_all([labels(tmp_path, keyed_row(ROW, "n1"), other)], TAXONOMY, texts=[archive])
    assert [a.id for a in found] == ["n1-1"]
    assert "1 of 2 articles are not in the texts" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [{"keys": []}, {"keys": "abc"}, {"keys": [1]}, {"of": None}])
def test_a_malformed_keyed_row_names_its_place(tmp_path, archive, bad):
    row = keyed_row(ROW, "n1") | bad
    row = {k: v for k, v in row.items() if v is not None}
    with pytest.raises(LabelError, match=r"keyed\.jsonl:1: 'keys' is not"):
        read_all([labels(tmp_path, row)], TAXONOMY, texts=[archive])


def test_a_key_does_not_depend_on_white_space():
    assert key("Yields  rose\non supply.") == key("Yields rose on supply.")
