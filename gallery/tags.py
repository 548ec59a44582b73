"""Shared parts of the programs for tagged sentences: reading and writing them, and a hidden Markov model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from elman.classical.hmm import HMMTagger, Words
from elman.classical.tag_schemes import convert
from elman.data.readers import Labelled, read_tagged
from elman.metrics.classes import class_report
from elman.metrics.entities import entity_report
from elman.sequences import Sequences

Tags = Sequence[Sequence[str]]


def hmm_score(train: Labelled, test: Labelled, scheme: str | None) -> float:
    """Return entity F1, or the tag accuracy, of a second-order hidden Markov model (Brants 2000)."""
    assert train.labels is not None
    assert test.labels is not None
    tags = train.labels if scheme is None else [convert(row, scheme, "IOBES", strict=False) for row in train.labels]
    model = HMMTagger(order=2, emission=Words(max_suffix=10, rare_count=10)).fit(*map(_strings, (train.inputs, tags)))
    found = [row.tolist() for row in model.decode(_strings(test.inputs)).states.to_list()]
    if scheme is None:
        return class_report(_flat(test.labels), _flat(found), sorted({*_flat(train.labels)})).accuracy
    return entity_report(test.labels, [convert(row, "IOBES", scheme, strict=False) for row in found], scheme).f1


def part(train: Labelled, rows: slice) -> Labelled:
    """Return some of the sentences."""
    return Labelled(train.inputs[rows], train.labels[rows] if train.labels else None, train.places[rows])


def write_columns(rows: Labelled, path: Path) -> None:
    """Write a file of columns for `elman train tagger`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for words, tags in zip(rows.inputs, rows.labels or [], strict=True):
        for word, tag in zip(words, tags, strict=True):
            lines.append("\t".join([*(word if isinstance(word, tuple) else (word,)), tag]))
        lines.append("")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _strings(rows: Tags) -> Sequences:
    words = ([token[0] if isinstance(token, tuple) else token for token in row] for row in rows)
    return Sequences.from_list([np.array(row) for row in words])


def _flat(rows: Tags) -> list[str]:
    return [tag for row in rows for tag in row]


__all__ = ["hmm_score", "part", "read_tagged", "write_columns"]
