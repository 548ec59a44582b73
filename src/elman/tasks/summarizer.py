"""The gist of a text: a translator from long texts to short ones (Nallapati et al. 2016, arXiv:1602.06023)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from elman.metrics.references import as_references
from elman.metrics.summary import SummaryReport, summary_report
from elman.tasks.translator import Translator


@dataclass(kw_only=True)
class Summarizer(Translator):
    """A `Translator` with other defaults: long sources of which the beginning is read, one vocabulary, short targets.

    The length of a summary is asked for when it is written: `min_length`, `max_length` and `length_penalty` of
    `Search`. Arguments, attributes and errors as `Translator`.
    """

    task: ClassVar[str] = "summarizer"

    shared_vocabulary: bool = True
    source_limit: int = 300
    target_limit: int = 100

    def score(self, X: Sequence[str], y: Sequence[Any]) -> float:
        """ROUGE-L, from 0 to 1."""
        return self.evaluate(X, y).rougeL / 100

    def evaluate(  # type: ignore[override]  # another report; ROUGE knows no capitals
        self,
        X: Sequence[str],
        y: Sequence[Any],
        progress: Callable[[float], object] = lambda part: None,
        **search: Any,
    ) -> SummaryReport:
        """ROUGE of what is predicted.

        Args:
            X: the texts.
            y: the summary of each, or a list of several.
            search: as for `predict`.
        """
        references = as_references(f"{type(self).__name__}.evaluate", X, y)
        return summary_report(self.predict(X, progress, **search), references)
