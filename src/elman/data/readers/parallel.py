"""Reader of parallel texts (sources and targets), in two files with equally many lines, or in two columns."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from elman.data.raw_files import Paths, as_paths, lines
from elman.data.readers.columns import Column, Columns
from elman.data.readers.files import TABLES, suffix_of
from elman.data.readers.labelled import Row, Table, at_least_one
from elman.representation import brief_fields

SHOWN = 3  # most skipped pairs that the warning names

logger = logging.getLogger("elman")


@brief_fields
class Parallel(NamedTuple):
    """B pairs of texts, and the place of each source: `train.en:12`, or `words.tsv:12` in a table."""

    sources: list[str]
    targets: list[str]
    places: list[str]


def read_parallel(
    paths: Paths, *, source: Column | None = None, target: Column | None = None, skip_empty: bool = False
) -> Parallel:
    """Read pairs of texts from files, in order.

    A line of a file is a text. Line 12 of one file belongs to line 12 of the other.

    Args:
        paths: files of sources and of targets in turn (`a.en a.de b.en b.de`; `.gz` is unpacked), or tables
            (`.csv .tsv .jsonl`, each also `.gz`, and `.parquet`).
        source, target: for tables: columns of the two texts: names in the header, or, if both are numbers (from 1),
            columns of a `.csv` or `.tsv` without a header.
        skip_empty: leave out pairs whose source or target is empty; a warning reports how many, and the first ones.
            By default they are an error.
    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: two files have different numbers of lines, a source or a target is empty, or a line is not UTF-8
            (with file and line); the number of files is odd, a column is missing, or an argument has no effect.
        ModuleNotFoundError: polars is not installed, and a file is Parquet.
    """
    files = as_paths(paths)
    if source is None and target is None:
        rows = _rows_of_files(files)
    elif source is None or target is None:
        raise ValueError(f"expected a source and a target column, got only {source or target!r}.")
    else:
        rows = chain.from_iterable(text_pairs(file, source, target) for file in files)
    return _gather(rows, skip_empty)


class _Texts(Columns):
    """Columns of sources and of targets, read unchanged."""

    def rows(
        self, table: Table, records: Iterable[tuple[int, Sequence[Any]]], watched: Sequence[str] = ()
    ) -> Iterator[Row]:
        for number, fields in records:
            place = table.place(number)
            for name, field in zip(self.names, fields, strict=True):
                if not isinstance(field, str):
                    got = "none" if field is None else f"{type(field).__name__} {field!r}"
                    raise ValueError(f"{place}: expected text in {name!r}, got {got}.")
            yield Row(fields[0], fields[1], place)


def text_pairs(file: Path, first: Column, second: Column) -> Iterator[Row]:
    """Yield the rows of a table, with the text of one column as input and the text of another as label."""
    columns, suffix = _Texts.chosen(first, second, (), None), suffix_of(file)
    if suffix not in TABLES:
        known = " ".join(TABLES)
        raise ValueError(
            f"{file}: a text file has no columns; name a table (a file that ends in {known}), or leave the columns out."
        )
    return at_least_one(file, TABLES[suffix](file, columns))


def _rows_of_files(files: Sequence[Path]) -> Iterator[Row]:
    """Yield the rows of pairs of files."""
    for file in files:
        if suffix_of(file) in TABLES:
            raise ValueError(f"{file}: a table; name its columns: source=COLUMN and target=COLUMN.")
    if not files or len(files) % 2:
        given = f"{len(files)}: {' '.join(map(str, files))}" if files else "none"
        wanted = "pairs of files (sources, then targets)"
        raise ValueError(f"expected {wanted}, or tables with columns, got {given}.")
    for source, target in zip(files[::2], files[1::2], strict=True):
        yield from at_least_one(source, _rows_of_pair(source, target))


def _rows_of_pair(source: Path, target: Path) -> Iterator[Row]:
    counts = [0, 0]
    for number, (read, written) in enumerate(zip_longest(lines(source), lines(target)), 1):
        counts[0] += read is not None
        counts[1] += written is not None
        if read is not None and written is not None:
            yield Row(read.rstrip("\r\n"), written.rstrip("\r\n"), f"{source}:{number}")
    if counts[0] != counts[1]:
        longer, number = (source, target)[counts[1] > counts[0]], min(counts) + 1
        got = f"{source} has {counts[0]:,} lines, {target} has {counts[1]:,}"
        raise ValueError(f"{longer}:{number}: has no line in the other file: {got}; expected equally many.")


def _gather(rows: Iterable[Row], skip_empty: bool) -> Parallel:
    """Collect all rows, or those with text on both sides.

    Raises:
        ValueError: sources or targets are empty: names the first, and their number.
    """
    found = Parallel([], [], [])
    empty: list[tuple[str, str]] = []  # place, and the side that is empty
    for source, target, place, *_ in rows:
        if not source.strip() or not target.strip():
            empty.append((place, "target" if source.strip() else "source"))
            continue
        for part, value in zip(found, (source, target, place), strict=True):
            part.append(value)
    count = len(found.places) + len(empty)
    if empty and (not skip_empty or not found.places):
        place, side = empty[0]
        more = f", the first of {len(empty):,} such pairs of {count:,}" if len(empty) > 1 else ""
        skip = ", or skip them: skip_empty=True, --skip-empty" if found.places else ""
        raise ValueError(f"{place}: the {side} is empty{more}; expected text in both; remove such lines from both "
                         f"files{skip}.")  # fmt: skip
    if empty:
        shown = ", ".join(f"{place} ({side})" for place, side in empty[:SHOWN])
        more = ", ..." if len(empty) > SHOWN else ""
        logger.warning("skipped %s of %s pairs, in which a side is empty: %s%s", f"{len(empty):,}", f"{count:,}", shown,
                       more)  # fmt: skip
    return found
