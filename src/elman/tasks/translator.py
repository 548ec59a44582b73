"""Texts from other texts, such as translations (Sutskever et al. 2014; Bahdanau et al. 2015)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from elman.data import readers
from elman.data.examples import Encoded, Examples
from elman.data.readers.labelled import Labelled
from elman.data.rows_and_labels import as_list, with_targets
from elman.data.units import UNKNOWN, Units, make_units
from elman.data.units.base import check_text
from elman.data.units.pairs import PairUnits
from elman.decoding import Hypothesis
from elman.errors import RowError, RowTypeError, about_row
from elman.layers import Embedding, Stack
from elman.metrics.references import as_references
from elman.metrics.translation import TranslationReport, translation_report
from elman.network import ModelFile
from elman.network.decoder import summary_width
from elman.network.states import DecoderState
from elman.representation import brief_fields
from elman.sequences import Sequences
from elman.settings import check_range
from elman.tasks.base import logger
from elman.tasks.encoder_decoder import EncoderDecoder
from elman.tasks.probe import ProbeLoss
from elman.tasks.writer import Targets, Writer, longest_target
from elman.training.loop import Data


@brief_fields
class Alignment(NamedTuple):
    """Attention weights of a pair."""

    source: list[str]  # its S units
    target: list[str]  # its T units, the end included as ''
    weights: np.ndarray  # [T, S]; every row sums to 1


@dataclass(kw_only=True)
class Translator(Writer):
    """Model that reads a text and writes another: an encoder, and a decoder that attends to it.

    `fit` takes the sources, and one target per source.

    Args:
        units: units of the sources: `bpe`, `words`, `characters` or `bytes`.
        target_units: units of the targets; None for those of the sources.
        vocabulary_size: largest number of units of the sources; None for the default of the units.
        target_vocabulary_size: largest number of units of the targets; None for that of the sources.
        shared_vocabulary: use one vocabulary for sources and targets.
        min_count: units seen fewer times are `<unk>` (characters, words); None for the default of the units.
        lowercase: read and write lower case.
        copy_unknown: replace `<unk>` by the word of the source with the largest attention weight (Luong et al. 2015,
            arXiv:1410.8206), if both sides are words. Otherwise `<unk>` is never written.
        source_limit: units of a source that are read; the rest is ignored.
        target_limit: pairs whose target has more units are left out of the training.
        bidirectional: the encoder reads in both directions.
        encoder_size: units of each direction of the encoder.
        validation: share of the pairs that is held out to choose the best weights, 0 for none.
        batch_steps: units of a batch, both sides together; None for about 64 pairs.
        attention, label_smoothing, hidden_size, ...: see `DecoderSettings` and `RecurrentSettings`.
        epochs, learning_rate, optimizer, ...: see `TrainingSettings`.
    Attributes:
        units_: the fitted units of both sides, a `PairUnits`.
        longest_: units of the longest training target.
        net_: the trained `EncoderDecoder`.
        held_out_: the held-out sources and targets.
        result_: how the training ended.
    Example:
        >>> model = Translator(units="characters", hidden_size=32, encoder_size=16, epochs=60, validation=0, dropout=0,
        ...                    embedding_size=16, embedding_dropout=0, output_dropout=0, label_smoothing=0)
        >>> model.fit(["ab", "ba", "aab"] * 8, ["xy", "yx", "xxy"] * 8).predict(["ba"])
        ['yx']
    """

    task: ClassVar[str] = "translator"
    network_settings: ClassVar[Sequence[str]] = (
        "units", "target_units", "vocabulary_size", "target_vocabulary_size", "shared_vocabulary", "min_count",
        "lowercase", "bidirectional", "encoder_size",
    )  # fmt: skip

    units: str = "bpe"
    target_units: str | None = None
    vocabulary_size: int | None = None
    target_vocabulary_size: int | None = None
    shared_vocabulary: bool = False
    min_count: int | None = None
    lowercase: bool = False
    copy_unknown: bool = True
    source_limit: int = 1000
    target_limit: int = 1000
    bidirectional: bool = True
    encoder_size: int = 256
    validation: float = 0.05
    hidden_size: int = 256
    epochs: int = 15

    # The data.

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "encoder_size", "source_limit", "target_limit")
        if self.shared_vocabulary and self.target_units not in (None, self.units):
            raise ValueError(f"shared_vocabulary: has no effect with units={self.units} and target_units="
                             f"{self.target_units}; leave one of them out.")  # fmt: skip
        if self.shared_vocabulary and self.target_vocabulary_size is not None:
            raise ValueError("shared_vocabulary: has no effect with a target_vocabulary_size; leave one of them out.")

    @classmethod
    def read_files(cls, files: Sequence[Path], **options: Any) -> Labelled:
        return Labelled(*readers.read_parallel(files, **options))

    def read(self, X: Any, y: Any) -> Examples:
        name = type(self).__name__
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

    def prepare(self, examples: Examples) -> None:
        source = make_units(self.units, vocabulary_size=self.vocabulary_size, min_count=self.min_count)
        target = source
        if not self.shared_vocabulary:
            size = self.target_vocabulary_size or self.vocabulary_size
            target = make_units(self.target_units or self.units, vocabulary_size=size, min_count=self.min_count)
        sides = PairUnits(source, target, self.lowercase)
        self.units_ = sides.fit(examples.inputs, examples.targets)

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

    def describe(self, data: Encoded, held_out: Encoded) -> str:
        return (f"{len(data):,} pairs of {data.inputs.num_steps:,} and {data.targets.units.num_steps:,} units "
                f"({self.units_.source.size:,} and {self.units_.target.size:,} different); {len(held_out):,} pairs "
                "held out")  # fmt: skip

    def learned(self) -> dict[str, Any]:
        sides = {"source": self.units_.source, "target": self.units_.target}
        return {f"{side} {units.name}": units.size for side, units in sides.items()}

    # The network.

    def build(self) -> EncoderDecoder:
        width = self.embedding_size
        layers = self.recurrent_layers(width, self.bidirectional, self.encoder_size)
        drops = self.input_dropouts(width, self.embedding_dropout)
        encoder = Stack(Embedding(self.units_.source.size, width), *drops, *layers)
        summary = summary_width(encoder.initial_state(0))
        net = EncoderDecoder(encoder, self.decoder(self.units_.target.size, encoder.output_size, summary))
        self.initialize(net)
        return net

    @property
    def written_units(self) -> Units:
        return self.units_.target

    def begin(self, data: Encoded) -> DecoderState:
        return self.net_.begin(data.inputs.map(torch.from_numpy))

    def inspect(self, data: Encoded) -> None:
        lengths = data.targets.units.lengths
        self.longest_ = int(lengths[lengths <= self.target_limit].max(initial=1))

    def batches(self, data: Encoded) -> Data:
        lengths = data.targets.units.lengths
        kept = np.flatnonzero(lengths <= self.target_limit)
        if len(kept) < len(data):
            logger.warning("%d of %d pairs are left out: their targets have more than %d units (target_limit)",
                           len(data) - len(kept), len(data), self.target_limit)  # fmt: skip
            if not len(kept):
                raise ValueError(f"target_limit: no target has {self.target_limit} units or less; set it higher.")
            data = data.select(kept)
        return super().batches(data)

    def usual_batch(self, data: Encoded) -> int:
        return 2 * super().usual_batch(data)

    def usual_lengths(self, data: Encoded) -> list[int]:
        return np.minimum(2 * data.steps + 10, 2 * self.longest_).tolist()

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
        X, y = with_targets(X, y)
        references = as_references(f"{type(self).__name__}.evaluate", X, () if y is None else y)
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

    def probe_loss(self, X: Any, y: Any = None) -> ProbeLoss:
        references = as_references(f"{type(self).__name__}.probe_loss", X, y)
        return super().probe_loss(X, [texts[0] for texts in references])

    def texts_of_steps(self, data: Encoded) -> dict[str, list[str]]:
        return super().texts_of_steps(data) | {"encoder": self.units_.each_source(data.inputs.to_list()[0])}

    def never(self) -> list[int]:
        return [] if self._copies() else super().never()

    def texts(self, state: DecoderState, rows: Sequence[str], found: list[list[Hypothesis]]) -> list[list[str]]:
        texts = super().texts(state, rows, found)
        unknown = [(row, number, one.units) for row, best in enumerate(found) for number, one in enumerate(best)
                   if self._copies() and (one.units == UNKNOWN).any()]  # fmt: skip
        if unknown:
            places, numbers, units = (list(part) for part in zip(*unknown, strict=True))
            attention = self.net_.attention_weights(state, np.array(places), units)
            for row, number, ids, weights in zip(places, numbers, units, attention, strict=True):
                texts[row][number] = self.units_.decode_copying(ids, rows[row], weights)
        return texts

    def _copies(self) -> bool:
        """Return whether unknown words are copied from the source."""
        both = self.units_.source.name == self.units_.target.name == "words"
        return self.copy_unknown and both and self.attention != "none"

    # Files.

    def metadata(self) -> dict[str, Any]:
        return {**self.units_.to_json(), "longest_target": self.longest_}

    def restore(self, file: ModelFile) -> None:
        self.units_ = PairUnits.from_json(file.metadata, self.lowercase)
        self.longest_ = longest_target(file)
