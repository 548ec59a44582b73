"""Evaluation of translations: BLEU (Papineni et al. 2002), chrF (Popović 2015), and word error rate."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from elman.metrics.edits import closest
from elman.metrics.references import as_references
from elman.metrics.report import Report
from elman.metrics.tables import columns
from elman.optional_packages import needed_by


@dataclass(frozen=True, repr=False)
class TranslationReport(Report):
    """Evaluation report for translations. A signature of sacrebleu records how a figure was computed."""

    sentences: int
    bleu: float  # 0 to 100, by sacrebleu
    bleu_signature: str
    chrf: float  # 0 to 100, by sacrebleu
    chrf_signature: str
    exact: float  # part of the sentences that equal a reference, word for word
    unit_error_rate: float | None  # word edits / words of the closest references; None without words
    lowercase: bool = False  # True if all figures ignore case

    def main_figures(self) -> dict[str, Any]:
        return {"sentences": self.sentences, "BLEU": self.bleu, "chrF": self.chrf, "exact": self.exact,
                "word error rate": self.unit_error_rate}  # fmt: skip

    def table(self) -> str:
        """Return a table with a line per figure, and signatures."""
        rate = "-" if self.unit_error_rate is None else f"{self.unit_error_rate:.4f}"
        figures = [
            ["sentences", f"{self.sentences:,}"],
            ["BLEU", f"{self.bleu:.2f}"],
            ["chrF", f"{self.chrf:.2f}"],
            ["exact", f"{self.exact:.4f}"],
            ["word error rate", rate],
        ]
        lines = columns(figures).split("\n")
        lines[1] += f"  {self.bleu_signature}"
        lines[2] += f"  {self.chrf_signature}"
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the same figures as JSON values."""
        return asdict(self)


def translation_report(
    hypotheses: Sequence[str], references: Sequence[str | Sequence[str]], lowercase: bool = False
) -> TranslationReport:
    """Compare translations with reference translations.

    BLEU and chrF are computed by sacrebleu with its default settings. Words are separated by blanks. If targets are
    phonemes separated by blanks, the word error rate is the phoneme error rate, and `exact` is the part of correct
    words.

    Args:
        hypotheses: B translations.
        references: per translation, one reference or several.
        lowercase: ignore case.
    Raises:
        ValueError: there are no rows, the numbers of references and hypotheses differ, or a row has no reference.
        TypeError: a value is not text.
        ModuleNotFoundError: sacrebleu is not installed.
    Example:
        >>> report = translation_report(["the cat sat on the mat"], [["the cat sat on a mat", "a cat sat there"]])
        >>> round(report.bleu, 1), report.exact, report.unit_error_rate
        (53.7, 0.0, 0.16666666666666666)
    """
    rows = as_references("translation_report", hypotheses, references)
    metrics = sacrebleu_metrics()
    bleu, chrf = metrics.BLEU(lowercase=lowercase, force=True), metrics.CHRF(lowercase=lowercase)
    # One stream of first references, one of second references, ...; None where a row has fewer.
    streams = [[row[place] if place < len(row) else None for row in rows] for place in range(max(map(len, rows)))]
    scores = [metric.corpus_score(list(hypotheses), streams).score for metric in (bleu, chrf)]
    edits = closest(_words(hypotheses, lowercase), [_words(row, lowercase) for row in rows])
    return TranslationReport(
        sentences=len(rows),
        bleu=float(scores[0]),
        bleu_signature=bleu.get_signature().format(),
        chrf=float(scores[1]),
        chrf_signature=chrf.get_signature().format(),
        exact=int((edits.counts == 0).sum()) / len(rows),
        unit_error_rate=edits.rate,
        lowercase=lowercase,
    )


def _words(texts: Sequence[str], lowercase: bool) -> list[list[str]]:
    return [(text.lower() if lowercase else text).split() for text in texts]


def sacrebleu_metrics() -> Any:
    """Return the module with the metrics of sacrebleu. Call it before the texts are written, which takes long.

    Raises:
        ModuleNotFoundError: sacrebleu is not installed.
    """
    with needed_by("BLEU"):
        import sacrebleu.metrics
    return sacrebleu.metrics
