"""Reader of tagged sentences, one word per line: the CoNLL formats, from the shared tasks to CoNLL-U."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from elman.data.raw_files import Paths, as_paths, lines
from elman.data.readers.columns import Column, missing_column
from elman.data.readers.labelled import Labelled, Row, at_least_one, gather
from elman.errors import LinesPlace
from elman.representation import brief

CONLLU = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
DOCSTART = "-DOCSTART-"
COMMENT = re.compile(r"# \S+ = ")  # comment of CoNLL-U, even if it has as many words as there are columns
NO_WORD = re.compile(r"\d+[-.]\d+")  # ID of a multiword token or an empty node
WAY_OUT = "write a word per line, with the same columns in all lines, and an empty line after each sentence"

logger = logging.getLogger("elman")

Lines = Iterator[tuple[int, str]]


def read_tagged(
    paths: Paths,
    *,
    columns: Sequence[Column | None] | Column | None = None,
    extra: Sequence[Column] | Column = (),
    tags: bool = True,
) -> Labelled:
    """Read sentences of words, and the tag of each word.

    A line has a word and its annotations, in columns separated by tabs, or by blanks if the first line has no tab. An
    empty line ends a sentence. `-DOCSTART-` lines, and comments (`# ...` before a sentence), are skipped.

    Args:
        paths: files; `.gz` is unpacked. In `.conllu` files, multiword tokens and empty nodes are skipped.
        columns: columns of the word and of the tag: numbers from 1 (or from the end, with -1), or names of CoNLL-U or
            of a line `# global.columns = ...`. None, for both or for one: the first and the last; in `.conllu` files,
            FORM and UPOS.
        extra: columns to read in addition to the word.
        tags: False reads words only, for example from files without tags; `columns` may then be just that of the word.
    Returns:
        inputs (lists of words; with `extra`, of tuples of the word and the extra columns), labels (lists of tags, or
        None), and the place of the first word of each sentence.
    Raises:
        OSError: a file cannot be read.
        ValueError: a file has no sentences, a column is missing, a line has another number of columns than the first,
            or a word or a tag is empty.
    """
    if isinstance(columns, str | int):
        columns = (columns,)
    if columns is not None and not (len(columns) == 2 or (len(columns) == 1 and not tags)):
        raise ValueError(f"columns: expected a column of words and one of tags, got {len(columns)} columns.")
    extra = (extra,) if isinstance(extra, str | int) else tuple(extra)
    rows = (at_least_one(file, sentences(file, lines(file), columns, extra, tags)) for file in as_paths(paths))
    return gather(chain.from_iterable(rows))


class _Layout(NamedTuple):
    """Column layout of a file."""

    names: list[str]
    tabs: bool
    width: int
    line: int  # first line with a word, which the layout is read from

    def is_comment(self, line: str) -> bool:
        """Return whether a line before a sentence is a comment; a `#` with all columns is a word."""
        if self.tabs and "\t" not in line:
            return line[0] == "#"
        return line.startswith("# ") and (COMMENT.match(line) is not None or len(_cut(line, self.tabs)) != self.width)

    def position(self, file: Path, column: Column) -> int:
        """Return the position of a column in a line."""
        if str(column) in self.names:
            position = self.names.index(str(column))
            if position >= self.width:
                raise ValueError(
                    f"{file}:{self.line}: no column {column}: expected {len(self.names)} columns, "
                    f"{' '.join(self.names)}, got {self.width}; complete them, or name columns by number, from 1."
                )
            return position
        try:
            number = int(str(column).replace("_", "no number"))
        except ValueError:
            way_out = f"{', or ' if self.names else ''}numbers from 1 to {self.width}, or from the end, -1"
            raise missing_column(file, str(column), self.names, way_out) from None
        if not 1 <= abs(number) <= self.width:
            raise ValueError(
                f"{file}:{self.line}: expected a column from 1 to {self.width} (-1: the last), got {number}."
            )
        return number - 1 if number > 0 else self.width + number


def sentences(
    file: Path,
    content: Iterable[str],
    columns: Sequence[Column | None] | None,
    extra: Sequence[Column],
    tags: bool,
    way_out: str = WAY_OUT,
) -> Iterator[Row]:
    """Yield each sentence as soon as its last line is read.

    Args:
        content: lines of the file.
        columns, extra, tags: as for `read_tagged`.
        way_out: remedy for a file that seems to have no columns. A warning reports plain text in which each line ends a
            sentence; other plain text is an error.
    """
    conllu = file.name.removesuffix(".gz").endswith(".conllu")
    layout, numbered = _layout(file, ((number, line.rstrip("\r\n")) for number, line in enumerate(content, 1)), conllu)
    usual: tuple[Column, Column] = ("FORM", "UPOS") if conllu else (1, -1)
    named = [default if name is None else name for name, default in zip(columns or (None, None), usual, strict=False)]
    wanted = [named[0], *extra, *(named[1:] if tags else ())]
    chosen = [layout.position(file, column) for column in wanted]
    if tags and chosen[0] == chosen[-1]:
        raise ValueError(
            f"{file}:{layout.line}: expected a word and a tag, got column {chosen[0] + 1} of {layout.width} for both; "
            "write a tag in a column after each word, or read words alone (tags=False in Python, elman predict)."
        )
    words: list[Any] = []
    found: list[str] = []
    numbers: list[int] = []  # of the lines of the words
    longest = 0
    for number, line in chain(numbered, [(0, "")]):
        if not line.strip(" \t") or line.startswith(DOCSTART):
            if words:
                adjacent = numbers[-1] - numbers[0] + 1 == len(numbers)
                whole = range(numbers[0], numbers[-1] + 1) if adjacent else numbers
                longest = max(longest, len(words))
                yield Row(words, found if tags else None, LinesPlace(file, whole))
            words, found, numbers = [], [], []
            continue
        if not words and layout.is_comment(line):
            continue
        fields = _cut(line, layout.tabs)
        if len(fields) != layout.width:
            raise ValueError(
                f"{file}:{number}: expected {layout.width} columns as in line {layout.line}, got {len(fields)}: "
                f"{brief(line)}; {way_out}."
            )
        if conllu and NO_WORD.fullmatch(fields[0]):
            continue
        given = [fields[column] for column in chosen]
        if not all(given):
            raise ValueError(f"{file}:{number}: column {chosen[given.index('')] + 1} is empty.")
        numbers.append(number)
        if tags:
            found.append(given.pop())
        words.append(tuple(given) if extra else given[0])
    if longest == 1 and layout.width > 2 and not layout.tabs:
        logger.warning("%s: every sentence is one word in %d columns; %s", file, layout.width, way_out)


def _layout(file: Path, content: Lines, conllu: bool) -> tuple[_Layout, Lines]:
    """Return the layout, read from the first line with a word, and an iterator over all lines."""
    names = list(CONLLU) if conllu else []
    read = []
    for number, line in content:
        read.append((number, line))
        if line.startswith("# global.columns = "):
            names = line.split()[3:]
        elif line.strip(" \t") and not line.startswith(("#", DOCSTART)):
            break
    # If every line begins with `#`, it is a word.
    number, line = next(((n, line) for n, line in reversed(read) if line.strip(" \t")), (0, ""))
    if not line:
        raise ValueError(f"{file}: empty; expected sentences, one word per line.")
    tabs = "\t" in line
    return _Layout(names, tabs, len(_cut(line, tabs)), number), chain(read, content)


def _cut(line: str, tabs: bool) -> list[str]:
    """Split a line into columns; white space other than tabs and blanks is part of a word."""
    return line.split("\t") if tabs else [column for column in line.replace("\t", " ").split(" ") if column]
