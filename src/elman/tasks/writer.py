"""Writer: the settings and the training of all tasks with a decoder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from elman.cells import CellModule
from elman.data.examples import Batch, Encoded
from elman.layers import Attention, Decoder, Dropout, Embedding, Linear, OutputFeedback, Stack
from elman.network.attention import SCORES
from elman.runtime.writer import Targets, TrainedWriter
from elman.settings import check_range, check_word
from elman.state import State
from elman.tasks.base import Task, perplexity
from elman.tasks.encoder_decoder import TeacherForcing
from elman.tasks.probe import ProbeLoss
from elman.tasks.recurrent import RecurrentSettings
from elman.training import Score

ATTENTION = (*SCORES, "none")


@dataclass(kw_only=True)
class DecoderSettings(RecurrentSettings):
    """Settings of the decoder and its training; the defaults give a good model.

    Args:
        attention: score of the attention: `additive` (Bahdanau et al. 2015), `dot` or `general` (Luong et al. 2015);
            `none` passes only the encoder's final state to the decoder.
        input_feeding: each step reads the output of the previous step, attention included (Luong et al. 2015). Training
            is then a loop over steps, several times slower.
        embedding_size: features of a unit, and of the input of the read-out.
        tie_weights: share the weights of the decoder's embedding and read-out (Press and Wolf 2017, arXiv:1608.05859).
        embedding_dropout: dropout rate of the embedded units in training.
        output_dropout: dropout rate of the input of the read-out in training.
        label_smoothing: share of each target's probability that is spread over all units in training (Szegedy et al.
            2016, arXiv:1512.00567).
        scheduled_sampling: share of the decoder's inputs that are its own predictions in the last epoch; it grows from
            0 in the first (Bengio et al. 2015, arXiv:1506.03099; in two parallel passes, as Mihaylova and Martins 2019,
            arXiv:1906.07651).
        cell, hidden_size, num_layers, dropout, ...: see `RecurrentSettings`; of the decoder's layers.
    """

    network_settings: ClassVar[Sequence[str]] = ("attention", "input_feeding", "embedding_size", "tie_weights")

    attention: str = "additive"
    input_feeding: bool = False
    embedding_size: int = 256
    tie_weights: bool = True
    embedding_dropout: float = 0.3
    output_dropout: float = 0.3
    label_smoothing: float = 0.1
    scheduled_sampling: float = 0.0

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "embedding_size")
        check_range(self, 0, 1, "embedding_dropout", "output_dropout", "label_smoothing", "scheduled_sampling")
        check_word("attention", self.attention, ATTENTION)

    def variational_rates(self) -> tuple[float, ...]:
        return (*super().variational_rates(), self.embedding_dropout)

    def decoder(self, vocabulary_size: int, memory_size: int, summary_size: int) -> Decoder:
        """Return a new decoder: unit numbers to logits, with a memory [M, memory_size] and a summary [B, summary_size].

        Raises:
            ValueError: a setting is unknown or has no effect.
        """
        size = self.embedding_size
        embedding, readout = Embedding(vocabulary_size, size), Linear(size, vocabulary_size)
        torch.nn.init.normal_(embedding.weight, std=size**-0.5)
        if self.tie_weights:
            readout.weight = embedding.weight
        layers: list[CellModule] = list(self.recurrent_layers(size + size * self.input_feeding))
        if self.attention == "none":
            layers.append(Linear(self.hidden_size, size))
        else:
            layers.append(Attention(self.hidden_size, memory_size, size, self.attention))
        if self.output_dropout:
            layers.append(Dropout(size, self.output_dropout))
        body: Any = Stack(*layers)
        if self.input_feeding:
            body = OutputFeedback(body)
        drops = self.input_dropouts(size, self.embedding_dropout)
        return Decoder(Stack(embedding, *drops), body, readout, summary_size)

    def network(self) -> str:
        return f"{super().network()}, attention: {self.attention}"


@dataclass(kw_only=True)
class Writer(TrainedWriter, DecoderSettings, Task):
    """Base of tasks with an encoder and a decoder. Encoded targets are `Targets`.

    A subclass implements the hooks of a task and of a `TrainedWriter`.
    """

    batch_steps: int | None = None

    # Hooks.

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "batch_steps")

    # Training.

    def inspect(self, data: Encoded) -> None:
        self.longest_ = int(data.targets.units.lengths.max(initial=1))

    def loss(self, batch: Batch, state: State | None) -> Tensor:
        forcing = TeacherForcing(self.label_smoothing, self.scheduled_sampling * batch.progress)
        return self.net_.loss(self.begin(batch.examples), batch.examples.targets.units, forcing)[0]

    def validate(self, data: Encoded) -> Score:
        units = data.targets.units
        return perplexity(-np.concatenate(self._log_probs(data)).sum() / (units.num_steps + len(units)))

    def probe_loss(self, X: Any, y: Any = None) -> ProbeLoss:
        return self._probe(self.few_rows(X, y))

    def probe_row(self, rows: list[Any]) -> ProbeLoss:
        written = Targets(self.encode_texts(self.predict(rows)), np.ones(1, np.int64))  # may be the empty text
        return self._probe(replace(self.encode_inputs(rows), targets=written))

    def _probe(self, data: Encoded) -> ProbeLoss:
        return ProbeLoss(lambda: self.net_.loss(self.begin(data), data.targets.units)[0], self.texts_of_steps(data))

    def texts_of_steps(self, data: Encoded) -> dict[str, list[str]]:
        """Return the text of each step of the first row, by the part of the network that reads it."""
        units = data.targets.units.to_list()[0].tolist()
        return {"decoder": ["", *(self.written_units.decode([unit]) for unit in units)]}
