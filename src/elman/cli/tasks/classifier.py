"""Commands of the classifier."""

import json
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from elman.cli.readers import LABELLED, LABELLED_COLUMNS, Options, read_labelled
from elman.cli.row_stream import RowStream, row_per_line, rows_of, text_lines
from elman.cli.task_commands import PICTURE, TaskCommands
from elman.data.label_text import label_text
from elman.data.raw_files import STDIN
from elman.data.readers.labelled import Row
from elman.metrics.tables import printable

SHOWN = 60  # characters of a text


def read_rows(model: Any, file: Path, options: Options, given: Set[str]) -> RowStream:
    """Return the rows of a file, or the lines of a text file or of standard input.

    Standard input is a table if the model reads no text, or if the command names a column.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds text, and the model reads other data.
    """
    reads_text = model.inputs_.name == "text"
    columns = LABELLED_COLUMNS & (given if reads_text else options.keys())
    if columns if file == STDIN else not file.name.lower().endswith((".txt", ".txt.gz")):
        return rows_of(read_labelled([file], options, labelled=False))
    if not reads_text:
        columns_of = ", or the columns of a table (--values)" if model.inputs_.name == "series" else ""
        raise ValueError(f"{file}: expected {model.inputs_.name}, which this model reads, got lines of text; name "
                         f"another FILE{columns_of}.")  # fmt: skip
    return text_lines("--text", options.get("text")) if file == STDIN else row_per_line(file)


def format_rows(model: Any, rows: Sequence[Row], options: Options) -> list[str]:
    """Return a line per row: label, probability, and the text's start, the series' name or the place; or as JSON."""
    classes = model.classes_.tolist()
    names = [label if isinstance(label, str) else label_text(label) for label in classes]
    lines = []
    for row, probabilities in zip(rows, model.predict_proba([row.input for row in rows]).tolist(), strict=True):
        best = max(range(len(classes)), key=probabilities.__getitem__)
        if options["jsonl"]:
            rounded = [float(f"{probability:.6g}") for probability in probabilities]
            text = {"text": row.input} if isinstance(row.input, str) else {}
            name = {} if row.name is None else {"name": row.name.value}
            lines.append(json.dumps({"place": row.place, **name, **text, "label": classes[best],
                                     "probability": rounded[best],
                                     "probabilities": dict(zip(names, rounded, strict=True))}))  # fmt: skip
        else:
            lines.append(f"{printable(names[best])}\t{probabilities[best]:.4f}\t{_start(row)}")
    return lines


def _start(row: Row) -> str:
    """Return the start of a text on one line, without control characters; or the name or the place of another row."""
    if row.name is not None:
        return printable(row.name.value)
    if not isinstance(row.input, str):
        return row.place
    start = "".join(letter if letter.isprintable() else " " for letter in row.input[:SHOWN])
    return start if len(row.input) <= SHOWN else start + "..."


COMMANDS = TaskCommands(
    task="classifier",
    summary="Label a text, a series of numbers, a picture or a video.",
    help={
        "train": """Train a model that assigns a class to a sequence: a text, a series of numbers, a video.

FILE is one of: a table of texts, or of numbers with a time step per line (.csv .tsv .jsonl .parquet; in a .csv or .tsv
without a header, columns are numbers from 1); series in .npz or .ts; a folder of pictures or videos, with a subfolder
per class.""",
        "evaluate": "Classifiers: accuracy; precision, recall and F1 of each class; calibration of the probabilities.",
        "predict": """Classifiers read a text per line, from standard input or a FILE in .txt, or any other FILE as for
`elman train classifier`. They print a line per row: label, probability, and the start of the text,
the name of the series (--group) or the place of the row.""",
    },
    examples={
        "train": (
            "elman train classifier reviews.tsv --text sentence --label stars --out runs/reviews",
            "elman train classifier machines.csv --values temperature,vibration --group machine --time time "
            "--label state --out runs/machines",
            "elman train classifier vowels.ts --validation more.ts --out runs/vowels --set hidden_size=64",
            "elman train classifier signs/ --size 24x36 --out runs/signs",
            "elman train classifier --resume --out runs/reviews",
        ),
        "evaluate": ("elman evaluate runs/reviews reviews-test.tsv --picture confusion.png",),
        "predict": (
            'echo "a film to remember" | elman predict runs/reviews',
            "elman predict runs/reviews reviews-test.tsv > predicted.tsv",
            "tail -f reviews.log | elman predict runs/reviews --jsonl",
        ),
    },
    options={"train": LABELLED, "evaluate": (*LABELLED, PICTURE), "predict": LABELLED, "doctor": LABELLED},
    read=read_labelled,
    read_rows=read_rows,
    format_rows=format_rows,
)
