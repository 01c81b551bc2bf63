"""Fetch a model folder from the Hugging Face hub: files bondlore reads, and no other."""

from __future__ import annotations

from pathlib import Path

from bondlore.errors import MissingExtraError, ModelError

__all__ = ["download"]

_WANTED = ["bondlore.json", "*.onnx", "tokenizer.json", "README.md", "encoder/*.json", "*.safetensors"]


def download(name: str, *, revision: str | None = None) -> Path:
    """The local copy of hub model `owner/name`. Raises MissingExtraError, or ModelError when it cannot be had."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtraError("train", "huggingface_hub") from error
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_WANTED))
    except Exception as error:  # the hub client raises some dozen classes, all meaning: not to be had
        raise ModelError(
            f"is neither a folder nor a model on the hub ({' '.join(str(error).split())[:160]})",
            where=name,
            remedy="check the name and the connection, or pass a folder",
        ) from error
