"""Writer: the common part of all tasks with a decoder: its settings, its training, and the search for texts."""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.cells import CellModule
from elman.data.examples import Batch, Encoded
from elman.data.rows_and_labels import as_list
from elman.data.units import UNKNOWN, Units
from elman.decoding import Hypothesis, Sampling
from elman.decoding.search import Request, Search
from elman.errors import renumbered
from elman.layers import Attention, Decoder, Dropout, Embedding, Linear, OutputFeedback, Stack
from elman.network import ModelFile
from elman.network.states import DecoderState
from elman.representation import brief_fields
from elman.sequences import Sequences
from elman.settings import check_range, check_word
from elman.state import State
from elman.tasks.base import Task, perplexity
from elman.tasks.encoder_decoder import TeacherForcing
from elman.tasks.probe import ProbeLoss
from elman.tasks.recurrent import RecurrentSettings
from elman.training import Score

ATTENTION = ("additive", "dot", "general", "none")
STEPS = 1 << 13  # of a batch in an evaluation
SEARCH_STEPS = 1 << 14  # of the sources of a batch in a search, for each hypothesis


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


@brief_fields
class Targets(NamedTuple):
    """Texts to write, one or several per row."""

    units: Sequences  # numbers of the units of R texts, without the boundary
    counts: np.ndarray  # [B] texts of each row

    @property
    def owners(self) -> np.ndarray | None:
        """[R] row of each text; None if each row has one."""
        return None if (self.counts == 1).all() else np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def steps(self) -> np.ndarray:
        """[B] units of all texts of each row, their ends included."""
        owners = np.repeat(np.arange(len(self.counts)), self.counts)
        return np.bincount(owners, self.units.lengths + 1, len(self.counts)).astype(np.int64)

    def select(self, rows: np.ndarray) -> "Targets":
        """Return the texts of some rows."""
        texts = Sequences(np.arange(len(self.units)), self.counts).select(rows)
        return Targets(self.units.select(texts.values), texts.lengths)


@dataclass(kw_only=True)
class Writer(DecoderSettings, Task):
    """Base of tasks with an encoder and a decoder. Encoded targets are `Targets`.

    A subclass implements the hooks of a task, and `written_units`, `encode_inputs`, `encode_texts`, `begin` and
    `usual_lengths`.
    """

    batch_steps: int | None = None

    # Hooks.

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "batch_steps")

    @property
    @abstractmethod
    def written_units(self) -> Units:
        """Units of the texts that are written."""

    @abstractmethod
    def encode_inputs(self, X: Sequence[Any]) -> Encoded:
        """Return rows as numbers, without targets; a row with 0 steps gets the empty text."""

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> Sequences:
        """Return texts to write as numbers of units, without the boundary."""

    @abstractmethod
    def begin(self, data: Encoded) -> DecoderState:
        """Return the decoder's state of each text before it is written."""

    @abstractmethod
    def usual_lengths(self, data: Encoded) -> list[int]:
        """Return the largest length of the text of each row, in units, unless the search has another limit."""

    def search_steps(self, beam: int) -> int:
        """Return the number of steps of a batch in a search."""
        return max(1, SEARCH_STEPS // beam)

    def texts(self, state: DecoderState, rows: Sequence[Any], found: list[list[Hypothesis]]) -> list[list[str]]:
        """Return the hypotheses of each row as texts."""
        return [[self.decode(one.units) for one in best] for best in found]

    def never(self) -> list[int]:
        """Return the units that are never written."""
        return [UNKNOWN] if self.written_units.has_unknown else []

    def decode(self, units: np.ndarray) -> str:
        """Return the text of written units."""
        return self.written_units.decode(units).strip()

    def learned(self) -> dict[str, Any]:
        return {self.written_units.name: self.written_units.size}

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

    def _log_probs(self, data: Encoded) -> list[np.ndarray]:
        """Return the log-probabilities of the texts of each row."""

        def log_probs(batch: Encoded, _: np.ndarray) -> list[np.ndarray]:
            found = self.net_.log_probs(self.begin(batch), batch.targets.units)
            return np.split(found, np.cumsum(batch.targets.counts)[:-1])

        return self.per_row(data, STEPS, log_probs)

    def _attention(self, data: Encoded) -> list[np.ndarray]:
        """Return the attention weights [T + 1, S] of the text of each row."""

        def weights(batch: Encoded, _: np.ndarray) -> list[np.ndarray]:
            units = batch.targets.units.to_list()
            return self.net_.attention_weights(self.begin(batch), np.arange(len(units)), units)

        return self.per_row(data, STEPS, weights)

    # Prediction.

    @abstractmethod
    def evaluate(self, X: Sequence[Any], y: Sequence[Any] | None = None) -> Any:
        """Return a report on rows whose texts are known."""

    def predict(self, X: Sequence[Any], **search: Any) -> list[str]:
        """Return the best text that a search finds for each row.

        Args:
            X: rows.
            search: options of the search, see `elman.decoding.search.Search`.
        """
        return [best[0][0] for best in self.n_best(X, 1, **search)]

    def n_best(self, X: Sequence[Any], n: int, **search: Any) -> list[list[tuple[str, float]]]:
        """Return the `n` best texts of each row with their scores, best first; fewer if the search finds fewer.

        Args:
            X: rows.
            n: texts per row.
            search: options of the search, see `elman.decoding.search.Search`.
        """
        how = Search.of(search)
        return self._found(X, how, lambda request: how.best(request, n))

    def sample(
        self, X: Sequence[Any], *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
        seed: int = 0, **search: Any,
    ) -> list[str]:  # fmt: skip
        """Return a text for each row, drawn unit by unit.

        Args:
            X: rows.
            temperature: below 1 prefers probable units, above 1 improbable ones.
            top_k: sample from the `top_k` most probable units; None for all.
            top_p: sample from the most probable units that have this probability together; None for all.
            seed: of the random choice.
            search: options of the search, see `elman.decoding.search.Search`.
        """
        how, sampling = Search.of(search), Sampling(temperature, top_k, top_p)
        generator = np.random.default_rng(seed)
        return [text for ((text, _),) in self._found(X, how, lambda request: how.drawn(request, sampling, generator))]

    def score(self, X: Sequence[Any], y: Sequence[Any] | None = None) -> float:
        """Return the BLEU, from 0 to 1."""
        return self.evaluate(X, y).bleu / 100

    def _found(
        self, X: Sequence[Any], how: Search, search: Callable[[Request], list[list[Hypothesis]]]
    ) -> list[list[tuple[str, float]]]:
        """Return the texts that a search finds for each row, with their scores."""
        self.check_fitted()
        rows = as_list(f"{type(self).__name__}.predict", X)
        how.check_rows(len(rows))
        data = self.encode_inputs(rows)
        kept = np.flatnonzero(data.steps > 0)

        def texts(batch: Encoded, places: np.ndarray) -> list[list[tuple[str, float]]]:
            state, numbers = self.begin(batch), kept[places]
            constraints = how.constraints(self.written_units, numbers, self.never(), self.encode_texts)
            attention = None if self.attention == "none" else partial(self.net_.attention_weights, state)
            best = search(Request(self.net_.step, state, self.usual_lengths(batch), constraints, attention))
            written = self.texts(state, [rows[number] for number in numbers], best)
            return [[(text, one.score) for text, one in zip(*pair, strict=True)]
                    for pair in zip(written, best, strict=True)]  # fmt: skip

        with renumbered(kept.tolist()):
            found = self.per_row(data.select(kept), self.search_steps(how.beam), texts)
        best = dict(zip(kept.tolist(), found, strict=True))
        return [best.get(row, [("", 0.0)]) for row in range(len(rows))]


def longest_target(file: ModelFile) -> int:
    """Return the number of units of the longest training target of a model in a file.

    Raises:
        ValueError: the number is missing or out of range.
    """
    found: int = file.value("longest_target", int)
    if not 1 <= found < 2**31:
        raise ValueError(f"longest_target: expected at least 1 and less than {2**31}, got {found}.")
    return found
