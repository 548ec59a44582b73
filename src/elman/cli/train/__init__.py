"""`elman train TASK`: one file a task."""

import click

from elman.cli.train.language_model import language_model


@click.group()
def train() -> None:
    """Train a model for a task, into a run folder.

    \b
    Example:
      elman train language-model book.txt --out runs/book

    `elman list` shows every setting of every task.
    """


train.add_command(language_model)
