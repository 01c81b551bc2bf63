"""The article gate."""

from __future__ import annotations

import pytest

from bondlore import taxonomy
from bondlore.tag.subject import SubjectGate
from bondlore.taxonomy import Subject

GATE = SubjectGate(taxonomy.load().subject)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Treasuries fell.", "topical"),
        ("The 10-YEAR YIELD rose", "topical"),
        ("Long gilts slid again", "topical"),
        ("The Fed held rates.", "related"),
        ("The chef won a star.", "off_topic"),
        ("A vagabond arrived", "off_topic"),
        ("", "off_topic"),
    ],
)
def test_gate(text, expected):
    assert GATE(["", text]) == expected


def test_without_a_subject_everything_is_read():
    assert SubjectGate(Subject())(["", "The chef won a star."]) == "topical"


def test_no_labelled_article_is_lost(shared):
    import json

    for name in ("train", "dev"):
        for line in (shared / "news" / f"{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            if row["labels"]:
                assert GATE(row["sentences"]) != "off_topic", row["id"]
