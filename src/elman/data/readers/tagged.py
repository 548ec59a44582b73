"""Sentences with tags, a word a line: the CoNLL formats, from the shared tasks to CoNLL-U."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from elman.data.raw_files import Paths, as_paths, lines
from elman.data.readers.columns import Column, no_column
from elman.data.readers.labelled import Labelled, Row, gather, some

CONLLU = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
DOCSTART = "-DOCSTART-"
COMMENT = re.compile(r"# \S+ = ")  # of CoNLL-U, even where it has as many words as there are columns
NO_WORD = re.compile(r"\d+[-.]\d+")  # the ID of a line that is about several words, or none

Lines = Iterator[tuple[int, str]]


def read_tagged(
    paths: Paths,
    *,
    columns: Sequence[Column] | Column | None = None,
    extra: Sequence[Column] | Column = (),
    tags: bool = True,
) -> Labelled:
    """Sentences of words, and the tag of each word.

    A line is a word and what is said of it, in columns between tabs, or where the first has none, between blanks. An
    empty line ends a sentence. Lines of `-DOCSTART-`, and comments (`# ...` before a sentence) are skipped.

    Args:
        paths: files, `.gz` is unpacked; of `.conllu` the lines of multiword tokens and empty nodes are skipped.
        columns: of the word and of the tag: numbers from 1, or from the end with -1, or the names of CoNLL-U or
            of a line `# global.columns = ...`; None for the first and the last; of `.conllu`, FORM and UPOS.
        extra: columns that are given beside the word.
        tags: False reads words alone, from files that have no tags, say; `columns` may then be that of the word.
    Returns:
        inputs (lists of words, or with `extra`, of tuples of the word and these), labels (lists of tags, or None), and
        the place of each first word.
    Raises:
        OSError: a file cannot be read.
        ValueError: a file without sentences, a column that is not there, a line with another number of columns than
            the first, or an empty word or tag.
    """
    if isinstance(columns, str | int):
        columns = (columns,)
    if columns is not None and not (len(columns) == 2 or (len(columns) == 1 and not tags)):
        raise ValueError(f"columns: expected that of the word and that of the tag, got {len(columns)}.")
    extra = (extra,) if isinstance(extra, str | int) else tuple(extra)
    rows = (some(file, sentences(file, lines(file), columns, extra, tags)) for file in as_paths(paths))
    return gather(chain.from_iterable(rows))


class _Layout(NamedTuple):
    """How the lines of a file are cut."""

    names: list[str]
    tabs: bool
    width: int
    line: int  # that says so

    def is_comment(self, line: str) -> bool:
        """Whether a line before a sentence is no word: `#` may be one, in as many columns as every other."""
        if self.tabs and "\t" not in line:
            return line[0] == "#"
        return line.startswith("# ") and (COMMENT.match(line) is not None or len(_cut(line, self.tabs)) != self.width)

    def place(self, file: Path, asked: Column) -> int:
        """Where a column stands."""
        if str(asked) in self.names:
            return self.names.index(str(asked))
        try:
            number = int(asked)
        except ValueError:
            way_out = f"{', or ' if self.names else ''}numbers from 1 to {self.width}, or from the end, -1"
            raise no_column(file, str(asked), self.names, way_out) from None
        if not 1 <= abs(number) <= self.width:
            raise ValueError(
                f"{file}:{self.line}: expected a column from 1 to {self.width} (-1: the last), got {number}."
            )
        return number - 1 if number > 0 else self.width + number


def sentences(
    file: Path, content: Iterable[str], columns: Sequence[Column] | None, extra: Sequence[Column], tags: bool
) -> Iterator[Row]:
    """Each sentence as soon as its last line came.

    Args:
        content: the lines of the file.
        columns, extra, tags: as of `read_tagged`.
    """
    conllu = file.name.removesuffix(".gz").endswith(".conllu")
    layout, numbered = _layout(file, ((number, line.rstrip("\r\n")) for number, line in enumerate(content, 1)), conllu)
    if columns is None:
        columns = ("FORM", "UPOS") if conllu else (1, -1)
    wanted = [columns[0], *extra, *(columns[1:] if tags else ())]
    chosen = [layout.place(file, column) for column in wanted]
    if tags and chosen[0] == chosen[-1]:
        raise ValueError(
            f"{file}:{layout.line}: expected a word and a tag, got column {chosen[0] + 1} of {layout.width} for both; "
            "tags=False reads files without tags."
        )
    words: list[Any] = []
    found: list[str] = []
    start = 0
    for number, line in chain(numbered, [(0, "")]):
        if not line.strip(" \t") or line.startswith(DOCSTART):
            if words:
                yield Row(words, found if tags else None, f"{file}:{start}")
            words, found = [], []
            continue
        if not words and layout.is_comment(line):
            continue
        fields = _cut(line, layout.tabs)
        if len(fields) != layout.width:
            raise ValueError(
                f"{file}:{number}: expected {layout.width} columns as in line {layout.line}, got {len(fields)}."
            )
        if conllu and NO_WORD.fullmatch(fields[0]):
            continue
        given = [fields[column] for column in chosen]
        if not all(given):
            raise ValueError(f"{file}:{number}: column {chosen[given.index('')] + 1} is empty.")
        start = start if words else number
        if tags:
            found.append(given.pop())
        words.append(tuple(given) if extra else given[0])


def _layout(file: Path, content: Lines, conllu: bool) -> tuple[_Layout, Lines]:
    """How the file is cut, as its first word says, and all of its lines."""
    names = list(CONLLU) if conllu else []
    read = []
    for number, line in content:
        read.append((number, line))
        if line.startswith("# global.columns = "):
            names = line.split()[3:]
        elif line.strip(" \t") and not line.startswith(("#", DOCSTART)):
            break
    # Where every line begins with it, `#` is a word.
    number, line = next(((n, line) for n, line in reversed(read) if line.strip(" \t")), (0, ""))
    if not line:
        raise ValueError(f"{file}: empty; expected sentences, a word a line.")
    tabs = "\t" in line
    return _Layout(names, tabs, len(_cut(line, tabs)), number), chain(read, content)


def _cut(line: str, tabs: bool) -> list[str]:
    """The columns; other white space than tabs and blanks is a part of words."""
    return line.split("\t") if tabs else [column for column in line.replace("\t", " ").split(" ") if column]
