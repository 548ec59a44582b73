"""Evaluation of summaries: ROUGE (Lin 2004)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from elman.metrics.references import as_references
from elman.metrics.report import Report
from elman.metrics.tables import columns
from elman.optional_packages import needed_by

FIGURES = "rouge1", "rouge2", "rougeL"


@dataclass(frozen=True, repr=False)
class SummaryReport(Report):
    """ROUGE scores of summaries (mean F1, 0 to 100), and mean lengths in words, which are separated by blanks."""

    summaries: int
    rouge1: float  # words
    rouge2: float  # pairs of words
    rougeL: float  # longest common subsequence of words
    length: float
    reference_length: float

    def main_figures(self) -> dict[str, Any]:
        return {"summaries": self.summaries, "ROUGE-1": self.rouge1, "ROUGE-2": self.rouge2, "ROUGE-L": self.rougeL}

    def table(self) -> str:
        """Return a table with a line per figure."""
        figures = self.main_figures()
        rows = [["summaries", f"{figures.pop('summaries'):,}"]]
        rows += [[name, f"{figure:.2f}"] for name, figure in figures.items()]
        lengths = f"{self.length:.1f} words on average, references {self.reference_length:.1f}"
        return f"{columns(rows)}\n\nROUGE: F1 of stems, by rouge-score\nlength: {lengths}"

    def to_json(self) -> dict[str, Any]:
        """Return the same figures as JSON values."""
        return asdict(self)


def summary_report(hypotheses: Sequence[str], references: Sequence[str | Sequence[str]]) -> SummaryReport:
    """Compare summaries with reference summaries.

    ROUGE is computed as in papers: the mean over summaries of F1, by rouge-score with Porter's stemmer, which reads
    only the letters a to z and digits. With several references, each figure is that of the best one.

    Args:
        hypotheses: B summaries.
        references: per summary, one reference or several.
    Raises:
        ValueError: there are no rows, the numbers of references and hypotheses differ, or a row has no reference.
        TypeError: a value is not text.
        ModuleNotFoundError: rouge-score is not installed.
    Example:
        >>> report = summary_report(["meetings of monday"], ["the meeting on monday"])
        >>> round(report.rouge1, 1), report.rouge2, report.length
        (57.1, 0.0, 3.0)
    """
    rows = as_references("summary_report", hypotheses, references)
    scorer = rouge_scorer()
    sums = dict.fromkeys(FIGURES, 0.0)
    for hypothesis, row in zip(hypotheses, rows, strict=True):
        for name, score in scorer.score_multi(row, hypothesis).items():
            sums[name] += 100 * score.fmeasure
    return SummaryReport(
        summaries=len(rows),
        **{name: total / len(rows) for name, total in sums.items()},
        length=sum(len(text.split()) for text in hypotheses) / len(rows),
        reference_length=sum(sum(len(text.split()) for text in row) / len(row) for row in rows) / len(rows),
    )


def rouge_scorer() -> Any:
    """Return the scorer of rouge-score. Call it before the summaries are written, which takes long.

    Raises:
        ModuleNotFoundError: rouge-score is not installed.
    """
    with needed_by("ROUGE"):
        from rouge_score import rouge_scorer as scoring
        from rouge_score import tokenizers
    # The default tokenizer, passed explicitly: otherwise rouge-score makes absl install a handler on the root logger.
    return scoring.RougeScorer(FIGURES, tokenizer=tokenizers.DefaultTokenizer(use_stemmer=True))
