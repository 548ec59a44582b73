"""What summaries are worth: ROUGE (Lin 2004)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from elman.metrics.references import as_references
from elman.metrics.tables import columns


@dataclass(frozen=True)
class SummaryReport:
    """Mean F1 of what summaries and references share, 0 to 100, and their mean lengths in words between blanks."""

    summaries: int
    rouge1: float  # words
    rouge2: float  # pairs of words
    rougeL: float  # the longest row of words that both have in that order
    length: float
    reference_length: float

    def table(self) -> str:
        """A line for each figure."""
        figures = {"ROUGE-1": self.rouge1, "ROUGE-2": self.rouge2, "ROUGE-L": self.rougeL}
        rows = [["summaries", f"{self.summaries:,}"], *([name, f"{figure:.2f}"] for name, figure in figures.items())]
        lengths = f"{self.length:.1f} words in the mean, references {self.reference_length:.1f}"
        return f"{columns(rows)}\n\nROUGE: F1 of stems, by rouge-score\nlength: {lengths}"

    def to_json(self) -> dict[str, Any]:
        """The same figures, as JSON has them."""
        return asdict(self)


def summary_report(hypotheses: Sequence[str], references: Sequence[str | Sequence[str]]) -> SummaryReport:
    """Compare summaries with what people wrote.

    ROUGE as papers report it: the mean over summaries of F1, by rouge-score with Porter's stemmer, which knows the
    letters a to z and digits only. Of several references each figure takes the best.

    Args:
        hypotheses: B summaries.
        references: of each of them a text or several.
    Raises:
        ValueError: no row, not as many references as hypotheses, or a row without a reference.
        TypeError: what is no text.
        ModuleNotFoundError: rouge-score is not installed (the extra `elman[metrics]`).
    Example:
        >>> report = summary_report(["meetings of monday"], ["the meeting on monday"])
        >>> round(report.rouge1, 1), report.rouge2, report.length
        (57.1, 0.0, 3.0)
    """
    rows = as_references("summary_report", hypotheses, references)
    scorer = _scorer(names := ("rouge1", "rouge2", "rougeL"))
    sums = dict.fromkeys(names, 0.0)
    for hypothesis, row in zip(hypotheses, rows, strict=True):
        for name, score in scorer.score_multi(row, hypothesis).items():
            sums[name] += 100 * score.fmeasure
    return SummaryReport(
        summaries=len(rows),
        **{name: total / len(rows) for name, total in sums.items()},
        length=sum(len(text.split()) for text in hypotheses) / len(rows),
        reference_length=sum(sum(len(text.split()) for text in row) / len(row) for row in rows) / len(rows),
    )


def _scorer(names: Sequence[str]) -> Any:
    try:
        from rouge_score import rouge_scorer, tokenizers
    except ModuleNotFoundError:
        raise ModuleNotFoundError("ROUGE needs the package rouge-score", name="rouge_score") from None
    # A tokenizer of one's own is the same one, but does not have absl put a handler on the root of all loggers.
    return rouge_scorer.RougeScorer(names, tokenizer=tokenizers.DefaultTokenizer(use_stemmer=True))
