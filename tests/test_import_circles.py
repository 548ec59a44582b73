"""No module of elman imports itself through others, late imports and imports for type checking included."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import elman

ROOT = Path(elman.__file__).parent


def modules():
    """Return the path of every module of elman, by dotted name."""
    return {
        ".".join(("elman", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in ROOT.rglob("*.py")
    }


def imported(text, known):
    """Return the modules, out of `known`, that a source text imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in known else node.module for name in names}
    return found & set(known)


def check(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(error.args[1])}")


def test_there_is_no_import_circle():
    paths = modules()
    check({name: imported(path.read_text(encoding="utf-8"), paths) - {name} for name, path in paths.items()})


@pytest.mark.parametrize("late", ["def f():\n    import {}", "if TYPE_CHECKING:\n    from {} import g"])
def test_a_late_import_closes_a_circle(late):
    texts = {"a": "import b", "b": late.format("a")}
    with pytest.raises(pytest.fail.Exception, match="import circle: "):
        check({name: imported(text, texts) for name, text in texts.items()})
