"""`elman demo`: training, evaluation and generation on text that comes with Python."""

import platform
from itertools import count
from pathlib import Path
from typing import Any

import click

from elman.cli.console import log_messages, progress_share
from elman.cli.streams import dropping, guarded
from elman.data.documents import split
from elman.files import replacing
from elman.pictures import loss_curves
from elman.settings import write_config

SETTINGS: dict[str, Any] = {  # for three minutes; chosen on the validation topics
    "hidden_size": 256,
    "epochs": 13,
    "learning_rate": 5e-3,
    "steps": 50,
    "dropout": 0.4,
    "embedding_dropout": 0.1,
    "validation": 0.05,
}
TEST = 0.1  # of the topics
TEMPERATURE = 0.7  # below 1: fewer spelling mistakes


@click.command()
@click.option(
    "--out",
    "run",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="The run folder to write. Default: runs/demo-1, or the next free number.",
)
def demo(run: Path | None) -> None:
    """Train a character LSTM in three minutes.

    Generates text after training. The data is the English help inside Python, so nothing is
    downloaded. Whole topics are held out: some to choose the best weights, others for the final figures.

    \b
    Example:
      elman demo --out runs/my-demo
    """
    from pydoc_data.topics import topics

    from elman.doctor.watch import Watch
    from elman.tasks import LanguageModel
    from elman.tasks.run import Run
    from elman.training import Interrupted

    if run is None:
        run = next(folder for number in count(1) if not (folder := Path("runs") / f"demo-{number}").exists())
    rest, test = split([topics[word] for word in sorted(topics)], TEST)
    click.echo(f"The help topics of Python {platform.python_version()}: {len(rest)} to train and validate on, "
               f"{len(test)} for the final figures.\n")  # fmt: skip
    model = LanguageModel(**SETTINGS)
    try:
        with guarded("stdout", dropping), log_messages():
            model.fit(rest, verbose=True, run=Run(run, observers=[Watch()]))
    except Interrupted as error:
        raise KeyboardInterrupt(f"stopped at update {error.update}; `elman demo` starts again.") from error

    click.echo("\nThe test topics:")
    with progress_share("evaluating") as progress, model.reporting(progress):
        report = model.compare(test)
    click.echo(report.table())
    click.echo("\nA generated paragraph:\n")
    click.echo("The " + "".join(model.generate("The ", length=500, temperature=TEMPERATURE, seed=1)))
    click.echo("\nAnother one, streamed unit by unit:\n")
    click.echo("An object ", nl=False)
    for text in model.generate("An object ", length=500, temperature=TEMPERATURE, seed=2):
        click.echo(text, nl=False)
    click.echo()
    picture = run / "curves.png"
    assert model.ngram_ is not None
    _keep_held_out(model, run)
    baseline = model.evaluate_ngram(model.held_out_).nats_per_unit
    loss_curves(run, baseline, f"{model.ngram_.order}-gram").savefig(picture, dpi=120)
    click.echo(f"\nThe loss curves: {picture}\nMore text: elman generate {run} --prompt 'A function '\n"
               f"Why it learns: elman doctor {run}")  # fmt: skip


def _keep_held_out(model: Any, run: Path) -> None:
    """Write the validation topics to a file, which `elman doctor` reads."""
    path = run / "held_out.txt"
    with replacing(path) as file:
        file.write("\n".join(model.held_out_).encode())
    write_config(run, model, {"data": [], "validation_data": [str(path.resolve())]})
