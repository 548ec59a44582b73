"""RNN, LSTM and GRU without PyTorch, with the options of the cells in evaluation mode."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.kernels.native import ACTIVATIONS
from elman.network.functions import ACTIVATION, normalized, sigmoid
from elman.network.pointwise import counters
from elman.network.spec import LARGEST, LayerSpec
from elman.network.states import CountedLSTMState, LSTMState
from elman.network.time_loop import Recurrent
from elman.state import State

NORM_EPSILON = 1e-5  # for the layer norms inside an LSTM; the same as in native/recurrences/lstm_normed.hpp


class RNN(Recurrent):
    """Simple recurrent network: h = f(x W_ih' + h W_hh' + b); y = h (Elman 1990)."""

    kind = "rnn"
    native_kind = "rnn"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.activation = spec.word("activation", ACTIVATIONS)
        self.read_weights(spec, 1, self.output_size)

    def advance(self, x: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        h = ACTIVATION[self.activation](x + state @ self.weights["weight_hh"].T)
        return h, h


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078)."""

    kind = "gru"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.reset = spec.word("reset", ("after", "before"))
        self.native_kind = f"gru_{self.reset}"
        inside = {"bias_hn": (self.output_size,)} if self.reset == "after" else {}
        self.read_weights(spec, 3, self.output_size, **inside)

    def advance(self, x: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        h, size, weight = state, 2 * self.output_size, self.weights["weight_hh"]
        r, z = np.split(sigmoid(x[:, :size] + h @ weight[:size].T), 2, 1)
        weight_n = weight[size:].T
        recurrent = r * (h @ weight_n + self.weights["bias_hn"]) if self.reset == "after" else (r * h) @ weight_n
        n = np.tanh(x[:, size:] + recurrent)
        h = n + z * (h - n)
        return h, h


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), with the options of `elman.LSTM`."""

    kind = "lstm"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        outputs = self.output_size
        units = spec.setting("hidden_size", int, outputs)
        spec.check(outputs <= units < LARGEST, f"a hidden_size from {outputs} to {LARGEST - 1}", units)
        self.native_kind, gates = ("lstm", 4) if spec.setting("forget_gate", bool) else ("lstm_without_forget", 3)
        normed, coupled, peephole = (spec.setting(name, bool, False) for name in ("layer_norm", "coupled", "peephole"))
        spec.check(not (coupled and gates == 4), "coupled gates without a forget gate", "one")
        spec.check(not (normed and units > outputs), "layer_norm without a projection", "one")
        norms = {"gain_ih": (gates * units,), "gain_hh": (gates * units,), "gain_c": (units,), "bias_c": (units,)}
        self.read_weights(spec, gates, units, **norms if normed else {},
                          **{"weight_hr": (outputs, units)} if units > outputs else {},
                          **{"peephole": ((gates - 1) * units,)} if peephole else {})  # fmt: skip
        self.state_sizes = outputs, units
        clip, *zones = (spec.setting(name, float, 0.0) for name in ("cell_clip", "zoneout_h", "zoneout_c"))
        spec.check(0 <= clip < math.inf, "cell_clip above 0", clip)
        spec.check(all(0 <= zone < 1 for zone in zones), "zoneout from 0 to below 1", zones)
        self.clip, (self.zone_h, self.zone_c), self.coupled, self.normed = clip, zones, coupled, normed
        if coupled or clip or any(zones) or len(self.weights) > 3:
            self.options = {"coupled": coupled, "clip": clip, "zone_h": self.zone_h, "zone_c": self.zone_c}
        self.counted = spec.setting("counted", bool, False)

    def structured(self, arrays: Sequence[np.ndarray]) -> LSTMState | CountedLSTMState:
        h, c = arrays
        if not self.counted:
            return LSTMState(h, c)
        return CountedLSTMState(h, c, np.arange(len(h), dtype=np.int64), np.zeros(len(h), np.int64))

    def arrays(self, state: State) -> list[np.ndarray]:
        return list(state[:2])

    def after(self, before: State | None, arrays: Sequence[np.ndarray], steps: np.ndarray | int) -> State:
        state: Any = self.structured(arrays)
        if not self.counted:
            return state
        h, c, row, step = state if before is None else (*arrays, *before[2:])
        return CountedLSTMState(h, c, row, step + steps)

    def project(self, x: np.ndarray) -> np.ndarray:
        if not self.normed:
            return super().project(x)
        norm = normalized(x @ self.weights["weight_ih"].T, NORM_EPSILON)
        return norm * self.weights["gain_ih"] + self.weights["bias"]

    def advance(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        weights, (h, c) = self.weights, state[:2]
        recurrent = h @ weights["weight_hh"].T
        if self.normed:
            recurrent = normalized(recurrent, NORM_EPSILON) * weights["gain_hh"]
        gates = x + recurrent
        *opened, g, o = np.split(gates, gates.shape[1] // c.shape[1], 1)  # input and forget gate; candidate; output
        peepholes = np.split(weights.get("peephole", np.zeros(0, np.float32)), len(opened) + 1)
        if "peephole" in weights:
            opened = [gate + peephole * c for gate, peephole in zip(opened, peepholes, strict=False)]
        i, *rest = map(sigmoid, opened)
        new = i * np.tanh(g) + (rest[0] * c if rest else (1 - i) * c if self.coupled else c)
        if self.clip:
            new = np.clip(new, -self.clip, self.clip)
        c = _zoned_out(self.zone_c, c, new)
        if "peephole" in weights:
            o = o + peepholes[-1] * c
        if self.normed:
            new = normalized(new, NORM_EPSILON) * weights["gain_c"] + weights["bias_c"]
        y = sigmoid(o) * np.tanh(new)
        if "weight_hr" in weights:
            y = y @ weights["weight_hr"].T
        h = _zoned_out(self.zone_h, h, y)
        return h, self.after(state, (h, c), 1)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        y, (h, c, *_) = super().add(stepper, x)
        return y, CountedLSTMState(h, c, *counters(stepper)) if self.counted else LSTMState(h, c)


def _zoned_out(zone: float, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the mean of the units that keep their value with probability `zone`."""
    return zone * before + (1 - zone) * after if zone else after
