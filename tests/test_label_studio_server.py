"""The real Label Studio: what bondlore writes is imported there, annotated, exported, and read back the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import label_studio_server
from bondlore import taxonomy
from bondlore.cli import main
from bondlore.train.labelling import convert
from bondlore.train.labelling.spans import to_utf16
from bondlore.train.labels import read_all

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    try:
        command = label_studio_server.executable()
        with label_studio_server.running(command, tmp_path_factory.mktemp("label-studio")) as started:
            yield started
    except label_studio_server.NotHereError as error:
        pytest.skip(str(error))


def read(path, narratives):
    """Articles in an order that does not depend on that of the export."""
    return sorted(convert.read(path, narratives), key=lambda a: (a.id, a.annotator))


def test_labels_go_there_and_come_back(server, root, tmp_path):
    golden = root / "tests" / "golden" / "labels"
    narratives = taxonomy.load(golden / "taxonomy.yaml")
    before = convert.read(golden / "native.jsonl", narratives)
    tasks = tmp_path / "tasks.json"
    given = ["labels", "convert", str(golden / "native.jsonl"), "--taxonomy", str(golden / "taxonomy.yaml")]
    assert main([*given, "--to", "label-studio", "--out", str(tasks)]) == 0

    interface = tasks.with_suffix(".xml").read_text()
    project = server.call("POST", "/api/projects", {"title": "bonds", "label_config": interface})["id"]
    server.call("POST", f"/api/projects/{project}/import", json.loads(tasks.read_text()))
    export = f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"
    path = tmp_path / "export.json"
    path.write_text(json.dumps(server.call("GET", export), ensure_ascii=False))
    assert read(path, narratives) == before

    # the article that nobody had labelled: a span behind a sign of two UTF-16 units, as a browser counts it
    (waiting,) = [t for t in json.loads(path.read_text()) if not t["annotations"]]
    text = waiting["data"]["text"]
    at = to_utf16(text)
    start = text.index("this.")
    assert at[start] == start + 1
    value = {"start": at[start], "end": at[start + 5], "text": "this.", "labels": ["b:reject"]}
    region = {"id": "m1", "from_name": "label", "to_name": "text", "type": "labels", "value": value}
    gate = {"id": "m2", "from_name": "gate", "to_name": "text", "type": "choices", "value": {"choices": ["causal"]}}
    server.call("POST", f"/api/tasks/{waiting['id']}/annotations/", {"result": [region, gate]})
    path.write_text(json.dumps(server.call("GET", export), ensure_ascii=False))
    *rest, new = read(path, narratives)
    assert rest == before[:-1]
    assert new == replace(before[-1], labels={1: {"b": "reject"}}, gate="causal", annotator="user-1", pending=False)

    # one annotator's labels train as they were exported
    mine = tmp_path / "ann.json"
    one = ["labels", "convert", str(path), "--taxonomy", str(golden / "taxonomy.yaml"), "--annotator", "ann"]
    assert main([*one, "--to", "label-studio", "--out", str(mine)]) == 0
    assert [a.id for a in read_all([mine], narratives)] == ["x1", "x2"]
