"""What every `elman train TASK` does around `fit`."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from elman.cli.console import messages, training_progress
from elman.cli.reading import PARALLEL, at_places
from elman.cli.report import measure_labelled
from elman.cli.settings import AnyTask, continued, split
from elman.cli.source import Reading, Source

if TYPE_CHECKING:
    from elman.data.readers import Labelled
    from elman.tasks import Task
    from elman.training import Event, Result

FILE = click.Path(path_type=Path)


class Asked(NamedTuple):
    """What every training command is told."""

    files: tuple[Path, ...]
    run: Path
    settings: tuple[str, ...]
    validation: tuple[Path, ...]
    resume: bool
    during: bool
    tensorboard: bool


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """FILE..., RUN, settings, validation files, going on, who watches: the command is given them as one `Asked`."""

    @click.argument("files", nargs=-1, metavar="[FILE]...", type=FILE)
    @click.option("--out", "run", required=True, metavar="RUN", type=FILE, help="The run folder: it keeps everything.")
    @click.option(
        "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a setting; repeat it for more."
    )
    @click.option(
        "--validation",
        multiple=True,
        metavar="FILE",
        type=FILE,
        help="Choose the best weights by this file, not by a part of FILE; repeat it for more.",
    )
    @click.option("--resume", is_flag=True, help="Go on where the run in RUN stopped, with its files and settings.")
    @click.option(
        "--during",
        is_flag=True,
        help="Examine gradients and gates while training, into log.jsonl, in 5 % of its time at most after the first.",
    )
    @click.option("--tensorboard", is_flag=True, help="Write all of log.jsonl for TensorBoard too: RUN/tensorboard.")
    @wraps(command)
    def asked(**options: Any) -> None:
        command(Asked(*(options.pop(name) for name in Asked._fields)), **options)  # fmt: skip

    return asked


def begin(kind: type[AnyTask], asked: Asked, reading: Reading | None = None) -> tuple[AnyTask, Source]:
    """The task with its settings, and where its data are: as the options say, or those of the run that goes on.

    Raises:
        click.UsageError: no files, or files for a run that goes on.
        OSError, ValueError: there is no such run, there is one already, or a setting that is unknown.
    """
    from elman.tasks.settings import parse

    settings = split(asked.settings)
    if asked.resume:
        if asked.files or asked.validation or reading:
            config = asked.run / "config.toml"
            raise click.UsageError(f"--resume reads the files that {config} names, as it says; leave FILE out.")
        task, source = continued(kind, asked.run, settings)
    elif asked.files:
        task, source = kind(**parse(kind, settings)), Source(asked.files, asked.validation, reading or {})
    else:
        raise click.UsageError("name at least one FILE to train on, or go on with --resume.")
    task.check_run(asked.run, asked.resume)
    return task, source


@contextmanager
def training(task: "Task", asked: Asked) -> "Iterator[list[Callable[[Event], object]]]":
    """The observers of a `fit` that is to happen inside; Ctrl-C says how to go on."""
    from elman.training import Interrupted

    try:
        with messages(), ExitStack() as stack:
            observers: list[Callable[[Event], object]] = [stack.enter_context(training_progress())]
            if asked.during:
                from elman.doctor.watch import Watch

                observers.append(Watch())
            if asked.tensorboard:
                from elman.training.tensorboard import TensorBoard

                observers.append(stack.enter_context(TensorBoard(asked.run / "tensorboard")))
            yield observers
    except Interrupted as error:
        way = shlex.join(["elman", "train", task.task, "--resume", "--out", str(asked.run)])
        kept = f"go on with: {way}" if error.run else "nothing was kept; train again"
        raise KeyboardInterrupt(f"stopped at update {error.update}; {kept}") from error


def tell(result: "Result", run: Path, show_held_out: Callable[[], None] | None, *what_next: str) -> None:
    """Say how the training ended.

    Args:
        show_held_out: shows the figures of the part that was held out; None where there is none.
        what_next: commands, with RUN in place of the run folder.
    """
    click.echo(f"\n{result.updates:,} updates in {result.seconds / 60:.1f} minutes.")
    if show_held_out:
        click.echo(f"The weights of update {result.best_update:,}, the best on the held-out part, measured there:\n")
        show_held_out()
    commands = "".join("\n  elman " + command.replace("RUN", shlex.quote(str(run)), 1) for command in what_next)
    click.echo(f"\nThe run is in {run}. What next:{commands}")


def train_labelled(
    kind: "type[Task]",
    asked: Asked,
    reading: Reading,
    read: "Callable[[Sequence[Path], Reading], Labelled]",
    *what_next: str,
) -> None:
    """Read rows and their labels, train on them, and say how that ended.

    Args:
        what_next: commands for the model, with RUN in place of the run folder, where it has read no columns of tables.
    """
    model: Any
    model, source = begin(kind, asked, reading)
    rows = read(source.data, source.reading)
    held_out = read(source.validation_data, source.reading) if source.validation_data else None
    validated_on = (held_out.inputs, held_out.labels) if held_out else (None, None)
    with (
        training(model, asked) as observers,
        at_places(rows.places),
        at_places(held_out.places, "validation row") if held_out else nullcontext(),
    ):
        model.fit(rows.inputs, rows.labels or [], *validated_on, run=asked.run, resume=asked.resume,
                  observers=observers, source=source.to_config())  # fmt: skip

    def show_held_out() -> None:
        click.echo(measure_labelled(model, *model.held_out_).table())

    if not what_next or PARALLEL.keys() & source.reading.keys():
        what_next = "evaluate RUN FILE", "predict RUN FILE"
    tell(model.result_, asked.run, show_held_out if len(model.held_out_[0]) else None, *what_next)
