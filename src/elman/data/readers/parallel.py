"""Parallel texts: what is read and what is to be written, in two files of as many lines, or in two columns."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from elman.data.raw_files import Paths, as_paths, lines
from elman.data.readers.columns import Column, Columns
from elman.data.readers.files import TABLES, suffix_of
from elman.data.readers.labelled import Row, some


class Parallel(NamedTuple):
    """What was read: B pairs of texts, and the place of each source: `train.en:12`, or of a table `words.tsv:12`."""

    sources: list[str]
    targets: list[str]
    places: list[str]


def read_parallel(paths: Paths, *, source: Column | None = None, target: Column | None = None) -> Parallel:
    """The pairs of files, in order.

    A line of a file is a text. Line 12 of one file belongs to line 12 of the other.

    Args:
        paths: files of sources and of targets in turn (`a.en a.de b.en b.de`), `.gz` is unpacked; or tables
            (`.csv .tsv .jsonl`, each also `.gz`, and `.parquet`).
        source, target: of tables: the columns of the two texts: names of the header, or where both are numbers (from
            1), those of a `.csv` or `.tsv` without a header.
    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: with file and line: files of different numbers of lines, an empty source or target, what is not
            UTF-8; an odd number of files, columns that are not there, an argument that cannot act.
        ModuleNotFoundError: polars is not installed, and a file is Parquet.
    """
    files = as_paths(paths)
    if source is None and target is None:
        rows = _of_files(files)
    elif source is None or target is None:
        raise ValueError(f"expected a source and a target column, got one, {source or target!r}.")
    else:
        rows = chain.from_iterable(text_pairs(file, source, target) for file in files)
    return _gather(rows)


class _Texts(Columns):
    """A column of sources and one of targets, each a text as it is."""

    def rows(self, where: str, records: Iterable[tuple[int, Sequence[Any]]]) -> Iterator[Row]:
        for number, fields in records:
            for name, field in zip(self.names, fields, strict=True):
                if not isinstance(field, str):
                    got = "none" if field is None else f"{type(field).__name__} {field!r}"
                    raise ValueError(f"{where}{number}: expected text in {name!r}, got {got}.")
            yield Row(fields[0], fields[1], f"{where}{number}")


def text_pairs(file: Path, first: Column, second: Column) -> Iterator[Row]:
    """The rows of a table: the text of one column, and as its label that of another."""
    columns, suffix = _Texts.chosen(first, second, (), None), suffix_of(file)
    if suffix not in TABLES:
        known = " ".join(TABLES)
        raise ValueError(
            f"{file}: columns of a text file; expected a table, whose name ends in {known}, or no columns."
        )
    return some(file, TABLES[suffix](file, columns))


def _of_files(files: Sequence[Path]) -> Iterator[Row]:
    """The rows of files, two and two."""
    for file in files:
        if suffix_of(file) in TABLES:
            raise ValueError(f"{file}: a table; name its columns: source=COLUMN and target=COLUMN.")
    if not files or len(files) % 2:
        given = f"{len(files)}: {' '.join(map(str, files))}" if files else "none"
        told = "a file of sources and one of targets, in turn"
        raise ValueError(f"expected pairs of files, {told}, or tables with columns, got {given}.")
    for source, target in zip(files[::2], files[1::2], strict=True):
        yield from some(source, _of_pair(source, target))


def _of_pair(source: Path, target: Path) -> Iterator[Row]:
    counts = [0, 0]
    for number, (said, meant) in enumerate(zip_longest(lines(source), lines(target)), 1):
        counts[0] += said is not None
        counts[1] += meant is not None
        if said is not None and meant is not None:
            yield Row(said.rstrip("\r\n"), meant.rstrip("\r\n"), f"{source}:{number}")
    if counts[0] != counts[1]:
        longer, number = (source, target)[counts[1] > counts[0]], min(counts) + 1
        told = f"{source} has {counts[0]:,} lines and {target} {counts[1]:,}"
        raise ValueError(f"{longer}:{number}: belongs to no line of the other file: {told}; expected as many in both.")


def _gather(rows: Iterable[Row]) -> Parallel:
    """All rows.

    Raises:
        ValueError: a source or a target is empty: the first of them, and how many there are.
    """
    found = Parallel([], [], [])
    empty: list[tuple[str, str]] = []
    for source, target, place in rows:
        if not source.strip() or not target.strip():
            empty.append((place, "target" if source.strip() else "source"))
        for part, value in zip(found, (source, target, place), strict=True):
            part.append(value)
    if empty:
        (place, which), *others = empty
        more = f", the first of {len(empty):,} such pairs of {len(found.places):,}" if others else ""
        way_out = "expected text on both sides; take such lines out of both"
        raise ValueError(f"{place}: its {which} is empty{more}; {way_out}.")
    return found
