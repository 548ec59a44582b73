"""What a translator or a summarizer writes of texts."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elman.cli.predict.incoming import Coming, Text
from elman.cli.reading import is_table, read_labelled
from elman.cli.searching import search

if TYPE_CHECKING:
    from elman.data.readers.labelled import Row
    from elman.tasks import Captioner, Translator

PICTURES = ".png", ".jpg", ".pdf", ".svg"  # what --show-attention writes
Found = list[tuple[str, float]]  # of a text: what was written, and the score of it, the best first


def numbered(_context: click.Context, _option: click.Parameter, value: Path | None) -> Iterator[Path] | None:
    """Of `a.png`: a.png, a-2.png, a-3.png, ..."""
    if value is None:
        return None
    if value.suffix.lower() not in PICTURES:
        raise click.BadParameter(f"{value}: expected a name that ends in {' '.join(PICTURES)}.")
    if not value.parent.is_dir():
        raise click.BadParameter(f"{value}: the folder {value.parent} is not there; make it, or name another.")
    return (value if number == 1 else value.with_stem(f"{value.stem}-{number}") for number in count(1))


def coming(model: "Translator", file: Path, options: Mapping[str, Any]) -> Coming:
    """The texts of a file or of standard input, a line each, or in a column of a table.

    Raises:
        OSError, ValueError: the file cannot be read; a table of which nothing says what to read; or a picture of
            attention that the model does not have.
    """
    from elman.data.readers.labelled import Row

    check_attention(model, options)
    if not is_table(file):
        text = Text.of(file)
        return Coming(_rows(text), text.at_hand)
    if "source" not in options:
        raise ValueError(f"{file}: a table; name the column to read: --source COLUMN.")
    data = read_labelled([file], {"text": options["source"]}, labels=False)
    return Coming(map(Row, data.inputs, repeat(None), data.places), lambda: True)


def check_attention(model: "Translator | Captioner", options: Mapping[str, Any]) -> None:
    """Raise where a picture of attention is asked for that the model does not have."""
    if "show_attention" in options and model.attention == "none":
        raise ValueError("--show-attention: this model does not look at its source again (attention=none); leave it "
                         "out.")  # fmt: skip


def told(model: "Translator", rows: "Sequence[Row]", options: Mapping[str, Any]) -> list[str]:
    """A line for each row: the best text, empty where there was none to read.

    With `n_best`, a line for each of the best, its score before it, and an empty one after each row; with `jsonl`, a
    row as JSON.
    """
    n_best = options.get("n_best")
    found = _found(model, rows, n_best or 1, search(options))
    if pictures := options.get("show_attention"):
        _draw(model, rows, found, pictures)
    if options.get("jsonl"):
        return [_json(row, best, n_best is not None) for row, best in zip(rows, found, strict=True)]
    if n_best is None:
        return [_line(best[0][0]) if best else "" for best in found]
    return [line for best in found for line in (*(f"{score:.4f}\t{_line(text)}" for text, score in best), "")]


def _rows(text: Text) -> "Iterator[Row]":
    from elman.data.readers.labelled import Row

    for number, line in enumerate(text.content, 1):
        yield Row(line.rstrip("\r\n"), None, f"{text.where}:{number}")


def _found(model: "Translator", rows: "Sequence[Row]", n: int, how: Mapping[str, Any]) -> list[Found]:
    """Nothing of a row without text."""
    return [best if row.input.strip() else []
            for row, best in zip(rows, model.n_best([row.input for row in rows], n, **how), strict=True)]  # fmt: skip


def _draw(model: "Translator", rows: "Sequence[Row]", found: Sequence[Found], pictures: Iterator[Path]) -> None:
    """A picture for each row of which something was written."""
    from elman.pictures import alignment

    for row, best in zip(rows, found, strict=True):
        if best and best[0][0].strip():
            (one,) = model.align([row.input], [best[0][0]])
            save(alignment(one.source, one.target, one.weights), next(pictures))


def save(figure: Any, file: Path) -> None:
    """Write a picture. What the fonts of the system lack is drawn as a box, and not told for each letter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(file, dpi=120)


def _line(text: str) -> str:
    """A text on one line."""
    return " ".join(text.splitlines())


def _json(row: "Row", found: Found, several: bool) -> str:
    best = [{"target": text, "score": float(f"{score:.6g}")} for text, score in found]
    parts: dict[str, Any] = {"best": best} if several else best[0] if best else {"target": "", "score": None}
    return json.dumps({"place": row.place, "source": row.input, **parts})
