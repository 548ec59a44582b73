"""`elman doctor`."""

import json
from pathlib import Path
from typing import Any

import click

from elman.cli.console import progress_share
from elman.cli.models import load_model
from elman.cli.readers import DataFile
from elman.cli.run_source import Source
from elman.cli.task_commands import TaskVerb
from elman.data.raw_files import STDIN
from elman.errors import located

HELP = """Report why the model in RUN learns, or does not.

Measures gradients, gates and memory on real data, and reports problems with remedies.

FILE is as for `elman train`; without it, the validation files of the run, or its training files. A few rows are enough.
Writes doctor.html, a report for the browser, and doctor.png, a picture, to RUN."""
EXAMPLES = (
    "elman doctor runs/book",
    "elman doctor runs/reviews reviews-test.tsv --needs 40",
    "elman doctor runs/names --json",
)


def _doctor(
    run: Path, files: tuple[Path, ...], folder: Path | None, needs: int | None, as_json: bool, **options: Any
) -> None:
    from elman.doctor import Facts, examine
    from elman.doctor.figures import to_json

    trained = load_model(run, files or Source.of_run(run).data, options)
    data = trained.read(files or files_of(run))
    home = run if run.is_dir() else run.parent
    facts = Facts(run=home, dependency=needs)
    with located(data.places), progress_share("examining") as progress:
        examination = examine(trained.model, data.inputs, data.labels, facts=facts, progress=progress)
    if as_json:
        click.echo(json.dumps(to_json(examination)))
        return
    click.echo(f"{examination}\n")
    folder = folder or home
    folder.mkdir(parents=True, exist_ok=True)
    for file in examination.save(folder):
        click.echo(f"{'Report' if file.suffix == '.html' else 'Picture'}: {file}")


def files_of(run: Path) -> tuple[Path, ...]:
    """Return the validation files of a run, or its training files if it has none.

    Raises:
        ValueError: it was not trained on files, or they are missing.
    """
    source = Source.of_run(run)
    files = tuple(source.validation_data or source.data)
    if not files:
        raise ValueError(f"{run}: the files it was trained on are unknown; name some: elman doctor {run} FILE")
    if STDIN in files:
        raise ValueError(
            f"{run}: was trained on standard input, which is not stored; name a file: elman doctor {run} FILE"
        )
    if missing := [file for file in files if not file.exists()]:
        raise ValueError(f"{missing[0]}: is missing, and {run} was trained on it; name other data: elman doctor {run} "
                         "FILE")  # fmt: skip
    return files


doctor = TaskVerb("doctor", help=HELP, examples=EXAMPLES, callback=_doctor, params=[
    click.Argument(["run"], type=click.Path(path_type=Path)),
    click.Argument(["files"], nargs=-1, metavar="[FILE]...", type=DataFile()),
    click.Option(["--out", "folder"], metavar="DIR", type=click.Path(path_type=Path),
                 help="Write doctor.png and doctor.html to DIR instead of RUN."),
    click.Option(["--needs"], metavar="STEPS", type=click.IntRange(1),
                 help="Longest dependency in the data, in steps, if you know it."),
    click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object with all figures; write no files."),
])  # fmt: skip
