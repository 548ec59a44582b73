"""`elman predict`."""

from pathlib import Path
from typing import Any

import click

from elman.cli.console import rows_done
from elman.cli.models import load_for
from elman.cli.predict import captions, classes, tags, texts
from elman.cli.predict.incoming import STDIN
from elman.cli.reading import (
    LABELLED,
    PARALLEL,
    TAGGED,
    at_places,
    given,
    labelled_options,
    parallel_options,
    tagged_options,
)
from elman.cli.rows import check_acting
from elman.cli.searching import SEARCH, search_options
from elman.cli.source import kept_reading

WRITES = {"n_best", "show_attention", *SEARCH, *PARALLEL}
TASKS: dict[str, tuple[Any, set[str]]] = {
    "classifier": (classes, set(LABELLED)),
    "tagger": (tags, {"lines", *TAGGED}),
    "translator": (texts, WRITES),
    "summarizer": (texts, WRITES),
    "captioner": (captions, {"n_best", "show_attention", *SEARCH}),
}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, metavar="[FILE|-]...", type=click.Path(path_type=Path))
@click.option("--jsonl", is_flag=True, help="Print an object of JSON for each row, with all that the model says.")
@click.option("--lines/--columns", default=None,
              help="Of taggers: whether a line is a sentence, or a word in columns. Without either: lines from "
              "standard input, columns from a FILE.")  # fmt: skip
@click.option("--n-best", metavar="N", type=click.IntRange(1),
              help="Of models that write: the N best texts for each line, each with its score.")  # fmt: skip
@click.option("--show-attention", metavar="PNG", type=click.Path(path_type=Path), callback=texts.numbered,
              help="Of models that write: draw where the model looked for each word; of further lines into "
              "a-2.png, a-3.png, ... beside a.png.")  # fmt: skip
@search_options
@labelled_options
@tagged_options
@parallel_options
def predict(run: Path, files: tuple[Path, ...], jsonl: bool, **options: Any) -> None:
    """Say what the model in RUN takes data for.

    Without FILE, or for -, it reads standard input as it comes, and says of each line at once.

    A classifier reads a text a line, from standard input or a FILE in .txt, or the kinds of FILE that
    `elman train classifier` reads; labels are not needed, nor looked at. It prints a line for each: the label, its
    probability, and the beginning of the text, or where it is.

    A tagger reads a sentence a line, words between blanks, or a FILE as `elman train tagger` does, where tags may be
    missing. It prints a line for each word, its columns and its tag, and an empty line after each sentence.

    A translator or a summarizer reads a text a line, or the column --source of a table, and writes a line for each:
    the best text that a search finds, and an empty line for an empty one. Scores are log-probabilities by length.

    A captioner reads pictures: files, all of a folder or a .zip, or names of files from standard input, a line each. It
    prints a line for each: what it says of the picture, and where that is.

    \b
    Examples:
      echo "a film to remember" | elman predict runs/reviews
      elman predict runs/reviews test.tsv > predicted.tsv
      tail -f reviews.log | elman predict runs/reviews --jsonl
      elman predict runs/names letter.txt --lines
      elman predict runs/en-de < new.en > new.de
      echo "A dog runs." | elman predict runs/en-de --n-best 3 --show-attention dog.png
      elman predict runs/photos dog.jpg --show-attention looks.png
    """
    model = load_for("predict", run)
    task, acting = TASKS[model.task]
    options = given(options)
    check_acting(options, acting, model.task)
    options = {**kept_reading(run), **options, "jsonl": jsonl}
    with rows_done() as done:
        for file in files or (STDIN,):
            for batch in task.coming(model, file, options).batches():
                with at_places([row.place for row in batch]):
                    told = task.told(model, batch, options)
                click.echo("\n".join(told))
                done(len(batch))
