"""Readers of data files that several tasks share, their options, and the names of files on the command line."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from elman.data import readers
from elman.data.raw_files import STDIN, lines
from elman.data.readers.files import TABLES
from elman.data.readers.labelled import Labelled, Row, at_least_one, gather

Options = Mapping[str, Any]  # values of options, by name


class DataFile(click.Path):
    """Path of a file or folder to read; `-` is standard input."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if str(value) == "-":
            return standard_input(ctx or click.get_current_context())
        path: Path = super().convert(value, param, ctx)  # type: ignore[assignment]  # path_type is Path
        return path


def standard_input(context: click.Context) -> Path:
    """Return the path that stands for standard input.

    Raises:
        click.UsageError: it is named twice; it can be read only once.
    """
    if context.meta.get(__name__):
        raise click.UsageError("-: standard input can be read only once; name a file in place of the other -.")
    context.meta[__name__] = True
    if sys.stdin and sys.stdin.isatty():
        click.echo("Reading what you type; Ctrl-D ends it.", err=True)
    return STDIN


class ColumnOption(click.Option):
    """Column of a table. One that a run keeps is ignored for files that are not tables."""


def comma_separated(_context: click.Context, _option: click.Parameter, value: str | None) -> list[str]:
    """Return the parts of `x,y,z`."""
    return [part.strip() for part in value.split(",")] if value else []


def check_commas(files: Sequence[Path], options: Options, option: str) -> None:
    """Raise if a missing file looks like one more column of an option, which takes a single word.

    Raises:
        FileNotFoundError: no file has this name.
    """
    columns: Sequence[str] = options.get(option, ())
    for file in files if columns else ():
        if file != STDIN and not file.suffix and file.name == str(file) and not file.exists():
            raise FileNotFoundError(f"{file}: no such file; if it is a column, separate columns with commas: "
                                    f"--{option} {','.join([*columns, file.name])}.")  # fmt: skip


def height_and_width(_context: click.Context, _option: click.Parameter, value: str | None) -> list[int] | None:
    """Return the two numbers of `24x36`."""
    if value is None:
        return None
    parts = value.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() for part in parts):
        raise click.BadParameter(f"expected HEIGHTxWIDTH, e.g. 24x36, got {value!r}.")
    return [int(part) for part in parts]


LABELLED = (
    ColumnOption(["--text"], metavar="COLUMN", help="Tables: the column of texts."),
    ColumnOption(["--label"], metavar="COLUMN", help="Tables: the column of labels."),
    ColumnOption(["--values"], metavar="COLUMN[,COLUMN]...", callback=comma_separated,
                 help="Tables: columns of numbers. A line is a time step of a series."),
    ColumnOption(["--group"], metavar="COLUMN",
                 help="Tables with --values: the column that names the series a line belongs to."),
    ColumnOption(["--time"], metavar="COLUMN",
                 help="Tables with --values: the column of numbers or dates that sorts the steps of a series."),
    click.Option(["--size"], metavar="HxW", callback=height_and_width,
                 help="Pictures and videos: resize them to this height and width."),
    click.Option(["--color"], is_flag=True, default=None, help="Pictures and videos: read colours, not greys."),
)  # fmt: skip
LABELLED_COLUMNS = {str(option.name) for option in LABELLED if isinstance(option, ColumnOption)}
PARALLEL_COLUMNS = (
    ColumnOption(["--source"], metavar="COLUMN", help="Tables: the column of source texts."),
    ColumnOption(["--target"], metavar="COLUMN", help="Tables: the column of target texts."),
)
PARALLEL = (
    *PARALLEL_COLUMNS,
    click.Option(["--skip-empty"], is_flag=True, default=None,
                 help="Skip pairs in which a text is empty, and report how many."),
)  # fmt: skip


def chosen(options: Options, known: Sequence[click.Option]) -> dict[str, Any]:
    """Return the values of the options of one reader."""
    names = {option.name for option in known}
    return {name: value for name, value in options.items() if name in names}


def is_table(file: Path) -> bool:
    """Return whether a file has columns, by its name."""
    return file.name.lower().endswith(tuple(TABLES))


def read_lines(files: Sequence[Path], options: Options, labelled: bool = True) -> Labelled:
    """Read text files with a row per line: a text, a tab, and a label. Empty lines are skipped.

    Raises:
        OSError: a file cannot be read.
        ValueError: a line has no label, or there are no lines.
    """

    def rows(file: Path) -> Iterator[Row]:
        for number, line in enumerate(lines(file), 1):
            text, tab, label = line.rstrip("\r\n").partition("\t")
            if labelled and text and not tab:
                raise ValueError(f"{file}:{number}: expected a text, a tab and a label, got {text!r}.")
            if text:
                yield Row(text, label if labelled else None, f"{file}:{number}")

    return gather(row for file in files for row in at_least_one(file, rows(file)))


def read_labelled(files: Sequence[Path], options: Options, labelled: bool = True) -> Labelled:
    """Read rows and their labels from tables, files of series, or folders of pictures and videos.

    Raises:
        OSError, ValueError: as `elman.data.readers.read_labelled`.
        ValueError: the columns of a table are not named, or labels are missing.
    """
    check_commas(files, options, "values")
    reading = {name: value for name, value in chosen(options, LABELLED).items() if labelled or name != "label"}
    for file in files:
        if (is_table(file) or file == STDIN) and not reading.keys() & {"text", "values"}:
            label = "; and --label COLUMN" if labelled else ""
            raise ValueError(f"{file}: a table; name its columns, which a run folder keeps: --text COLUMN for texts, "
                             f"or --values COLUMN,COLUMN,... with --group COLUMN for series{label}.")  # fmt: skip
    data = readers.read_labelled(files, **reading)
    if labelled and data.labels is None:
        raise ValueError(f"{data.places[0]}: has no label; name the column of labels (--label COLUMN), or put the "
                         "files of each class into a folder of its own.")  # fmt: skip
    return data


def read_parallel(files: Sequence[Path], options: Options, labelled: bool = True) -> Labelled:
    """Read pairs of a source and a target text; the targets are the labels.

    Raises:
        OSError, ValueError: as `elman.data.readers.read_parallel`.
        ValueError: the columns of a table are not named, or there is no file of targets.
    """
    reading = chosen(options, PARALLEL)
    columns = chosen(options, PARALLEL_COLUMNS)
    for file in files:
        if is_table(file) and len(columns) < len(PARALLEL_COLUMNS):
            raise ValueError(f"{file}: a table; name its columns: --source COLUMN and --target COLUMN.")
    if len(files) == 1 and not columns and not is_table(files[0]):
        raise ValueError(f"{files[0]}: expected two files, one of sources and one of targets, got one; name the other "
                         "one after it.")  # fmt: skip
    return readers.Labelled(*readers.read_parallel(files, **reading))
