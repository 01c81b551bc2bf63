"""JSON Lines: what is no object is named with its row, whatever is wrong with it."""

from __future__ import annotations

import gzip

import pytest

from bondlore.errors import LabelError
from bondlore.jsonlines import objects


def write(tmp_path, content, name="l.jsonl"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_a_byte_order_mark_and_blank_lines_are_no_objects(tmp_path):
    path = write(tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"a": 2}')
    assert list(objects(path)) == [(1, {"a": 1}), (4, {"a": 2})]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"a": "caf\xe9"}', "is not UTF-8"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b'{"a": "' + b"x" * 100 + b'"}', "longer than 50 bytes"),
    ],
)
def test_a_bad_row_is_named_and_may_be_passed_over(tmp_path, bad, reason):
    limit = 50 if b"xxx" in bad else 1_000_000
    path = write(tmp_path, b'{"a": 1}\n' + bad + b'\n{"a": 3}\n')
    with pytest.raises(LabelError, match=reason) as caught:
        list(objects(path, max_line=limit))
    assert caught.value.where == f"{path}:2"
    told = []
    assert [n for n, _ in objects(path, max_line=limit, skip=told.append)] == [1, 3]
    assert [e.where for e in told] == [f"{path}:2"]


def test_a_cut_off_gzip_file_says_where_it_ends(tmp_path):
    whole = gzip.compress(b"".join(b'{"a": %d}\n' % i for i in range(10_000)))
    with pytest.raises(LabelError, match=r"l\.jsonl\.gz: is broken after row \d+"):
        list(objects(write(tmp_path, whole[: len(whole) // 2], "l.jsonl.gz")))
    with pytest.raises(LabelError, match="is broken after row 0"):
        list(objects(write(tmp_path, b'{"a": 1}\n', "plain.jsonl.gz")))
