"""Network of PyTorch as a layer of `elman.network`, for streams of models that run in PyTorch only."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import blake2b
from typing import Any

import numpy as np
import torch

from elman import state as states
from elman.network import Layer
from elman.network.spec import LayerSpec
from elman.network.stream_bytes import FINGERPRINT
from elman.state import State


class TorchLayer(Layer):
    """Cell of PyTorch that reads ids and returns logits, with NumPy arrays as input, output and state.

    Args:
        net: the cell, which may have cells without a layer type, or weights of another type than float32.
        evaluating: function that returns the context in which the cell is evaluated.
    """

    kind = "pytorch"

    def __init__(self, net: Any, evaluating: Callable[[], AbstractContextManager[None]]):
        settings = {"input_size": net.input_size, "output_size": net.output_size}
        super().__init__(LayerSpec({"kind": self.kind, "settings": settings}, {}))
        self._net, self._evaluating, self.streams, self.step_shape = net, evaluating, net.streams, ()

    @property
    def fingerprint(self) -> bytes:
        """Digest of the text of the module and its current weights, 16 bytes."""
        digest = blake2b(repr(self._net).encode(), digest_size=FINGERPRINT)
        for name, tensor in self._net.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.digest()

    def initial_state(self, batch_size: int) -> State:
        return states.map(_as_array, self._net.initial_state(batch_size))

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        with self._evaluating():
            y, state = self._net.step(torch.from_numpy(x), states.map(torch.from_numpy, state))
        return _as_array(y), states.map(_as_array, state)


def _as_array(tensor: torch.Tensor) -> np.ndarray:
    return np.array(tensor.numpy(force=True))
