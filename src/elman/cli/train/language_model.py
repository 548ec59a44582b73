"""`elman train language-model`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elman.cli.console import messages, training_progress
from elman.cli.report import measure, show
from elman.cli.settings import continued, split

if TYPE_CHECKING:
    from elman.tasks import LanguageModel

FILE = click.Path(path_type=Path)


@click.command("language-model")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=FILE)
@click.option("--out", "run", required=True, metavar="RUN", type=FILE, help="The run folder: it keeps everything.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Change a setting; repeat it for more.")
@click.option("--validation", multiple=True, metavar="FILE", type=FILE,
              help="Choose the best weights by this file, not by a part of the text; repeat it for more.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on where the run in RUN stopped, with its files and settings.")
def language_model(
    files: tuple[Path, ...], run: Path, given: tuple[str, ...], validation: tuple[Path, ...], resume: bool
) -> None:
    """Train a model that reads and writes text, and an n-gram beside it: the bar to beat.

    FILE is a text file in UTF-8 (.gz is unpacked), or a folder of *.txt files; each file is a document, read from its
    beginning to its end. `elman list` shows all settings.

    \b
    Examples:
      elman train language-model book.txt --out runs/book
      elman train language-model letters/ --out runs/letters --set hidden_size=256 --set epochs=20
      elman train language-model a.txt b.txt --validation c.txt --out runs/words --set units=words
      elman train language-model --resume --out runs/book
    """
    from elman.tasks import LanguageModel
    from elman.tasks.settings import parse
    from elman.training import Interrupted

    if resume:
        if files or validation:
            raise click.UsageError(f"--resume reads the files that {run / 'config.toml'} names; leave FILE out.")
        model, files, validation = continued(LanguageModel, run, split(given))
    elif files:
        model = LanguageModel(**parse(LanguageModel, split(given)))
    else:
        raise click.UsageError("name at least one FILE to train on, or go on with --resume.")
    try:
        with messages(), training_progress() as progress:
            model.fit(list(files), list(validation), run=run, resume=resume, observers=[progress])
    except Interrupted as error:
        way = shlex.join(["elman", "train", model.task, "--resume", "--out", str(run)])
        kept = f"go on with: {way}" if error.run else "nothing was kept; train again"
        raise KeyboardInterrupt(f"stopped at update {error.update}; {kept}") from error
    _tell(model, run)


def _tell(model: "LanguageModel", run: Path) -> None:
    result, name = model.result_, shlex.quote(str(run))
    click.echo(f"\n{result.updates:,} updates in {result.seconds / 60:.1f} minutes.")
    if model.held_out_:
        click.echo(f"The weights of update {result.best_update:,}, the best on the held-out part, measured there:\n")
        show(measure(model, model.held_out_))
    click.echo(
        f"\nThe run is in {run}. What next:\n  elman evaluate {name} FILE\n  elman generate {name} --prompt TEXT"
    )
