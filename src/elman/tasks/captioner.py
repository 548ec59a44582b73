"""A sentence for a picture (Vinyals et al. 2015, arXiv:1411.4555; Xu et al. 2015, arXiv:1502.03044)."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.data.hold_out import hold_out
from elman.data.row_batches import usual_steps
from elman.data.units import UNKNOWN, Units, make_units, units_from_json
from elman.decoding import Hypothesis
from elman.metrics.translation import TranslationReport, translation_report
from elman.nearest import did_you_mean
from elman.runtime import ModelFile
from elman.sequences import Sequences
from elman.state import State
from elman.tasks.captioned import AT_ONCE, Captioned, checked_captions
from elman.tasks.captioner_net import captioner_net
from elman.tasks.encoder_decoder import EncoderDecoder
from elman.tasks.inputs.text import TOKEN
from elman.tasks.pairs import PairBatch, PairBatches
from elman.tasks.photos import Photos
from elman.tasks.probe_loss import AT_MOST, ProbeLoss, few
from elman.tasks.search import Asked, Search
from elman.tasks.settings import check_range
from elman.tasks.task import Observers
from elman.tasks.writer import Writer

ENCODERS = {"efficientnet": 160, "convolutional": 96}  # and the size of the pictures that each reads
HELD = "validation row"

logger = logging.getLogger("elman")


class AttentionMap(NamedTuple):
    """Where the decoder looked when it wrote."""

    words: list[str]  # T units, the end among them as ''
    weights: np.ndarray  # [T, h, w]: of each of them a map that sums to 1


@dataclass(kw_only=True)
class Captioner(Writer):
    """Reads a picture and says in a sentence what is on it: a convolutional encoder, a decoder that attends to its map.

    Args:
        encoder: `efficientnet`, which knows the classes of ImageNet (its weights come in a package of the extra
            `elman[vision]`), or `convolutional`, a small net that is trained from pixels.
        fine_tune: `efficientnet` learns as well, at the same rate as everything: set `learning_rate` low. Without, its
            features are computed once a picture and kept in the user's cache folder.
        image_size: height and width that pictures are brought to; None for 160 of `efficientnet` and 96 of
            `convolutional`.
        mirror: pictures are turned left for right half of the time while training.
        encoder_size: features of each place of the map that the decoder reads.
        encoder_dropout: of the features that are made into them while training.
        attention: as in `DecoderSettings`; with `none` the mean of the map is all that is read.
        units: what captions are made of: `words`, `bpe`, `characters`.
        vocabulary_size: at most so many units; None for the default of the units.
        min_count: rarer words become `<unk>`, which is never written.
        lowercase: write lower case.
        validation: the part of the pictures that is held out to choose the best weights by, 0 for none.
        batch_steps: units of a batch, all captions of all its pictures together; None for some 32 pictures.
        cell, hidden_size, label_smoothing, ...: see `DecoderSettings` and `RecurrentSettings`.
        epochs, learning_rate, optimizer, ...: see `TrainingSettings`.
    Attributes:
        units_: the fitted units.
        longest_: units of the longest caption that was trained on.
        net_: the `EncoderDecoder` that was trained.
        held_out_: the pictures that the best weights were chosen by, and their captions.
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
    validation: float = 0.1
    batch_steps: int | None = None
    hidden_size: int = 256
    dropout: float = 0.5
    embedding_size: int = 256
    output_dropout: float = 0.5
    epochs: int = 15
    learning_rate: float = 4e-3

    def fit(
        self,
        X: Sequence[Any],
        y: Sequence[Any],
        X_validation: Sequence[Any] | None = None,
        y_validation: Sequence[Any] | None = None,
        *,
        run: str | Path | None = None,
        resume: bool = False,
        observers: Observers = (),
        source: Mapping[str, Any] | None = None,
    ) -> "Captioner":
        """Train on pictures and what people say of them.

        Args:
            X: pictures: names of files, `PictureFile`, or uint8 arrays [H, W, 3] or [H, W].
            y: of each picture its captions, a list of texts, or one text.
            X_validation, y_validation: pictures to choose the best weights by, in place of the part `validation`.
            run: a folder that keeps everything; it must not exist yet, unless to `resume` what was begun there.
            resume: go on where the run in `run` stopped.
            observers: called with every event of the training.
            source: where the pictures came from, for `config.toml` in the run folder.
        Raises:
            ValueError: a setting that cannot act, a picture that cannot be read, or one without captions.
            FileExistsError: `run` is there already.
            ModuleNotFoundError: Pillow is not installed, or the package with the weights of the encoder.
            OSError, NonFinite, Interrupted: as `elman.training.train`.
        """
        self.check_run(run, resume)
        self._check_settings()
        pictures, captions = list(X), checked_captions("Captioner.fit", X, y)
        if not pictures:
            raise ValueError("Captioner.fit: expected pictures, got none.")
        held = [] if X_validation is None else list(X_validation)
        held_captions = checked_captions("Captioner.fit: validation", held, y_validation or [], HELD)
        photos = self._photos()
        numbers, held_numbers = photos.encode(pictures), photos.encode(held, name=HELD)
        train, out = np.arange(len(pictures)), np.arange(0)
        if self.validation and not held:
            train, out = hold_out([0] * len(pictures), self.validation, self.seed)
            held, held_captions = [pictures[i] for i in out], [captions[i] for i in out]
            held_numbers = numbers[out]
        self.held_out_ = held, held_captions
        self.units_ = self._make_units().fit(self._written(text) for i in train for text in captions[i])
        data = self._encoded(numbers[train], [captions[i] for i in train])
        held_out = self._encoded(held_numbers, held_captions)
        del numbers, held_numbers  # what is trained on is a copy
        mirrored = photos.encode([pictures[i] for i in train], mirrored=True) if self.mirror else data.pictures
        self.longest_ = int(data.units.lengths.max())
        self.net_ = self._make_net(pretrained=True)
        self._tell(data, held_out)
        steps = self.batch_steps or usual_steps(data.steps)
        self.train_in(
            run,
            resume,
            source,
            lambda batch, _: self._loss(data, mirrored, batch),
            PairBatches(np.zeros_like(data.steps), data.steps - 1, steps, self.epochs, self.seed),
            (lambda: self._nats_per_unit(held_out)) if held else None,
            observers=observers,
            facts={"training": data.digest(), "held_out": held_out.digest()},
        )
        return self

    def n_best(
        self, X: Sequence[Any], n: int, progress: Callable[[float], object] = lambda part: None, **search: Any
    ) -> list[list[tuple[str, float]]]:
        """The `n` best captions of each picture with the score of each, best first; fewer where fewer were found.

        Args:
            progress: called with the part that is done, 0 to 1.
            search: how to search: see `elman.tasks.search.Search`, `beam=5` unless said otherwise.
        """
        return [
            [(self.units_.decode(found.units).strip(), found.score) for found in row]
            for row in self._found(X, Search.of(search), n, progress)
        ]

    def evaluate(
        self,
        X: Sequence[Any],
        y: Sequence[Any],
        progress: Callable[[float], object] = lambda part: None,
        *,
        lowercase: bool = False,
        **search: Any,
    ) -> TranslationReport:
        """BLEU, chrF and more of what is predicted.

        Args:
            X: the pictures.
            y: of each the captions that people wrote.
            lowercase: compare in lower case, as is done anyway where the model writes it.
            search: as for `predict`.
        """
        references = [
            [self._written(text) for text in of_one] for of_one in checked_captions("Captioner.evaluate", X, y)
        ]
        return translation_report(self.predict(X, progress, **search), references, lowercase or self.lowercase)

    def log_probs(self, X: Sequence[Any], y: Sequence[Any]) -> list[np.ndarray]:
        """The log-probability of each caption given its picture, in nats: of each picture float64 [captions]."""
        self.check_fitted()
        captions = checked_captions("Captioner.log_probs", X, y)
        found = self._log_probs(self._encoded(self._photos().encode(list(X)), captions))
        return np.split(found, np.cumsum([*map(len, captions)])[:-1])

    def align(self, X: Sequence[Any], y: Sequence[str]) -> list[AttentionMap]:
        """Where the decoder looks at each picture when it writes a caption.

        Raises:
            ValueError: it has no attention.
        """
        self.check_fitted()
        captions = checked_captions("Captioner.align", X, [[text] for text in y])
        data = self._encoded(self._photos().encode(list(X)), captions)
        found = []
        for _, batch in data.batches():
            with self.evaluating():
                weights = self.net_.attention_weights(
                    self._begin(batch), np.arange(len(batch.units)), batch.units.to_list()
                )
            for ids, attention in zip(batch.units.to_list(), weights, strict=True):
                side = math.isqrt(attention.shape[1])
                words = [*(self.units_.decode([unit]).strip() for unit in ids.tolist()), ""]
                found.append(AttentionMap(words, attention.reshape(len(attention), side, side)))
        return found

    def probe_loss(self, X: Sequence[Any], y: Sequence[Any]) -> ProbeLoss:
        self.check_fitted()
        captions = checked_captions("Captioner.probe_loss", X, y)[:AT_MOST]
        data = self._encoded(self._photos().encode(list(X)[:AT_MOST]), captions)
        data = data.select(few(data.steps))
        return ProbeLoss(lambda: self.net_.loss(self._begin(data), data.units)[0])

    # The data.

    def _check_settings(self) -> None:
        self.check_decoder()
        check_range(self, 1, math.inf, "encoder_size", "batch_steps", "min_count", "image_size")
        check_range(self, 0, 1, "validation", "encoder_dropout")
        if self.encoder not in ENCODERS:
            hint = did_you_mean(self.encoder, ENCODERS)
            raise ValueError(f"encoder: expected one of {', '.join(ENCODERS)}, got {self.encoder!r}{hint}")
        if self.fine_tune and self.encoder != "efficientnet":
            raise ValueError(f"fine_tune: cannot act with encoder={self.encoder}, which learns anyway; leave it out.")

    def _photos(self) -> Photos:
        features = self.encoder == "efficientnet" and not self.fine_tune
        return Photos(self.image_size or ENCODERS[self.encoder], features)

    def _make_units(self) -> Units:
        return make_units(self.units, vocabulary_size=self.vocabulary_size, min_count=self.min_count)

    def _written(self, text: str) -> str:
        """A text as its units are cut from it: of words, marks stand alone."""
        text = text.lower() if self.lowercase else text
        return " ".join(TOKEN.findall(text) if self.units == "words" else text.split())

    def _encoded(self, pictures: np.ndarray, captions: Sequence[Sequence[str]]) -> Captioned:
        units = self._ids([text for of_one in captions for text in of_one])
        return Captioned(pictures, units, np.array([len(of_one) for of_one in captions], np.int64))

    def _ids(self, texts: Sequence[str]) -> Sequences:
        ids = [self.units_.encode(self._written(text)) for text in texts]
        return Sequences(np.concatenate([np.empty(0, np.int64), *ids]), [*map(len, ids)])

    def _tell(self, data: Captioned, held_out: Captioned) -> None:
        logger.info("%s pictures of %d x %d with %s captions of %s %s (%s different); %s pictures held out",
                    f"{len(data.pictures):,}", *2 * [self._photos().size], f"{len(data.units):,}",
                    f"{data.units.num_steps:,}", self.units, f"{self.units_.size:,}",
                    f"{len(held_out.pictures):,}")  # fmt: skip
        weights = sum(weight.numel() for weight in self.net_.parameters())
        logger.info("net: %s, %d x %s of %d units, attention: %s, %s weights", self.encoder, self.num_layers, self.cell,
                    self.hidden_size, self.attention, f"{weights:,}")  # fmt: skip

    # The net.

    def _make_net(self, pretrained: bool) -> EncoderDecoder:
        with self.seeded():
            return captioner_net(
                self.units_.size,
                self,
                encoder=self.encoder,
                fine_tune=self.fine_tune,
                encoder_size=self.encoder_size,
                encoder_dropout=self.encoder_dropout,
                pretrained=pretrained,
            )

    def _begin(self, data: Captioned) -> State:
        """One row a caption; all of a picture read the same memory."""
        return self.net_.begin(torch.from_numpy(data.pictures), data.owners)

    def _loss(self, data: Captioned, mirrored: np.ndarray, batch: PairBatch) -> tuple[Tensor, State | None]:
        some = data.select(batch.rows)
        if self.mirror:
            turned = np.flatnonzero(torch.rand(len(batch.rows)).numpy() < 0.5)
            some.pictures[turned] = mirrored[batch.rows[turned]]
        loss, _ = self.net_.loss(self._begin(some), some.units, self.teacher_forcing(batch.part))
        return loss, None

    def _log_probs(self, data: Captioned) -> np.ndarray:
        """[R] of all captions, in order."""
        with self.evaluating():
            parts = [self.net_.log_probs(self._begin(batch), batch.units) for _, batch in data.batches()]
        return np.concatenate([np.empty(0), *parts])

    def _nats_per_unit(self, data: Captioned) -> float:
        return -self._log_probs(data).sum() / (data.units.num_steps + len(data.units))

    def _found(
        self, X: Sequence[Any], how: Search, n: int, progress: Callable[[float], object]
    ) -> list[list[Hypothesis]]:
        self.check_fitted()
        if isinstance(X, str | bytes | Path):
            raise TypeError(f"Captioner.predict: expected a list of pictures, got one {type(X).__name__}; put it in a "
                            "list.")  # fmt: skip
        pictures = list(X)
        how.check_rows(len(pictures))
        found: list[list[Hypothesis]] = []
        photos, never = self._photos(), [UNKNOWN] if self.units_.has_unknown else []
        for start in range(0, len(pictures), AT_ONCE):
            numbers = photos.encode(pictures[start : start + AT_ONCE], first=start)
            rows = np.arange(start, start + len(numbers))
            constraints = how.constraints(self.units_, rows, never, self._ids)
            with self.evaluating():
                begun = self.net_.begin(torch.from_numpy(numbers))
                attention = None if self.attention == "none" else partial(self.net_.attention_weights, begun)
                usual = [self.longest_] * len(rows)
                found += how.best(Asked(self.net_.step, begun, rows.tolist(), usual, constraints, attention), n)
            progress(len(found) / len(pictures))
        return found

    # The files.

    def preprocessing(self) -> dict[str, Any]:
        return {"units": self.units_.to_json(), "longest_target": self.longest_}

    def restore(self, file: ModelFile) -> None:
        self.units_, self.longest_ = units_from_json(file.metadata["units"]), file.metadata["longest_target"]
        self.net_ = self._make_net(pretrained=False)
