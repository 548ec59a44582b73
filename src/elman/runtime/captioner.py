"""Trained captioners: sentences for pictures (Vinyals et al. 2015; Xu et al. 2015, arXiv:1502.03044)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from elman.data.examples import Encoded, Examples, pick
from elman.data.readers.pixels import LONGEST_SIDE
from elman.data.rows_and_labels import as_list
from elman.data.units import Units, units_from_json
from elman.data.units.base import check_text
from elman.declared_types import Record
from elman.errors import RowError, RowTypeError, about_row
from elman.inputs.text import TOKEN
from elman.metrics.translation import TranslationReport, sacrebleu_metrics, translation_report
from elman.network import ModelFile
from elman.representation import brief_fields
from elman.runtime.photos import FixedTrunk, Photos
from elman.runtime.writer import Targets, TrainedWriter, longest_target
from elman.sequences import Sequences
from elman.settings import check_range, check_word

ENCODERS = {"efficientnet": 160, "convolutional": 96}  # and the default size of their pictures
AT_ONCE = 64  # pictures of a batch in a search
TRUNK = "trunk."  # names in a file of the weights that are not trained begin with it


@brief_fields
class AttentionMap(NamedTuple):
    """Attention weights of a caption."""

    words: list[str]  # T units, the end included as ''
    weights: np.ndarray  # [T, h, w]; every map sums to 1


@dataclass(frozen=True)
class Pictures:
    """Pictures, and the numbers that the network reads."""

    files: Sequence[Any]  # as they were given
    numbers: np.ndarray | None = None  # [B, ...] pixels or features; None if they are read batch by batch
    mirrored: np.ndarray | None = None  # the same, flipped horizontally

    def select(self, rows: np.ndarray) -> "Pictures":
        return Pictures(*(pick(part, rows) for part in (self.files, self.numbers, self.mirrored)))

    @property
    def arrays(self) -> np.ndarray | None:
        return self.numbers


@dataclass(kw_only=True)
class TrainedCaptioner(TrainedWriter):
    """Trained captioner, which runs without PyTorch.

    Args:
        encoder: `efficientnet` or `convolutional`.
        fine_tune: whether the weights of `efficientnet` were trained too, as a part of the network.
        image_size: height and width of the pictures after resizing; None for 160 with `efficientnet` and 96 with
            `convolutional`.
        units: units of the captions: `words`, `bpe` or `characters`.
        lowercase: write lower case.
    Attributes:
        units_: the fitted units.
        longest_: units of the longest training caption.
        trunk_: the network with fixed weights that computes the features of pictures; None if the trained network reads
            pixels.
        net_: the network.
    """

    task: ClassVar[str] = "captioner"

    encoder: str = "efficientnet"
    fine_tune: bool = False
    image_size: int | None = None
    units: str = "words"
    lowercase: bool = True

    # The data.

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, LONGEST_SIDE + 1, "image_size")
        check_word("encoder", self.encoder, ENCODERS)
        if self.fine_tune and self.encoder != "efficientnet":
            raise ValueError(f"fine_tune: has no effect with encoder={self.encoder}, which is always trained; leave it "
                             "out.")  # fmt: skip

    def read(self, X: Any, y: Any) -> Examples:
        name = self.class_name
        pictures, given = as_list(name, X), as_list(name, [] if y is None else y)
        captions = [list(texts) if isinstance(texts, list | tuple | np.ndarray) else [texts] for texts in given]
        if len(pictures) != len(captions):
            raise ValueError(f"{name}: expected captions of each of {len(pictures)} pictures, got {len(captions)}.")
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

    def pairs(self, examples: Examples) -> Encoded:
        """Return pictures, which are read batch by batch, and their captions as numbers."""
        captions = examples.targets
        units = self.encode_texts([text for texts in captions for text in texts])
        targets = Targets(units, np.array([len(texts) for texts in captions], np.int64))
        return Encoded(Pictures(examples.inputs), targets, targets.steps)

    def encode_inputs(self, X: Sequence[Any]) -> Encoded:
        return Encoded(Pictures(X), None, np.ones(len(X), np.int64))

    def encode_texts(self, texts: Sequence[str]) -> Sequences:
        return self.units_.encode_rows(map(self.spaced, texts))

    def spaced(self, text: str) -> str:
        """Return a text as its units are cut from it: words are split from punctuation."""
        text = text.lower() if self.lowercase else text
        return " ".join(TOKEN.findall(text) if self.units == "words" else text.split())

    def photos(self) -> Photos:
        """Return the preprocessor of the pictures."""
        return Photos(self.picture_size, self.trunk_)

    @property
    def picture_size(self) -> int:
        """Height and width of the pictures after resizing."""
        return self.image_size or ENCODERS[self.encoder]

    @property
    def has_fixed_trunk(self) -> bool:
        """Whether the features of pictures are those of a network with fixed weights."""
        return self.encoder == "efficientnet" and not self.fine_tune

    # The network.

    @property
    def written_units(self) -> Units:
        return self.units_

    def sources(self, data: Encoded) -> np.ndarray:
        pictures: Pictures = data.inputs
        return self.photos().encode(pictures.files) if pictures.numbers is None else pictures.numbers

    def usual_lengths(self, data: Encoded) -> list[int]:
        return [self.longest_] * len(data)

    def search_steps(self, beam: int) -> int:
        return AT_ONCE

    # Prediction.

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
        sacrebleu_metrics()
        examples = self.examples(X, y)
        references = [[self.spaced(text) for text in texts] for texts in examples.targets]
        return translation_report(self.predict(examples.inputs, **search), references, lowercase or self.lowercase)

    def log_probs(self, X: Sequence[Any], y: Sequence[Any] | None = None) -> list[np.ndarray]:
        """Return the log-probabilities of the captions of each picture in nats, float64 [captions] per picture."""
        self.check_fitted()
        return self._log_probs(self.pairs(self.examples(X, y)))

    def align(self, X: Sequence[Any], y: Sequence[str] | None = None) -> list[AttentionMap]:
        """Return the attention weights of one caption per picture.

        Raises:
            ValueError: the model has no attention.
        """
        self.check_fitted()
        data = self.pairs(self.examples(X, y))
        rows = zip(data.targets.units.to_list(), self._attention(data), strict=True)
        return [AttentionMap([*(self.decode(ids[[place]]) for place in range(len(ids))), ""],
                             weights.reshape(len(weights), math.isqrt(weights.shape[1]), -1))
                for ids, weights in rows]  # fmt: skip

    # Files.

    def metadata(self) -> dict[str, Any]:
        return {"units": self.units_.to_json(), "longest_target": self.longest_}

    def restore(self, file: ModelFile) -> None:
        self.units_, self.longest_ = units_from_json(file.value("units", Record)), longest_target(file)
        fixed = {name.removeprefix(TRUNK): tensor for name, tensor in file.tensors.items() if name.startswith(TRUNK)}
        self.trunk_ = FixedTrunk(fixed) if self.has_fixed_trunk else None

    def check_network(self) -> None:
        super().check_network()
        encoder = self.net_.encoder
        if encoder.kind != "picture_encoder" or (encoder.trunk is None) != self.has_fixed_trunk:
            raise ValueError(f"spec: expected an encoder of pictures that fits encoder={self.encoder} and fine_tune="
                             f"{self.fine_tune}, got another.")  # fmt: skip
