"""No module of elman imports itself through others, late imports and imports for type checking included."""

import ast
from pathlib import Path

import elman

ROOT = Path(elman.__file__).parent


def modules():
    """Yield every module of the package: its dotted name and its file."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["elman", *path.relative_to(ROOT).with_suffix("").parts]
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(path, known):
    """Yield the modules of elman that a file imports, anywhere in its text."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: expected an absolute import"
            # `from package import name` imports the module `name` if there is one, and else the package.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else node.module for name in names]
        yield from (name for name in names if name in known)


def circles(graph):
    """Return the strongly connected components with more than one module (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            found.extend([sorted(component)] if len(component) > 1 else [])

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_nothing_imports_itself():
    paths = dict(modules())
    graph = {module: set(imported(path, paths)) for module, path in paths.items()}
    assert circles(graph) == []


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
