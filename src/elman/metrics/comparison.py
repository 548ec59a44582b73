"""Comparison of a language model with the n-gram that was fitted to the same text."""

from dataclasses import dataclass
from typing import Any

from elman.html_tables import html_table
from elman.metrics.likelihood import Likelihood
from elman.metrics.report import Report

FIGURES = "nats", "nats_per_character", "bits_per_character", "perplexity", "characters", "units", "unknown"


@dataclass(frozen=True, repr=False)
class Comparison(Report):
    """Evaluation report of one or two models on the same text.

    Args:
        figures: likelihood of the text, by the name of the model.
    """

    figures: dict[str, Likelihood]

    def main_figures(self) -> dict[str, Any]:
        bits = {name: figure.bits_per_character for name, figure in self.figures.items()}
        return {name: f"{value:.4g} bits per character" for name, value in bits.items()}

    def _repr_html_(self) -> str:
        """Return a table with a line per model, for notebooks."""
        rows = [[name, *(getattr(figure, one) for one in FIGURES)] for name, figure in self.figures.items()]
        return html_table("Comparison", rows, ["", *FIGURES])

    def table(self) -> str:
        """Return a line per model, and which one is better if there are two."""
        first = next(iter(self.figures.values()))
        lines = [
            f"{first.characters:,} characters, {first.units:,} units to predict, {first.unknown:,} of them unknown",
            f"{'':8}{'nats':>14}{'nats/character':>16}{'bits/character':>16}{'perplexity/unit':>17}",
        ]
        lines += [f"{name:8}{figure.nats:14,.1f}{figure.nats_per_character:16.4f}{figure.bits_per_character:16.4f}"
                  f"{figure.perplexity:17,.3f}" for name, figure in self.figures.items()]  # fmt: skip
        return "\n".join([*lines, *([self.verdict()] if len(self.figures) == 2 else [])])

    def verdict(self) -> str:
        """Return a sentence that names the better of two models."""
        better, worse = sorted(self.figures, key=lambda name: self.figures[name].nats)
        few, many = self.figures[better].bits_per_character, self.figures[worse].bits_per_character
        if few == many:
            return f"The {better} and the {worse} are equally good: {few:.4f} bits per character."
        return (f"The {better} is better: {few:.4f} bits per character, {1 - few / many:.1%} fewer than the {worse}'s "
                f"{many:.4f}.")  # fmt: skip

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Return the figures by the name of the model."""
        return {model: {name: getattr(figure, name) for name in FIGURES} for model, figure in self.figures.items()}
