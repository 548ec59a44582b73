"""Shared parts of the programs for Multi30k: its files, training, and a report on test_2016."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import labelled

from elman.metrics.translation import TranslationReport, translation_report

SETTINGS = [
    "lowercase=true",
    "vocabulary_size=5000",
    "dropout=0.4",
    "output_dropout=0.4",
    "average=0.999",
]


class Translated(NamedTuple):
    """Translations of test_2016 by a model."""

    run: labelled.Run
    sources: list[str]
    targets: list[str]
    found: list[str]  # translations with a beam of five

    def report(self, rows: Sequence[int] | None = None) -> TranslationReport:
        """Return the report of all sentences or of some, ignoring case."""
        chosen = range(len(self.found)) if rows is None else rows
        return translation_report([self.found[row] for row in chosen], [self.targets[row] for row in chosen], True)

    def greedy_bleu(self) -> float:
        """Return the BLEU of greedy search."""
        return round(translation_report(self.run.model.predict(self.sources, beam=1), self.targets, True).bleu, 2)


def translate(language: str, settings: Sequence[str], folder: Path, data: Path) -> Translated:
    """Train on pairs of English and another language, with the best epoch on the validation part, and translate."""
    train, validation, test = ([data / "multi30k" / f"{part}.{side}.gz" for side in ("en", language)]
                               for part in ("train", "val", "test_2016_flickr"))  # fmt: skip
    words = [word for file in validation for word in ("--validation", file)]
    words += [word for setting in settings for word in ("--set", setting)]
    run = labelled.train(["translator", *train, *words], folder, data)
    sources, targets = map(lines, test)
    translated = Translated(run, sources, targets, run.model.predict(sources))
    print(translated.report().table())
    return translated


def lines(file: Path) -> list[str]:
    with gzip.open(file, "rt", encoding="utf-8") as text:
        return text.read().splitlines()
