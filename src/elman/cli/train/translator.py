"""`elman train translator`."""

from typing import Any

import click

from elman.cli.reading import given, parallel_options, read_parallel
from elman.cli.train.training import Asked, run_options, train_labelled

WHAT_NEXT = "evaluate RUN FILE FILE", "predict RUN < FILE"


@click.command()
@run_options
@parallel_options
def translator(asked: Asked, **columns: Any) -> None:
    """Train a model that reads a text and writes another: translations, spelling to sound.

    FILE and the FILE after it hold a text a line, and a line of one belongs to that line of the other (.gz is
    unpacked); or FILE is a table with a column of sources and one of targets (.csv .tsv .jsonl .parquet; in a .csv or
    .tsv without a header, columns are numbers from 1), which is kept in RUN. `elman list` shows all settings.

    \b
    Examples:
      elman train translator train.en train.de --out runs/en-de
      elman train translator train.en train.de --validation val.en --validation val.de --out runs/en-de
      elman train translator words.tsv --source 1 --target 2 --out runs/sounds --set units=characters
      elman train translator --resume --out runs/en-de
    """
    from elman.tasks import Translator

    train_labelled(Translator, asked, given(columns), read_parallel, *WHAT_NEXT)
