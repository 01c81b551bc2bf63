"""Many windows at once: the same answers as one at a time, whatever reads them; clear refusals without a GPU."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from bondlore.cli import main
from bondlore.errors import BatchError, InputError, ModelError
from bondlore.tag import bundle as bundles
from bondlore.tag.ahead import AheadTagger, batches
from bondlore.tag.batch import plan_only, read_tagged, run
from bondlore.tag.bundle import file_digest
from bondlore.tag.windows import Window
from tiny_model import TinyLoader, archive, rows


class Batched:
    """The tests' runtime, several windows at once; remembers what it was given."""

    def __init__(self, inner, fails=False):
        self.inner, self.fails, self.seen = inner, fails, []

    def read(self, windows):
        if self.fails:
            raise RuntimeError("the device fell off the bus")
        self.seen.append([len(w.ids) for w in windows])
        return [self.inner.logits(w) for w in windows]


class AheadLoader(TinyLoader):
    fails = False

    def __call__(self, threads):
        plain = super().__call__(threads)
        return AheadTagger(plain.bundle, Batched(plain._runtime, self.fails), plain._tokenizer, tokens=200)


class BrokenLoader(AheadLoader):
    fails = True


def tag(source, out, load):
    run([source], out, shard_size=8, load=load, quiet=True)
    return {p.name: p.read_bytes() for p in (out / "shards").iterdir()}


@pytest.fixture
def source(tmp_path):
    items = rows(30, words=60)
    items[5]["text"] = "w1 poison w2."
    items[9] |= {"title": items[2]["title"], "text": items[2]["text"]}
    return archive(tmp_path / "news.jsonl", items)


def test_reading_ahead_writes_the_bytes_of_reading_one_by_one(source, tmp_path):
    assert tag(source, tmp_path / "ahead", AheadLoader()) == tag(source, tmp_path / "plain", TinyLoader())
    assert read_tagged(tmp_path / "ahead")["error"][5].as_py() == "ValueError: a poisoned window"


def test_windows_are_read_once_in_sorted_batches(source):
    from bondlore.ingest.archive import read_archive

    articles = [a for a in read_archive([source]) if a.id != "a5"]
    tagger = AheadLoader()(1)
    tagger.expect(articles)
    runtime = tagger._runtime
    before = len(runtime.seen)
    for article in articles:
        tagger.tag_one(article)
    lengths = [n for batch in runtime.seen for n in batch]
    assert len(runtime.seen) == before, "something was read again"
    assert lengths == sorted(lengths, reverse=True)
    assert max(map(len, runtime.seen)) > 1
    assert all(batch[0] * len(batch) <= 200 for batch in runtime.seen if len(batch) > 1)


def test_a_window_longer_than_a_batch_goes_alone():
    long = [Window((1,) * n, (0,), ((0, n),)) for n in (300, 300, 2)]
    assert [len(b) for b in batches(long, 200)] == [1, 1, 1]


def test_a_device_that_fails_stops_the_job_and_is_no_poison(tmp_path):
    """Or every article of the archive would become an error row."""
    source = archive(tmp_path / "a.jsonl", rows(10))
    with pytest.raises(BatchError, match=r"a worker failed \(RuntimeError: the device fell off the bus\); mend the"):
        tag(source, tmp_path / "out", BrokenLoader())
    assert len(tag(source, tmp_path / "out", TinyLoader())) == 2


def test_a_folder_of_another_runtime_is_refused(source, tmp_path):
    tag(source, tmp_path / "out", TinyLoader())
    with pytest.raises(BatchError, match=r"differs in runtime \(none there, cuda bf16 now\)"):
        tag(source, tmp_path / "out", TinyLoader(runtime="cuda bf16"))
    plan_only([source], tmp_path / "gpu", load=TinyLoader(runtime="cuda bf16"), quiet=True)
    plan = json.loads((tmp_path / "gpu" / "manifest.json").read_text())
    assert plan["fingerprint"]["runtime"] == "cuda bf16"


def test_without_torch_the_extra_is_named(source, tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "bondlore.train.device", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["tag", str(source), "--out", str(tmp_path / "out"), "--device", "cuda"]) == 1
    assert "torch is not installed; pip install 'bondlore[train]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [["--engine", "ray"], ["--db", "x.db"]])
def test_a_device_is_for_archives_on_this_machine(source, tmp_path, capsys, options):
    where = [str(source), "--out", str(tmp_path / "out")] if "ray" in options else []
    assert main(["tag", *where, "--device", "cuda", *options]) == 1
    assert "--device cuda is for archives tagged on this machine" in capsys.readouterr().err


# torch


@pytest.fixture(scope="module")
def torch_model(tmp_path_factory):
    """A model folder with the training weights of a two-layer BERT of random weights, and no ONNX."""
    torch = pytest.importorskip("torch", reason="needs bondlore[train]")
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    from bondlore.train.network import SentenceTagger

    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    network = SentenceTagger(BertModel(BertConfig(vocab_size=256, **shape)), 2)
    torch.nn.init.normal_(network.stance.weight)
    network.encoder.save_pretrained(folder / "encoder")
    save_file(
        {k: v for k, v in network.state_dict().items() if not k.startswith("encoder.")}, folder / "head.safetensors"
    )
    tagger = TinyLoader()(1)
    tagger._tokenizer.save(str(folder / "tokenizer.json"))
    names = ["tokenizer.json", "head.safetensors", *(f"encoder/{p.name}" for p in (folder / "encoder").iterdir())]
    bundle = tagger.bundle
    for name in names:
        bundle.files[name] = file_digest(folder / name)
    bundle.special["pad"] = 0
    bundles.write(bundle, folder)
    return folder


def windows(n):
    rng = np.random.default_rng(0)
    out = []
    for k in range(n):
        size = 6 + 3 * k
        ids = tuple(int(i) for i in rng.integers(5, 200, size))
        out.append(Window(ids, (0, 1), ((1, 4), (4, size))))
    return out


@pytest.mark.parametrize(("half", "tolerance"), [(False, 1e-5), (True, 0.05)])
def test_a_batch_gives_each_window_the_logits_it_has_alone(torch_model, half, tolerance):
    import torch

    from bondlore.train.device import TorchRuntime, _network

    network = _network(bundles.read(torch_model, verify=()))
    exact = TorchRuntime(network, torch.device("cpu"), pad=0, half=False)
    runtime = TorchRuntime(network, torch.device("cpu"), pad=0, half=half)
    some = windows(7)
    for window, got in zip(some, runtime.read(some), strict=True):
        (want,) = exact.read([window])
        for values, expected in zip(got, want, strict=True):
            assert values.dtype == np.float32
            np.testing.assert_allclose(values, expected, atol=tolerance)


def test_when_memory_runs_out_the_batch_is_read_in_parts(torch_model, monkeypatch):
    import torch

    from bondlore.train.device import TorchRuntime, _network

    runtime = TorchRuntime(_network(bundles.read(torch_model, verify=())), torch.device("cpu"), pad=0, half=False)
    some, whole = windows(5), runtime._read

    def small(chosen):
        if len(chosen) > 2:
            raise torch.OutOfMemoryError
        return whole(chosen)

    expected = runtime.read(some)
    monkeypatch.setattr(runtime, "_read", small)
    for got, want in zip(runtime.read(some), expected, strict=True):
        np.testing.assert_allclose(got[0], want[0], atol=1e-5)
    monkeypatch.setattr(runtime, "_read", lambda chosen: small([*chosen] * 3))
    with pytest.raises(torch.OutOfMemoryError):
        runtime.read(some)


def test_an_archive_is_tagged_by_torch(torch_model, source, tmp_path, capsys):
    command = ["tag", str(source), "--model", str(torch_model), "--shard-size", "8", "--workers", "1", "--json"]
    for out in ("one", "two"):
        assert main([*command, "--device", "torch-cpu", "--out", str(tmp_path / out)]) == 0
    report = json.loads(capsys.readouterr().out.split("}")[0] + "}")
    assert (report["rows"], report["errors"], report["copies"]) == (30, 0, 1)
    table = read_tagged(tmp_path / "one")
    assert table.equals(read_tagged(tmp_path / "two"))
    assert len(set(table["p_up"].to_pylist())) > 10


@pytest.mark.parametrize("damage", ["none", "altered", "cut"])
def test_weights_that_are_missing_or_altered_are_named(torch_model, tmp_path, damage):
    import shutil

    from bondlore.train.device import LoadOnDevice

    folder = tmp_path / "m"
    shutil.copytree(torch_model, folder)
    said = {"none": "has no training weights", "altered": "hash differs", "cut": "cannot be read"}[damage]
    manifest = json.loads((folder / "bondlore.json").read_text())
    if damage == "none":
        del manifest["files"]["head.safetensors"]
    else:
        (folder / "head.safetensors").write_bytes((folder / "head.safetensors").read_bytes()[:-9])
    if damage == "cut":
        manifest["files"]["head.safetensors"] = file_digest(folder / "head.safetensors")
    (folder / "bondlore.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=said):
        LoadOnDevice(str(folder), "torch-cpu")(1)


def test_without_a_gpu_that_is_said_and_nothing_is_written(torch_model, source, tmp_path, capsys):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    from bondlore.train.device import LoadOnDevice

    options = ["--model", str(torch_model), "--device", "cuda", "--out"]
    assert main(["tag", str(source), *options, str(tmp_path / "out")]) == 1
    assert "torch finds no CUDA device here; check nvidia-smi" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="no CUDA device"):
        LoadOnDevice(str(torch_model), "cuda")(1)
    assert main(["tag", str(source), *options, str(tmp_path / "plan"), "--plan-only"]) == 0, "planning needs none"


@pytest.mark.slow
@pytest.mark.parametrize("device", ["torch-cpu", "cuda"])
def test_the_shipped_model_answers_alike_on_every_device(root, tagger, device):
    """int8 one by one against the training weights in batches, on the sample's articles of the subject."""
    from itertools import islice

    from bondlore.ingest.archive import read_archive

    torch = pytest.importorskip("torch", reason="needs bondlore[train]")
    from bondlore.train.device import LoadOnDevice

    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    sample = read_archive([root / "corpus" / "sample" / "archive.jsonl"])
    articles = list(islice(sample, 0, 160, 8))
    there = LoadOnDevice(None, device)(1)
    there.expect(articles)
    differences, same, count = [], 0, 0
    for article in articles:
        ours, theirs = tagger.tag_one(article), there.tag_one(article)
        for a, b in zip(ours.sentences, theirs.sentences, strict=True):
            differences += [abs(a.scores[n] - b.scores[n]) for n in a.scores]
            same += a.labels == b.labels
            count += 1
    assert np.mean(differences) <= 0.01
    assert same / count >= 0.98


def test_a_job_goes_on_in_its_precision_on_another_processor(source, tmp_path, monkeypatch):
    from bondlore.tag.batch import job

    out = tmp_path / "out"
    monkeypatch.setattr(job, "best_precision", lambda: "int8")
    assert job.LoadModel.of_folder(out, None).runtime == "int8"
    plan_only([source], out, load=TinyLoader(runtime="fp32"), quiet=True)
    assert job.LoadModel.of_folder(out, None).runtime == "fp32"
    assert job.LoadModel.of_folder(out, None, "int8").runtime == "int8"  # and will be refused, as asked
