"""What translations are worth: BLEU (Papineni et al. 2002), chrF (Popović 2015), and edits to the closest reference."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from elman.metrics.edits import closest
from elman.metrics.references import as_references
from elman.metrics.tables import columns


@dataclass(frozen=True)
class TranslationReport:
    """Figures of sentences whose translations are known; a signature says how a figure was counted."""

    sentences: int
    bleu: float  # 0 to 100, by sacrebleu
    bleu_signature: str
    chrf: float  # 0 to 100, by sacrebleu
    chrf_signature: str
    exact: float  # the part of the sentences that are a reference, word for word
    unit_error_rate: float | None  # edits between words, to the words of the closest references; None for no words
    lowercase: bool = False  # whether capitals were taken for small letters, in all of these

    def table(self) -> str:
        """A line for each figure, and how it was counted."""
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
        """The same figures, as JSON has them."""
        return asdict(self)


def translation_report(
    hypotheses: Sequence[str], references: Sequence[str | Sequence[str]], lowercase: bool = False
) -> TranslationReport:
    """Compare translations with what people wrote.

    BLEU and chrF are those of sacrebleu in its usual settings. A word is what stands between blanks: where targets are
    phonemes with blanks between them, the rate of word errors is that of phonemes, and `exact` the part of words.

    Args:
        hypotheses: B translations.
        references: of each of them a text or several, as many as there are.
        lowercase: take capitals for small letters.
    Raises:
        ValueError: no row, not as many references as hypotheses, or a row without a reference.
        TypeError: what is no text.
        ModuleNotFoundError: sacrebleu is not installed (the extra `elman[metrics]`).
    Example:
        >>> report = translation_report(["the cat sat on the mat"], [["the cat sat on a mat", "a cat sat there"]])
        >>> round(report.bleu, 1), report.exact, report.unit_error_rate
        (53.7, 0.0, 0.16666666666666666)
    """
    rows = as_references("translation_report", hypotheses, references)
    metrics = _sacrebleu()
    bleu, chrf = metrics.BLEU(lowercase=lowercase, force=True), metrics.CHRF(lowercase=lowercase)
    # One stream for the first reference of each row, one for the second, ...; None where a row has fewer.
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


def _sacrebleu() -> Any:
    try:
        import sacrebleu.metrics
    except ModuleNotFoundError:
        raise ModuleNotFoundError("BLEU and chrF need the package sacrebleu", name="sacrebleu") from None
    return sacrebleu.metrics
