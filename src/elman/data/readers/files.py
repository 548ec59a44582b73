"""Labelled data from files, each kind by the end of its name."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from elman.data.raw_files import Paths, as_paths, reading
from elman.data.readers.columns import Column, Columns
from elman.data.readers.data_frames import read_parquet
from elman.data.readers.labelled import Labelled, Row, gather, some
from elman.data.readers.npz import read_npz
from elman.data.readers.pixels import SUFFIXES, Pixels
from elman.data.readers.tables import read_csv, read_jsonl, read_tsv
from elman.data.readers.ts import read_ts

TABLES: dict[str, Callable[[Path, Columns], Iterator[Row]]] = {
    ".csv": read_csv, ".csv.gz": read_csv, ".tsv": read_tsv, ".tsv.gz": read_tsv,
    ".jsonl": read_jsonl, ".jsonl.gz": read_jsonl, ".parquet": read_parquet,
}  # fmt: skip
SERIES: dict[str, Callable[[Path], Iterator[Row]]] = {".npz": read_npz, ".ts": read_ts, ".ts.gz": read_ts}


def read_labelled(
    paths: Paths,
    *,
    text: Column | None = None,
    label: Column | None = None,
    values: Column | Iterable[Column] = (),
    group: Column | None = None,
    size: tuple[int, int] | None = None,
    color: bool = False,
) -> Labelled:
    """The rows of files, in order, and their labels.

    A column of a table is a name of its header; where all are numbers (from 1), a `.csv` or `.tsv` has no header.

    Args:
        paths: tables (`.csv .tsv .jsonl`, each also `.gz`, and `.parquet`), series (`.npz .ts .ts.gz`), folders of
            pictures or videos with a subfolder for each class, folders without, or single pictures and videos.
        text: of tables: the column of texts.
        label: of tables: the column of labels; None where there are none. Other files bring theirs.
        values: of tables: the columns of numbers, a variable each, where a line is a step of a series; what is empty,
            `NaN`, `NA` or `?` is missing.
        group: of tables, with `values`: the column that says which series of the file a line belongs to; without, a
            file is one series.
        size: of pictures and videos: height and width to bring them to.
        color: of pictures and videos: whether to read red, green and blue in place of grey.
    Returns:
        inputs (str of `text`; float64 [T, D] of `values` and `.ts`; [T, ...] as they are of `.npz`; uint8 [H, W] of
        pictures and [T, H, W] of videos, with 3 at the end in colour), labels (str, whatever the file: the numbers 1
        and 1.0 are "1"; None where there are none), and the place of each.
    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: with file and line: what is not there, not complete or not of its kind; an argument that cannot act.
        ModuleNotFoundError: polars (Parquet), Pillow (pictures) or PyAV (videos) is not installed.
    """
    asked = {"text": text, "label": label, "values": values, "group": group, "size": size, "color": color or None}
    given = {name: value for name, value in asked.items() if value not in (None, (), [])}
    columns = Columns.chosen(text, label, values, group) if given.keys() & {"text", "values"} else None
    pixels = Pixels(size, color)

    def rows(path: Path) -> Iterator[Row]:
        with reading(path):
            path.stat()
        suffix = suffix_of(path)
        if suffix in TABLES:
            _check(path, given, {"text", "label", "values", "group"})
            if columns is None:
                raise ValueError(f"{path}: expected text=COLUMN, or values=COLUMNS, of a table; name what to read.")
            return TABLES[suffix](path, columns)
        if suffix in SERIES:
            _check(path, given, set())
            return SERIES[suffix](path)
        if not path.is_dir() and suffix not in SUFFIXES:
            known = " ".join([*TABLES, *SERIES, *SUFFIXES])
            raise ValueError(f"{path}: expected a folder of pictures or videos, or a file whose name ends in {known}.")
        _check(path, given, {"size", "color"})
        return pixels.rows(path)

    return gather(chain.from_iterable(some(path, rows(path)) for path in as_paths(paths)))


def suffix_of(path: Path) -> str:
    """The end of a file's name that says what it holds: `.csv.gz` of `a.b.CSV.gz`; none of a folder."""
    if path.is_dir():
        return ""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _check(path: Path, given: Iterable[str], acting: set[str]) -> None:
    """Raise if an argument was given that cannot act on this kind of file."""
    for name in given:
        if name not in acting:
            of = "pictures and videos" if name in ("size", "color") else "tables"
            raise ValueError(f"{path}: {name}: cannot act on this file, only on {of}; leave it out.")
