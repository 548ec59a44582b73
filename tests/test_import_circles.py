"""Imports flow down, those inside functions and under TYPE_CHECKING included."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import elman

ROOT = Path(elman.__file__).parent


def modules(package):
    """Return the path of each module of a package, by dotted name."""
    return {
        ".".join(("elman", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in (ROOT / package).rglob("*.py")
    }


def imported(path, names):
    """Return the modules, out of `names`, that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (parts & names.keys()) or {node.module}
    return found & names.keys()


@pytest.mark.parametrize(
    "package",
    [
        "cells",
        "cli",
        "data",
        "decoding",
        "doctor",
        "hmm",
        "layers",
        "losses",
        "metrics",
        "pictures",
        "tasks",
        "training",
    ],
)
def test_a_package_has_no_import_circle(package):
    names = modules(package)
    graph = {name: imported(path, names) - {name} for name, path in names.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(error.args[1])}")
