"""Training of a language model (Mikolov et al. 2010)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from elman.cells import CELLS
from elman.cells.settings import CellSettings
from elman.classical import NGram
from elman.classical.ngram import BELOW
from elman.data.batches import DocumentBatches
from elman.data.documents import split
from elman.data.examples import PROBE_STEPS, Examples
from elman.data.readers.labelled import Labelled
from elman.data.units import make_units
from elman.data.windows import Window, Windows, resume
from elman.layers import Embedding, Linear, Stack
from elman.losses import REDUCTIONS, cross_entropy
from elman.losses.cross_entropy import unit_cross_entropy
from elman.network import Layer
from elman.runtime import ngram_baseline
from elman.runtime.language_model import Texts, TrainedLanguageModel
from elman.settings import check_range, check_word
from elman.state import State
from elman.tasks.base import Task, logger, perplexity
from elman.tasks.probe import ProbeLoss
from elman.tasks.recurrent import RecurrentSettings
from elman.tasks.torch_layer import TorchLayer
from elman.training import Score

EMBEDDING = 128  # features of a unit by default


@dataclass(kw_only=True)
class LanguageModel(TrainedLanguageModel, RecurrentSettings, Task):
    """Model that reads a text unit by unit and gives the distribution of the next unit. It can generate text.

    `fit` takes documents: a text, the `Path` of a file, or a list of either. Each is read from its beginning to its
    end. Validation data are documents too. Every line end (CR LF, CR) is read as a line feed, except by `bytes`.

    Args:
        documents: document in a file that X names: the whole `file`, each `line`, or each paragraph between `blank`
            lines.
        units: units of the text: `bytes`, `characters`, `words` or `bpe`.
        vocabulary_size: largest number of units (not for bytes); None for the default of the units.
        min_count: units seen fewer times are `<unk>` (characters, words); None for the default of the units.
        embedding_size: features of a unit; None for 128, or for hidden_size if tied.
        tie_weights: share the weights of embedding and read-out (Press and Wolf 2017, arXiv:1608.05859).
        embedding_dropout: dropout rate of the embedded units in training, 0 for none.
        streams: rows that are read in parallel, B; fewer if the text has less than `steps` units for each.
        steps: steps of truncated BPTT, U; None for whole documents (full BPTT), with `streams` times 100 steps in a
            batch.
        shuffle: read the documents in another order in every epoch, and cut the windows at other places.
        reduction: `mean` over the steps of a window, or their `sum` divided by the streams (full BPTT: by the
            documents).
        validation: share of the text that is held out to choose the best weights, 0 for none.
        ngram_order: order of the n-gram that is fitted as a baseline; None for the default of the units, 0 for none.
        cell, hidden_size, num_layers, dropout, ...: see `RecurrentSettings`.
        epochs, learning_rate, optimizer, ...: see `TrainingSettings`.
    Attributes:
        units_: the fitted units.
        net_: the trained `Stack`.
        ngram_: the n-gram, or None.
        held_out_: the held-out texts.
        result_: how the training ended.
    Example:
        >>> model = LanguageModel(hidden_size=16, epochs=1, steps=10, streams=4, ngram_order=2, validation=0)
        >>> model.fit("abcabcabcabc" * 20).evaluate("abcabc").units
        7
    """

    network_settings: ClassVar[Sequence[str]] = (
        "units",
        "vocabulary_size",
        "min_count",
        "embedding_size",
        "tie_weights",
    )

    vocabulary_size: int | None = None
    min_count: int | None = None
    embedding_size: int | None = None
    tie_weights: bool = False
    embedding_dropout: float = 0.0
    streams: int = 32
    steps: int | None = 100
    shuffle: bool = True
    reduction: str = "mean"
    validation: float = 0.05
    ngram_order: int | None = None

    # The data.

    def check_settings(self) -> None:
        super().check_settings()
        check_word("reduction", self.reduction, REDUCTIONS)
        check_range(self, 1, math.inf, "embedding_size", "streams", "steps")
        check_range(self, 0, BELOW["order"], "ngram_order")
        check_range(self, 0, 1, "embedding_dropout")
        if self.tie_weights and self.embedding_size not in (None, self.hidden_size):
            raise ValueError(f"tie_weights: needs embedding_size={self.hidden_size} (the hidden_size), got "
                             f"{self.embedding_size}; leave it out.")  # fmt: skip

    def variational_rates(self) -> tuple[float, ...]:
        return (*super().variational_rates(), self.embedding_dropout)

    @classmethod
    def read_files(cls, files: Sequence[Path], **options: Any) -> Labelled:
        return Labelled(list(files), None, [str(file) for file in files])

    def split(self, examples: Examples) -> tuple[Examples, Examples]:
        training, held_out = split(list(examples.inputs), self.validation, self.seed)
        return Examples(training, files=examples.files), Examples(held_out)

    def prepare(self, examples: Examples) -> None:
        units = make_units(self.units, vocabulary_size=self.vocabulary_size, min_count=self.min_count)
        self.units_ = units.fit(list(examples.inputs))

    def describe(self, data: list[np.ndarray], held_out: list[np.ndarray]) -> str:
        sizes = [f"{sum(map(len, part)):,} units in {len(part):,} document{'s' * (len(part) != 1)}"
                 for part in (data, held_out)]  # fmt: skip
        return f"training text: {sizes[0]}; held out: {sizes[1]}; a vocabulary of {self.units_.size:,} units"

    # The network.

    def build(self) -> Stack:
        size = self.embedding_size or (self.hidden_size if self.tie_weights else EMBEDDING)
        embedding, readout = Embedding(self.units_.size, size), Linear(self.hidden_size, self.units_.size)
        if self.tie_weights:
            torch.nn.init.normal_(embedding.weight, std=size**-0.5)
            readout.weight = embedding.weight
        drops = self.input_dropouts(size, self.embedding_dropout)
        net = Stack(embedding, *drops, *self.recurrent_layers(size), readout)
        self.initialize(net)
        return net

    def batches(self, data: list[np.ndarray]) -> Windows | DocumentBatches:
        ids = np.concatenate(data)
        if len(ids) < (self.steps or 1):
            raise ValueError(f"text: {len(ids)} {self.units} to train on, less than one window of {self.steps}; give "
                             "more text, or a lower setting of steps.")  # fmt: skip
        if (ids == ids[0]).all():
            raise ValueError(f"text: {len(ids)} {self.units}, all of them {self.units_.decode(ids[:1])!r}; expected at "
                             "least two different ones.")  # fmt: skip
        return self._windows(data, self.seed if self.shuffle else None)

    def loss(self, batch: Window, state: State | None) -> tuple[Tensor, State | None]:
        logits, targets, state = self._logits(batch, state)
        return cross_entropy(logits, targets, self.reduction, batch.streams), state

    def validate(self, data: list[np.ndarray]) -> Score:
        """Return the perplexity of words or BPE units, or the nats per unit of characters or bytes.

        As in training, the text is read in streams of at least one window, or in whole documents.
        """
        windows = self._windows(data)
        streams = windows.streams if isinstance(windows, Windows) else 1
        nats = self._nats(data, streams) / windows.num_steps
        return Score("nats per unit", nats) if self.units in ("characters", "bytes") else perplexity(nats)

    def _windows(self, data: list[np.ndarray], seed: int | None = None) -> Windows | DocumentBatches:
        if self.steps is None:
            return DocumentBatches(data, self.streams * 100, seed)
        total = sum(map(len, data))
        return Windows(data, min(self.streams, max(1, total // self.steps)), self.steps, seed)

    def _logits(self, window: Window, state: State | None) -> tuple[Tensor, Tensor, State]:
        """Return the logits and the targets of a window, and the state after it."""
        inputs = window.inputs.map(torch.from_numpy)
        logits, state = self.net_(inputs, resume(window.source, state, self.net_))
        return logits.values, torch.from_numpy(window.targets), state

    # The trained model.

    def probe_loss(self, X: Texts, y: Any = None) -> ProbeLoss:
        return self._probe(X, 8)

    def probe_row(self, rows: list[str]) -> ProbeLoss:
        return self._probe(rows, 1)

    def _probe(self, X: Texts, streams: int) -> ProbeLoss:
        """Return the loss of the first steps of the texts, in at most this number of streams."""
        self.check_fitted()
        data = self.encode(self.examples(X, None))
        total = sum(map(len, data))
        if not total:
            raise ValueError("LanguageModel.probe_loss: expected a text, got an empty one.")
        streams = min(streams, max(1, total // 50))
        window = Windows(data, streams, 1 + min(PROBE_STEPS, total) // streams)[0]
        texts = [self.units_.decode([unit]) for unit in window.inputs.to_list()[0].tolist()]
        return ProbeLoss(lambda: cross_entropy(*self._logits(window, None)[:2]), {"": texts})

    def costs(self, window: Window, state: State | None, units: np.ndarray) -> tuple[np.ndarray, State]:
        logits, targets, state = self._logits(window, state)
        costs = unit_cross_entropy(logits, targets, torch.from_numpy(units))
        return costs.numpy(force=True).astype(np.float64), state

    @property
    def cell_name(self) -> str:
        return CELLS[CellSettings.of(self.cell).kind].__name__

    def as_layer(self) -> Layer:
        return super().as_layer() if self.net_.runs_without_torch() else TorchLayer(self.net_, self.evaluating)

    # The baseline.

    def fit_baseline(self, data: list[np.ndarray], folder: Path | None, verbose: bool | int | None) -> None:
        order = ngram_baseline.ORDERS[self.units] if self.ngram_order is None else self.ngram_order
        self.ngram_ = None
        if order == 0:
            return
        logger.info("fitting the baseline, a %d-gram", order)
        self.ngram_ = NGram(self.units_.size, order).fit(data, verbose=verbose)
        if folder:
            ngram_baseline.write(folder, self.ngram_, self.metadata())
        if self.held_out_:
            baseline = self.evaluate_ngram(self.held_out_)
            logger.info("%d-gram on the held-out part: %.4f nats, %.4f bits a character", order,
                        baseline.nats_per_character, baseline.bits_per_character)  # fmt: skip
