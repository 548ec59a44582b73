"""`elman train summarizer`."""

from typing import Any

import click

from elman.cli.reading import given, parallel_options, read_parallel
from elman.cli.train.training import Asked, run_options, train_labelled
from elman.cli.train.translator import WHAT_NEXT


@click.command()
@run_options
@parallel_options
def summarizer(asked: Asked, **columns: Any) -> None:
    """Train a model that reads a long text and writes a short one: a translator with settings for that.

    FILE is as for `elman train translator`: a file of texts and one of summaries, a line each, or a table with a column
    for either. `elman list` shows all settings.

    \b
    Examples:
      elman train summarizer mails.jsonl --source body --target subject --out runs/subjects
      elman train summarizer articles.txt headlines.txt --out runs/headlines --set epochs=5
      elman train summarizer --resume --out runs/subjects
    """
    from elman.tasks import Summarizer

    train_labelled(Summarizer, asked, given(columns), read_parallel, *WHAT_NEXT)
