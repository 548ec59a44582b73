"""A language model: the probability of the next unit of a text, given all units before it (Mikolov et al. 2010)."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

import elman
from elman.classical import NGram
from elman.data.batches import Batches
from elman.data.documents import split
from elman.data.units import UNKNOWN, Units, make_units, units_from_json
from elman.data.windows import Window, Windows, resume
from elman.decoding import TextStream
from elman.files import SCHEMA, read_tensors, write_tensors
from elman.layers import Stack
from elman.losses import REDUCTIONS, cross_entropy
from elman.metrics import Likelihood
from elman.runtime import MODEL, ModelFile
from elman.state import State
from elman.tasks import texts as given
from elman.tasks.language_net import language_net
from elman.tasks.probe_loss import STEPS as LESSON_STEPS
from elman.tasks.probe_loss import ProbeLoss
from elman.tasks.recurrent import RecurrentSettings
from elman.tasks.settings import check_range
from elman.tasks.task import Task
from elman.tasks.texts import Texts
from elman.training import Event
from elman.training.settings import check

NGRAM = "ngram.safetensors"  # beside the model in a run folder: the bar to beat
NGRAM_ORDER = {"bytes": 7, "characters": 7, "words": 4, "bpe": 4}
LOGITS = 1 << 22  # that an evaluation of the net holds at once
STEPS = 1 << 20  # that one of the n-gram does

logger = logging.getLogger("elman")


@dataclass(kw_only=True)
class LanguageModel(RecurrentSettings, Task):
    """Reads a text unit by unit and gives the distribution over the next one; generates text; measures its surprise.

    Args:
        units: what the text is made of: `bytes`, `characters`, `words` or `bpe`.
        vocabulary_size: at most this many units (not for bytes); None for the default of the units.
        min_count: rarer units become `<unk>` (characters, words); None for the default of the units.
        embedding_size: features of a unit; None for 128, or for hidden_size when tied.
        tie_weights: the read-out uses the embedding's weights (Press and Wolf 2017, arXiv:1608.05859).
        embedding_dropout: of the embedded units while training, 0 for none.
        streams: rows that are read side by side, B; fewer where the text has less than `steps` units for each.
        steps: unrolled steps of truncated BPTT, U; None unrolls whole documents (full BPTT), as many in a batch as hold
            `streams` times 100 steps.
        shuffle: every epoch reads the documents in another order, and cuts the windows at other places; without it
            all epochs are the same.
        loss: `mean` over the steps of a window, or their `sum` divided by the streams (for full BPTT, by the
            documents).
        validation: the part of the text that is held out to choose the best weights, 0 for none.
        ngram_order: of the n-gram that is fitted beside the net; None for the default of the units, 0 for no n-gram.
        cell, hidden_size, num_layers, dropout, ...: see `RecurrentSettings`.
        epochs, learning_rate, optimizer, ...: see `TrainingSettings`.
    Attributes:
        units_: the fitted units.
        net_: the `Stack` that was trained.
        ngram_: the n-gram, or None.
        held_out_: the texts that were held out of the training.
        result_: how the training ended.
    Example:
        >>> model = LanguageModel(hidden_size=16, epochs=1, steps=10, streams=4, ngram_order=2, validation=0)
        >>> model.fit("abcabcabcabc" * 20).evaluate("abcabc").units
        7
    """

    task: ClassVar[str] = "language-model"

    units: str = "characters"
    vocabulary_size: int | None = None
    min_count: int | None = None
    embedding_size: int | None = None
    tie_weights: bool = False
    embedding_dropout: float = 0.0
    streams: int = 32
    steps: int | None = 100
    shuffle: bool = True
    loss: str = "mean"
    validation: float = 0.05
    ngram_order: int | None = None

    def fit(
        self,
        documents: Texts,
        validation_documents: Texts | None = None,
        *,
        run: str | Path | None = None,
        resume: bool = False,
        observers: Sequence[Callable[[Event], object]] = (),
    ) -> "LanguageModel":
        """Train on texts.

        Args:
            documents: a text, the `Path` of a file, or a list of either; each is read from its beginning to its end.
            validation_documents: texts to choose the best weights by, in place of the part `validation`.
            run: a folder that keeps everything; it must not exist yet, unless to `resume` what was begun there.
            resume: go on where the run in `run` stopped.
            observers: called with every event of the training.
        Raises:
            ValueError: a setting that cannot act, or a text from which nothing can be learnt.
            FileExistsError: `run` is there already.
            OSError, NonFinite, Interrupted: as `elman.training.train`.
        """
        self.check_run(run, resume)
        if self.loss not in REDUCTIONS:
            raise ValueError(f"loss: expected one of {', '.join(REDUCTIONS)}, got {self.loss!r}.")
        check_range(self, 1, math.inf, "hidden_size", "num_layers", "embedding_size", "streams", "steps")
        check_range(self, 0, math.inf, "ngram_order")
        check_range(self, 0, 1, "dropout", "embedding_dropout", "validation")
        texts, self.held_out_ = self.read(documents), self.read(validation_documents or [])
        if self.validation and not self.held_out_:
            texts, self.held_out_ = split(texts, self.validation, self.seed)
        self.units_ = self._make_units().fit(texts)
        encoded = [self.units_.encode(text) for text in texts]
        self._check_text(encoded)
        held_out = [self.units_.encode(text) for text in self.held_out_]
        self.net_ = self._make_net()
        check(self, has_validation=bool(held_out))
        sizes = given.describe(texts), given.describe(self.held_out_), self.units_.size
        logger.info("training text: %s; held out: %s; a vocabulary of %d units", *sizes)
        data = self._windows(encoded)
        names = [given.file_names(documents), given.file_names(validation_documents or [])]
        with self.open_run(run, resume, dict(zip(("data", "validation_data"), names, strict=True))) as folder:
            self._fit_ngram(encoded, folder)
            weights = sum(weight.numel() for weight in self.net_.parameters())
            logger.info(
                "net: %d x %s of %d units, %s weights", self.num_layers, self.cell, self.hidden_size, f"{weights:,}"
            )
            self.result_ = self.train(
                partial(self._loss, data.streams if isinstance(data, Windows) else None),
                _Epochs(data, self.seed if self.shuffle else None),
                (lambda: self._nats_per_unit(held_out)) if held_out else None,
                run=folder,
                resume=resume,
                observers=observers,
                facts={"training": given.digest(encoded), "held_out": given.digest(held_out)},
            )
            if folder:
                self.save(folder / MODEL)
        return self

    def evaluate(
        self, documents: Texts, streams: int = 1, progress: Callable[[float], object] = lambda part: None
    ) -> Likelihood:
        """How well the net predicts texts.

        Args:
            documents: as for `fit`.
            streams: cut the text into so many streams that are read side by side: faster, but each of them starts
                without context. With 1, every document is read from its beginning to its end.
            progress: called with the part that is done, 0 to 1.
        """
        return self._measure(documents, lambda encoded: self._nats(encoded, streams, progress))

    def evaluate_ngram(self, documents: Texts) -> Likelihood:
        """The same measures of the n-gram: the bar to beat."""
        if self.ngram_ is None:
            raise ValueError("LanguageModel.evaluate_ngram: there is no n-gram; fit with another ngram_order than 0.")
        return self._measure(documents, self._ngram_nats)

    def score(self, documents: Texts) -> float:
        """Minus the nats a character: higher is better."""
        return -self.evaluate(documents).nats_per_character

    def probe_loss(self, documents: Texts) -> ProbeLoss:
        self.check_fitted()
        encoded = [self.units_.encode(text) for text in self.read(documents)]
        total = sum(map(len, encoded))
        if not total:
            raise ValueError("LanguageModel.probe_loss: expected a text, got an empty one.")
        streams = min(8, max(1, total // 50))
        window = Windows(encoded, streams, max(1, min(LESSON_STEPS, total) // streams))[0]
        first = window.inputs.to_list()[0].tolist()

        def loss() -> Tensor:
            logits, targets, _ = self._logits(window, None)
            return cross_entropy(logits, targets)

        return ProbeLoss(loss, [self.units_.decode([unit]) for unit in first])

    def stream(self) -> TextStream:
        """A reader at the beginning of a text: it takes one unit at a time and gives the distribution over the next.

        It keeps the weights as they are now.
        """
        if self.net_.streams_natively():
            return TextStream.of(self.net_.stepper(output="log_probs"), self.units_)
        return TextStream(self._read_unit, self.net_.initial_state(1), self.units_)

    def generate(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> Iterator[str]:
        """Go on from a prompt: yields pieces of text while it runs, up to `length` units or the end of the text.

        Raises:
            ValueError: the prompt holds what the model has no unit for; a setting is out of range.
        """
        return self.stream().generate(
            prompt, length=length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )

    # The data.

    def read(self, documents: Texts) -> list[Any]:
        """The texts of `documents`, files read: bytes for the units `bytes`, else str."""
        return given.read(documents, "bytes" if self.units == "bytes" else "utf-8")

    def _make_units(self) -> Units:
        return make_units(self.units, vocabulary_size=self.vocabulary_size, min_count=self.min_count)

    def _check_text(self, encoded: list[np.ndarray]) -> None:
        ids = np.concatenate(encoded)
        if len(ids) < (self.steps or 1):
            raise ValueError(
                f"text: {len(ids)} {self.units} to train on, less than one window of {self.steps}; give more text, "
                "or set steps lower."
            )
        if (ids == ids[0]).all():
            raise ValueError(
                f"text: {len(ids)} {self.units}, all of them {self.units_.decode(ids[:1])!r}: there is nothing to "
                "learn; give a text that holds at least two different ones."
            )

    def _windows(self, encoded: list[np.ndarray]) -> Windows | Batches:
        if self.steps is None:
            return Batches(encoded, self.streams * 100)
        total = sum(map(len, encoded))
        return Windows(encoded, min(self.streams, max(1, total // self.steps)), self.steps)

    # The net.

    def _make_net(self) -> Stack:
        with self.seeded():
            return language_net(
                self.units_.size,
                self,
                embedding_size=self.embedding_size,
                tie_weights=self.tie_weights,
                embedding_dropout=self.embedding_dropout,
            )

    def _logits(self, window: Window, state: State | None) -> tuple[Tensor, Tensor, State]:
        """The logits and the targets of a window, and the state after it."""
        inputs = window.inputs.map(torch.from_numpy)
        logits, state = self.net_(inputs, resume(window.source, state, self.net_))
        return logits.values, torch.from_numpy(window.targets), state

    def _loss(self, streams: int | None, window: Window, state: State | None) -> tuple[Tensor, State]:
        logits, targets, state = self._logits(window, state)
        return cross_entropy(logits, targets, self.loss, streams or len(window.source)), state

    def _nats(
        self, encoded: list[np.ndarray], streams: int, progress: Callable[[float], object] = lambda part: None
    ) -> float:
        """The negative log-probability of texts, their ends included."""
        nats, state = 0.0, None
        windows = Windows(encoded, streams, max(1, LOGITS // self.units_.size // streams))
        with self.evaluating():
            for number, window in enumerate(windows, start=1):
                logits, targets, state = self._logits(window, state)
                nats += cross_entropy(logits, targets, "sum").item()
                progress(number / len(windows))
        return nats

    def _nats_per_unit(self, encoded: list[np.ndarray]) -> float:
        """The evaluation while training: streams of at least one window, or whole documents, as in training."""
        windows = self._windows(encoded)
        streams = windows.streams if isinstance(windows, Windows) else 1
        return self._nats(encoded, streams) / windows.num_steps

    def _read_unit(self, unit: int, state: State) -> tuple[np.ndarray, State]:
        with self.evaluating():
            logits, state = self.net_.step(torch.tensor([unit]), state)
        return logits[0].double().log_softmax(-1).numpy(), state

    def _measure(self, documents: Texts, nats: Callable[[list[np.ndarray]], float]) -> Likelihood:
        texts = self.read(documents)
        encoded = [self.units_.encode(text) for text in texts]
        return Likelihood(
            nats=nats(encoded),
            units=sum(map(len, encoded)) + len(encoded),
            characters=given.num_characters(texts),
            unknown=sum(int((ids == UNKNOWN).sum()) for ids in encoded) if self.units_.has_unknown else 0,
        )

    # The n-gram.

    def _fit_ngram(self, encoded: list[np.ndarray], folder: Path | None) -> None:
        order = NGRAM_ORDER[self.units] if self.ngram_order is None else self.ngram_order
        self.ngram_ = None
        if order == 0:
            return
        logger.info("fitting the bar to beat, a %d-gram", order)
        self.ngram_ = NGram(self.units_.size, order).fit(encoded)
        if folder:
            facts = {"schema": SCHEMA, "version": elman.__version__, "task": "n-gram", "settings": self.ngram_.settings}
            write_tensors(folder / NGRAM, self.ngram_.to_arrays(), facts | self.preprocessing())
        if self.held_out_:
            bar = self.evaluate_ngram(self.held_out_)
            logger.info("%d-gram on the held-out part: %.4f nats, %.4f bits a character", order,
                        bar.nats_per_character, bar.bits_per_character)  # fmt: skip

    def _ngram_nats(self, encoded: list[np.ndarray]) -> float:
        assert self.ngram_ is not None
        nats, state = 0.0, None
        for window in Windows(encoded, 1, STEPS):
            state = resume(window.source, state, self.ngram_)
            nats -= float(self.ngram_.log_prob(window.inputs, window.targets, state).sum())
            state = self.ngram_.after(window.inputs, state)
        return nats

    # The files.

    def preprocessing(self) -> dict[str, Any]:
        return {"units": self.units_.to_json()}

    def restore(self, file: ModelFile) -> None:
        self.units_ = units_from_json(file.metadata["units"])
        self.net_ = self._make_net()
        self.ngram_ = None
        if (ngram := file.path.with_name(NGRAM)).exists():
            arrays, metadata = read_tensors(ngram)
            if (metadata.get("task"), metadata.get("units")) != ("n-gram", file.metadata["units"]):
                raise ValueError(
                    f"{ngram}: not the n-gram of this model; copy its run folder whole, or leave the file out."
                )
            self.ngram_ = NGram.from_arrays(arrays, **metadata["settings"])


class _Epochs:
    """Windows or batches as the training loop asks for them: shuffled where there is a seed."""

    def __init__(self, data: Windows | Batches, seed: int | None):
        self.data, self.seed = data, seed

    def epoch(self, number: int) -> Sequence[Window]:
        return self.data if self.seed is None else self.data.epoch(number, self.seed)
