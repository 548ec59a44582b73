"""Trained models that write texts: the common part of all tasks with a decoder, and the search for texts."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from elman import state as states
from elman.data.examples import Encoded
from elman.data.rows_and_labels import as_list
from elman.data.units import UNKNOWN, Units, shifted
from elman.decoding import Hypothesis, Sampling
from elman.decoding.search import Request, Search
from elman.errors import renumbered
from elman.network import ModelFile
from elman.network.states import DecoderState
from elman.representation import brief_fields
from elman.runtime.model import TrainedModel
from elman.sequences import Sequences

STEPS = 1 << 13  # of a batch in an evaluation
SEARCH_STEPS = 1 << 14  # of the sources of a batch in a search, for each hypothesis


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
class TrainedWriter(TrainedModel):
    """Base of trained models with an encoder and a decoder. Encoded targets are `Targets`.

    A subclass implements the hooks of a trained model, and `written_units`, `encode_inputs`, `encode_texts`, `sources`
    and `usual_lengths`. The network in `net_` has `begin`, `step`, `log_probs` and a `decoder`.
    """

    instead_of_stream: ClassVar[str] = "use predict"

    # Hooks.

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
    def sources(self, data: Encoded) -> Any:
        """Return the input of the encoder, in NumPy."""

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

    # The network.

    @property
    def attends(self) -> bool:
        """Whether the decoder has attention."""
        return self.net_.decoder.attention is not None

    def begin(self, data: Encoded) -> DecoderState:
        """Return the decoder's state of each text before it is written."""
        state: DecoderState = self.net_.begin(self.sources(data), None if data.targets is None else data.targets.owners)
        return state

    def attention_weights(self, state: DecoderState, rows: np.ndarray, units: list[np.ndarray]) -> list[np.ndarray]:
        """Return the attention weights [T + 1, S] of texts, their ends included.

        Args:
            state: from `begin`.
            rows: row of the state that writes each text.
            units: numbers of the units of each text, without the boundary.
        """
        inputs, _ = shifted(Sequences.from_list(units))
        weights: list[np.ndarray] = self.net_.decoder.alignment(inputs, states.select(state, rows))
        return weights

    def _log_probs(self, data: Encoded) -> list[np.ndarray]:
        """Return the log-probabilities of the texts of each row."""

        def log_probs(batch: Encoded, _: np.ndarray) -> list[np.ndarray]:
            inputs, targets = shifted(batch.targets.units)
            of_units = self.net_.log_probs(self.begin(batch), inputs, targets)
            found = np.bincount(inputs.rows, of_units, len(inputs))
            return np.split(found, np.cumsum(batch.targets.counts)[:-1])

        return self.per_row(data, STEPS, log_probs)

    def _attention(self, data: Encoded) -> list[np.ndarray]:
        """Return the attention weights [T + 1, S] of the text of each row."""

        def weights(batch: Encoded, _: np.ndarray) -> list[np.ndarray]:
            units = batch.targets.units.to_list()
            return self.attention_weights(self.begin(batch), np.arange(len(units)), units)

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

    def n_best(self, X: Sequence[Any], n: int = 5, **search: Any) -> list[list[tuple[str, float]]]:
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
            seed: seed of the random choices.
            search: options of the search, see `elman.decoding.search.Search`.
        """
        how, sampling = Search.of(search), Sampling(temperature, top_k, top_p)
        generator = np.random.default_rng(seed)
        return [text for ((text, _),) in self._found(X, how, lambda request: how.drawn(request, sampling, generator))]

    def score(self, X: Sequence[Any], y: Sequence[Any] | None = None) -> float:
        """Return BLEU, from 0 to 1."""
        return self.evaluate(X, y).bleu / 100

    def _found(
        self, X: Sequence[Any], how: Search, search: Callable[[Request], list[list[Hypothesis]]]
    ) -> list[list[tuple[str, float]]]:
        """Return the texts that a search finds for each row, with their scores."""
        self.check_fitted()
        rows = as_list(f"{self.class_name}.predict", X)
        how.check_rows(len(rows))
        data = self.encode_inputs(rows)
        kept = np.flatnonzero(data.steps > 0)

        def texts(batch: Encoded, places: np.ndarray) -> list[list[tuple[str, float]]]:
            state, numbers = self.begin(batch), kept[places]
            constraints = how.constraints(self.written_units, numbers, self.never(), self.encode_texts)
            attention = partial(self.attention_weights, state) if self.attends else None
            best = search(Request(self.net_.step, state, self.usual_lengths(batch), constraints, attention))
            written = self.texts(state, [rows[number] for number in numbers], best)
            return [[(text, one.score) for text, one in zip(*pair, strict=True)]
                    for pair in zip(written, best, strict=True)]  # fmt: skip

        with renumbered(kept.tolist()):
            found = self.per_row(data.select(kept), self.search_steps(how.beam), texts)
        best = dict(zip(kept.tolist(), found, strict=True))
        return [best.get(row, [("", 0.0)]) for row in range(len(rows))]

    # Files.

    def check_network(self) -> None:
        net, size = self.net_, self.written_units.size
        if net.kind != "encoder_decoder" or net.decoder.input_size != size or net.output_size != size:
            raise ValueError(f"spec: expected a decoder that reads and writes {size} units, got {net!r}.")


def longest_target(file: ModelFile) -> int:
    """Return the number of units of the longest training target of a model in a file.

    Raises:
        ValueError: the number is missing or out of range.
    """
    found: int = file.value("longest_target", int)
    if not 1 <= found < 2**31:
        raise ValueError(f"longest_target: expected at least 1 and less than {2**31}, got {found}.")
    return found
