"""The command line: one file a verb. Nothing here imports PyTorch before a command runs, so that `--help` is quick."""

import os

import click

import elman
from elman.cli.demo import demo
from elman.cli.doctor import doctor
from elman.cli.errors import Commands
from elman.cli.evaluate import evaluate
from elman.cli.generate import generate
from elman.cli.list import list_
from elman.cli.predict import predict
from elman.cli.selftest import selftest
from elman.cli.train import train

# PyTorch's threads spin while they wait for each other, for long: as soon as anything else takes a core, they stall the
# threads that work, also ours. Asleep they cost little. This must be said before PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(elman.__version__, prog_name="elman")
def main() -> None:
    """Models that carry a state through a sequence: train, measure and run them.

    \b
    From a text to generated text:
      elman train language-model book.txt --out runs/book
      elman evaluate runs/book another.txt
      elman generate runs/book --prompt "Once upon"

    \b
    From labelled texts to labels, from tagged words to tags:
      elman train classifier reviews.tsv --text sentence --label stars --out runs/reviews
      elman predict runs/reviews new.txt
      elman train tagger train.txt --validation dev.txt --out runs/names
      echo "Ann Lee went to Rome" | elman predict runs/names

    \b
    From texts to other texts:
      elman train translator train.en train.de --out runs/en-de
      elman predict runs/en-de < new.en > new.de

    \b
    elman doctor RUN why a model learns, or does not: gradients, gates and memory
    elman list       all tasks with their settings, all cells and layers
    elman demo       all of it on text that comes with Python, in three minutes
    elman selftest   every kernel beside float64, on this machine
    """


for command in (train, evaluate, predict, generate, doctor, list_, demo, selftest):
    main.add_command(command)
