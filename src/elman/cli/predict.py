"""`elman predict`."""

from pathlib import Path
from typing import Any

import click

from elman.cli.console import row_counter
from elman.cli.models import load_model
from elman.cli.readers import DataFile, standard_input
from elman.cli.row_stream import results
from elman.cli.task_commands import TaskVerb

HELP = """Predict labels, tags or text with the model in RUN.

Without FILE, or for -, rows are read from standard input, and each prediction is printed as soon as its row has
arrived. Text in standard input is one row per line; an option that names a column reads a table instead. Labels are not
needed, and are ignored."""


def _predict(run: Path, files: tuple[Path, ...], **options: Any) -> None:
    files = files or (standard_input(click.get_current_context()),)
    trained = load_model(run, files, options)
    with row_counter() as count:
        for file in files:
            for batch in trained.rows(file).batches():
                for lines in results(batch, trained.format):
                    click.echo("\n".join(lines))
                count(len(batch))


predict = TaskVerb("predict", help=HELP, callback=_predict, params=[
    click.Argument(["run"], type=click.Path(path_type=Path)),
    click.Argument(["files"], nargs=-1, metavar="[FILE|-]...", type=DataFile()),
    click.Option(["--jsonl"], is_flag=True, help="Print a JSON object per row, with all that the model predicts."),
])  # fmt: skip
