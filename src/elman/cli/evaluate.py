"""`elman evaluate`."""

import json
from pathlib import Path
from typing import Any

import click

from elman.cli.models import load_model
from elman.cli.readers import DataFile, standard_input
from elman.cli.task_commands import TaskVerb

HELP = """Evaluate the model in RUN on data it has not seen.

FILE is as for `elman train`. Without FILE, or for -, data are read from standard input. RUN keeps the options that
define how FILE is read; give them again for a file with other columns."""


def _evaluate(run: Path, files: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    files = files or (standard_input(click.get_current_context()),)
    trained = load_model(run, files, options)
    picture = trained.options.get("picture")
    if picture:
        import elman.pictures.figure  # noqa: F401  # an error before the evaluation if matplotlib is missing
    report = trained.evaluate(trained.read(files))
    if picture:
        from elman.pictures import confusion

        confusion(report).savefig(picture, dpi=120)
    click.echo(json.dumps(report.to_json()) if as_json else report.table())


evaluate = TaskVerb("evaluate", help=HELP, callback=_evaluate, params=[
    click.Argument(["run"], type=click.Path(path_type=Path)),
    click.Argument(["files"], nargs=-1, metavar="[FILE|-]...", type=DataFile()),
    click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object."),
])  # fmt: skip
