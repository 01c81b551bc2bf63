"""A model in other forms: only what tagging opens, plain transformers, a hub that answers on this machine."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from bondlore.cli import main
from bondlore.errors import InputError, ModelError

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

SENTENCES = ["funds meet margin calls", "a quiet day", "debt grew at auction while foreign buyers left"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    import tiny_encoder

    home = tmp_path_factory.mktemp("export")
    (home / "flat.jsonl").write_text("".join(json.dumps(r) + "\n" for r in tiny_encoder.flat(40)))
    base = str(tiny_encoder.write(home / "base"))
    given = ["train", str(home / "flat.jsonl"), "--derive-taxonomy", "--base", base, "--encoder", "frozen"]
    assert main([*given, "--folds", "2", "--out", str(home / "mine")]) == 0
    return home / "mine"


@pytest.fixture(scope="module")
def scores(model):
    """What bondlore itself says of SENTENCES, each by itself: [sentences, narratives]."""
    from bondlore import Tagger

    tagger = Tagger.load(model)
    tags = tagger.tag([{"sentences": ["", s]} for s in SENTENCES])
    return np.array([[t.sentences[1].scores[n] for n in tagger.taxonomy] for t in tags])


@pytest.fixture(scope="module")
def plain(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("hf") / "plain"
    assert main(["export", str(model), "--to", "hf", "--out", str(out)]) == 0
    return out


def test_plain_transformers_says_what_bondlore_says(plain, scores):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    import bondlore.train.hf  # noqa: F401 - registers the class

    model = AutoModelForSequenceClassification.from_pretrained(plain)
    batch = AutoTokenizer.from_pretrained(plain)(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        found = torch.sigmoid(model(**batch).logits).numpy()
    assert model.config.id2label == {0: "margin_calls", 1: "supply"}
    assert np.abs(found - scores).max() < 0.02  # int8 against fp32


def test_a_pair_is_a_title_and_a_sentence(model, plain):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from bondlore import Tagger

    network = AutoModelForSequenceClassification.from_pretrained(plain)
    batch = AutoTokenizer.from_pretrained(plain)("foreign buyers left", SENTENCES[2], return_tensors="pt")
    with torch.no_grad():
        found = torch.sigmoid(network(**batch).logits)[0].numpy()
    tagged = Tagger.load(model).tag([{"sentences": ["foreign buyers left", SENTENCES[2]]}])[0].sentences[1]
    assert found == pytest.approx(list(tagged.scores.values()), abs=0.02)


def test_a_pipeline_reads_it(plain, scores):
    from transformers import pipeline

    import bondlore.train.hf  # noqa: F401

    read = pipeline("text-classification", model=str(plain), top_k=None, function_to_apply="sigmoid")
    found = {row["label"]: row["score"] for row in read([SENTENCES[0]])[0]}
    assert found["margin_calls"] == pytest.approx(scores[0, 0], abs=0.02)
    assert "pipeline(" in (plain / "README.md").read_text()


def test_the_small_folder_tags_alike(model, scores, tmp_path):
    from bondlore import Tagger

    out = tmp_path / "small"
    assert main(["export", str(model), "--to", "onnx", "--out", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["README.md", "bondlore.json", "model.onnx", "tokenizer.json"]
    small = Tagger.load(out)
    assert small.model == Tagger.load(model).model
    assert list(small.tag([{"sentences": ["", SENTENCES[0]]}])[0].sentences[1].scores.values()) == scores[0].tolist()
    assert main(["export", str(out), "--to", "hf", "--out", str(tmp_path / "hf")]) == 1  # no encoder left in it
    assert not (tmp_path / "hf").exists()


def test_nothing_is_overwritten(model, tmp_path):
    from bondlore.tag import bundle as bundles
    from bondlore.train.publish import export

    (tmp_path / "kept").write_text("x")
    with pytest.raises(InputError, match="is there already"):
        export(bundles.read(model), "onnx", tmp_path)
    assert (tmp_path / "kept").read_text() == "x"


@contextmanager
def hub(status=200):
    """The part of a hub's HTTP interface that an upload uses; yields its address and the files it was given."""
    files: dict[str, bytes] = {}

    class Hub(BaseHTTPRequestHandler):
        @property
        def home(self):
            return f"http://{self.headers['Host']}/owner/mine"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.endswith("/repos/create"):
                self.answer({"url": self.home, "id": "owner/mine"}, status)
            elif "/preupload/" in self.path:
                given = [f["path"] for f in json.loads(body)["files"]]
                self.answer({"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in given]})
            elif "/commit/" in self.path:
                for row in map(json.loads, body.splitlines()):
                    if row["key"] == "file":
                        files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
                self.answer({"commitUrl": f"{self.home}/commit/1", "commitOid": "1"})
            else:  # the card's header is checked by the hub
                self.answer({"errors": [], "warnings": []})

        def do_GET(self):
            self.answer({"id": "owner/mine", "sha": "0", "siblings": []})

        def answer(self, value, code=200):
            data = json.dumps(value).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", files
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_push_gives_the_hub_every_file(plain):
    from bondlore.train.publish import push

    with hub() as (address, files):
        assert push(plain, "owner/mine", endpoint=address).endswith("/owner/mine/commit/1")
    assert files == {p.name: p.read_bytes() for p in plain.iterdir()}


def test_a_hub_that_refuses_is_one_clear_line(plain):
    from bondlore.train.publish import push

    with hub(status=401) as (address, _), pytest.raises(ModelError, match="cannot be pushed") as caught:
        push(plain, "owner/mine", endpoint=address)
    assert "HF_TOKEN" in str(caught.value)


def test_a_name_that_is_none_is_refused_before_anything_is_written(model, tmp_path, capsys):
    assert main(["export", str(model), "--to", "onnx", "--out", str(tmp_path / "o"), "--push", "mine"]) == 1
    assert "owner/name" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
