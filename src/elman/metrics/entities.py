"""Entities that a tagger finds, counted as the CoNLL evaluation does (Tjong Kim Sang and Buchholz 2000, cs/0009008)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.classical.tag_schemes import Span, spans
from elman.metrics.scores import Scores, scores
from elman.metrics.tables import columns, printable, score_rows


@dataclass(frozen=True, eq=False)
class EntityReport:
    """Which entities were found: right are those with the true label, first word and last word.

    `precision`, `recall` and `f1` are of all labels together (micro average); what would be a share of nothing is 0.
    """

    labels: tuple[str, ...]  # L, in alphabetical order: those that are true somewhere, or were found
    found: np.ndarray  # [L] int
    true: np.ndarray  # [L] int
    right: np.ndarray  # [L] int: found and true
    tokens: int
    right_tokens: int  # with the very tag that is true

    @property
    def micro(self) -> Scores:
        """Of all labels together."""
        return scores(*(int(count.sum()) for count in (self.right, self.found, self.true)))

    @property
    def by_label(self) -> Scores:
        """Of each label: arrays [L]."""
        return scores(self.right, self.found, self.true)

    @property
    def precision(self) -> float:
        return self.micro.precision

    @property
    def recall(self) -> float:
        return self.micro.recall

    @property
    def f1(self) -> float:
        return self.micro.f1

    @property
    def token_accuracy(self) -> float:
        return self.right_tokens / self.tokens if self.tokens else 0.0

    def table(self) -> str:
        """A line for each label, all of them together, and the tokens."""
        names = [printable(label) for label in self.labels]
        together = Scores(*([value] for value in self.micro))
        rows = [
            ["entity", "precision", "recall", "F1", "support"],
            *score_rows(names, self.by_label),
            *score_rows(["all"], together),
        ]
        return f"{columns(rows)}\n\ntoken accuracy  {self.token_accuracy:.4f} of {self.tokens:,} tokens"

    def to_json(self) -> dict[str, Any]:
        """The same figures, as JSON has them."""
        parts = zip(*(part.tolist() for part in self.by_label), strict=True)
        labels = [{"label": label, **Scores(*part)._asdict()} for label, part in zip(self.labels, parts, strict=True)]
        tokens = {"tokens": self.tokens, "token_accuracy": self.token_accuracy}
        return {**self.micro._asdict(), **tokens, "labels": labels}


def entity_report(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: str) -> EntityReport:
    """Compare the entities that two taggings of the same words write.

    Rows that the scheme does not allow are read as the CoNLL evaluation reads them (`spans(strict=False)`): what is
    counted is what seqeval counts by default. BILOU is read as the IOBES that it is.

    Args:
        truth, predicted: B rows, each with a tag for each word.
        scheme: of the tags, see `elman.classical.tag_schemes`.
    Raises:
        TypeError, ValueError: a tag that is none of the scheme; another number of rows or of tags in one; no row.
    Example:
        >>> report = entity_report([["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "O", "O"]], "BIO")
        >>> report.precision, report.recall
        (1.0, 0.5)
    """
    if not len(truth) or len(truth) != len(predicted):
        got = f"{len(truth)} true and {len(predicted)} predicted"
        raise ValueError(f"entity_report: expected a row or more, as many predicted as true, got {got}.")
    found, true, right = Counter[str](), Counter[str](), Counter[str]()
    tokens = right_tokens = 0
    for number, (true_row, predicted_row) in enumerate(zip(truth, predicted, strict=True)):
        of_truth = _spans("true", number, true_row, scheme)
        of_prediction = _spans("predicted", number, predicted_row, scheme)
        if len(true_row) != len(predicted_row):
            raise ValueError(
                f"entity_report: row {number}: expected {len(true_row)} predicted tags, got {len(predicted_row)}."
            )
        true.update(span.label for span in of_truth)
        found.update(span.label for span in of_prediction)
        right.update(span.label for span in of_truth & of_prediction)
        tokens += len(true_row)
        right_tokens += sum(map(str.__eq__, true_row, predicted_row))
    labels = tuple(sorted(true.keys() | found.keys()))
    counts = [np.array([count[label] for label in labels], np.int64) for count in (found, true, right)]
    return EntityReport(labels, counts[0], counts[1], counts[2], tokens, right_tokens)


def _spans(which: str, number: int, tags: Sequence[str], scheme: str) -> set[Span]:
    try:
        return set(spans(tags, scheme, strict=False))
    except (TypeError, ValueError) as error:
        told = str(error).removeprefix("spans: ")
        raise type(error)(f"entity_report: {which} row {number}: {told}") from None
