"""What a page reads: the tagged table behind a store or a folder, as far back as its charts go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bondlore.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

    from bondlore.store.store import Store
    from bondlore.tag.bundle import Bundle
    from bondlore.taxonomy import Taxonomy

__all__ = [
    "LOOK_BACK",
    "edge",
    "frequency",
    "last_day",
    "open_tagged",
    "page_rows",
    "page_table",
    "read_tagged",
    "since_day",
    "tagged_by",
    "voters",
]

LOOK_BACK = {"D": 92, "W": 183, "M": 731}  # days a page looks back, by its period, the finest first
_WEEK = 6  # days after one within which there is a business day


def frequency(table: pa.Table, taxonomy: Taxonomy, day: date) -> str:
    """The finest period that mostly holds enough articles; months if none does."""
    return next((freq for freq in ("D", "W") if _holds(table, taxonomy, day, freq)), "M")


def _holds(table: pa.Table, taxonomy: Taxonomy, day: date, freq: str) -> bool:
    """Whether most periods on a page of this frequency hold enough articles for a share."""
    from bondlore.measure.shares import shares

    window = since_day(table, day - timedelta(days=LOOK_BACK[freq]))
    stated = shares(window, taxonomy, freq=freq, by="cluster", series=("presence",), draws=100).table["share"]
    return bool(len(stated) and stated.null_count < len(stated) / 3)


def edge(first: date, freq: str) -> date:
    """The first day of the period of `first`; of days, the first business day from it."""
    from bondlore.measure.calendar import period_edges

    starts, _ = period_edges(first, first + timedelta(days=_WEEK), freq)
    edge: date = starts[0].item()
    return edge


def page_table(
    source: str | Path,
    bundle: Bundle,
    *,
    day: date | None = None,
    since: date | None = None,
    freq: str = "auto",
) -> tuple[pa.Table, str]:
    """What `make_report` needs, told the same, of the tagged table behind `source`; and the period of its charts.

    Of a store only the rows on the page are read. Raises InputError when nothing is tagged, or by another model.
    """
    from bondlore.store import Store

    if not Path(source).is_dir():
        with Store.open(source, create=False) as store:
            models = store.models()
            if not models:
                raise _nothing_tagged(store.where)
            if bundle.id not in models:
                _same_model(list(models), bundle, store.where)
            return page_rows(store, bundle, day=day, since=since, freq=freq)
    table = read_tagged(source, bundle)
    if not table.num_rows:
        raise _nothing_tagged(str(source))
    return table, freq


def page_rows(
    store: Store, bundle: Bundle, *, day: date | None = None, since: date | None = None, freq: str = "auto"
) -> tuple[pa.Table, str]:
    """As `page_table`, of an open store; one without taggings gives a table without rows."""
    from bondlore.measure.calendar import news_day

    if day is None:
        latest = store.last_published(bundle.id)
        if latest is None:  # nothing to cut by; `make_report` says so
            return store.tagged(model=bundle.id, taxonomy=bundle.taxonomy), freq
        day = news_day(latest)
    for one in LOOK_BACK if freq == "auto" else (freq,):
        first = min(day - timedelta(days=LOOK_BACK[one]), edge(since or day - timedelta(days=LOOK_BACK[one]), one))
        table = store.tagged(model=bundle.id, taxonomy=bundle.taxonomy, since=datetime.combine(first, time(), UTC))
        if freq != "auto" or one == "M" or _holds(_known(table, day), bundle.taxonomy, day, one):
            break
    return table, one


def _known(table: pa.Table, day: date) -> pa.Table:
    from bondlore.report.rows import up_to

    return up_to(table, day)


def _nothing_tagged(where: str) -> InputError:
    return InputError("holds no tagged article", where=where, remedy="run bondlore import or ingest, then bondlore tag")


def since_day(table: pa.Table, start: date) -> pa.Table:
    """Rows published on or after `start` (UTC), and the undated ones, which the page counts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = pa.scalar(datetime.combine(start, time(), UTC), table["published_at"].type)
    return table.filter(pc.or_kleene(pc.is_null(table["published_at"]), pc.greater_equal(table["published_at"], first)))


def read_tagged(source: str | Path, bundle: Bundle, *, sightings: bool = False, times: bool = False) -> pa.Table:
    """The tagged table behind `source`: a folder that `bondlore tag --out` committed, or a store.

    With `sightings` a store's table says in a column of that name in how many places an article was seen; with `times`
    in the column `tagged_at` when its tagging was kept.
    Raises InputError when another model tagged it.
    """
    import pyarrow as pa

    path = Path(source)
    if path.is_dir():
        from bondlore.tag.batch import read_tagged as read_folder

        table = read_folder(path)
        _same_model(tagged_by(table), bundle, str(path))
        return table
    from bondlore.store import Store

    with Store.open(source, create=False) as store:
        models = list(store.counts().models)
        if models and bundle.id not in models:
            _same_model(models, bundle, store.where)
        table = store.tagged(model=bundle.id, taxonomy=bundle.taxonomy)
        if sightings:
            counts = store.sighting_counts()
            table = table.append_column("sightings", pa.array([counts.get(i, 1) for i in table["id"].to_pylist()]))
        if times:
            known = store.tagging_times(bundle.id)
            found = pa.array([known.get(i) for i in table["id"].to_pylist()], pa.timestamp("us", tz="UTC"))
            table = table.append_column("tagged_at", found)
        return table


def open_tagged(
    source: str | Path, bundle: Bundle, *, sightings: bool = False, times: bool = False
) -> pa.Table | ds.Dataset:
    """`read_tagged`, but a folder as a data set that is read batch by batch: for what looks at every row once."""
    if not Path(source).is_dir():
        return read_tagged(source, bundle, sightings=sightings, times=times)
    from bondlore.tag.batch import open_tagged as open_folder

    data = open_folder(source)
    _same_model(tagged_by(data), bundle, str(source))
    return data


def tagged_by(table: pa.Table | ds.Dataset) -> list[str]:
    """The models behind the rows, in order of name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    batches = [table] if isinstance(table, pa.Table) else table.to_batches(columns=["model"])
    parts = (batch["model"] for batch in batches)
    return sorted({m for part in parts for m in pc.unique(part).to_pylist() if m})


def _same_model(models: Sequence[str], bundle: Bundle, where: str) -> None:
    """Shares are a model's: numbers of one may not go out under the name of another."""
    if [m for m in models if m != bundle.id]:
        raise InputError(
            f"was tagged by {', '.join(models)}, not by {bundle.id}",
            where=where,
            remedy="pass the --model it was tagged with, or tag it again",
        )


def voters(source: str | Path) -> str:
    """What has one vote: `cluster` in a store, where near-copies have been joined, `article` in a tagged folder."""
    return "article" if Path(source).is_dir() else "cluster"


def last_day(table: pa.Table) -> date:
    """The news day of the last dated article. Raises InputError when no article is dated."""
    import pyarrow.compute as pc

    from bondlore.measure.calendar import news_day

    latest = pc.max(table["published_at"]).as_py()
    if latest is None:
        raise InputError(
            "no article has a date, so there is no series to draw",
            remedy="import dates with --map published=<column>",
        )
    return news_day(latest)
