"""Training of a translator (Sutskever et al. 2014; Bahdanau et al. 2015)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from elman.data import readers
from elman.data.examples import Encoded, Examples
from elman.data.readers.labelled import Labelled
from elman.data.units import make_units
from elman.data.units.pairs import PairUnits
from elman.layers import Embedding, Stack
from elman.metrics.references import as_references
from elman.network.decoder import summary_width
from elman.runtime.translator import TrainedTranslator
from elman.settings import check_range
from elman.tasks.base import logger
from elman.tasks.encoder_decoder import EncoderDecoder
from elman.tasks.probe import ProbeLoss
from elman.tasks.writer import Writer
from elman.training.loop import Data


@dataclass(kw_only=True)
class Translator(TrainedTranslator, Writer):
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
    target_limit: int = 1000
    bidirectional: bool = True
    encoder_size: int = 256
    validation: float = 0.05
    hidden_size: int = 256
    epochs: int = 15

    # The data.

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "encoder_size", "target_limit")
        if self.shared_vocabulary and self.target_units not in (None, self.units):
            raise ValueError(f"shared_vocabulary: has no effect with units={self.units} and target_units="
                             f"{self.target_units}; leave one of them out.")  # fmt: skip
        if self.shared_vocabulary and self.target_vocabulary_size is not None:
            raise ValueError("shared_vocabulary: has no effect with a target_vocabulary_size; leave one of them out.")

    @classmethod
    def read_files(cls, files: Sequence[Path], **options: Any) -> Labelled:
        return Labelled(*readers.read_parallel(files, **options))

    def prepare(self, examples: Examples) -> None:
        source = make_units(self.units, vocabulary_size=self.vocabulary_size, min_count=self.min_count)
        target = source
        if not self.shared_vocabulary:
            size = self.target_vocabulary_size or self.vocabulary_size
            target = make_units(self.target_units or self.units, vocabulary_size=size, min_count=self.min_count)
        sides = PairUnits(source, target, self.lowercase)
        self.units_ = sides.fit(examples.inputs, examples.targets)

    def describe(self, data: Encoded, held_out: Encoded) -> str:
        return (f"{len(data):,} pairs of {data.inputs.num_steps:,} and {data.targets.units.num_steps:,} units "
                f"({self.units_.source.size:,} and {self.units_.target.size:,} different); {len(held_out):,} pairs "
                "held out")  # fmt: skip

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

    def probe_loss(self, X: Any, y: Any = None) -> ProbeLoss:
        references = as_references(f"{type(self).__name__}.probe_loss", X, y)
        return super().probe_loss(X, [texts[0] for texts in references])

    def texts_of_steps(self, data: Encoded) -> dict[str, list[str]]:
        return super().texts_of_steps(data) | {"encoder": self.units_.each_source(data.inputs.to_list()[0])}
