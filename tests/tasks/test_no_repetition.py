"""No two files of tasks share a run of six statements: what tasks have in common is written once."""

import ast
import itertools
from pathlib import Path
from types import NoneType

import elman

RUN = 6  # statements
BODIES = "body", "orelse", "finalbody"
PACKAGE = Path(elman.__file__).parent
FILES = sorted(path for folder in ("tasks", "cli/tasks") for path in (PACKAGE / folder).rglob("*.py")
               if path.name != "__init__.py")  # fmt: skip


def counts(node):
    """Return whether a statement is compared: imports, docstrings and declarations of settings are not."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    setting = isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant | NoneType)
    return not (text or setting or isinstance(node, ast.Import | ast.ImportFrom))


def blocks(tree):
    """Yield the statements of each block, docstrings and imports aside."""
    for node in ast.walk(tree):
        for name in BODIES:
            if isinstance(block := getattr(node, name, None), list):
                yield [line for one in block if counts(one) for line in statements(one)]


def statements(node):
    """Return the normalised form of a statement without its inner statements, then those of its inner statements."""
    inner = [one for name in BODIES for one in getattr(node, name, []) if isinstance(one, ast.stmt)]
    return [shape(node), *(line for one in inner if counts(one) for line in statements(one))]


def shape(node):
    """Return the types of a syntax tree, nested, without names, constants and inner statements."""
    parts = (value for name, value in ast.iter_fields(node) if name not in (*BODIES, "handlers", "ctx"))
    nodes = (
        one for value in parts for one in (value if isinstance(value, list) else [value]) if isinstance(one, ast.AST)
    )
    return (type(node).__name__, *map(shape, nodes))


def runs(path):
    """Return the runs of a file, each with its number of statements."""
    found = set()
    for block in blocks(ast.parse(path.read_text(encoding="utf-8"))):
        found |= {tuple(block[start : start + RUN]) for start in range(len(block) - RUN + 1)}
    return found


def test_no_two_task_files_share_a_run_of_six_statements():
    found = {path: runs(path) for path in FILES}
    shared = [(one.name, other.name, run) for one, other in itertools.combinations(FILES, 2)
              for run in found[one] & found[other]]  # fmt: skip
    assert not shared, shared[:3]
    assert sum(map(len, found.values())) > 1000  # the test compares something


def test_a_copy_is_found(tmp_path):
    code = "def f(x):\n    a = x + 1\n    b = a * 2\n    if b:\n        c = g(b)\n        return c\n    return a\n"
    paths = [tmp_path / "one.py", tmp_path / "other.py"]
    paths[0].write_text(code)
    paths[1].write_text(code.replace("a", "size").replace("2", "7"))
    assert runs(paths[0]) & runs(paths[1])
