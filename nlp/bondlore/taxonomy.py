"""The narratives, read from a YAML file. Nothing in code knows a narrative by name."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bondlore import resources
from bondlore.errors import TaxonomyError

__all__ = [
    "Edition",
    "Narrative",
    "Subject",
    "Taxonomy",
    "derive",
    "dump",
    "identifier",
    "load",
    "parse",
    "to_yaml",
]

_ID = re.compile(r"[a-z][a-z0-9_]{0,40}")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_MAX_BYTES = 1_000_000
_MAX_ID = 41
# Okabe and Ito's colours, those that stand out on white; then the same with dashes.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#555555")
_DASHES = ("solid", "dashed", "dotted", "dashdot")


@dataclass(frozen=True, slots=True)
class Narrative:
    """One causal story: its mechanism, what counts and what does not."""

    id: str
    name: str
    kind: str
    definition: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    colour: str = "#555555"
    dash: str = "solid"


@dataclass(frozen=True, slots=True)
class Subject:
    """What articles must be about. `terms` make one topical; `related` only make it worth reading."""

    name: str = ""
    terms: tuple[str, ...] = ()
    related: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edition:
    """A former version: its narratives' ids, and what became of them in the version after it.

    `became` maps an id to its successors: several where it was split, None among them where (part of) it was retired.
    An id it does not name stayed.
    """

    version: str
    narratives: tuple[str, ...]
    became: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """An ordered set of narratives with a version; iteration yields ids in file order.

    `history` holds former versions, oldest first, so that labels given under one of them can be carried over.
    """

    name: str
    version: str
    narratives: tuple[Narrative, ...]
    subject: Subject = Subject()
    history: tuple[Edition, ...] = ()

    def __iter__(self) -> Iterator[str]:
        return (n.id for n in self.narratives)

    def __len__(self) -> int:
        return len(self.narratives)

    def __contains__(self, narrative: object) -> bool:
        return any(n.id == narrative for n in self.narratives)

    def __getitem__(self, narrative: str) -> Narrative:
        for n in self.narratives:
            if n.id == narrative:
                return n
        raise KeyError(narrative)

    @property
    def ids(self) -> tuple[str, ...]:
        """Narrative ids in file order: the order of every model output and table column."""
        return tuple(n.id for n in self.narratives)

    @property
    def core(self) -> tuple[str, ...]:
        """Ids of the narratives the project exists to measure."""
        return tuple(n.id for n in self.narratives if n.kind == "core")

    @property
    def stamp(self) -> str:
        """`name/version`: what labelled rows carry."""
        return f"{self.name}/{self.version}"

    def successors(self, version: str) -> dict[str, frozenset[str | None]]:
        """For each narrative of a former `version`, what it may be now; None stands for nothing.

        One successor: the label carries over. Several: somebody must read again. Raises TaxonomyError for a version
        that is not recorded.
        """
        at = next((i for i, edition in enumerate(self.history) if edition.version == version), None)
        if at is None:
            known = ", ".join(e.version for e in self.history) or "none"
            message = f"does not record the version {version!r} (its history has {known})"
            raise TaxonomyError(message, where=self.stamp, remedy="add it to 'history', with what became of each id")
        now: dict[str, frozenset[str | None]] = {n: frozenset([n]) for n in self.history[at].narratives}
        for edition in self.history[at:]:
            became = {n: frozenset(edition.became.get(n, (n,))) for n in edition.narratives}
            now = {
                old: frozenset(x for n in found for x in ([None] if n is None else became[n]))
                for old, found in now.items()
            }
        return now

    def added_since(self, version: str) -> tuple[str, ...]:
        """Narratives of today that nothing of a former `version` became: its labels say nothing about them."""
        known = {n for found in self.successors(version).values() for n in found}
        return tuple(n for n in self.ids if n not in known)

    def edition(self, version: str) -> Taxonomy:
        """A former version as a taxonomy, of ids only: what labels given under it are checked against."""
        self.successors(version)
        found = next(e for e in self.history if e.version == version)
        narratives = tuple(Narrative(n, n, "context", "") for n in found.narratives)
        return Taxonomy(self.name, version, narratives, self.subject)

    @property
    def digest(self) -> str:
        """12 hex digits over ids, kinds and definitions: what a label means, not how it is drawn."""
        body = "\x1e".join("\x1f".join((n.id, n.kind, n.definition, *n.include, *n.exclude)) for n in self.narratives)
        return hashlib.sha256(body.encode()).hexdigest()[:12]


def load(path: Path | str | None = None) -> Taxonomy:
    """Read a taxonomy file; without a path, the shipped one.

    Raises TaxonomyError naming the file and the entry.
    """
    import yaml

    source = resources.find("corpus/taxonomy.yaml") if path is None else Path(path)
    try:
        raw = source.read_bytes()
    except OSError as error:
        raise TaxonomyError(f"cannot be read ({error.strerror})", where=str(source), remedy="check the path") from error
    if len(raw) > _MAX_BYTES:
        raise TaxonomyError(f"is larger than {_MAX_BYTES} bytes", where=str(source), remedy="keep definitions short")
    try:
        data = yaml.safe_load(raw.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise TaxonomyError(f"is not YAML ({reason})", where=str(source), remedy="mend the syntax") from error
    return parse(data, where=str(source))


def parse(data: Any, *, where: str) -> Taxonomy:
    """Check and build a taxonomy from parsed YAML. Raises TaxonomyError."""

    def fail(message: str, remedy: str) -> TaxonomyError:
        return TaxonomyError(message, where=where, remedy=remedy)

    if not isinstance(data, dict) or not isinstance(data.get("narratives"), list) or not data["narratives"]:
        raise fail("has no list 'narratives'", "see corpus/taxonomy.yaml for the form")

    def strings(value: Any, at: str) -> tuple[str, ...]:
        """A list of strings; one string alone is a list of one, never its letters."""
        if value is None:
            return ()
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(i, (str, int, float)) for i in items):
            raise fail(f"{at} is not a list of strings", "put each on a line of its own after a dash")
        return tuple(map(str, items))

    seen: dict[str, Narrative] = {}
    for number, entry in enumerate(data["narratives"], 1):
        at = f"narrative {number}"
        if not isinstance(entry, dict):
            raise fail(f"{at} is not a mapping", "give it id, name and definition")
        key = entry.get("id")
        if not isinstance(key, str) or not _ID.fullmatch(key):
            raise fail(f"{at} has the id {key!r}", "use lower-case letters, digits and underscores")
        if key == "none":
            raise fail(f"{at} has the id 'none', which means the absence of any", "choose another")
        if key in seen:
            raise fail(f"{at} repeats the id {key!r}", "rename one of the two")
        kind = str(entry.get("kind", "core"))
        if kind not in ("core", "context"):
            raise fail(f"{at} ({key}) has kind {kind!r}", "use core or context")
        colour = str(entry.get("colour", "#555555"))
        if not _COLOUR.fullmatch(colour):
            raise fail(f"{at} ({key}) has colour {colour!r}", "use #rrggbb")
        seen[key] = Narrative(
            id=key,
            name=str(entry.get("name", key.replace("_", " "))),
            kind=kind,
            definition=" ".join(str(entry.get("definition", "")).split()),
            colour=colour,
            dash=str(entry.get("dash", "solid")),
            **{k: strings(entry.get(k), f"{at} ({key}) {k}") for k in ("include", "exclude", "examples")},
        )
    version = str(data.get("version", "0"))
    subject = data.get("subject") or {}
    if not isinstance(subject, dict):
        raise fail("'subject' is not a mapping", "give it name, terms and related")
    return Taxonomy(
        str(data.get("name", "unnamed")),
        version,
        tuple(seen.values()),
        Subject(
            str(subject.get("name", "")), *(strings(subject.get(key), f"subject {key}") for key in ("terms", "related"))
        ),
        _history(data.get("history"), version, tuple(seen), fail),
    )


def _history(
    given: Any, version: str, ids: tuple[str, ...], fail: Callable[[str, str], TaxonomyError]
) -> tuple[Edition, ...]:
    """Former versions, checked against the versions after them, from the last to the first."""
    if not isinstance(given or [], list):
        raise fail("'history' is not a list", "give version, narratives and map of each former version, oldest first")
    out: list[Edition] = []
    after, seen = set(ids), {version}
    for number, entry in reversed(list(enumerate(given or [], 1))):
        at = f"history {number}"
        if not isinstance(entry, dict) or "version" not in entry:
            raise fail(f"{at} has no version", "give version, narratives and map")
        named, old, mapped = str(entry["version"]), entry.get("narratives"), entry.get("map") or {}
        if named in seen:
            raise fail(f"{at} repeats the version {named!r}", "give every version a name of its own")
        if not isinstance(old, list) or not old or not all(isinstance(n, str) and _ID.fullmatch(n) for n in old):
            raise fail(f"{at} (version {named}) has no list of narratives", "list the ids that it had")
        if not isinstance(mapped, dict):
            raise fail(f"{at} (version {named}): 'map' is not a mapping", "write old_id: new_id, [new, new] or null")
        became: dict[str, tuple[str | None, ...]] = {}
        for key, value in mapped.items():
            found = tuple(value) if isinstance(value, list) else (value,)
            if key not in old:
                raise fail(f"{at} (version {named}) maps {key!r}, which it did not have", "mend its list or its map")
            odd = [n for n in found if n is not None and not (isinstance(n, str) and n in after)]
            if odd or not found:
                became_what = repr(odd[0]) if odd else "an empty list"
                raise fail(f"{at} (version {named}): {key} became {became_what}, not in the next version", "mend it")
            became[key] = found
        if lost := [n for n in old if n not in became and n not in after]:
            remedy = f"add to its map: {lost[0]}: null, if it was retired, or what it became"
            raise fail(f"{at} (version {named}): {lost[0]!r} is gone and not mapped", remedy)
        out.append(Edition(named, tuple(dict.fromkeys(old)), became, " ".join(str(entry.get("note", "")).split())))
        after = set(old)
        seen.add(named)
    return tuple(reversed(out))


def dump(taxonomy: Taxonomy) -> dict[str, Any]:
    """The plain form that `parse` reads back: a model folder carries its taxonomy this way."""
    former = [
        {"version": e.version, "narratives": [*e.narratives], "map": {k: [*v] for k, v in e.became.items()}}
        | ({"note": e.note} if e.note else {})
        for e in taxonomy.history
    ]
    return {
        "name": taxonomy.name,
        "version": taxonomy.version,
        "subject": {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(taxonomy.subject).items()},
        "narratives": [
            {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(n).items()} for n in taxonomy.narratives
        ],
        **({"history": former} if former else {}),
    }


def identifier(label: str) -> str:
    """The id a label gets: lower-case ASCII letters and digits, anything else an underscore; "" if nothing is left.

    >>> identifier("Cost-push (wages)")
    'cost_push_wages'
    """
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    out = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if out[:1].isdigit():
        out = f"n{out}"
    return out[:_MAX_ID].rstrip("_")


def derive(labels: Sequence[str], *, name: str = "derived", where: str = "labels") -> Taxonomy:
    """A taxonomy whose narratives are these labels, in their order: all core, without definitions or a subject.

    Raises TaxonomyError for a label no id can be made of, and for two labels that come to the same id.
    """
    entries: list[dict[str, str]] = []
    seen: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        key = identifier(label)
        if not key or key == "none":
            raise TaxonomyError(f"no id can be made of the label {label!r}", where=where, remedy="rename it")
        if key in seen:
            raise TaxonomyError(
                f"the labels {seen[key]!r} and {label!r} come to the same id {key!r}", where=where, remedy="rename one"
            )
        seen[key] = label
        k = len(entries)
        looks = {"colour": _COLOURS[k % len(_COLOURS)], "dash": _DASHES[k // len(_COLOURS) % len(_DASHES)]}
        entries.append({"id": key, "name": label.replace("_", " "), "definition": "", **looks})
    return parse({"name": name, "version": "1", "narratives": entries}, where=where)


def to_yaml(taxonomy: Taxonomy) -> str:
    """The text of a taxonomy file that `load` reads back, empty lists left out."""
    import yaml

    data = dump(taxonomy)
    data["narratives"] = [{k: v for k, v in n.items() if v not in ([], ())} for n in data["narratives"]]
    if not any(data["subject"].values()):
        del data["subject"]
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110))
