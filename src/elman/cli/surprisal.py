"""`elman surprisal`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from elman.cli.console import row_counter
from elman.cli.models import LoadedModel, load_model
from elman.cli.readers import DataFile, standard_input
from elman.cli.row_stream import results
from elman.cli.task_commands import TaskVerb
from elman.data.readers.labelled import Row
from elman.metrics.tables import printable
from elman.table import Table

HELP = """Print the surprisal of each word of texts, in bits, with the language model in RUN.

Each line of the output has the place of a document, the number of the word in it (from 0), the word, its surprisal,
that of the n-gram if RUN has one, and the number of units and of unknown units (<unk>) in the word. A line end is the
word \\n, and the end of a document is the word </s>.

FILE is as for `elman train`. No context is carried from one document to the next. Without FILE, or for -, texts are
read from standard input."""


def _surprisal(run: Path, files: tuple[Path, ...], jsonl: bool, per_document: bool, **options: Any) -> None:
    trained = load_model(run, files, options)
    header: list[str] = []
    with row_counter() as count:
        for file in files or (standard_input(click.get_current_context()),):
            for batch in trained.rows(file).batches():
                for table in results(batch, lambda rows: _table(trained, rows, per_document)):
                    rows = list(_placed(table, batch))
                    if not jsonl and not header:
                        click.echo("\t".join(header := list(rows[0])))
                    lines = (json.dumps(row) if jsonl else "\t".join(map(_cell, row.values())) for row in rows)
                    click.echo("\n".join(lines))
                count(len(batch))


def _table(trained: LoadedModel, batch: Sequence[Row], per_document: bool) -> Table:
    if batch[0].label is not None:
        if per_document:
            raise click.UsageError("--per-document: has no effect with --good and --bad; leave it out.")
        pairs: Table = trained.model.minimal_pairs([row.input for row in batch], [row.label for row in batch])
        return pairs
    words = trained.model.surprisal([row.input for row in batch])
    table: Table = words.per_document() if per_document else words
    return table


def _placed(table: Table, batch: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table, each with its place instead of the number of its document."""
    for number, row in enumerate(table):
        yield {"place": batch[row.pop("document", number)].place, **row}


def _cell(value: Any) -> str:
    """Return a value as text without tabs."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6f}" if isinstance(value, float) else printable(value)


surprisal = TaskVerb("surprisal", help=HELP, callback=_surprisal, params=[
    click.Argument(["run"], type=click.Path(path_type=Path)),
    click.Argument(["files"], nargs=-1, metavar="[FILE|-]...", type=DataFile()),
    click.Option(["--per-document"], is_flag=True, help="Print the sums and the perplexity of each document."),
    click.Option(["--jsonl"], is_flag=True, help="Print a JSON object per line."),
])  # fmt: skip
