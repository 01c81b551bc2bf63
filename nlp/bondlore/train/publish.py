"""A model folder in another form, complete or not at all, and pushed to a hub."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from bondlore.errors import InputError, MissingExtraError, ModelError
from bondlore.tag import bundle as bundles
from bondlore.tag.bundle import MANIFEST, Bundle

__all__ = ["FORMS", "export", "push"]

FORMS = ("hf", "onnx")
_RUN = (MANIFEST, "model.onnx", "tokenizer.json")  # all that tagging opens
_HF_NOTE = """
## Load it with plain transformers
```python
import bondlore.train.hf  # registers the class; no code travels with the weights
from transformers import pipeline

read = pipeline("text-classification", model="{name}", top_k=None, function_to_apply="sigmoid")
read("One sentence.")
read({{"text": "A title", "text_pair": "One sentence under it."}})
```
Scores are calibrated probabilities; the threshold of each narrative is in `config.json`.
"""


def export(bundle: Bundle, form: str, out: Path) -> list[str]:
    """Write `bundle` in `form` to a new folder `out`, and give the names of its files.

    `onnx`: what tagging opens and no more, for `--model` and small machines. `hf`: for transformers, see `train.hf`.
    Raises InputError when `out` is there already, ModelError when a file was altered or the form cannot be had.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("is there already", where=str(out), remedy="choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        card = bundle.folder / "README.md"
        text = card.read_text(encoding="utf-8") if card.is_file() else f"# {bundle.name}\n"
        if form == "hf":
            from bondlore.train import hf

            hf.write(bundle, folder)
            text = text.rstrip("\n") + "\n" + _HF_NOTE.format(name=out.name)
        else:
            for name in _RUN:
                if name != MANIFEST:
                    bundles.check_file(bundle, name)
                shutil.copy2(bundle.folder / name, folder / name)
        (folder / "README.md").write_text(text, encoding="utf-8")
        for path in folder.iterdir():
            path.chmod(0o644)
        if out.exists():
            out.rmdir()
        folder.rename(out)
    return sorted(p.name for p in out.iterdir())


def push(folder: Path, name: str, *, private: bool = False, endpoint: str | None = None) -> str:
    """Upload `folder` as hub model `owner/name`, made if it is not there; the commit's address.

    `endpoint` is the hub's address (default: huggingface_hub's, which $HF_ENDPOINT sets); who may write is its own
    matter: $HF_TOKEN, or `hf auth login`. Raises ModelError when the hub refuses or cannot be reached.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise MissingExtraError("train", "huggingface_hub") from error
    disable_progress_bars()
    api: Any = HfApi(endpoint=endpoint)
    try:
        api.create_repo(name, private=private, exist_ok=True)
        done = api.upload_folder(repo_id=name, folder_path=folder, commit_message="bondlore export")
    except Exception as error:  # the hub client raises some dozen classes
        reason = " ".join(str(error).split())[:200]
        remedy = "check the name, the connection and your token (HF_TOKEN, or hf auth login)"
        raise ModelError(f"cannot be pushed ({reason})", where=name, remedy=remedy) from error
    return str(done.commit_url)
