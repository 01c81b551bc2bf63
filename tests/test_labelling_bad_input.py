"""Labels that cannot teach: `train` says why, with file and row, before it loads a network, and overwrites nothing."""

from __future__ import annotations

import json

import pytest

from bondlore.cli import main

TAXONOMY = "name: t\nversion: 2\nnarratives:\n  - {id: a}\n  - {id: b}\n"
GOOD = [{"text": f"Levies lift prices, said trader {i}.", "labels": ["a"]} for i in range(12)]


def lines(*rows):
    return "".join(json.dumps(r) + "\n" for r in rows).encode()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("l.jsonl", lines(*GOOD, {"text": "x", "labels": ["c"]}), "l.jsonl:13: unknown narrative 'c' in sentence 1"),
        ("l.jsonl", lines(*GOOD, GOOD[0] | {"taxonomy": "t/1"}), "l.jsonl:13: labelled under t/1, not t/2"),
        ("l.jsonl", lines(*GOOD, GOOD[0] | {"labels": ["a", "a:reject"]}), "l.jsonl:13: a sentence both supports"),
        ("l.jsonl", lines(*({"text": r["text"], "labels": []} for r in GOOD)), "no sentence carries any narrative"),
        ("l.jsonl", lines(*GOOD[:3]), "only 3 labelled articles; give at least 8"),
        ("l.jsonl", lines(*GOOD) + '{"text": "caf\u00e9", "labels": []}'.encode("latin-1"), "l.jsonl:13: is not UTF-8"),
        ("l.csv", "text,labels\ncaf\u00e9,a\n".encode("utf-16"), "l.csv: is not UTF-8"),
        ("l.json", '[{"text": "caf\u00e9", "labels": []}]'.encode("latin-1"), "l.json: is not UTF-8"),
        ("l.jsonl", lines(*GOOD, {"text": "x" * 9_900_000, "labels": []}), "sentence 1 has 9900000 characters"),
        ("l.jsonl", lines(*GOOD, {"text": "x" * 10_000_000, "labels": []}), "the row is longer than 10000000 bytes"),
        ("l.csv", b"text,labels\n" + b"x" * 10_000_001 + b",a\n", "is not CSV after this row"),
        ("l.json", lines({"data": {"text": "x" * 10_000_001}, "annotations": []}), "more than 10000000 characters"),
        ("l.json", b"[" * 100_000, "l.json: is not JSON"),
        ("l.jsonl", b"", "hold no labelled article"),
    ],
)
def test_training_refuses_and_the_model_that_is_there_stays(tmp_path, name, content, said, capsys):
    (tmp_path / "mine.yaml").write_text(TAXONOMY)
    (tmp_path / name).write_bytes(content)
    out = tmp_path / "model"
    out.mkdir()
    (out / "bondlore.json").write_text("{}")
    given = ["train", str(tmp_path / name), "--taxonomy", str(tmp_path / "mine.yaml"), "--out", str(out)]
    assert main(given) == 1
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert err.startswith("bondlore train: error: ")
    assert said in err
    assert len(err) < 500 + len(str(tmp_path))
    assert [(p.name, p.read_text()) for p in out.iterdir()] == [("bondlore.json", "{}")]
