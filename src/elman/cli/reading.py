"""How data files are read: options of the command line, and the readers that they speak to."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from elman.cli.source import Reading

if TYPE_CHECKING:
    from elman.data.readers import Labelled

Command = TypeVar("Command", bound=Callable[..., object])


def _parts(_context: click.Context, _option: click.Parameter, value: str | None) -> list[str]:
    """`x,y,z` as a list."""
    return [part.strip() for part in value.split(",")] if value else []


def _size(_context: click.Context, _option: click.Parameter, value: str | None) -> list[int] | None:
    """`24x36` as height and width."""
    if value is None:
        return None
    parts = value.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() for part in parts):
        raise click.BadParameter(f"expected HEIGHTxWIDTH, e.g. 24x36, got {value!r}.")
    return [int(part) for part in parts]


def _full_names(_context: click.Context, _option: click.Parameter, value: tuple[str, ...]) -> list[str]:
    """Names that mean the same in another folder."""
    return [str(Path(name).resolve()) for name in value]


LABELLED = {
    "text": click.option("--text", metavar="COLUMN", help="Of tables: the column of texts."),
    "label": click.option("--label", metavar="COLUMN", help="Of tables: the column of labels."),
    "values": click.option("--values", metavar="COLUMN[,COLUMN]...", callback=_parts,
                           help="Of tables: columns of numbers, where a line is a step of a series."),
    "group": click.option("--group", metavar="COLUMN",
                          help="Of tables with --values: the column that says which series a line belongs to."),
    "size": click.option("--size", metavar="HxW", callback=_size,
                         help="Of pictures and videos: bring them to this height and width."),
    "color": click.option("--color", is_flag=True, default=None,
                          help="Of pictures and videos: read colours, not greys."),
}  # fmt: skip
TAGGED = {
    "word": click.option("--word", metavar="COLUMN", help="The column of words: a number from 1. Without: 1."),
    "tag": click.option("--tag", metavar="COLUMN",
                        help="The column of tags: a number from 1, or from the end. Without: -1."),
    "given": click.option("--given", metavar="COLUMN[,COLUMN]...", callback=_parts,
                          help="Columns that the model reads beside each word."),
}  # fmt: skip
PARALLEL = {
    "source": click.option("--source", metavar="COLUMN", help="Of tables: the column of texts to read."),
    "target": click.option("--target", metavar="COLUMN", help="Of tables: the column of texts to write."),
}
CAPTIONED = {
    "images": click.option("--images", metavar="DIR", multiple=True, callback=_full_names,
                           help="Of captions: the folder or .zip that holds the pictures; repeat it for more."),
    "image": click.option("--image", metavar="COLUMN", help="Of captions: the column of names of pictures."),
    "caption": click.option("--caption", metavar="COLUMN", help="Of captions: the column of what is said of them."),
}  # fmt: skip


def labelled_options(command: Command) -> Command:
    """Options for rows with a label each."""
    return _with(LABELLED, command)


def tagged_options(command: Command) -> Command:
    """Options for words with a tag each."""
    return _with(TAGGED, command)


def parallel_options(command: Command) -> Command:
    """Options for pairs of texts."""
    return _with(PARALLEL, command)


def captioned_options(command: Command) -> Command:
    """Options for pictures with captions."""
    return _with(CAPTIONED, command)


def _with(options: Mapping[str, Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(list(options.values())):
        command = option(command)
    return command


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that were given."""
    return {name: value for name, value in options.items() if value not in (None, [], ())}


def read_labelled(files: Sequence[Path], reading: Reading, labels: bool = True) -> "Labelled":
    """Rows and their labels.

    Args:
        labels: whether there must be labels; without, no column of labels is looked for.
    Raises:
        OSError, ValueError: as `elman.data.readers.read_labelled`; or a table of which nothing says what to read.
    """
    from elman.data import readers

    reading = {name: value for name, value in reading.items() if name in LABELLED and (labels or name != "label")}
    for file in files:
        if is_table(file) and not reading.keys() & {"text", "values"}:
            raise ValueError(f"{file}: a table; name its columns: --text COLUMN, or --values COLUMN,COLUMN,..., and "
                             "--label COLUMN.")  # fmt: skip
    read = readers.read_labelled(files, **reading)
    if labels and read.labels is None:
        raise ValueError(f"{read.places[0]}: has no label; name the column of labels (--label COLUMN), or put the "
                         "files of each class into a folder of its own.")  # fmt: skip
    return read


def read_tagged(files: Sequence[Path], reading: Reading, tags: bool = True) -> "Labelled":
    """Sentences and the tags of their words.

    Raises:
        OSError, ValueError: as `elman.data.readers.read_tagged`.
    """
    from elman.data import readers

    return readers.read_tagged(files, **tagged_columns(files[0], reading), tags=tags)


def tagged_columns(file: Path, reading: Reading) -> dict[str, Any]:
    """The columns as `elman.data.readers.read_tagged` is told them."""
    columns = None
    if reading.keys() & {"word", "tag"}:
        word, tag = ("FORM", "UPOS") if ".conllu" in file.suffixes else ("1", "-1")
        columns = reading.get("word", word), reading.get("tag", tag)
    return {"columns": columns, "extra": reading.get("given", ())}


def read_parallel(files: Sequence[Path], reading: Reading) -> "Labelled":
    """Texts, and what is to be written of each as its label.

    Raises:
        OSError, ValueError: as `elman.data.readers.read_parallel`; or a table of which nothing says what to read.
    """
    from elman.data import readers

    columns = {name: value for name, value in reading.items() if name in PARALLEL}
    for file in files:
        if is_table(file) and len(columns) < len(PARALLEL):
            raise ValueError(f"{file}: a table; name its columns: --source COLUMN and --target COLUMN.")
    if len(files) == 1 and not is_table(files[0]):
        raise ValueError(f"{files[0]}: holds one side only; name the file with the other side after it.")
    return readers.Labelled(*readers.read_parallel(files, **columns))


def read_captioned(files: Sequence[Path], reading: Reading) -> "Labelled":
    """Pictures, and the captions of each as its label.

    Raises:
        OSError, ValueError: as `elman.data.readers.read_captions`; or nothing says where the pictures are.
    """
    from elman.data import readers

    reading = {name: value for name, value in reading.items() if name in CAPTIONED}
    if "images" not in reading:
        raise ValueError(f"{files[0]}: names pictures; name the folder or .zip that holds them: --images DIR.")
    return readers.Labelled(*readers.read_captions(files, **reading))


def is_table(file: Path) -> bool:
    """Whether a file has columns, as its name says."""
    from elman.data.readers.files import TABLES

    return file.name.lower().endswith(tuple(TABLES))


def of_tables(files: Sequence[Path], kept: Reading) -> Reading:
    """How files were read, for other files: columns of sources and targets mean nothing where there are no tables."""
    tables = any(map(is_table, files))
    return {name: value for name, value in kept.items() if tables or name not in PARALLEL}


@contextmanager
def at_places(places: Sequence[str], name: str = "row") -> Iterator[None]:
    """What an error inside says of `row 3`, or whatever the rows are called, it says of its place: file and line."""
    try:
        yield
    except (TypeError, ValueError) as error:
        told = re.fullmatch(rf"{name} (\d+): (.*)", str(error), re.DOTALL)
        if told is None:
            raise
        place = f"{places[int(told[1])]}: "
        raise ValueError(place + told[2].removeprefix(place)) from error  # a picture is its own place
