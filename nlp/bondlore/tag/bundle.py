"""A model folder: `bondlore.json` beside the files it names by SHA-256. Read, checked, written here only."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bondlore import atomic, resources, taxonomy
from bondlore.errors import ModelError, TaxonomyError
from bondlore.tag.rollup import ArticleCalibration
from bondlore.tag.windows import WindowPlan
from bondlore.taxonomy import Taxonomy

__all__ = [
    "DEFAULT",
    "FORMAT",
    "MANIFEST",
    "RUN",
    "Bundle",
    "Calibration",
    "check_file",
    "file_digest",
    "locate",
    "read",
    "write",
]

FORMAT = 1
MANIFEST = "bondlore.json"
DEFAULT = "models/default"
RUN = ("model.onnx", "tokenizer.json")  # what tagging opens
_MAX_MANIFEST = 5_000_000
_UNSAFE = {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".npy", ".npz", ".h5", ".py"}


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling, one line a narrative: probability = sigmoid(slope * logit + intercept), and the thresholds.

    A sentence carries a narrative where its presence probability reaches `threshold`; it is then a
    rejection where the stance probability reaches `reject_threshold`.
    """

    slope: tuple[float, ...]
    intercept: tuple[float, ...]
    threshold: tuple[float, ...]
    reject_threshold: float
    article: ArticleCalibration


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything about a model but its weights. `files` maps a file's name to its SHA-256.

    `confusion` (`measure.confusion`) and `scores` (`measure.heldout`) say how it judged articles it never saw.
    """

    name: str
    taxonomy: Taxonomy
    window: WindowPlan
    calibration: Calibration
    special: dict[str, int]
    files: dict[str, str]
    confusion: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    code_version: str = ""
    folder: Path = Path()

    @property
    def fingerprint(self) -> str:
        """12 hex digits over all that decides an answer: weights, tokenizer, taxonomy, windows, calibration."""
        decides = {k: v for k, v in self.files.items() if k in RUN}
        body = {
            "files": decides,
            "taxonomy": taxonomy.dump(self.taxonomy),
            "window": asdict(self.window),
            "calibration": asdict(self.calibration),
            "special": self.special,
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def id(self) -> str:
        """`name@fingerprint`: what the `model` column of a tagged table holds."""
        return f"{self.name}@{self.fingerprint}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def locate(model: Path | str | None) -> Path:
    """The folder of a model: the shipped one for None, a folder, or the local copy of hub model `owner/name`.

    A name with one slash is the hub's only if no folder of its first part lies here: a mistyped path stays a path.
    """
    if model is None:
        return resources.find(DEFAULT)
    name = str(model)
    path = Path(name.removeprefix("hf://")).expanduser()
    near = not name.startswith("hf://") and (path.exists() or path.parent.exists())
    if near or name.count("/") != 1 + 2 * name.startswith("hf://"):
        return path
    from bondlore.tag.hub import download

    return download(name.removeprefix("hf://"))


def read(model: Path | str | None = None, *, verify: tuple[str, ...] | None = RUN) -> Bundle:
    """Read a model (see `locate`) and check the hashes of the files in `verify`; None checks all of them.

    Raises ModelError when the folder is missing or incomplete, is of another format, has been
    altered, or carries a file type that can execute code on loading.
    """
    path = locate(model)
    manifest = path / MANIFEST
    if not manifest.is_file():
        remedy = "pass a folder written by `bondlore train`, or leave --model out for the shipped model"
        raise ModelError(f"is not a bondlore model (no {MANIFEST})", where=str(path), remedy=remedy)
    if bad := sorted(p.name for p in path.rglob("*") if p.suffix.lower() in _UNSAFE):
        raise ModelError(
            f"holds {bad[0]}, a file type that can run code when loaded",
            where=str(path),
            remedy="remove it; bondlore reads safetensors, ONNX and JSON only",
        )
    try:
        if manifest.stat().st_size > _MAX_MANIFEST:
            raise ValueError("too large")
        bundle = _parse(json.loads(manifest.read_bytes()), path)
    except (ValueError, KeyError, TypeError, OSError, TaxonomyError) as error:
        raise ModelError(
            f"cannot be read ({error})", where=str(manifest), remedy="train or download it again"
        ) from error
    for name in bundle.files if verify is None else verify:
        check_file(bundle, name)
    return bundle


def check_file(bundle: Bundle, name: str) -> Path:
    """The path of one of the bundle's files, after its hash has been checked. Raises ModelError."""
    path = (bundle.folder / name).resolve()
    remedy = "restore the folder from where it came, or train again"
    if not path.is_relative_to(bundle.folder.resolve()) or name not in bundle.files:
        raise ModelError(f"does not list {name}", where=str(bundle.folder / MANIFEST), remedy=remedy)
    if not path.is_file():
        raise ModelError("is missing", where=str(path), remedy=remedy)
    if file_digest(path) != bundle.files[name]:
        raise ModelError(f"is not the file that {MANIFEST} describes (hash differs)", where=str(path), remedy=remedy)
    return path


def write(bundle: Bundle, folder: Path) -> None:
    """Write `bondlore.json`. The files it names must already be in the folder."""
    atomic.write_json(
        folder / MANIFEST,
        {
            "format": FORMAT,
            "name": bundle.name,
            "fingerprint": bundle.fingerprint,
            "code_version": bundle.code_version,
            "files": bundle.files,
            "special": bundle.special,
            "window": asdict(bundle.window),
            "calibration": asdict(bundle.calibration),
            "confusion": bundle.confusion,
            "scores": bundle.scores,
            "training": bundle.training,
            "taxonomy": taxonomy.dump(bundle.taxonomy),
        },
    )


def _parse(data: dict[str, Any], folder: Path) -> Bundle:
    if data.get("format") != FORMAT:
        raise ValueError(f"format {data.get('format')!r}, this version reads {FORMAT}")
    narratives = taxonomy.parse(data["taxonomy"], where=str(folder / MANIFEST))
    raw = data["calibration"]
    lines = {k: tuple(float(x) for x in raw[k]) for k in ("slope", "intercept", "threshold")}
    if any(len(v) != len(narratives) or not all(map(math.isfinite, v)) for v in lines.values()):
        raise ValueError("calibration does not fit the taxonomy")
    article = ArticleCalibration(**{k: float(v) for k, v in raw["article"].items()})
    return Bundle(
        name=str(data["name"]),
        taxonomy=narratives,
        window=WindowPlan(**{k: int(v) for k, v in data["window"].items()}),
        calibration=Calibration(**lines, reject_threshold=float(raw["reject_threshold"]), article=article),
        special={k: int(v) for k, v in data["special"].items()},
        files={str(k): str(v) for k, v in data["files"].items()},
        confusion=dict(data.get("confusion") or {}),
        scores=dict(data.get("scores") or {}),
        training=dict(data.get("training") or {}),
        code_version=str(data.get("code_version", "")),
        folder=folder,
    )
