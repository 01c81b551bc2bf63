"""`bondlore classify`: one article, read now."""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

from bondlore.article import Article, content_id
from bondlore.cli.options import add_model, builder, print_json
from bondlore.errors import InputError
from bondlore.tagging import NarrativeTag, Tagging
from bondlore.taxonomy import Taxonomy

__all__ = ["parser", "run"]

_MAX_BYTES = 5_000_000
_EXAMPLE = """  bondlore classify "Treasuries sank as hedge funds met margin calls."
  bondlore classify article.txt --json
  curl -s https://example.org/story | bondlore classify -"""
_SIGN = {"support": "+", "reject": "−"}


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore classify`."""
    p = builder("classify", "Read one article: narratives, stance, evidence sentences.", _EXAMPLE)
    p.add_argument("source", metavar="TEXT|FILE|URL|-", help="text, a text or HTML file, an address, or - for stdin")
    p.add_argument("--title", default="", help="the title, where the source has none of its own")
    p.add_argument("--all", action="store_true", help="every evidence sentence, not only the strongest three a side")
    p.add_argument("--json", action="store_true", help="machine-readable result, with every sentence's scores")
    p.add_argument("--allow-private", action="store_true", help="allow an address on this machine or a private network")
    add_model(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Print what the article says. Raises InputError, FetchError, ModelError."""
    article = _article(args.source, args.title, allow_private=args.allow_private)
    from bondlore.tag.tagger import Tagger

    tagger = Tagger.load(args.model)
    tagging = tagger.tag_one(article)
    if args.json:
        print_json(_plain(article, tagging))
    else:
        print(_text(article, tagging, tagger.taxonomy, limit=10**6 if args.all else 3))
    return 0


def _article(source: str, title: str, *, allow_private: bool = False) -> Article:
    if source == "-":
        raw = sys.stdin.buffer.read(_MAX_BYTES + 1)
        return _from_bytes(raw, "standard input", title)
    if source.startswith(("http://", "https://")):
        from bondlore.ingest.fetch import Fetcher
        from bondlore.ingest.page import extract_page

        response = Fetcher(allow_private=allow_private).get(source)
        if response.status != 200:
            raise InputError(
                f"the server answered {response.status}", where=source, remedy="open it in a browser first"
            )
        return extract_page(response.body, url=response.url)
    path = Path(source)
    if _exists(path):
        if path.is_dir():
            raise InputError("is a folder", where=source, remedy="use bondlore tag for many articles")
        try:
            with path.open("rb") as handle:
                raw = handle.read(_MAX_BYTES + 1)
        except OSError as error:
            raise InputError(
                f"cannot be read ({error.strerror})", where=source, remedy="check its permissions"
            ) from error
        return _from_bytes(raw, source, title)
    if len(source) < 300 and " " not in source.strip() and ("/" in source or path.suffix):
        raise InputError("no such file", where=source, remedy="check the path; a text has more than one word")
    return _from_bytes(source.encode("utf-8", "replace"), "the argument", title)


def _exists(path: Path) -> bool:
    """Whether there is such a file; a text too long to be a name is not one (ENAMETOOLONG)."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _from_bytes(raw: bytes, where: str, title: str) -> Article:
    if len(raw) > _MAX_BYTES:
        raise InputError(f"is larger than {_MAX_BYTES} bytes", where=where, remedy="use bondlore tag for archives")
    if b"\x00" in raw[:4096]:
        raise InputError("is not text", where=where, remedy="give UTF-8 text or HTML")
    text = raw.decode("utf-8-sig", "replace").strip()
    if not text:
        raise InputError("is empty", where=where, remedy="give the text of an article")
    if text[:2000].lstrip().lower().startswith(("<!doctype html", "<html", "<?xml")):
        from bondlore.ingest.page import extract_page

        return extract_page(raw, url="")
    if not title:
        title, text = _headline(text)
    return Article(content_id(title, text), title, text)


def _headline(text: str) -> tuple[str, str]:
    """The first line is the title when a blank line follows and it does not read as a sentence."""
    first, gap, rest = text.partition("\n\n")
    first = first.strip()
    if gap and "\n" not in first and len(first) <= 200 and not first.endswith("."):
        return first, rest.strip()
    return "", text


def _plain(article: Article, tagging: Tagging) -> dict[str, object]:
    return {
        "id": article.id,
        "title": article.title,
        "model": tagging.model,
        "gate": tagging.gate,
        "primary": tagging.primary,
        "narratives": {
            n: {
                "probability": round(t.probability, 4),
                "verdict": t.verdict,
                "evidence": [
                    {
                        "sentence": i,
                        "stance": tagging.sentences[i].labels[n],
                        "probability": tagging.sentences[i].scores[n],
                        "text": tagging.sentences[i].text,
                    }
                    for i in t.evidence
                ],
            }
            for n, t in _strongest_first(tagging)
        },
        "probabilities": {n: round(p, 4) for n, p in tagging.probabilities.items()},
        "sentences": [{"text": s.text, "labels": s.labels, "scores": s.scores} for s in tagging.sentences],
    }


def _text(article: Article, tagging: Tagging, taxonomy: Taxonomy, *, limit: int) -> str:
    lines = [article.title] if article.title else []
    main = taxonomy[tagging.primary].name if tagging.primary in taxonomy else "none"
    lines += [f"gate: {tagging.gate} · main story: {main} · model {tagging.model}"]
    for n, tag in _strongest_first(tagging):
        lines += ["", f"{taxonomy[n].name}: {tag.verdict}, probability {tag.probability:.2f}"]
        shown = {"support": 0, "reject": 0}
        for i in tag.evidence:
            sentence = tagging.sentences[i]
            side = sentence.labels[n]
            shown[side] += 1
            if shown[side] <= limit:
                head = f"  {_SIGN[side]} {sentence.scores[n]:.2f} [{i}] "
                lines += textwrap.wrap(head + sentence.text, 110, subsequent_indent=" " * 13, break_long_words=False)
    if not tagging.narratives:
        lines += ["", "No causal story found." if tagging.gate == "topical" else "Not about the taxonomy's subject."]
    return "\n".join(lines)


def _strongest_first(tagging: Tagging) -> list[tuple[str, NarrativeTag]]:
    return sorted(tagging.narratives.items(), key=lambda item: -item[1].probability)
