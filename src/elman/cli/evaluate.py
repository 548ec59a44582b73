"""`elman evaluate`."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
from elman.cli.report import draw_confusion, measure, measure_labelled, show
from elman.cli.rows import check_acting, columns_of, read_rows
from elman.cli.searching import SEARCH, search, search_options
from elman.cli.source import kept_reading

if TYPE_CHECKING:
    from elman.tasks import Captioner, Classifier, LanguageModel, Tagger, Translator

Files = Sequence[Path]
Options = Mapping[str, Any]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--streams", type=click.IntRange(1),
              help="Of language models: read the text as so many side by side: faster, but each starts without "
              "context.")  # fmt: skip
@click.option("--picture", metavar="PNG", type=click.Path(path_type=Path),
              help="Draw which classes are taken for which.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--lowercase", is_flag=True, default=None, help="Of translators and captioners: take capitals for small letters."
)
@search_options
@labelled_options
@tagged_options
@parallel_options
@captioned_options
def evaluate(run: Path, files: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Measure the model in RUN on data it has not seen.

    FILE is as for `elman train`. How the training files were read is known; say it again for a file with other columns.

    Of a language model: how well it predicts texts, beside the n-gram that was fitted to the same text. Of a
    classifier: accuracy, precision, recall and F1 of each class, and what its probabilities are worth. Of a tagger:
    the same of the entities it finds, or of each tag where tags write no entities. Of a translator: BLEU, chrF, and
    the edits that its texts would need. Of a summarizer: ROUGE. Of a captioner: as of a translator.

    \b
    Examples:
      elman evaluate runs/book another.txt
      elman evaluate runs/reviews test.tsv --picture confusion.png
      elman evaluate runs/names test.txt --json
      elman evaluate runs/en-de test.en test.de --lowercase
      elman evaluate runs/photos test.tsv --images photos/
    """
    model = load_for("evaluate", run)
    measure_and_show, acting = _TASKS[model.task]
    options = given(options)
    check_acting(options, acting | columns_of(model.task), model.task)
    measure_and_show(model, files, {**of_tables(files, kept_reading(run)), **options}, as_json)


def _language_model(model: "LanguageModel", files: Files, options: Options, as_json: bool) -> None:
    figures = measure(model, list(files), options.get("streams", 1))
    if not as_json:
        show(figures)
        return
    click.echo(json.dumps({name: {
        "nats": figure.nats,
        "nats_per_character": figure.nats_per_character,
        "bits_per_character": figure.bits_per_character,
        "perplexity": figure.perplexity,
        "characters": figure.characters,
        "units": figure.units,
        "unknown": figure.unknown,
    } for name, figure in figures.items()}))  # fmt: skip


def _tagger(model: "Tagger", files: Files, options: Options, as_json: bool) -> None:
    if "picture" in options and model.scheme_ is not None:
        raise click.UsageError("--picture: draws which classes are taken for which, and this model finds entities.")
    _labelled(model, files, options, as_json)


def _writer(model: "Captioner | Translator", files: Files, options: Options, as_json: bool) -> None:
    how = search(options) | {name: options[name] for name in ("lowercase",) if name in options}
    _labelled(model, files, options, as_json, **how)


def _labelled(
    model: "Captioner | Classifier | Tagger | Translator", files: Files, options: Options, as_json: bool, **how: Any
) -> None:
    data = read_rows(model, files, options)
    with at_places(data.places):
        report = measure_labelled(model, data.inputs, data.labels or [], **how)
    if picture := options.get("picture"):
        draw_confusion(report, picture)
    click.echo(json.dumps(report.to_json()) if as_json else report.table())


_TASKS: dict[str, tuple[Callable[[Any, Files, Options, bool], None], set[str]]] = {
    "language-model": (_language_model, {"streams"}),
    "classifier": (_labelled, {"picture"}),
    "tagger": (_tagger, {"picture"}),
    "translator": (_writer, {"lowercase", *SEARCH}),
    "summarizer": (_writer, {*SEARCH}),
    "captioner": (_writer, {"lowercase", *SEARCH}),
}
