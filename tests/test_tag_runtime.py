"""How many cores a process may use, in a container and out of one; which form of the model suits its processor."""

from __future__ import annotations

import os

import pytest

from bondlore.tag.runtime import PRECISIONS, OnnxRuntime, available_cores, best_precision
from bondlore.tag.tagger import Tagger

CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, CORES),
        ({"cpu.max": "max 100000\n"}, CORES),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "99900000 100000\n"}, CORES),
        ({"cpu.max": "nonsense"}, CORES),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, CORES),
    ],
)
def test_a_containers_quota_bounds_the_threads(tmp_path, files, cores):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cores(tmp_path) == cores


def test_the_affinity_mask_bounds_them_too(tmp_path):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert available_cores(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("cpuinfo", "machine", "precision"),
    [
        ("processor : 0\nflags : fpu avx2 fma\n", "x86_64", "fp32"),
        ("processor : 0\nflags : fpu avx2 avx512_vnni\n", "x86_64", "int8"),
        ("processor : 0\nflags : fpu avx2 avx_vnni\n", "x86_64", "int8"),
        ("processor : 0\nFeatures : fp asimd asimddp\n", "aarch64", "int8"),
        ("processor : 0\nFeatures : fp asimd\n", "aarch64", "fp32"),
        (None, "arm64", "int8"),
        (None, "AMD64", "fp32"),
    ],
)
def test_int8_is_chosen_where_the_processor_multiplies_it_fast(tmp_path, cpuinfo, machine, precision):
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert best_precision(tmp_path / "cpuinfo", machine) == precision


def test_both_forms_of_the_shipped_model_say_nearly_the_same():
    article = {
        "title": "",
        "text": "Treasuries sank as hedge funds met margin calls. China did not sell, officials said.",
    }
    one, other = (Tagger.load(precision=p).tag([article])[0] for p in PRECISIONS)
    for a, b in zip(one.sentences, other.sentences, strict=True):
        assert a.scores == pytest.approx(b.scores, abs=0.03)


def test_the_form_of_the_model_is_the_processors_by_default(monkeypatch):
    bundle = Tagger.load().bundle
    monkeypatch.setattr("bondlore.tag.runtime.best_precision", lambda: "fp32")
    assert OnnxRuntime(bundle.folder / "model.onnx").precision == "fp32"
