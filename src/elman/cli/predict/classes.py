"""What a classifier says of rows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elman.cli.predict.incoming import STDIN, Coming, Text
from elman.cli.reading import read_labelled

if TYPE_CHECKING:
    from elman.data.readers.labelled import Row
    from elman.tasks import Classifier

SHOWN = 60  # characters of a text


def coming(model: "Classifier", file: Path, options: Mapping[str, Any]) -> Coming:
    """The rows of a file, or of standard input.

    Raises:
        OSError, ValueError: the file cannot be read; or standard input for a model of something else than text.
    """
    from elman.data.readers.labelled import Row

    plain = file == STDIN or file.name.lower().endswith((".txt", ".txt.gz"))
    if plain and model.inputs_.name != "text":
        where = "standard input" if file == STDIN else file
        raise ValueError(f"{where}: lines of text, and the model reads {model.inputs_.name}; name a FILE of such.")
    if plain:
        text = Text.of(file)
        return Coming(_rows(text), text.at_hand)
    data = read_labelled([file], options, labels=False)
    return Coming(map(Row, data.inputs, repeat(None), data.places), lambda: True)


def told(model: "Classifier", rows: "Sequence[Row]", options: Mapping[str, Any]) -> list[str]:
    """A line for each row: label, probability, and the text's beginning or the place; or all of it as JSON."""
    from elman.metrics.tables import printable

    probabilities = model.predict_proba([row.input for row in rows])
    classes = model.classes_.tolist()
    best = probabilities.argmax(1).tolist()
    if options.get("jsonl"):
        return [_json(row, classes, number, of_row.tolist())
                for row, number, of_row in zip(rows, best, probabilities, strict=True)]  # fmt: skip
    names = [printable(label) for label in classes]
    return [f"{names[number]}\t{of_row[number]:.4f}\t{_what(row)}"
            for row, number, of_row in zip(rows, best, probabilities, strict=True)]  # fmt: skip


def _rows(text: Text) -> "Iterator[Row]":
    from elman.data.readers.labelled import Row

    for number, line in enumerate(text.content, 1):
        yield Row(line.rstrip("\r\n"), None, f"{text.where}:{number}")


def _json(row: "Row", classes: list[Any], best: int, probabilities: list[float]) -> str:
    rounded = [float(f"{probability:.6g}") for probability in probabilities]
    text = {"text": row.input} if isinstance(row.input, str) else {}
    every = dict(zip(map(str, classes), rounded, strict=True))
    return json.dumps({"place": row.place, **text, "label": classes[best], "probability": rounded[best],
                       "probabilities": every})  # fmt: skip


def _what(row: "Row") -> str:
    """The beginning of a text on one line, without what could disturb a terminal; of other rows, the place."""
    if not isinstance(row.input, str):
        return row.place
    start = row.input[:SHOWN]
    if not start.isprintable():
        start = "".join(letter if letter.isprintable() else " " for letter in start)
    return start if len(row.input) <= SHOWN else start + "..."
