"""`elman train classifier`."""

from typing import Any

import click

from elman.cli.reading import given, labelled_options, read_labelled
from elman.cli.train.training import Asked, run_options, train_labelled


@click.command()
@run_options
@labelled_options
def classifier(asked: Asked, **columns: Any) -> None:
    """Train a model that says which class a sequence is of: a text, a series of numbers, a video.

    FILE is a table of texts, or of numbers with a line a step (.csv .tsv .jsonl .parquet; in a .csv or .tsv without a
    header, columns are numbers from 1); series in .npz or .ts; or a folder of pictures or videos, with a folder in it
    for each class. How FILE is read is kept in RUN: no other command needs to be told again. `elman list` shows all
    settings.

    \b
    Examples:
      elman train classifier reviews.tsv --text sentence --label stars --out runs/reviews
      elman train classifier walks.csv --values x,y,z --group walk --label person --out runs/walks
      elman train classifier vowels.ts --validation more.ts --out runs/vowels --set hidden_size=64
      elman train classifier signs/ --size 24x36 --out runs/signs
      elman train classifier --resume --out runs/reviews
    """
    from elman.tasks import Classifier

    train_labelled(Classifier, asked, given(columns), read_labelled)
