"""`elman train tagger`."""

from typing import Any

import click

from elman.cli.reading import given, read_tagged, tagged_options
from elman.cli.train.training import Asked, run_options, train_labelled


@click.command()
@run_options
@tagged_options
@click.option("--repair", is_flag=True, help="Read tags that break their scheme as the CoNLL evaluation reads them.")
def tagger(asked: Asked, repair: bool, **columns: Any) -> None:
    """Train a model that gives every word of a sentence its tag: names, phrases, parts of speech.

    FILE holds a word a line, in columns between blanks or tabs, and an empty line after each sentence (.gz is unpacked;
    of .conllu, columns have names). The first column is the word and the last its tag, unless said otherwise; that is
    kept in RUN. `elman list` shows all settings.

    \b
    Examples:
      elman train tagger train.txt --validation dev.txt --out runs/names
      elman train tagger chunks.txt.gz --given 2 --out runs/chunks --set epochs=10
      elman train tagger en.conllu --word FORM --tag XPOS --out runs/pos
      elman train tagger --resume --out runs/names
    """
    from elman.tasks import Tagger

    if repair:
        asked = asked._replace(settings=(*asked.settings, "repair=true"))
    train_labelled(Tagger, asked, given(columns), read_tagged)
