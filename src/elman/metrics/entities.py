"""Evaluation of entities as in the CoNLL shared tasks (Tjong Kim Sang and Buchholz 2000, cs/0009008)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.classical.tag_schemes import Span, spans
from elman.errors import RowError, RowTypeError, StepError
from elman.metrics.report import Report, score_table
from elman.metrics.scores import Scores, scores
from elman.metrics.tables import columns, printable, score_rows


@dataclass(frozen=True, eq=False, repr=False)
class EntityReport(Report):
    """Evaluation report for entities. An entity is correct if its label, first word and last word are true.

    `precision`, `recall` and `f1` are over all labels together (micro average). Ratios with a zero denominator are 0.
    """

    labels: tuple[str, ...]  # L labels of true or predicted entities, in alphabetical order
    found: np.ndarray  # [L] int: predicted entities
    true: np.ndarray  # [L] int: true entities
    right: np.ndarray  # [L] int: correct entities
    tokens: int
    right_tokens: int  # tokens with the true tag

    @property
    def micro(self) -> Scores:
        """Scores over all labels together."""
        return scores(*(int(count.sum()) for count in (self.right, self.found, self.true)))

    @property
    def by_label(self) -> Scores:
        """Scores of each label: arrays [L]."""
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

    def main_figures(self) -> dict[str, Any]:
        micro = self.micro
        return {"F1": micro.f1, "precision": micro.precision, "recall": micro.recall, "entities": micro.support,
                "token accuracy": self.token_accuracy, "tokens": self.tokens}  # fmt: skip

    def _repr_html_(self) -> str:
        """Return a table with a line per label, and all labels together, for notebooks."""
        parts = zip(*self.by_label, strict=True)
        by_label = {printable(label): Scores(*part) for label, part in zip(self.labels, parts, strict=True)}
        return score_table(repr(self), by_label | {"all": self.micro})

    def table(self) -> str:
        """Return a table with a line per label, all labels together, and the token accuracy."""
        names = [printable(label) for label in self.labels]
        together = Scores(*([value] for value in self.micro))
        rows = [
            ["entity", "precision", "recall", "F1", "support"],
            *score_rows(names, self.by_label),
            *score_rows(["all"], together),
        ]
        return f"{columns(rows)}\n\ntoken accuracy  {self.token_accuracy:.4f} of {self.tokens:,} tokens"

    def to_json(self) -> dict[str, Any]:
        """Return the same figures as JSON values."""
        parts = zip(*(part.tolist() for part in self.by_label), strict=True)
        labels = [{"label": label, **Scores(*part)._asdict()} for label, part in zip(self.labels, parts, strict=True)]
        tokens = {"tokens": self.tokens, "token_accuracy": self.token_accuracy}
        return {**self.micro._asdict(), **tokens, "labels": labels}


def entity_report(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: str) -> EntityReport:
    """Compare the entities in predicted tags with those in the true tags.

    Invalid tag sequences are read as in the CoNLL evaluation (`spans(strict=False)`), so the counts equal
    seqeval's defaults. BILOU is read as IOBES.

    Args:
        truth, predicted: B rows with one tag per word.
        scheme: tag scheme, see `elman.classical.tag_schemes`.
    Raises:
        TypeError, ValueError: a tag is not one of the scheme, numbers of rows or tags differ, or there are no rows.
    Example:
        >>> report = entity_report([["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "O", "O"]], "BIO")
        >>> report.precision, report.recall
        (1.0, 0.5)
    """
    if not len(truth) or len(truth) != len(predicted):
        got = f"{len(truth)} true and {len(predicted)} predicted"
        raise ValueError(f"entity_report: expected at least one row, as many predicted as true, got {got}.")
    found, true, right = Counter[str](), Counter[str](), Counter[str]()
    tokens = right_tokens = 0
    for number, (true_row, predicted_row) in enumerate(zip(truth, predicted, strict=True)):
        true_spans = _spans("true", number, true_row, scheme)
        predicted_spans = _spans("predicted", number, predicted_row, scheme)
        if len(true_row) != len(predicted_row):
            raise RowError(number, f"entity_report: expected {len(true_row)} predicted tags, got {len(predicted_row)}.")
        true.update(span.label for span in true_spans)
        found.update(span.label for span in predicted_spans)
        right.update(span.label for span in true_spans & predicted_spans)
        tokens += len(true_row)
        right_tokens += sum(map(str.__eq__, true_row, predicted_row))
    labels = tuple(sorted(true.keys() | found.keys()))
    counts = [np.array([count[label] for label in labels], np.int64) for count in (found, true, right)]
    return EntityReport(labels, counts[0], counts[1], counts[2], tokens, right_tokens)


def _spans(which: str, number: int, tags: Sequence[str], scheme: str) -> set[Span]:
    try:
        return set(spans(tags, scheme, strict=False))
    except StepError as error:
        raise RowError(number, f"entity_report: {which} tags: {error.message}", step=error.step) from None
    except (TypeError, ValueError) as error:
        kind = RowTypeError if isinstance(error, TypeError) else RowError
        raise kind(number, f"entity_report: {which} tags: {error}") from None
