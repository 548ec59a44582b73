"""Base of the streams: readers of one sequence by a trained model, whose state is a value."""

from abc import ABC, abstractmethod
from copy import copy
from typing import Any, Self

import numpy as np

from elman import state as states
from elman.network import Layer, Stepper
from elman.network.checks import check_state, structured
from elman.network.stream_bytes import from_bytes, to_bytes
from elman.state import State


class Stream(ABC):
    """Base of the readers of one sequence by a trained model.

    The state of a stream is a value with all that the stream needs to continue: it can be kept, copied, sent and
    assigned. A call that raises an error leaves the stream unchanged.

    A subclass sets `_beginning`, its state at the beginning: a named tuple that begins with the state of the network.
    Then it calls `reset`.

    Args:
        layer: the network that reads the steps.
        output: as in `Stepper`.
        model: the network of the trained model, which has the fingerprint of the state; None for `layer`.
    """

    _beginning: Any

    def __init__(self, layer: Layer, output: str = "logits", model: Layer | None = None):
        self._layer, self._kind, self._model = layer, output, layer if model is None else model
        self._bind()

    def _bind(self) -> None:
        """Make the stepper of this stream. The streams of a layer share its packed weights."""
        self._stepper: Stepper = self._layer.stepper(1, self._kind)
        given = self._stepper.input
        self._input = given if given.ndim == 1 else given[0]  # ids [1], features or a frame
        self._output = self._stepper.output[0]
        self._leaves = list(states.leaves(self._stepper.state))
        self._kept = [leaf.copy() for leaf in self._leaves]

    def _keep(self) -> None:
        """Keep a copy of the state of the network, for `_go_back`."""
        for kept, leaf in zip(self._kept, self._leaves, strict=True):
            kept[...] = leaf

    def _go_back(self) -> None:
        """Set the state of the network that `_keep` kept."""
        for kept, leaf in zip(self._kept, self._leaves, strict=True):
            leaf[...] = kept

    def _network_state(self) -> State:
        """Return a copy of the state of the network."""
        return states.map(np.copy, self._stepper.state)

    def _network_state_before(self) -> State:
        """Return a copy of the state of the network that `_keep` kept."""
        return structured([kept.copy() for kept in self._kept], self._stepper.state)

    @property
    def state(self) -> Any:
        """Copy of the state, which can be assigned to every stream of the same model.

        Assignment raises a ValueError or a TypeError for the state of another model, and leaves the stream unchanged.
        """
        return self._state()

    @state.setter
    def state(self, state: Any) -> None:
        self._restore(self._checked(f"{type(self).__name__}.state", state))

    @abstractmethod
    def _state(self) -> Any:
        """Return a copy of the state."""

    @abstractmethod
    def _restore(self, state: Any) -> None:
        """Continue from a checked state."""

    def _checked(self, where: str, state: Any) -> Any:
        """Return a state from outside, checked.

        Raises:
            ValueError: a part is missing, of another shape, not finite, or out of range.
            TypeError: a part is of another type.
        """
        return check_state(where, state, self._like(state))

    def _like(self, state: Any) -> State:
        """Return a state with the leaves that `state` should have."""
        return self._beginning

    def reset(self) -> None:
        """Begin a new sequence."""
        self._restore(self._beginning)

    def fork(self) -> Self:
        """Return an independent copy of the stream at this point."""
        twin = copy(self)
        twin._bind()
        twin._restore(self._state())
        return twin

    def to_bytes(self) -> bytes:
        """Return the state as bytes, from which a stream of the same model continues, also in another process."""
        return to_bytes(self._state(), self._model.fingerprint)

    def from_bytes(self, data: bytes | bytearray | memoryview) -> Self:
        """Continue from the bytes that `to_bytes` returned, and return the stream itself.

        Raises:
            ValueError: the bytes are damaged, or of a stream of another model. The stream is unchanged.
            TypeError: the data are no bytes.
        """
        where = f"{type(self).__name__}.from_bytes"
        self._restore(self._checked(where, from_bytes(where, data, self._beginning, self._model.fingerprint)))
        return self
