"""What `measure` hands on: one table, one row a (period, narrative, series).

Columns (see `SCHEMA`)
    period_start, period_end  first and last calendar day of the period (inclusive)
    narrative                 id from the taxonomy
    series                    presence | support | rejection | contested
    share                     the estimate in [0, 1]; null when refused
    low, high                 95% interval; null when refused
    uncorrected               plain counting, always given when there is anything to count
    smoothed, smoothed_low, smoothed_high, smoothing
                              the share and its 95% interval by `smoothing.smooth`, and the model in words; null and ""
                              when not asked for, and where the share is refused
    n                         size of the denominator: articles, clusters or mentions (see `denominator`, `by`);
                              for `contested`, the articles (clusters) that carry the narrative
    stories                   independent near-copy clusters behind `n`; the refusal floor is on these
    n_audited                 hand-labelled articles used (0 unless method is ppi)
    method                    uncorrected | probability_sum | adjusted_count | em | ppi
    by                        article | cluster | sighting
    denominator               bond | causal | mentions
    freq                      D | W | M, `7D` for seven days rolling, or `window` for one trailing window
    mix                       actual | fixed: every publisher at its share of the whole archive
    publisher                 "" for all, or the publisher (or tier) whose coverage the row is of
    model, taxonomy, labels   which model, which meaning of the labels and which labels (`train:` those behind the
                              model, `audit:` the audit's, by the first digits of their SHA-256) made the row
    as_of                     (UTC) the moment the series stands on: nothing published, first seen or, where the table
                              says when, tagged later is in it; the one asked for, or the latest of the articles used
    reason                    "" or why the row was refused, fell back to plain counting, or was clipped
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, cast

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["ASSUMPTIONS", "SCHEMA", "By", "Denominator", "Freq", "Method", "Series", "ShareSeries"]

Series = Literal["presence", "support", "rejection", "contested"]
Freq = Literal["D", "W", "M"]
By = Literal["article", "cluster", "sighting"]
Denominator = Literal["bond", "causal", "mentions"]
Method = Literal["uncorrected", "probability_sum", "adjusted_count", "em", "ppi"]

ASSUMPTIONS: dict[str, str] = {
    "uncorrected": "The model's verdicts are counted as they stand; the interval holds sampling error only.",
    "probability_sum": (
        "Uncorrected: the model's probabilities are added up as they stand, right only where they are calibrated at "
        "the window's own level; the interval holds sampling error only."
    ),
    "em": (
        "How articles with and without the narrative score is as in the labelled ones, in every period; only how many "
        "carry it has changed (prior shift). The interval holds sampling error and that of the labelled articles."
    ),
    "adjusted_count": (
        "The model errs at the rates seen in its out-of-fold test, in every period and among the counted articles; "
        "the interval holds sampling error and the uncertainty of those rates."
    ),
    "ppi": "The audited articles were drawn at random with the inclusion probabilities given.",
}

SCHEMA = pa.schema(
    [
        ("period_start", pa.date32()),
        ("period_end", pa.date32()),
        ("narrative", pa.string()),
        ("series", pa.string()),
        ("share", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("uncorrected", pa.float64()),
        ("smoothed", pa.float64()),
        ("smoothed_low", pa.float64()),
        ("smoothed_high", pa.float64()),
        ("smoothing", pa.string()),
        ("n", pa.int64()),
        ("stories", pa.int64()),
        ("n_audited", pa.int64()),
        ("method", pa.string()),
        ("by", pa.string()),
        ("denominator", pa.string()),
        ("freq", pa.string()),
        ("mix", pa.string()),
        ("publisher", pa.string()),
        ("model", pa.string()),
        ("taxonomy", pa.string()),
        ("labels", pa.string()),
        ("as_of", pa.timestamp("us", tz="UTC")),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True, eq=False)
class ShareSeries:
    """Shares over time. `table` has `SCHEMA`, ordered by period, then taxonomy order, then series.

    Every period between the first and the last has its rows; an empty one is refused (null share), so that a gap
    stays a gap. `excluded` counts the table's rows that could not be used: {"error": .., "undated": ..,
    "off_topic": ..} and, with `as_of`, "later". `articles` counts those that could.
    """

    table: pa.Table
    freq: str
    by: str
    denominator: str
    model: str
    taxonomy: str
    articles: int
    excluded: dict[str, int]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def periods(self) -> list[tuple[date, date]]:
        """Distinct (start, end), oldest first."""
        pairs = zip(self.table["period_start"].to_pylist(), self.table["period_end"].to_pylist(), strict=True)
        return sorted(set(pairs))

    @property
    def narratives(self) -> list[str]:
        """Narrative ids in table order."""
        return cast(list[str], pc.unique(self.table["narrative"]).to_pylist())

    def select(self, *, narrative: str | None = None, series: str | None = None) -> pa.Table:
        """The rows of one narrative, one series, or both, oldest first."""
        out = self.table
        for column, wanted in (("narrative", narrative), ("series", series)):
            if wanted is not None:
                out = out.filter(pc.equal(out[column], wanted))
        return out

    def latest(self) -> pa.Table:
        """The rows of the last period."""
        if not len(self):
            return self.table
        return self.table.filter(pc.equal(self.table["period_start"], pc.max(self.table["period_start"])))

    def rows(self) -> list[dict[str, Any]]:
        """The table as dictionaries."""
        return cast(list[dict[str, Any]], self.table.to_pylist())

    @property
    def assumptions(self) -> dict[str, str]:
        """The sentence to print beside the series, for every method that occurs in it."""
        return {m: ASSUMPTIONS[m] for m in pc.unique(self.table["method"]).to_pylist()}
