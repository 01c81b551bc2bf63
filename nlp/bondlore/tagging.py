"""What reading an article yields: sentence scores, narrative verdicts, evidence. Plain records.

`schema` is the one definition of the tagged table, whether its rows come from a
Parquet directory or from the store; everything in `measure` and `report` starts from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bondlore.article import Article

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Gate", "NarrativeTag", "SentenceTag", "Stance", "Tagging", "Verdict", "row", "schema"]

Stance = Literal["support", "reject"]
Verdict = Literal["promotes", "contested", "rejects"]
Gate = Literal["causal", "topical", "off_topic"]


@dataclass(frozen=True, slots=True)
class SentenceTag:
    """One sentence: calibrated presence probability of every narrative, and the labels past threshold."""

    text: str
    scores: Mapping[str, float]
    labels: Mapping[str, Stance]


@dataclass(frozen=True, slots=True)
class NarrativeTag:
    """One narrative in one article.

    `probability` is the calibrated probability that the article carries the narrative with
    either stance; `evidence` holds sentence indices, strongest first.
    """

    probability: float
    verdict: Verdict
    evidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tagging:
    """One article read by one model. `narratives` holds only those past threshold; `probabilities` holds all."""

    id: str
    gate: Gate
    primary: str
    narratives: Mapping[str, NarrativeTag]
    probabilities: Mapping[str, float]
    sentences: Sequence[SentenceTag] = field(repr=False)
    model: str = ""


def schema(narratives: Sequence[str]) -> pa.Schema:
    """The tagged table: one row an article, `p_<narrative>` and `v_<narrative>` for each narrative.

    `v_` is null where the narrative is absent. `published_at` is UTC. `evidence[].sentence` is
    an index into the article's sentences (0 is the title).
    """
    import pyarrow as pa

    evidence = pa.struct(
        [
            ("narrative", pa.string()),
            ("stance", pa.string()),
            ("sentence", pa.int32()),
            ("text", pa.string()),
            ("probability", pa.float32()),
        ]
    )
    return pa.schema(
        [
            ("id", pa.string()),
            ("url", pa.string()),
            ("publisher", pa.string()),
            ("title", pa.string()),
            ("published_at", pa.timestamp("us", tz="UTC")),
            ("published_precision", pa.string()),
            ("first_seen_at", pa.timestamp("us", tz="UTC")),
            ("cluster", pa.string()),
            ("gate", pa.string()),
            ("primary", pa.string()),
            ("model", pa.string()),
            ("status", pa.string()),
            ("error", pa.string()),
            *((f"p_{n}", pa.float32()) for n in narratives),
            *((f"v_{n}", pa.string()) for n in narratives),
            ("evidence", pa.list_(evidence)),
        ]
    )


def row(article: Article, tagging: Tagging | None, *, error: str = "", cluster: str = "") -> dict[str, Any]:
    """One row of `schema`. Without a tagging the row has `status="error"` and keeps the reason."""
    out: dict[str, Any] = {
        "id": article.id,
        "url": article.url,
        "publisher": article.publisher,
        "title": article.title,
        "published_at": article.published_at,
        "published_precision": article.published_precision,
        "first_seen_at": article.first_seen_at,
        "cluster": cluster or article.id,
        "status": "error" if tagging is None else "ok",
        "error": error or None,
    }
    if tagging is None:
        return out
    out |= {"gate": tagging.gate, "primary": tagging.primary, "model": tagging.model}
    out |= {f"p_{n}": p for n, p in tagging.probabilities.items()}
    out |= {f"v_{n}": t.verdict for n, t in tagging.narratives.items()}
    out["evidence"] = [
        {
            "narrative": n,
            "stance": tagging.sentences[i].labels.get(n, "support"),
            "sentence": i,
            "text": tagging.sentences[i].text,
            "probability": tagging.sentences[i].scores[n],
        }
        for n, t in tagging.narratives.items()
        for i in t.evidence
    ]
    return out
