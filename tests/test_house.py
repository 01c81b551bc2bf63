"""The house holds: imports go one way, heavy libraries stay out, one place for each dangerous thing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

import bondlore
from bondlore import errors

ROOMS = ["ingest", "store", "tag", "measure", "report"]  # each may import rooms before it
SHARED = {
    "article",
    "atomic",
    "clock",
    "errors",
    "jsonlines",
    "progress",
    "resources",
    "spreadsheet",
    "tagging",
    "taxonomy",
}


def modules(root, folder=""):
    base = root / "nlp" / "bondlore"
    return sorted((base / folder).rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_to_its_left(root, room):
    allowed = set(ROOMS[: ROOMS.index(room) + 1]) | SHARED | {"__version__"}
    for path in modules(root, room):
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "bondlore" and len(parts) > 1:
                assert parts[1] in allowed, f"{path.name} imports {name}"


def test_no_room_but_train_imports_a_training_library(root):
    for path in modules(root):
        if "train" not in path.parts:
            heavy = {n.split(".")[0] for n in imported(path)} & {"torch", "transformers", "sklearn", "datasets"}
            assert not heavy, f"{path} imports {heavy}"


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        ("bondlore", {"torch", "sklearn", "pandas", "matplotlib", "pyarrow", "onnxruntime", "sqlalchemy", "numpy"}),
        ("bondlore.cli.classify", {"torch", "sklearn", "pandas", "matplotlib", "pyarrow", "sqlalchemy", "trafilatura"}),
        ("bondlore.measure.shares", {"torch", "sklearn", "matplotlib", "onnxruntime"}),
        ("bondlore.report.build", {"torch", "sklearn", "onnxruntime"}),
    ],
)
def test_importing_stays_light(module, banned):
    code = f"import sys, {module}; print(*sorted(set(m.split('.')[0] for m in sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not set(out.split()) & banned


def test_the_public_surface_is_what_all_says():
    public = {n for n in vars(bondlore) if not n.startswith("_")} - {"TYPE_CHECKING", "Any", "annotations"}
    modules_ = {n for n in public if type(getattr(bondlore, n)).__name__ == "module"}
    assert (public - modules_) | {"Store", "Tagger", "__version__"} == set(bondlore.__all__)
    assert all(getattr(bondlore, name) is not None for name in bondlore.__all__)


def test_every_module_says_what_it_exports(root):
    for path in modules(root):
        if path.name not in ("__init__.py", "__main__.py"):
            assert "__all__ = [" in path.read_text(), path


@pytest.mark.parametrize(
    ("pattern", "home"),
    [
        (r"\bos\.replace\(", {"atomic.py"}),
        (r"import socket|urllib3|urlopen\(", {"fetch.py", "cluster.py"}),  # the second: does a Ray cluster answer
        (
            r"^import html\b|markupsafe|html\.escape\(",
            {"text.py", "sentences.py", "svg.py", "html.py", "interactive.py", "charts.py", "multiples.py"},
        ),
        (r"datetime\.now\(|\butcnow\(|date\.today\(", {"clock.py"}),
    ],
)
def test_one_place_for_each_dangerous_thing(root, pattern, home):
    for path in modules(root):
        if path.name not in home:
            hits = [line for line in path.read_text().splitlines() if re.search(pattern, line)]
            assert not hits, f"{path.name}: {hits[:2]}"


def test_nothing_unpickles_or_evaluates(root):
    banned = re.compile(
        r"^\s*(import|from) +(pickle|joblib|dill|shelve|marshal)|trust_remote_code *= *True|(^|[^.\w])(eval|exec)\("
    )
    for path in modules(root):
        assert not [line for line in path.read_text().splitlines() if banned.search(line)], path


def test_the_error_tree_is_the_one_drawn():
    drawn = set(re.findall(r"── (\w+)", errors.__doc__))
    defined = {n for n in errors.__all__ if n != "BondloreError"}
    assert drawn == defined
    assert all(issubclass(getattr(errors, n), errors.BondloreError) for n in defined)


def test_an_error_names_place_and_remedy():
    error = errors.LabelError("unknown narrative 'x'", where="a.jsonl:3", remedy="fix it")
    assert str(error) == "a.jsonl:3: unknown narrative 'x'; fix it"


def test_no_code_knows_a_narrative_by_name(root):
    ids = [n for n in bondlore.taxonomy.load().ids if n != "other"]
    for path in modules(root):
        code = "\n".join(
            line
            for line in path.read_text().splitlines()
            if ">>>" not in line and not line.lstrip().startswith(("'", "[", "#"))
        )
        tree = ast.parse(path.read_text())
        strings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        assert code
        assert not strings & set(ids), path
