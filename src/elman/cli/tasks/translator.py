"""Commands of the translator."""

from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from elman.cli.hypotheses import LOWERCASE, PREDICT, SEARCH, evaluate_texts, predict_texts
from elman.cli.readers import PARALLEL, PARALLEL_COLUMNS, Options, is_table, read_labelled, read_parallel
from elman.cli.row_stream import RowStream, row_per_line, rows_of, text_lines
from elman.cli.task_commands import TaskCommands
from elman.data.raw_files import STDIN
from elman.data.readers.labelled import Row


def read_rows(model: Any, file: Path, options: Options, given: Set[str]) -> RowStream:
    """Return the texts of a file or of standard input: a line each, or in a column of a table.

    Standard input is a table if the command names a column.

    Raises:
        OSError: the file cannot be read.
        ValueError: the column of a table is not named.
    """
    if file == STDIN and not given & {"source", "target"}:
        return text_lines("--source", options.get("source"))
    if file != STDIN and not is_table(file):
        return row_per_line(file)
    if "source" not in options:
        raise ValueError(f"{file}: a table; name the column to read: --source COLUMN.")
    return rows_of(read_labelled([file], {"text": options["source"]}, labelled=False))


def format_rows(model: Any, rows: Sequence[Row], options: Options) -> list[str]:
    """Return the texts that the model writes, each on one line."""
    return predict_texts(
        model,
        rows,
        options,
        key="target",
        line=lambda row, text: " ".join(text.splitlines()),
        facts=lambda row: {"source": row.input},
        draw=_draw,
    )


def _draw(text: str, aligned: Any) -> Any:
    """Return a figure of the attention weights."""
    from elman.pictures import alignment

    return alignment(aligned.source, aligned.target, aligned.weights)


def next_commands(options: Options) -> Sequence[str]:
    """Return commands for a table, or for two files of text."""
    if "source" in options:
        return "evaluate RUN FILE", "predict RUN FILE"
    return "evaluate RUN FILE FILE", "predict RUN < FILE"


COMMANDS = TaskCommands(
    task="translator",
    summary="Turn a text into another: translation, pronunciation.",
    help={
        "train": """Train a model that reads a text and writes another: a translation, the sounds of a spelling.

FILE and the FILE after it hold a text per line, and each line of one belongs to the same line of the other (.gz is
unpacked). Or FILE is a table with a column of sources and one of targets (.csv .tsv .jsonl .parquet; in a .csv or .tsv
without a header, columns are numbers from 1).""",
        "evaluate": "Translators: BLEU, chrF, and the word error rate.",
        "predict": """Translators and summarizers read a text per line, or the column --source of a table. They print
the best text of each on a line, and an empty line for an empty text. Scores are length-normalised
log-probabilities.""",
    },
    examples={
        "train": (
            "elman train translator train.en train.de --out runs/en-de",
            "elman train translator train.en train.de --validation val.en --validation val.de --out runs/en-de",
            "elman train translator dirty.en dirty.de --skip-empty --out runs/dirty",
            "elman train translator words.tsv --source 1 --target 2 --out runs/sounds --set units=characters",
            "elman train translator --resume --out runs/en-de",
        ),
        "evaluate": ("elman evaluate runs/en-de test.en test.de --lowercase",),
        "predict": (
            "elman predict runs/en-de < letter.en > letter.de",
            'echo "The dog runs." | elman predict runs/en-de --n-best 3 --show-attention attention.png',
        ),
    },
    options={
        "train": PARALLEL,
        "evaluate": (*PARALLEL, LOWERCASE, *SEARCH),
        "predict": (*PARALLEL_COLUMNS, *PREDICT),
        "doctor": PARALLEL,
    },
    read=read_parallel,
    read_rows=read_rows,
    format_rows=format_rows,
    evaluate=evaluate_texts,
    next_commands=next_commands,
)
