"""What trained models are worth: a language model beside its n-gram, the report of any other."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elman.cli.console import part_done

if TYPE_CHECKING:
    from elman.metrics import Likelihood
    from elman.tasks import LanguageModel
    from elman.tasks.texts import Texts


def measure(model: "LanguageModel", documents: "Texts", streams: int = 1) -> dict[str, "Likelihood"]:
    """The figures of the net, and of the n-gram where there is one, by the name of the model."""
    from elman.cells import CELLS

    texts = model.read(documents)
    with part_done("measuring") as progress:
        figures = {CELLS[model.cell].__name__: model.evaluate(texts, streams, progress)}
    if model.ngram_ is not None:
        figures[f"{model.ngram_.order}-gram"] = model.evaluate_ngram(texts)
    return figures


def show(figures: dict[str, "Likelihood"]) -> None:
    """Print a line for each model, and say which is better where there are two."""
    first = next(iter(figures.values()))
    click.echo(f"{first.characters:,} characters, {first.units:,} units to predict, {first.unknown:,} of them unknown")
    click.echo(f"{'':8}{'nats':>14}{'nats/character':>16}{'bits/character':>16}{'perplexity/unit':>17}")
    for name, figure in figures.items():
        click.echo(
            f"{name:8}{figure.nats:14,.1f}{figure.nats_per_character:16.4f}{figure.bits_per_character:16.4f}"
            f"{figure.perplexity:17,.3f}"
        )
    if len(figures) == 2:
        click.echo(verdict(figures))


def verdict(figures: dict[str, "Likelihood"]) -> str:
    """Which of two models is better, in one sentence."""
    better, worse = sorted(figures, key=lambda name: figures[name].nats)
    few, many = figures[better].bits_per_character, figures[worse].bits_per_character
    if few == many:
        return f"The {better} and the {worse} are equally good: {few:.4f} bits a character."
    return (
        f"The {better} is better: {few:.4f} bits a character, {1 - few / many:.1%} fewer than the {worse}'s {many:.4f}."
    )


def measure_labelled(model: Any, rows: Sequence[Any], labels: Sequence[Any], **how: Any) -> Any:
    """The report on rows whose labels are known, with a bar while it works.

    Args:
        how: further arguments of the model's `evaluate`.
    """
    with part_done("measuring") as progress:
        return model.evaluate(rows, labels, progress, **how)


def draw_confusion(report: Any, picture: Path) -> None:
    """Draw which classes are taken for which.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        OSError, ValueError: the file cannot be written, or its name ends in no kind of picture.
    """
    from elman.pictures import confusion

    confusion(report).savefig(picture, dpi=120)
