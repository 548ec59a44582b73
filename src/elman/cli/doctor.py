"""`elman doctor`."""

import json
from pathlib import Path
from typing import Any

import click

from elman.cli.console import progress_share
from elman.cli.models import load_model
from elman.cli.readers import DataFile
from elman.cli.task_commands import TaskVerb
from elman.errors import located
from elman.tasks import load
from elman.tasks.run_source import Source

HELP = """Report why the model in RUN learns, or does not.

Measures gradients, gates and memory on real data, and reports problems with remedies.

FILE is as for `elman train`; without it, the validation files of the run, or its training files. A few rows are enough.
Writes doctor.html, a report for the browser, and doctor.png, a picture, to RUN."""
EXAMPLES = (
    "elman doctor runs/book",
    "elman doctor runs/reviews reviews-test.tsv --dependency 40",
    "elman doctor runs/names --json",
)


def _doctor(
    run: Path, files: tuple[Path, ...], folder: Path | None, dependency: int | None, as_json: bool, **options: Any
) -> None:
    from elman.doctor import examine
    from elman.doctor.figures import to_json

    source = Source.of_run(run)
    trained = load_model(run, files or source.data, options, load)
    data = trained.read(files or source.existing_files(run, f"name a file: elman doctor {run} FILE"))
    home = run if run.is_dir() else run.parent
    with located(data.places), progress_share("examining") as progress:
        examination = examine(
            trained.model, data.inputs, data.labels, run=home, dependency=dependency, progress=progress
        )
    if as_json:
        click.echo(json.dumps(to_json(examination)))
        return
    click.echo(f"{examination}\n")
    folder = folder or home
    folder.mkdir(parents=True, exist_ok=True)
    for file in examination.save(folder):
        click.echo(f"{'Report' if file.suffix == '.html' else 'Picture'}: {file}")


doctor = TaskVerb("doctor", help=HELP, examples=EXAMPLES, callback=_doctor, params=[
    click.Argument(["run"], type=click.Path(path_type=Path)),
    click.Argument(["files"], nargs=-1, metavar="[FILE]...", type=DataFile()),
    click.Option(["--out", "folder"], metavar="DIR", type=click.Path(path_type=Path),
                 help="Write doctor.png and doctor.html to DIR instead of RUN."),
    click.Option(["--dependency"], metavar="STEPS", type=click.IntRange(1),
                 help="Longest dependency in the data, in steps, if you know it."),
    click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object with all figures; write no files."),
])  # fmt: skip
