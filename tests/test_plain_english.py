"""The mechanical part of plain English: first words of docstrings, and phrases that a reader has to decode."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
CLAUSE_OPENERS = {"what", "of", "those", "that", "as", "whose", "which", "where", "how", "when"}
NOUN_OPENERS = {"the", "a", "an", "whether", "where", "how", "when", "if", "nothing", "none", "one", "each", "every"}
PHRASES = [
    "the bar to beat",
    "by heart",
    "what it shows",
    "takes data for",
    "makes nothing of",
    "there is none of",
    "of one's own",
    "the way back",
    "way back of",
    "at hand",
    "as people have them",
    "no word for",
    "has no word",
    "is told",
    "are told",
    "be told",
    "was told",
    "its like",
    "stand for themselves",
    "as it comes",
    "as they come",
    "afresh",
    "nothing is to be",
    "keep gate",
    "write gate",
    "read gate",
    "the house",
    "is well:",
    "in turn of",
    "what comes of",
    "answers in",
    "answer in pytorch",
    "whatever way",
    "share of nothing",
    "in any company",
    "order and company",
    "nobody asks",
    "says nothing",
    "say nothing",
    "knows nothing",
    "what came of",
    "spoilt",
    "mended",
    "that people have",
    "is gone through",
    "to be told apart",
]
SUFFIXES = {".py", ".md", ".hpp", ".cpp", ".toml", ".txt"}
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "CMakeLists.txt", "pyproject.toml"]
FOLDERS = ["src", "native", "docs", "benchmarks", "gallery", "tests"]


@functools.cache
def texts() -> dict[Path, str]:
    """Return the text of every file that people read, by its path in the repository."""
    paths = [ROOT / page for page in PAGES]
    paths += [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in SUFFIXES]
    return {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in paths if path != Path(__file__)}


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the node and all statements inside it; expressions are skipped because they hold no docstrings."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler):
            yield from statements(child)


@functools.cache
def first_words() -> dict[str, tuple[str, bool]]:
    """Return the first word of every docstring, and whether it documents a public function, by file and line."""
    return {
        f"{path}:{getattr(node, 'lineno', 1)}": (docstring.split()[0].strip(",:.").lower(), is_public_function(node))
        for path, text in texts().items()
        if path.suffix == ".py"
        for node in statements(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (docstring := ast.get_docstring(node))
    }


def is_public_function(node: ast.AST) -> bool:
    """Return whether the node defines a function that users call: neither private, nor a property, nor a command."""
    if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
        return False
    decorators = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
    return re.search(r"property|setter|command", decorators) is None


def test_no_docstring_starts_with_a_bare_clause():
    assert {place: word for place, (word, _) in first_words().items() if word in CLAUSE_OPENERS} == {}


def test_docstrings_of_public_functions_start_with_a_verb():
    of_package = {place: word for place, (word, public) in first_words().items() if public and place.startswith("src")}
    assert {place: word for place, word in of_package.items() if word in NOUN_OPENERS} == {}


def test_no_text_uses_a_phrase_that_needs_decoding():
    # The words of a phrase may be on two lines of a comment.
    words = "|".join(re.escape(phrase).replace(r"\ ", r"[\s#/]+") for phrase in PHRASES)
    pattern = re.compile(rf"\b(?:{words})(?!\w)", re.IGNORECASE)
    found = {
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}": match.group()
        for path, text in texts().items()
        for match in pattern.finditer(text)
    }
    assert found == {}
