"""The decoder of a net that writes, as settings that every such task shares."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from elman.cells import CellModule
from elman.layers import Attention, Decoder, Dropout, Embedding, Linear, OutputFeedback, Stack, VariationalDropout
from elman.nearest import did_you_mean
from elman.tasks.recurrent import RecurrentSettings
from elman.tasks.settings import check_range

ATTENTION = ("additive", "dot", "general", "none")


@dataclass(kw_only=True)
class DecoderSettings(RecurrentSettings):
    """How a decoder is built and taught; the defaults give a good model.

    Args:
        attention: what a step's look at the source is scored by: `additive` (Bahdanau et al. 2015), `dot` or `general`
            (Luong et al. 2015); `none` leaves the encoder's final state as the only way from source to target.
        input_feeding: each step reads what the step before it has written, the look at the source included (Luong et
            al. 2015). Training is a loop over steps then, several times slower.
        embedding_size: features of a unit, and of what the read-out reads.
        tie_weights: the read-out uses the weights of the decoder's embedding (Press and Wolf 2017, arXiv:1608.05859).
        embedding_dropout: of the embedded units while training.
        output_dropout: of what the read-out reads while training.
        label_smoothing: the part of each target's probability that all units share while training (Szegedy et al. 2016,
            arXiv:1512.00567).
        scheduled_sampling: the part of the units that the decoder reads from itself, in place of the truth, in the last
            epoch; it grows from 0 in the first (Bengio et al. 2015, arXiv:1506.03099; in two parallel passes, as
            Mihaylova and Martins 2019, arXiv:1906.07651).
        cell, hidden_size, num_layers, dropout, ...: see `RecurrentSettings`; `hidden_size` is that of the decoder's
            layers.
    """

    attention: str = "additive"
    input_feeding: bool = False
    embedding_size: int = 256
    tie_weights: bool = True
    embedding_dropout: float = 0.3
    output_dropout: float = 0.3
    label_smoothing: float = 0.1
    scheduled_sampling: float = 0.0

    def check_decoder(self) -> None:
        """Raise unless the settings can act.

        Raises:
            ValueError: one cannot.
        """
        check_range(self, 1, math.inf, "hidden_size", "num_layers", "embedding_size")
        check_range(
            self, 0, 1, "dropout", "embedding_dropout", "output_dropout", "label_smoothing", "scheduled_sampling"
        )
        if self.attention not in ATTENTION:
            hint = did_you_mean(self.attention, ATTENTION)
            raise ValueError(f"attention: expected one of {', '.join(ATTENTION)}, got {self.attention!r}{hint}")

    def decoder(self, vocabulary_size: int, memory_size: int, summary_size: int) -> Decoder:
        """ids to logits, reading a memory [M, memory_size] and beginning with a summary [B, summary_size].

        Raises:
            ValueError: a setting that is unknown or cannot act.
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
        return Decoder(Stack(embedding, *self.drops(size)), body, readout, summary_size)

    def drops(self, size: int) -> list[CellModule]:
        """What drops features of embedded units."""
        drop = VariationalDropout if self.variational else Dropout
        return [drop(size, self.embedding_dropout)] if self.embedding_dropout else []
