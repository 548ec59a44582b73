"""Beam search for models that write text: its options, and how its hypotheses are printed and drawn."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import click

from elman.cli.readers import Options, chosen
from elman.data.readers.labelled import Labelled, Row

PICTURES = ".png", ".jpg", ".pdf", ".svg"  # formats of --show-attention


def numbered_files(_context: click.Context, _option: click.Parameter, value: Path | None) -> Iterator[Path] | None:
    """Return the names a.png, a-2.png, a-3.png, ... for `a.png`."""
    if value is None:
        return None
    import elman.pictures.figure  # noqa: F401  # an error before the search if matplotlib is missing

    if value.suffix.lower() not in PICTURES:
        raise click.BadParameter(f"{value}: expected a name that ends in {' '.join(PICTURES)}.")
    if not value.parent.is_dir():
        raise click.BadParameter(f"{value}: the folder {value.parent} is missing; make it, or name another.")
    return (value if number == 1 else value.with_stem(f"{value.stem}-{number}") for number in count(1))


WIDTH = click.IntRange(1, 10_000)  # a search of this width takes seconds per unit
LONGEST = 2**31 - 1

SEARCH = (
    click.Option(["--beam"], metavar="N", type=WIDTH, help="Width of the beam search. Default: 5."),
    click.Option(["--length-penalty"], metavar="P", type=click.FloatRange(0),
                 help="Rank by log-probability / length^P: 0 prefers short texts, a larger P longer ones. Default: 1."),
    click.Option(["--max-length"], metavar="N", type=click.IntRange(1, LONGEST), help="Write at most N units."),
    click.Option(["--min-length"], metavar="N", type=click.IntRange(0, LONGEST), help="Write at least N units."),
    click.Option(["--no-repeat-ngram"], metavar="N", type=click.IntRange(0, LONGEST),
                 help="Never repeat N units in a row."),
    click.Option(["--forbid", "forbidden"], metavar="WORD", multiple=True, help="Never write WORD. Can be repeated."),
)  # fmt: skip
LOWERCASE = click.Option(["--lowercase"], is_flag=True, default=None, help="Ignore capitals in BLEU and chrF.")
N_BEST = click.Option(["--n-best"], metavar="N", type=WIDTH,
                      help="Print the N best texts of each row with their scores.")  # fmt: skip
SHOW_ATTENTION = click.Option(
    ["--show-attention"], metavar="PNG", type=click.Path(path_type=Path), callback=numbered_files,
    help="Draw the attention weights of each row: a.png for the first, a-2.png, a-3.png, ... for the others.",
)  # fmt: skip
PREDICT = (*SEARCH, N_BEST, SHOW_ATTENTION)


def evaluate_texts(model: Any, data: Labelled, options: Options) -> Any:
    """Return the model's report on texts that it writes with the options of the beam search."""
    return model.evaluate(data.inputs, data.labels, **chosen(options, (*SEARCH, LOWERCASE)))


def predict_texts(
    model: Any,
    rows: Sequence[Row],
    options: Options,
    *,
    key: str,
    line: Callable[[Row, str], str],
    facts: Callable[[Row], Mapping[str, Any]],
    draw: Callable[[Any, Any], Any],
) -> list[str]:
    """Return a line per row; with `--n-best` a line per hypothesis and an empty one; with `--jsonl` a row as JSON.

    Args:
        key: key of a text in JSON.
        line: line(row, text) returns the printed line of a text.
        facts: facts(row) returns the other parts of a row in JSON.
        draw: draw(input, aligned) returns a figure of the attention weights, for `--show-attention`.
    Raises:
        ValueError: the model has no attention weights to draw.
    """
    pictures, several = options.get("show_attention"), "n_best" in options
    if pictures and not model.attends:
        raise ValueError("--show-attention: expected a model with attention, got one without; leave it out.")
    lines: list[str] = []
    found = model.n_best([row.input for row in rows], options.get("n_best", 1), **chosen(options, SEARCH))
    for row, best in zip(rows, found, strict=True):
        if isinstance(row.input, str) and not row.input.strip():
            best = []  # an empty text has no hypotheses
        if pictures and best and best[0][0].strip():
            (aligned,) = model.align([row.input], [best[0][0]])
            with warnings.catch_warnings():  # letters that the fonts lack are drawn as boxes
                warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
                draw(row.input, aligned).savefig(next(pictures), dpi=120)
        if options["jsonl"]:
            texts = [{key: text, "score": float(f"{score:.6g}")} for text, score in best]
            result = {"best": texts} if several else texts[0] if texts else {key: "", "score": None}
            lines.append(json.dumps({"place": row.place, **facts(row), **result}))
        elif several:
            lines += [*(f"{score:.4f}\t{line(row, text)}" for text, score in best), ""]
        else:
            lines.append(line(row, best[0][0]) if best else "")
    return lines
