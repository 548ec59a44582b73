"""Base of evaluation reports: their representations."""

from collections.abc import Mapping
from typing import Any

from elman.html_tables import html_table
from elman.metrics.scores import Scores
from elman.representation import call, complete, figures


class Report:
    """Evaluation report. It is printed with its main figures, and as a table in notebooks."""

    def main_figures(self) -> dict[str, Any]:
        """Return the main figures by name; a figure that is None is not printed."""
        raise NotImplementedError(f"{type(self).__name__} has no main_figures")

    @complete
    def __repr__(self) -> str:
        return call(type(self).__name__, *figures(self.main_figures()))

    @complete
    def _repr_html_(self) -> str:
        """Return a table of the main figures, for notebooks."""
        return html_table(type(self).__name__, self.main_figures())


def score_table(caption: str, scores: Mapping[str, Scores]) -> str:
    """Return a table with the scores of each name, as HTML."""
    names = ["", "precision", "recall", "F1", "support"]
    return html_table(caption, [[name, *row] for name, row in scores.items()], names)
