"""Taxonomy files: read, checked, carried by models."""

from __future__ import annotations

import pytest

from bondlore import taxonomy
from bondlore.errors import TaxonomyError


def test_the_shipped_one_has_the_codebooks_ten(root):
    t = taxonomy.load()
    assert len(t) == 10
    assert len(t.core) == 3
    book = (root / "corpus" / "codebook.md").read_text()
    assert all(f"**{n}**" in book for n in t.ids)


def test_a_model_carries_it_whole():
    t = taxonomy.load()
    assert taxonomy.parse(taxonomy.dump(t), where="x") == t


def test_the_digest_follows_meaning_not_drawing():
    plain = {"narratives": [{"id": "a", "definition": "x"}]}
    one, two, three = (
        taxonomy.parse(d, where="t").digest
        for d in (
            plain,
            {"narratives": [{"id": "a", "definition": "x", "colour": "#000000"}]},
            {"narratives": [{"id": "a", "definition": "y"}]},
        )
    )
    assert one == two != three


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("narratives: [", "not YAML"),
        ("a: 1", "no list 'narratives'"),
        ("narratives: [1]", "not a mapping"),
        ("narratives: [{id: A B}]", "has the id"),
        ("narratives: [{id: a}, {id: a}]", "repeats the id"),
        ("narratives: [{id: a, kind: main}]", "has kind"),
        ("narratives: [{id: a, colour: red}]", "has colour"),
        ("narratives: [{id: a}]\nsubject: x", "'subject' is not a mapping"),
        ("narratives: [{id: none}]", "absence"),
        ("narratives: [{id: a, include: {x: 1}}]", "not a list of strings"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_a_bad_file_is_named_with_its_reason(tmp_path, text, reason):
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(TaxonomyError, match=reason) as caught:
        taxonomy.load(path)
    assert caught.value.where == str(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TaxonomyError, match="cannot be read"):
        taxonomy.load(tmp_path / "no.yaml")


def test_a_lone_string_is_a_list_of_one_never_its_letters():
    t = taxonomy.parse({"narratives": [{"id": "a", "include": "abc"}], "subject": {"terms": "Treasury"}}, where="t")
    assert t["a"].include == ("abc",)
    assert t.subject.terms == ("Treasury",)
