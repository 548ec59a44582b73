"""Commands of the tagger."""

import json
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import click

from elman.classical.tag_schemes import spans
from elman.cli.readers import Options, check_commas, comma_separated
from elman.cli.row_stream import RowStream, TextLines, row_per_line
from elman.cli.task_commands import PICTURE, SettingOption, TaskCommands, evaluate_rows
from elman.data import readers
from elman.data.raw_files import STDIN
from elman.data.readers.labelled import Labelled, Row
from elman.data.readers.tagged import WAY_OUT, sentences

COLUMNS = (
    click.Option(["--word"], metavar="COLUMN", help="The column of words, a number from 1. Default: 1."),
    click.Option(["--tag"], metavar="COLUMN",
                 help="The column of tags, a number from 1, or from the end with -1. Default: -1."),
    click.Option(["--given"], metavar="COLUMN[,COLUMN]...", callback=comma_separated,
                 help="Columns that the model reads in addition to each word."),
)  # fmt: skip
REPAIR = SettingOption(["--repair"], is_flag=True, default=None,
                       help="Read tags that break their scheme as the CoNLL evaluation reads them.")  # fmt: skip
LAYOUT = click.Option(["--layout"], type=click.Choice(["plain", "lines", "columns"]),
                      help="A line is plain text, to be split into words and punctuation (plain), a sentence with "
                      "blanks between words (lines), or a word in columns. Default: columns from a FILE or if "
                      "a column is named, otherwise plain.")  # fmt: skip
PLAIN = f"a FILE has words in columns by default; for plain text, use --layout plain; for columns, {WAY_OUT}"


def read(files: Sequence[Path], options: Options, labelled: bool = True) -> Labelled:
    """Read sentences and the tags of their words.

    Raises:
        OSError, ValueError: as `elman.data.readers.read_tagged`.
    """
    check_commas(files, options, "given")
    return readers.read_tagged(files, **_columns(options), tags=labelled)


def _columns(options: Options) -> dict[str, Any]:
    """Return the columns as arguments of `elman.data.readers.read_tagged`."""
    return {"columns": (options.get("word"), options.get("tag")), "extra": options.get("given", ())}


def read_rows(model: Any, file: Path, options: Options, given: Set[str]) -> RowStream:
    """Return the sentences of a file or of standard input: one per line, or a word per line in columns.

    Raises:
        OSError: the file cannot be read.
        ValueError: sentences are lines and the model reads more than words.
    """
    plain = file == STDIN and not given & {str(column.name) for column in COLUMNS}
    layout = options.get("layout", "plain" if plain else "columns")
    count = len(model.words_.given)
    if layout == "columns":
        text, way_out = TextLines(file), WAY_OUT if count else PLAIN
        rows = sentences(file, iter(text), **_columns(options), tags=False, way_out=way_out)
        return RowStream(rows, lambda: text.ready)
    if count:
        got = "plain text" if layout == "plain" else "lines of words"
        raise ValueError(f"{file}: expected {count + 1} columns per word, as in training, got {got}; use "
                         "--layout columns.")  # fmt: skip
    return row_per_line(file, str if layout == "plain" else str.split)


def format_rows(model: Any, rows: Sequence[Row], options: Options) -> list[str]:
    """Return a line per word, its columns and its tag, and an empty line per sentence; or a sentence as JSON."""
    lines: list[str] = []
    for row, found in zip(rows, model.predict([row.input for row in rows]), strict=True):
        plain = isinstance(row.input, str)
        tags = [word.tag for word in found] if plain else found
        given = [word.word for word in found] if plain else row.input
        words = [word if isinstance(word, tuple) else (word,) for word in given]
        if options["jsonl"]:
            offsets = [(word.start, word.stop) for word in found] if plain else []
            lines.append(_json(model, row, [columns[0] for columns in words], tags, offsets))
        else:
            lines += [*("\t".join([*columns, tag]) for columns, tag in zip(words, tags, strict=True)), ""]
    return lines


def _json(model: Any, row: Row, words: list[str], tags: list[str], offsets: list[tuple[int, int]]) -> str:
    """Return words, tags, and the spans that the tags encode. A span is words `start` to `stop`, the last excluded.

    For plain text, `offsets` are the first character of each word and the one after its last.
    """
    sentence: dict[str, Any] = {"place": row.place, "words": words, "tags": tags}
    if isinstance(row.input, str):
        sentence["offsets"] = offsets
    if model.scheme_ is not None:
        found = spans([*map(model.spelling_.read, tags)], model.scheme_)
        texts = [row.input[offsets[span.start][0] : offsets[span.stop - 1][1]] if offsets
                 else " ".join(words[span.start : span.stop]) for span in found]  # fmt: skip
        sentence["spans"] = [{**span._asdict(), "text": text} for span, text in zip(found, texts, strict=True)]
    return json.dumps(sentence)


def evaluate(model: Any, data: Labelled, options: Options) -> Any:
    """Return the report on entities, or on tags.

    Raises:
        click.UsageError: if a confusion matrix is requested for a model that finds entities.
    """
    if "picture" in options and model.scheme_ is not None:
        raise click.UsageError("--picture: draws a confusion matrix, and this model finds entities; leave it out.")
    return evaluate_rows(model, data, options)


COMMANDS = TaskCommands(
    task="tagger",
    summary="Tag every word of a sentence: names, phrases, word classes.",
    help={
        "train": """Train a model that assigns a tag to every word of a sentence: names, phrases, parts of speech.

FILE holds a word per line, in columns between blanks or tabs, and an empty line after each sentence (.gz is unpacked;
the columns of .conllu have names). By default the first column is the word and the last one its tag.""",
        "evaluate": "Taggers: precision, recall and F1 of spans, or of each tag if the tags do not encode spans.",
        "predict": """Taggers read plain text, a sentence per line, or a FILE as for `elman train tagger`, with or
without tags. They print a line per word, its columns and its tag, and an empty line after each sentence.""",
    },
    examples={
        "train": (
            "elman train tagger train.txt --validation dev.txt --out runs/names",
            "elman train tagger chunks.txt.gz --given 2 --out runs/chunks --set epochs=10",
            "elman train tagger en.conllu --word FORM --tag XPOS --out runs/pos",
            "elman train tagger --resume --out runs/names",
        ),
        "evaluate": ("elman evaluate runs/names test.txt --json",),
        "predict": ("elman predict runs/names letter.txt --layout plain",),
    },
    options={
        "train": (*COLUMNS, REPAIR),
        "evaluate": (*COLUMNS, PICTURE),
        "predict": (*COLUMNS, LAYOUT),
        "doctor": COLUMNS,
    },
    read=read,
    read_rows=read_rows,
    format_rows=format_rows,
    evaluate=evaluate,
)
