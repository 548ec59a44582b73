"""Commands of the language model."""

from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import click

from elman.cli.readers import ColumnOption, Options, chosen
from elman.cli.row_stream import RowStream, row_per_line, rows_of
from elman.cli.task_commands import SettingOption, TaskCommands
from elman.data.documents import CUTS, located_documents
from elman.data.raw_files import STDIN
from elman.data.readers import read_parallel
from elman.data.readers.labelled import Labelled, Row

STREAMS = click.Option(["--streams"], metavar="N", type=click.IntRange(1),
                       help="Split the text into this many parts that are read in parallel: faster, but each part "
                       "starts without context.")  # fmt: skip
DOCUMENTS = SettingOption(["--documents"], type=click.Choice(CUTS),
                          help="A document is a file, a line, or a paragraph between blank lines. Default: file; "
                          "for a trained model, as in its training.")  # fmt: skip
PAIRS = (
    ColumnOption(["--good"], metavar="COLUMN", help="Tables of minimal pairs: the column of the texts that should be "
                 "more probable."),
    ColumnOption(["--bad"], metavar="COLUMN", help="Tables of minimal pairs: the column of the other texts."),
)  # fmt: skip


def read(files: Sequence[Path], options: Options, labelled: bool = True) -> Labelled:
    """Return the files as documents, which the model reads."""
    if columns := chosen(options, PAIRS):
        if len(columns) < len(PAIRS):
            raise click.UsageError("--good and --bad: give both, the columns of the two texts of a pair.")
        return Labelled(*read_parallel(files, source=columns["good"], target=columns["bad"]))
    return Labelled(list(files), None, [str(file) for file in files])


def read_rows(model: Any, file: Path, options: Options, given: Set[str]) -> RowStream:
    """Return the documents of a file, or its minimal pairs, with the bad text as the label."""
    if chosen(options, PAIRS):
        pairs = read([file], options)
        return RowStream(map(Row, pairs.inputs, pairs.labels or [], pairs.places))
    model.set_params(**chosen(options, [DOCUMENTS]))
    encoding = "bytes" if model.units == "bytes" else "utf-8"
    if file == STDIN and model.documents == "line" and encoding == "utf-8":  # each line as soon as it has arrived
        stream = row_per_line(file)
        return RowStream((row for row in stream.rows if row.input.strip()), stream.ready)
    texts, places = zip(*located_documents(file, encoding, model.documents), strict=True)
    return rows_of(Labelled(list(texts), None, list(places)))


def evaluate(model: Any, data: Labelled, options: Options) -> Any:
    """Return the report on texts, the n-gram's figures included, or on minimal pairs."""
    if data.labels is not None:
        return model.minimal_pairs(data.inputs, data.labels)
    model.set_params(**chosen(options, [DOCUMENTS]))
    return model.compare(data.inputs, streams=options.get("streams", 1))


COMMANDS = TaskCommands(
    task="language-model",
    summary="Predict and generate text.",
    help={
        "train": """Train a model that predicts and generates text, and an n-gram on the same text as a baseline.

FILE is a text file in UTF-8 (.gz is unpacked), or a folder of *.txt files. Each file is a document, or, with
--documents, each line or each paragraph of it.""",
        "evaluate": "Language models: likelihood of the texts, compared with that of the n-gram; or, with --good and "
        "--bad, accuracy on minimal pairs.",
    },
    examples={
        "train": (
            "elman train language-model book.txt --out runs/book",
            "elman train language-model letters/ --out runs/letters --set hidden_size=256 --set epochs=20",
            "elman train language-model a.txt b.txt --validation c.txt --out runs/words --set units=words",
            "elman train language-model names.txt --documents line --out runs/lines",
            "elman train language-model --resume --out runs/book",
        ),
        "evaluate": (
            "elman evaluate runs/book another.txt",
            "elman evaluate runs/book agreement.jsonl --good good --bad bad",
        ),
        "surprisal": (
            "elman surprisal runs/book stimuli.txt > surprisal.tsv",
            "elman surprisal runs/book another.txt --per-document",
            "elman surprisal runs/book agreement.jsonl --good good --bad bad",
            'echo "the old man the boat" | elman surprisal runs/book',
        ),
    },
    options={"train": (DOCUMENTS,), "evaluate": (DOCUMENTS, STREAMS, *PAIRS), "surprisal": (DOCUMENTS, *PAIRS)},
    read=read,
    read_rows=read_rows,
    evaluate=evaluate,
    generates=True,
    next_commands=lambda options: ("evaluate RUN FILE", "generate RUN --prompt TEXT"),
)
