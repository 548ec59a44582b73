"""Text stream: a language model that reads and writes a text one unit at a time."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from elman import state as states
from elman.data.raw_files import with_line_feeds
from elman.data.units import BOUNDARY, UNKNOWN, Units
from elman.decoding.sampling import Sampling
from elman.decoding.steps import by_stepper
from elman.html_tables import html_table
from elman.network import Stepper
from elman.representation import brief, call, complete
from elman.state import State

Read = Callable[[int, State], tuple[np.ndarray, State]]  # a unit and a state -> log-probabilities [V] and a state


class TextStream:
    """Language model after the text that it has read so far.

    Attributes:
        log_probs: [V] log-probabilities of the next unit, in nats; id 0 is the end of the text.
        state: state of the model, leaves [1, ...]: a value that can be stored, copied and restored.
    """

    def __init__(self, read: Read, state: State, units: Units):
        self._read, self._units, self.state = read, units, state
        self.read_unit(BOUNDARY)

    @classmethod
    def of(cls, stepper: Stepper, units: Units) -> "TextStream":
        """Return the text stream of a stepper of one row with output `log_probs`, without PyTorch."""
        return cls(_reading(stepper), states.map(np.copy, stepper.state), units)

    @complete
    def __repr__(self) -> str:
        return call("TextStream", repr(self._units), f"state={brief(self.state)}")

    @complete
    def _repr_html_(self) -> str:
        """Return a table of the most probable next units, for notebooks."""
        rows = [[text or "end of the text", probability] for text, probability in self.most_probable(10)]
        return html_table(repr(self), rows, ["next", "probability"])

    def read_unit(self, unit: int) -> np.ndarray:
        """Read one unit, given its id, and return `log_probs` of the next one."""
        self.log_probs, self.state = self._read(unit, self.state)
        self._last = unit
        return self.log_probs

    def read(self, text: str) -> np.ndarray:
        """Read a text, unit by unit, and return `log_probs` of the unit after it.

        Raises:
            ValueError: the text contains a unit that is not in the vocabulary; the stream is unchanged.
        """
        for unit in known_units(self._units, text).tolist():
            self.read_unit(unit)
        return self.log_probs

    def most_probable(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the `count` most probable next units as (text, probability), best first; the end of the text is ''."""
        ids = np.argsort(-self.log_probs, kind="stable")[:count].tolist()
        return [(self._units.decode([unit]), math.exp(self.log_probs[unit])) for unit in ids]

    def write(self, length: int, sampling: Sampling, generator: "np.random.Generator") -> Iterator[str]:
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
            self.read_unit(unit)
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
            ValueError: the prompt contains a unit that is not in the vocabulary, or a setting is out of range.
        """
        if length < 1:
            raise ValueError(f"generate: expected a length of at least 1, got {length}.")
        if seed < 0:
            raise ValueError(f"generate: expected a seed of at least 0, got {seed}.")
        sampling = Sampling(temperature, top_k, top_p)
        self.read(prompt)
        return self.write(length, sampling, np.random.default_rng(seed))

    def fork(self) -> "TextStream":
        """Return an independent copy of the stream at this point."""
        twin = object.__new__(TextStream)
        twin._read, twin._units, twin._last = self._read, self._units, self._last
        twin.log_probs, twin.state = self.log_probs.copy(), states.select(self.state, [0])
        return twin


def _reading(stepper: Stepper) -> Read:
    """Return the read function of a stepper, which several streams may share."""
    step = by_stepper(stepper)

    def read(unit: int, state: State) -> tuple[np.ndarray, State]:
        log_probs, state = step(np.array([unit]), state)
        return log_probs[0], state

    return read


def known_units(units: Units, text: str) -> np.ndarray:
    """Return the ids of a prompt.

    Raises:
        ValueError: the prompt contains a unit that is not in the vocabulary.
    """
    if units.name != "bytes" and isinstance(text, str):
        text = with_line_feeds(text)  # as in training
    if unknown := units.unknown(text):
        raise ValueError(f"prompt: {unknown} is not in the vocabulary of the model; leave it "
                         "out, or train with --set units=bytes, which supports every text.")  # fmt: skip
    return units.encode(text)
