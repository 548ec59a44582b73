"""`elman doctor`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elman.cli.console import part_done
from elman.cli.models import load_for
from elman.cli.reading import (
    at_places,
    captioned_options,
    given,
    labelled_options,
    of_tables,
    parallel_options,
    tagged_options,
)
from elman.cli.rows import check_acting, columns_of, read_rows
from elman.cli.source import Reading, Source, kept_reading

if TYPE_CHECKING:
    from elman.tasks.probe_loss import ProbeLoss

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=FILE)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=FILE)
@click.option("--out", "folder", metavar="DIR", type=FILE, help="Write doctor.png and doctor.html there, not into RUN.")
@click.option("--needs", metavar="STEPS", type=click.IntRange(1),
              help="How far back in your data what decides an answer may stand, if you know.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with all figures, and write no files.")
@labelled_options
@tagged_options
@parallel_options
@captioned_options
def doctor(
    run: Path, files: tuple[Path, ...], folder: Path | None, needs: int | None, as_json: bool, **options: Any
) -> None:
    """Say why the model in RUN learns, or does not.

    Gradients, gates and memory are measured on real data; what is wrong is said in words, with remedies.

    FILE is as for `elman train`; without it, the files that the run chose its weights by, or was trained on. A few
    rows are enough. What is found goes to doctor.html, a page for your browser, and doctor.png, a picture, in RUN.

    \b
    Examples:
      elman doctor runs/book
      elman doctor runs/reviews test.tsv --needs 40
      elman doctor runs/names --json
    """
    from elman.doctor import Facts, examine
    from elman.doctor.figures import to_json

    model = load_for("doctor", run)
    options = given(options)
    check_acting(options, columns_of(model.task), model.task)
    if not files:
        files = _own_files(run)
    probe = _probe_loss(model, files, {**of_tables(files, kept_reading(run)), **options})
    home = run if run.is_dir() else run.parent
    facts = Facts.of_task(model, home, probe.steps, needs)
    with part_done("examining") as progress:
        found = examine(model.net_, probe.loss, facts=facts, progress=progress)
    if as_json:
        click.echo(json.dumps(to_json(found)))
        return
    click.echo(f"{found}\n")
    folder = folder or home
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("doctor.png", "doctor.html"):
        found.save(folder / name, f"{model.task}: {run}")
        click.echo(f"{'The picture' if name.endswith('png') else 'The report'}: {folder / name}")


def _own_files(run: Path) -> tuple[Path, ...]:
    """The files that a run chose its weights by, or was trained on where there are none.

    Raises:
        ValueError: it was not trained on files, or they are gone.
    """
    from elman.runtime import MODEL
    from elman.tasks.settings import CONFIG, read_config

    folder = run.parent if run.name == MODEL else run
    source = Source.from_config(read_config(folder)) if (folder / CONFIG).exists() else Source(())
    files = tuple(source.validation_data or source.data)
    if not files:
        raise ValueError(f"{run}: nothing says what data it was trained on; name some: elman doctor {run} FILE")
    if gone := [file for file in files if not file.exists()]:
        raise ValueError(f"{gone[0]}: is gone, and {run} was trained on it; name other data: elman doctor {run} FILE")
    return files


def _probe_loss(model: Any, files: Sequence[Path], reading: Reading) -> "ProbeLoss":
    """Some of the data, as the model learns from them."""
    if model.task == "language-model":
        return model.probe_loss(list(files))
    rows = read_rows(model, files, reading)
    with at_places(rows.places):
        return model.probe_loss(rows.inputs, rows.labels or [])
