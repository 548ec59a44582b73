"""Stream of a language model: reads and writes a text one unit at a time."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from elman.data.raw_files import with_line_feeds
from elman.data.units import BOUNDARY, UNKNOWN, Units
from elman.data.units.base import check_text
from elman.declared_types import expected_type
from elman.decoding import Sampling
from elman.html_tables import html_table
from elman.network import Layer
from elman.network.checks import check_count
from elman.representation import brief, brief_fields, call, complete
from elman.runtime.stream import Stream
from elman.state import State

MOST = 1 << 40  # units to list or to write


@brief_fields
class TextState(NamedTuple):
    """State of a `TextStream`. It has no probabilities: a stream that continues reads the last unit again."""

    network: State  # before the last unit
    unit: np.ndarray  # [1] int64, the last unit; 0 at the beginning of a text


class TextStream(Stream):
    """Language model after the text that it has read so far.

    Args:
        layer: network from ids to the logits of the next one.
        units: the units of the text.
    Attributes:
        log_probs: [V] log-probabilities of the next unit, in nats; id 0 is the end of the text.
    """

    def __init__(self, layer: Layer, units: Units):
        super().__init__(layer, "log_probs")
        self._units = units
        self._beginning = TextState(self._network_state(), np.array([BOUNDARY]))
        self.reset()

    @complete
    def __repr__(self) -> str:
        return call("TextStream", repr(self._units), f"state={brief(self.state)}")

    @complete
    def _repr_html_(self) -> str:
        """Return a table of the most probable next units, for notebooks."""
        rows = [[text or "end of the text", probability] for text, probability in self.most_probable(10)]
        return html_table(repr(self), rows, ["next", "probability"])

    def _state(self) -> TextState:
        return TextState(self._network_state_before(), np.array([self._last]))

    def _restore(self, state: TextState) -> None:
        self._stepper.state = state.network
        self._read_id(int(state.unit[0]))

    def _checked(self, where: str, state: Any) -> TextState:
        found: TextState = super()._checked(where, state)
        self._check_id(where, int(found.unit[0]))
        return found

    def _check_id(self, where: str, unit: Any) -> None:
        """Raise a TypeError or a ValueError unless a unit is an id of the vocabulary."""
        if expected_type(unit, int):
            raise TypeError(f"{where}: expected the id of a unit, a whole number, got {brief(unit)}.")
        if not 0 <= unit < self._units.size:
            raise ValueError(f"{where}: expected the id of a unit, from 0 to {self._units.size - 1}, got {unit}.")

    def _read_id(self, unit: int) -> None:
        """Read a unit of the vocabulary."""
        self._keep()
        self._input[0] = self._last = unit
        self._stepper()
        self.log_probs = self._output.copy()

    def _read_ids(self, ids: list[int]) -> np.ndarray:
        for unit in ids[:-1]:
            self._input[0] = unit
            self._stepper()
        if ids:
            self._read_id(ids[-1])
        return self.log_probs

    def read_unit(self, unit: int) -> np.ndarray:
        """Read one unit, given its id, and return `log_probs` of the next one.

        Raises:
            ValueError: the id is not in the vocabulary; the stream is unchanged.
            TypeError: the id is not a whole number.
        """
        self._check_id("TextStream.read_unit", unit)
        self._read_id(int(unit))
        return self.log_probs

    def read(self, text: str) -> np.ndarray:
        """Read a text, unit by unit, and return `log_probs` of the unit after it.

        Pieces of a text give the same result as the whole text if they are cut between units: anywhere for `characters`
        and `bytes`, and before a blank for `words` and `bpe`, which end a unit at the end of each piece.

        Raises:
            ValueError: the text contains a unit that is not in the vocabulary; the stream is unchanged.
            TypeError: the text is of another type.
        """
        return self._read_ids(self._ids("TextStream.read", text))

    def _ids(self, where: str, text: str) -> list[int]:
        """Return the ids of a text.

        Raises:
            ValueError: the text contains a unit that is not in the vocabulary.
            TypeError: the text is of another type.
        """
        units = self._units
        check_text(where, text, (str, bytes) if units.name == "bytes" else (str,))
        if units.name != "bytes":
            text = with_line_feeds(text)  # as in training
        if unknown := units.unknown(text):
            raise ValueError(f"{where}: {unknown} is not in the vocabulary of the model; leave it "
                             "out, or train with --set units=bytes, which supports every text.")  # fmt: skip
        ids: list[int] = units.encode(text).tolist()
        return ids

    def most_probable(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the `count` most probable next units as (text, probability), best first; the end of the text is ''."""
        check_count("TextStream.most_probable", "count", count, MOST)
        ids = np.argsort(-self.log_probs, kind="stable")[:count].tolist()
        return [(self._units.decode([unit]), math.exp(self.log_probs[unit])) for unit in ids]

    def _write(self, length: int, sampling: Sampling, generator: np.random.Generator) -> Iterator[str]:
        """Draw and read up to `length` units, or to the end of the text; yield text as soon as it is complete."""
        decoder = self._units.decoder()
        decoder.feed(self._last)  # so that a blank separates the next word from it
        never = [UNKNOWN] if self._units.has_unknown else []
        for _ in range(length):
            log_probs = self.log_probs.copy()
            log_probs[never] = -np.inf
            unit = int(sampling.draw(log_probs[None], generator)[0])
            if unit == BOUNDARY:
                break
            self._read_id(unit)
            if text := decoder.feed(unit):
                yield text
        if rest := decoder.flush():
            yield rest

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
        """Read a prompt and continue it: yield pieces of text as they are written.

        Args:
            prompt: text to continue.
            length: upper bound of the number of units to write.
            temperature, top_k, top_p: as in `Sampling`.
            seed: seed of the random choices.
        Raises:
            ValueError: the prompt contains a unit that is not in the vocabulary, or a setting is out of range. The
                stream is unchanged.
            TypeError: a setting or the prompt is of another type.
        """
        for name, value in (("length", length), ("seed", seed)):
            if expected := expected_type(value, int):
                raise TypeError(f"generate: expected {name} to be {expected}, got {brief(value)}.")
        if length < 1:
            raise ValueError(f"generate: expected a length of at least 1, got {length}.")
        if seed < 0:
            raise ValueError(f"generate: expected a seed of at least 0, got {seed}.")
        sampling = Sampling(temperature, top_k, top_p)
        self._read_ids(self._ids("prompt", prompt))
        return self._write(length, sampling, np.random.default_rng(seed))
