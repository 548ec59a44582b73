"""`elman train TASK`: one file a task."""

import click

from elman.cli.train.captioner import captioner
from elman.cli.train.classifier import classifier
from elman.cli.train.language_model import language_model
from elman.cli.train.summarizer import summarizer
from elman.cli.train.tagger import tagger
from elman.cli.train.translator import translator


@click.group()
def train() -> None:
    """Train a model for a task, into a run folder.

    \b
    Examples:
      elman train language-model book.txt --out runs/book
      elman train classifier reviews.tsv --text sentence --label stars --out runs/reviews
      elman train tagger train.txt --validation dev.txt --out runs/names
      elman train translator train.en train.de --out runs/en-de
      elman train summarizer mails.jsonl --source body --target subject --out runs/subjects
      elman train captioner captions.tsv --images photos/ --out runs/photos

    `elman list` shows every setting of every task.
    """


for command in (language_model, classifier, tagger, translator, summarizer, captioner):
    train.add_command(command)
