"""Cold start side by side: one text read by `bondlore classify` and by transformers' pipeline with the same weights.

    python scripts/bench_start.py [--repeat 5] [--text TEXT] [--json]

Both start as new processes, in turn, and end with their answer; the first turn of each only warms the disk's cache.
CPU seconds are those of the process, user and system, and say more than wall time on a machine that does other work.
Needs bondlore[train].
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from bondlore.tag import bundle as bundles

TEXT = (
    "Treasuries sank as hedge funds were forced to unwind basis trades to meet margin calls."
    " There is no evidence that China is selling, traders said."
)
# What a person with the same weights would write; one thread each, as start-up uses one.
PIPELINE = """
import sys, numpy as np
from safetensors.numpy import load_file
from transformers import AutoTokenizer, pipeline
folder, text = sys.argv[1:]
heads = load_file(folder + "/head.safetensors")
tokenizer = AutoTokenizer.from_pretrained(folder + "/encoder")
run = pipeline("feature-extraction", model=folder + "/encoder", tokenizer=tokenizer)
for sentence in text.split(". "):
    tokens = np.array(run(sentence)[0])
    pooled = np.concatenate([tokens[1:].mean(0), tokens[-1]])
    print((1 / (1 + np.exp(-(heads["presence.weight"] @ pooled + heads["presence.bias"])))).round(2))
"""


def turn(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one process from its start to its end."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    complaint = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        sys.exit(f"{command[:4]} failed:\n{complaint.decode()[-2000:]}")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--repeat", type=int, default=5)
    p.add_argument("--text", default=TEXT)
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    commands = {
        "bondlore": [sys.executable, "-m", "bondlore", "classify", args.text],
        "pipeline": [sys.executable, "-c", PIPELINE, str(bundles.locate(None)), args.text],
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for k in range(args.repeat + 1):
        for name, command in commands.items():
            measured = turn(command)
            if k:
                times[name].append(measured)
    result = {
        name: {kind: statistics.median(t[i] for t in found) for i, kind in enumerate(("wall_s", "cpu_s"))}
        for name, found in times.items()
    }
    ratios = {
        kind: statistics.median(b[i] / a[i] for a, b in zip(times["bondlore"], times["pipeline"], strict=True))
        for i, kind in enumerate(("wall", "cpu"))
    }
    if args.json:
        print(json.dumps(result | {"times_faster": ratios, "load_average": os.getloadavg()[0]}, indent=2))
        return
    for name, found in result.items():
        print(f"{name:9} {found['wall_s']:6.2f} s wall {found['cpu_s']:6.2f} s CPU")
    print(f"pipeline takes {ratios['wall']:.1f} times as long, {ratios['cpu']:.1f} times the CPU (medians of pairs)")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
