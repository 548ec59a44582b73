"""Trained summarizers: short texts from long ones (Nallapati et al. 2016, arXiv:1602.06023)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from elman.data.rows_and_labels import with_targets
from elman.metrics.references import as_references
from elman.metrics.summary import SummaryReport, rouge_scorer, summary_report
from elman.runtime.translator import TrainedTranslator


@dataclass(kw_only=True)
class TrainedSummarizer(TrainedTranslator):
    """Trained summarizer, which runs without PyTorch. Settings and attributes as in `TrainedTranslator`."""

    task: ClassVar[str] = "summarizer"

    source_limit: int = 300

    def score(self, X: Sequence[str], y: Sequence[Any] | None = None) -> float:
        """Return ROUGE-L, from 0 to 1."""
        return self.evaluate(X, y).rougeL / 100

    def evaluate(  # type: ignore[override]  # another report, without `lowercase`: ROUGE ignores case
        self, X: Sequence[str], y: Sequence[Any] | None = None, **search: Any
    ) -> SummaryReport:
        """Return ROUGE of the predictions. ROUGE ignores case.

        Args:
            X: texts.
            y: the summary of each, or a list of several.
            search: options of the search, as for `predict`.
        """
        rouge_scorer()
        X, y = with_targets(X, y)
        references = as_references(f"{self.class_name}.evaluate", X, () if y is None else y)
        return summary_report(self.predict(X, **search), references)
