"""`elman evaluate`."""

import json
from pathlib import Path

import click

from elman.cli.report import measure, show


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--streams", default=1, show_default=True, type=click.IntRange(1),
              help="Read the text as so many side by side: faster, but each starts without context.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(run: Path, files: tuple[Path, ...], streams: int, as_json: bool) -> None:
    """Measure how well the model in RUN predicts texts.

    Beside it stands the n-gram that was fitted to the same text. FILE is as for `elman train language-model`.

    \b
    Examples:
      elman evaluate runs/book another.txt
      elman evaluate runs/book another.txt --json
    """
    from elman.tasks import load

    figures = measure(load(run), list(files), streams)
    if not as_json:
        show(figures)
        return
    click.echo(json.dumps({name: {
        "nats": figure.nats,
        "nats_per_character": figure.nats_per_character,
        "bits_per_character": figure.bits_per_character,
        "perplexity": figure.perplexity,
        "characters": figure.characters,
        "units": figure.units,
        "unknown": figure.unknown,
    } for name, figure in figures.items()}))  # fmt: skip
