"""Reader of labelled data; the suffix of a file selects its format."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from elman.data.label_text import label_text
from elman.data.raw_files import STDIN, Paths, as_paths, check_exists, lines
from elman.data.readers.columns import Column, Columns
from elman.data.readers.data_frames import read_parquet
from elman.data.readers.labelled import Labelled, Row, at_least_one, gather
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
    time: Column | None = None,
    size: tuple[int, int] | None = None,
    color: bool = False,
) -> Labelled:
    """Read rows and their labels from files, in order.

    A column of a table is a name in its header. If all columns are numbers (from 1), a `.csv` or `.tsv` has no header.

    Args:
        paths: tables (`.csv .tsv .jsonl`, each also `.gz`, and `.parquet`), series (`.npz .ts .ts.gz`), folders of
            pictures or videos with a subfolder for each class, folders without subfolders, or single pictures and
            videos.
        text: for tables: column of texts.
        label: for tables: column of labels; None for unlabelled data. Other formats contain their labels.
        values: for tables: columns of numbers, one per variable. A line is a time step of a series; an empty field,
            `NaN`, `NA` or `?` is a missing value.
        group: for tables, with `values`: column that names the series a line belongs to; its lines need not be
            adjacent. By default, a file is one series.
        time: for tables, with `values`: column of numbers, or of dates and times in ISO 8601. The steps of a series are
            sorted by it; steps of the same time, which a warning reports, keep the order of their lines. By default,
            steps are in the order of their lines; a warning reports a column that looks like a time and is not in
            order.
        size: for pictures and videos: height and width to resize them to.
        color: for pictures and videos: True reads red, green and blue, False grey values.
    Returns:
        inputs, labels and places. Inputs: str for `text`; float64 [T, D] for `values` and `.ts`; arrays [T, ...] for
        `.npz`; uint8 [H, W] for pictures and [T, H, W] for videos, with a last axis of 3 in colour. Labels: str for
        every format (1, 1.0 and "1.0" are "1", True and "True" are "true"), or None for unlabelled data. Series that a
        column names keep their `names`.
    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: something is missing, incomplete or of the wrong type (with file and line), or an argument has no
            effect.
        ModuleNotFoundError: polars (Parquet), Pillow (pictures) or PyAV (videos) is not installed.
    """
    arguments = {
        "text": text,
        "label": label,
        "values": values,
        "group": group,
        "time": time,
        "size": size,
        "color": color or None,
    }
    given = {name: value for name, value in arguments.items() if value not in (None, (), [])}
    columns = Columns.chosen(text, label, values, group, time) if given.keys() & {"text", "values"} else None
    pixels = Pixels(size, color)

    def rows(path: Path) -> Iterator[Row]:
        check_exists(path)
        suffix = suffix_of(path)
        if suffix in TABLES:
            _check(path, given, {"text", "label", "values", "group", "time"})
            if columns is None:
                raise ValueError(
                    f"{path}: expected text=COLUMN or values=COLUMNS for a table; name the columns to read."
                )
            return TABLES[suffix](path, columns)
        if suffix in SERIES:
            _check(path, given, set())
            return SERIES[suffix](path)
        if not path.is_dir() and suffix not in SUFFIXES:
            known = " ".join([*TABLES, *SERIES, *SUFFIXES])
            raise ValueError(f"{path}: expected a folder of pictures or videos, or a file whose name ends in {known}.")
        _check(path, given, {"size", "color"})
        return pixels.rows(path)

    found = chain.from_iterable(at_least_one(path, rows(path)) for path in as_paths(paths))
    return gather(row if row.label is None else row._replace(label=label_text(row.label)) for row in found)


def suffix_of(path: Path) -> str:
    """Return the suffix that selects the format of a file: `.csv.gz` for `a.b.CSV.gz`, empty for a folder.

    Standard input has no name. It is JSONL if it begins with `{`, TSV if its first line has a tab, and CSV otherwise.
    """
    if path == STDIN:
        first = next((line for line in lines(path) if line.strip()), "")
        return ".jsonl" if first.lstrip().startswith("{") else ".tsv" if "\t" in first else ".csv"
    if path.is_dir():
        return ""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _check(path: Path, given: Iterable[str], used: set[str]) -> None:
    """Raise if an argument has no effect on this kind of file."""
    for name in given:
        if name not in used:
            of = "pictures and videos" if name in ("size", "color") else "tables"
            raise ValueError(f"{path}: {name}: has no effect on this file, only on {of}; leave it out.")
