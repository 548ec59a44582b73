"""Commands of the captioner."""

from collections.abc import Sequence, Set
from itertools import count
from pathlib import Path
from typing import Any

import click

from elman.cli.hypotheses import LOWERCASE, PREDICT, SEARCH, evaluate_texts, predict_texts
from elman.cli.readers import Options, chosen
from elman.cli.row_stream import RowStream, row_per_line
from elman.cli.task_commands import TaskCommands
from elman.data import readers
from elman.data.raw_files import STDIN
from elman.data.readers.captions import PictureFile, pictures_in
from elman.data.readers.labelled import Labelled, Row

BATCH = 32  # pictures of a folder
FILES = (
    click.Option(["--images"], metavar="DIR", multiple=True,
                 callback=lambda context, option, names: [str(Path(name).resolve()) for name in names],
                 help="The folder or .zip that holds the pictures. Can be repeated."),
    click.Option(["--image"], metavar="COLUMN", help="The column of names of pictures."),
    click.Option(["--caption"], metavar="COLUMN", help="The column of captions."),
)  # fmt: skip


def read(files: Sequence[Path], options: Options, labelled: bool = True) -> Labelled:
    """Read pictures; the captions of each are its label.

    Raises:
        OSError, ValueError: as `elman.data.readers.read_captions`.
        ValueError: the folder of the pictures is not named.
    """
    reading = chosen(options, FILES)
    if "images" not in reading:
        raise ValueError(f"{files[0]}: a table of pictures; name the folder or .zip that holds them: --images DIR.")
    return readers.Labelled(*readers.read_captions(files, **reading))


def read_rows(model: Any, file: Path, options: Options, given: Set[str]) -> RowStream:
    """Return a picture, those of a folder or a .zip, or those that the lines of standard input name.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no pictures.
    """
    if file == STDIN:
        lines = row_per_line(file, expected="names of pictures, one per line")
        named = (Row(PictureFile(Path(row.input)), None, row.input) for row in lines.rows if row.input)
        return RowStream(named, lines.ready)
    number = count(1)
    return RowStream((Row(one, None, str(one)) for one in pictures_in(file)), lambda: next(number) % BATCH != 0)


def format_rows(model: Any, rows: Sequence[Row], options: Options) -> list[str]:
    """Return the captions of pictures, each with its place."""
    return predict_texts(
        model,
        rows,
        options,
        key="caption",
        line=lambda row, text: f"{text}\t{row.place}",
        facts=lambda row: {},
        draw=_draw,
    )


def _draw(picture: Any, aligned: Any) -> Any:
    """Return a figure of the attention of each word."""
    from elman.pictures import attention_maps
    from elman.runtime.photos import read

    return attention_maps(read(picture), aligned.words, aligned.weights)


COMMANDS = TaskCommands(
    task="captioner",
    summary="Describe a picture in a sentence.",
    help={
        "train": """Train a model that describes a picture in a sentence.

FILE is a table with the name of a picture and a caption per line (.csv .tsv .jsonl, .gz is unpacked); a picture may
have several captions. Its columns are `image` and `caption` by default, or the first and the last of a table without a
header. --images names the folder or .zip with the pictures.""",
        "evaluate": "Captioners: BLEU, chrF, and the word error rate.",
        "predict": """Captioners read pictures: files, all of a folder or a .zip, or names of files from standard input,
one per line. They print a line per picture: its caption and its place.""",
    },
    examples={
        "train": (
            "elman train captioner captions.tsv --images photos/ --out runs/photos",
            "elman train captioner captions.csv --images photos.zip --image file --caption text --out runs/photos",
            "elman train captioner captions.tsv --images signs/ --out runs/signs --set encoder=convolutional",
            "elman train captioner --resume --out runs/photos",
        ),
        "evaluate": ("elman evaluate runs/photos captions-test.tsv --images photos/",),
        "predict": ("elman predict runs/photos photos/07.png --show-attention attention.png",),
    },
    options={"train": FILES, "evaluate": (*FILES, LOWERCASE, *SEARCH), "predict": PREDICT, "doctor": FILES},
    read=read,
    read_rows=read_rows,
    format_rows=format_rows,
    evaluate=evaluate_texts,
    next_commands=lambda options: ("evaluate RUN FILE --images DIR", "predict RUN PICTURE"),
)
