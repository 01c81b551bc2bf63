"""Side by side on the same articles: transformers' pipeline sentence by sentence, in batches of 32, and bondlore.

    python scripts/bench_tagging.py archive.jsonl.gz --articles 40 [--only bond] [--threads 2] [--json]

The pipeline runs the same fine-tuned weights in fp32 over every sentence of every article (a naive user has no gate),
and the same heads on top. Each contestant runs in a process of its own, one after the other, so that peak memory and
thread pools are its own. Load time is told apart. Needs bondlore[train] and a machine with nothing else to do: the
load average is printed with the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np

from bondlore.article import Article
from bondlore.ingest.archive import read_archive
from bondlore.tag import bundle as bundles
from bondlore.tag.runtime import available_cores
from bondlore.tag.sentences import split
from bondlore.tag.subject import SubjectGate
from bondlore.tag.tagger import Tagger
from bondlore.tag.windows import Window

CONTESTANTS = ("naive", "batch32", "ours")
SIDE = 1024  # rows and columns of the matrices that measure the machine's peak


class Counted:
    """A runtime that also counts what passes through it."""

    def __init__(self, inner):
        self.inner, self.lengths = inner, []

    def logits(self, window: Window):
        self.lengths.append(len(window.ids))
        return self.inner.logits(window)


def sample(args) -> list[Article]:
    """The first articles of the archive, spread over it; with --only bond those that pass the gate."""
    gate = SubjectGate(bundles.read(args.model, verify=()).taxonomy.subject)
    wanted = (a for a in read_archive([args.archive], rejects=[]) if args.only == "mixed" or passes(gate, a))
    return list(islice(wanted, 0, args.articles * args.every, args.every))


def passes(gate: SubjectGate, article: Article) -> bool:
    return gate(split(article)) != "off_topic"


def ours(args, articles):
    began = time.perf_counter()
    tagger = Tagger.load(args.model, threads=args.threads)
    tagger._runtime = counted = Counted(tagger._runtime)
    tagger.tag(articles[:1])  # both sides warm up on one article
    counted.lengths.clear()
    loaded = time.perf_counter()
    tagger.expect(articles)  # as the batch room does with a shard
    for article in articles:
        tagger.tag_one(article)
    return loaded - began, time.perf_counter() - loaded, counted.lengths


def pipeline(args, articles, batch: int):
    import torch
    from safetensors.numpy import load_file
    from transformers import AutoTokenizer, pipeline

    torch.set_num_threads(args.threads)
    began = time.perf_counter()
    folder = bundles.locate(args.model)
    heads = load_file(folder / "head.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(folder / "encoder")
    run = pipeline("feature-extraction", model=str(folder / "encoder"), tokenizer=tokenizer, dtype=torch.float32)
    options = {"truncation": True, "max_length": 120}
    run(split(articles[0])[0] or "warm", tokenize_kwargs=options, return_tensors=True)
    loaded = time.perf_counter()
    lengths = []
    for sentences in ([s for s in split(article) if s] for article in articles):
        states = run(sentences, batch_size=batch, tokenize_kwargs=options, return_tensors=True)
        for state in states:
            tokens = state[0].numpy()
            pooled = np.concatenate([tokens[1:].mean(0), tokens[-1]])
            1 / (1 + np.exp(-(heads["presence.weight"] @ pooled + heads["presence.bias"])))
            lengths.append(len(tokens))
    return loaded - began, time.perf_counter() - loaded, lengths


def flops(lengths, config) -> float:
    """Multiplications and additions of the encoder over sequences of these lengths."""
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    return sum(layers * n * (2 * (4 * width**2 + 2 * width * inner) + 4 * n * width) for n in lengths)


def child(args) -> None:
    """Run one contestant; its figures as JSON."""
    articles = sample(args)
    turns = {"ours": ours, "naive": lambda *a: pipeline(*a, batch=1), "batch32": lambda *a: pipeline(*a, batch=32)}
    load, seconds, lengths = turns[args.run](args, articles)
    config = json.loads((bundles.locate(args.model) / "encoder" / "config.json").read_text())
    out = {
        "articles": len(articles),
        "sentences": sum(len([s for s in split(a) if s]) for a in articles),
        "load_s": load,
        "seconds": seconds,
        "articles_s": len(articles) / seconds,
        "tokens": sum(lengths),
        "tokens_s": sum(lengths) / seconds,
        "gflop_s": flops(lengths, config) / seconds / 1e9,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(out))


def peaks(threads: int) -> dict[str, float]:
    """GFLOP/s of one large matrix product: fp32 in torch, u8 x s8 in ONNX Runtime."""
    import onnxruntime as ort
    import torch
    from onnx import TensorProto, helper

    def rate(call):
        call()
        times = []
        for _ in range(10):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        return 2 * SIDE**3 / min(times) / 1e9

    torch.set_num_threads(threads)
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    rng = np.random.default_rng(0)
    weight = rng.integers(-64, 64, (SIDE, SIDE), dtype=np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        "peak",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [SIDE, SIDE])],
        [helper.make_tensor("w", TensorProto.INT8, [SIDE, SIDE], weight.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = rng.integers(0, 128, (SIDE, SIDE), dtype=np.uint8)
    return {"fp32": rate(lambda: a @ b), "int8": rate(lambda: session.run(None, {"x": x}))}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("archive", type=Path)
    p.add_argument("--articles", type=int, default=40)
    p.add_argument("--every", type=int, default=1, help="take every Nth article")
    p.add_argument("--only", choices=("mixed", "bond"), default="mixed", help="bond: what passes the article gate")
    p.add_argument("--threads", type=int, default=available_cores())
    p.add_argument("--model")
    p.add_argument("--json", action="store_true")
    p.add_argument("--run", choices=CONTESTANTS, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.run:
        return child(args)
    threads = {"OMP_NUM_THREADS": str(args.threads), "TOKENIZERS_PARALLELISM": "false"}
    result = {
        "only": args.only,
        "threads": args.threads,
        "load_average": os.getloadavg()[0],
        "peak": peaks(args.threads),
    }
    for name in CONTESTANTS:
        command = [sys.executable, __file__, *sys.argv[1:], "--run", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | threads)
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
        result[name] = json.loads(done.stdout.splitlines()[-1])
        result[name]["times_naive"] = result["naive"]["seconds"] / result[name]["seconds"]
    if args.json:
        print(json.dumps(result, indent=2))
        return None
    peak, first = result["peak"], result["naive"]
    print(
        f"{first['articles']} {args.only} articles, {first['sentences']} sentences; {args.threads} threads,"
        f" load {result['load_average']:.1f}; GEMM peak fp32 {peak['fp32']:.0f}, int8 {peak['int8']:.0f} GFLOP/s"
    )
    columns = {"x naive": 9, "articles/s": 12, "tokens/s": 10, "tokens": 9, "GFLOP/s": 9, "of fp32": 9, "of int8": 9}
    columns |= {"load s": 8, "MB": 7}
    print(" " * 8 + "".join(f"{title:>{width}}" for title, width in columns.items()))
    for name in CONTESTANTS:
        r = result[name]
        print(
            f"{name:8}{r['times_naive']:9.1f}{r['articles_s']:12.2f}{r['tokens_s']:10.0f}{r['tokens']:9d}"
            f"{r['gflop_s']:9.1f}{r['gflop_s'] / peak['fp32']:9.0%}{r['gflop_s'] / peak['int8']:9.0%}"
            f"{r['load_s']:8.1f}{r['peak_mb']:7.0f}"
        )
    return None


if __name__ == "__main__":
    main()
