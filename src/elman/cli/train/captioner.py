"""`elman train captioner`."""

from typing import Any

import click

from elman.cli.reading import captioned_options, given, read_captioned
from elman.cli.train.training import Asked, run_options, train_labelled

WHAT_NEXT = "evaluate RUN FILE --images DIR", "predict RUN PICTURE"


@click.command()
@run_options
@captioned_options
def captioner(asked: Asked, **columns: Any) -> None:
    """Train a model that says in a sentence what is on a picture.

    FILE is a table with the name of a picture and a caption in each line, several captions a picture if there are
    (.csv .tsv .jsonl, .gz is unpacked): its columns `image` and `caption`, or the first and the last of a table without
    a header, unless said otherwise. --images names the folder or .zip with the pictures. Both are kept in RUN. `elman
    list` shows all settings.

    \b
    Examples:
      elman train captioner captions.tsv --images photos/ --out runs/photos
      elman train captioner captions.csv --images photos.zip --image file --caption text --out runs/photos
      elman train captioner captions.tsv --images signs/ --out runs/signs --set encoder=convolutional
      elman train captioner --resume --out runs/photos
    """
    from elman.tasks import Captioner

    train_labelled(Captioner, asked, given(columns), read_captioned, *WHAT_NEXT)
