"""Trained translators: texts from other texts (Sutskever et al. 2014; Bahdanau et al. 2015)."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from elman.data.examples import Encoded, Examples
from elman.data.rows_and_labels import as_list, with_targets
from elman.data.units import UNKNOWN, Units
from elman.data.units.base import check_text
from elman.data.units.pairs import PairUnits
from elman.decoding import Hypothesis
from elman.errors import RowError, RowTypeError, about_row
from elman.metrics.references import as_references
from elman.metrics.translation import TranslationReport, sacrebleu_metrics, translation_report
from elman.network import ModelFile
from elman.network.states import DecoderState
from elman.representation import brief_fields
from elman.runtime.writer import Targets, TrainedWriter, longest_target
from elman.sequences import Sequences
from elman.settings import check_range

logger = logging.getLogger("elman")


@brief_fields
class Alignment(NamedTuple):
    """Attention weights of a pair."""

    source: list[str]  # its S units
    target: list[str]  # its T units, the end included as ''
    weights: np.ndarray  # [T, S]; every row sums to 1


@dataclass(kw_only=True)
class TrainedTranslator(TrainedWriter):
    """Trained translator, which runs without PyTorch.

    Args:
        lowercase: read and write lower case.
        copy_unknown: replace `<unk>` by the word of the source with the largest attention weight (Luong et al. 2015,
            arXiv:1410.8206), if both sides are words. Otherwise `<unk>` is never written.
        source_limit: units of a source that are read; the rest is ignored.
    Attributes:
        units_: the units of both sides, a `PairUnits`.
        longest_: units of the longest training target.
        net_: the network.
    """

    task: ClassVar[str] = "translator"

    lowercase: bool = False
    copy_unknown: bool = True
    source_limit: int = 1000

    # The data.

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "source_limit")

    def read(self, X: Any, y: Any) -> Examples:
        name = self.class_name
        sources, targets = as_list(name, X), as_list(name, [] if y is None else y)
        if len(sources) != len(targets):
            raise ValueError(f"{name}: expected a target for each of {len(sources)} sources, got {len(targets)}.")
        for number, pair in enumerate(zip(sources, targets, strict=True)):
            for side, text in zip(("source", "target"), pair, strict=True):
                if not isinstance(text, str):
                    raise RowTypeError(number, f"expected a {side} that is text, got {type(text).__name__}.")
                if not text.strip():
                    raise RowError(number, f"the {side} is empty; leave the pair out.")
                with about_row(number):
                    check_text("", text)
        return Examples(sources, targets, groups=sources)  # all targets of a source are held out together

    def encode(self, examples: Examples) -> Encoded:
        sources = self.encode_inputs(examples.inputs)
        units = self.encode_texts(examples.targets)
        targets = Targets(units, np.ones(len(examples), np.int64))
        return Encoded(sources.inputs, targets, sources.steps + targets.steps)

    def encode_inputs(self, X: Sequence[str]) -> Encoded:
        for row, text in enumerate(X):
            if not isinstance(text, str):
                raise RowTypeError(row, f"expected a source that is text, got {type(text).__name__}.")
            with about_row(row):
                check_text("", text)
        sources = self.units_.encode_sources(X)
        if long := int((sources.lengths > self.source_limit).sum()):
            logger.warning("%d of %d sources have more than %d units: the rest is ignored (source_limit)",
                           long, len(sources), self.source_limit)  # fmt: skip
            kept = np.flatnonzero(sources.times < self.source_limit)
            sources = Sequences(sources.values[kept], np.minimum(sources.lengths, self.source_limit))
        return Encoded(sources, None, sources.lengths)

    def encode_texts(self, texts: Sequence[str]) -> Sequences:
        return self.units_.encode_targets(texts)

    @property
    def written_units(self) -> Units:
        return self.units_.target

    def sources(self, data: Encoded) -> Sequences:
        sources: Sequences = data.inputs
        return sources

    def usual_lengths(self, data: Encoded) -> list[int]:
        return np.minimum(2 * data.steps + 10, 2 * self.longest_).tolist()

    def learned(self) -> dict[str, Any]:
        sides = {"source": self.units_.source, "target": self.units_.target}
        return {f"{side} {units.name}": units.size for side, units in sides.items()}

    # The trained model.

    def evaluate(
        self, X: Sequence[str], y: Sequence[Any] | None = None, *, lowercase: bool = False, **search: Any
    ) -> TranslationReport:
        """Return BLEU, chrF and more of the predictions.

        Args:
            X: sources.
            y: the reference of each, or a list of several.
            lowercase: compare in lower case.
            search: options of the search, as for `predict`.
        """
        sacrebleu_metrics()
        X, y = with_targets(X, y)
        references = as_references(f"{self.class_name}.evaluate", X, () if y is None else y)
        return translation_report(self.predict(X, **search), references, lowercase or self.lowercase)

    def log_probs(self, X: Sequence[str], y: Sequence[str] | None = None) -> np.ndarray:
        """Return the log-probability of each target given its source in nats, float64 [B]."""
        self.check_fitted()
        return np.concatenate([np.empty(0), *self._log_probs(self.encode(self.examples(X, y)))])

    def align(self, X: Sequence[str], y: Sequence[str] | None = None) -> list[Alignment]:
        """Return the attention weights of each pair.

        Raises:
            ValueError: the model has no attention.
        """
        self.check_fitted()
        data, units = self.encode(self.examples(X, y)), self.units_
        parts = zip(data.inputs.to_list(), data.targets.units.to_list(), self._attention(data), strict=True)
        return [Alignment(units.each_source(source), [*units.each_target(target), ""], weights)
                for source, target, weights in parts]  # fmt: skip

    def never(self) -> list[int]:
        return [] if self._copies() else super().never()

    def texts(self, state: DecoderState, rows: Sequence[str], found: list[list[Hypothesis]]) -> list[list[str]]:
        texts = super().texts(state, rows, found)
        unknown = [(row, number, one.units) for row, best in enumerate(found) for number, one in enumerate(best)
                   if self._copies() and (one.units == UNKNOWN).any()]  # fmt: skip
        if unknown:
            places, numbers, units = (list(part) for part in zip(*unknown, strict=True))
            attention = self.attention_weights(state, np.array(places), units)
            for row, number, ids, weights in zip(places, numbers, units, attention, strict=True):
                texts[row][number] = self.units_.decode_copying(ids, rows[row], weights)
        return texts

    def _copies(self) -> bool:
        """Return whether unknown words are copied from the source."""
        both = self.units_.source.name == self.units_.target.name == "words"
        return self.copy_unknown and both and self.attends

    # Files.

    def metadata(self) -> dict[str, Any]:
        return {**self.units_.to_json(), "longest_target": self.longest_}

    def restore(self, file: ModelFile) -> None:
        self.units_ = PairUnits.from_json(file.metadata, self.lowercase)
        self.longest_ = longest_target(file)

    def check_network(self) -> None:
        super().check_network()
        size = self.units_.source.size
        if not self.net_.encoder.reads_ids or self.net_.encoder.input_size != size:
            raise ValueError(f"spec: expected an encoder that reads {size} units, got {self.net_.encoder!r}.")
