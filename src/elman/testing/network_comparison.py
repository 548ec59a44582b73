"""Comparison of native kernels with NumPy, in layers with random weights; PyTorch is not needed."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from elman import state as states
from elman.kernels import native
from elman.kernels.native import ACTIVATIONS
from elman.network import LAYER_TYPES, Layer, Streams
from elman.network.activations import FUNCTIONS, NATIVE
from elman.network.spec import LayerSpec
from elman.sequences import Sequences
from elman.threads import get_num_threads, set_num_threads

LENGTHS = [40, 0, 7, 1, 23]
INPUTS, UNITS = 20, 37  # not multiples of a vector width
TOLERANCE = 1e-5
PARAMETERS = {"negative_slope": 0.1, "alpha": 0.7, "min_val": -0.5, "max_val": 0.8, "beta": 1.5, "threshold": 20.0}


class LayerComparison(NamedTuple):
    """Largest differences from the same layer in NumPy, divided by the largest number.

    Args:
        layer: name of the layer.
        threads: number of threads of the kernels.
        error: difference of a scan with native kernels: outputs and final states.
        stepped: difference of a native stepper; None if the layer reads whole sequences.
        same_bits: whether the streams of a pool return the bits of the stepper, and the stepper those of the scan if
            native kernels compute the whole layer.
    """

    layer: str
    threads: int
    error: float
    stepped: float | None
    same_bits: bool

    @property
    def agrees(self) -> bool:
        """Whether all differences are rounding errors; False for NaN."""
        return self.same_bits and all(error <= TOLERANCE for error in (self.error, self.stepped or 0.0))


def compare_layers() -> Iterator[LayerComparison]:
    """Compare every layer that has a native operation, with one thread and with as many as are set."""
    before = get_num_threads()
    for name, layer in layers().items():
        x = _inputs(layer)
        with native.disabled():
            expected = _scanned(layer, x)
        for threads in sorted({1, before}):
            set_num_threads(threads)
            try:
                scanned, stepped, same = _scanned(layer, x), None, True
                if layer.streams:
                    outputs, same = _stepped(layer, x.values[: LENGTHS[0]])
                    stepped = _error([outputs], [expected[0][: LENGTHS[0]]])
                    same = same and (not layer.same_bits or np.array_equal(outputs, scanned[0][: LENGTHS[0]]))
            finally:
                set_num_threads(before)
            yield LayerComparison(name, threads, _error(scanned, expected), stepped, same)


def layers() -> dict[str, Layer]:
    """Return layers with random weights, by name."""
    draw = np.random.default_rng(0)

    class Random(LayerSpec):
        """Spec of a layer that has all optional weights; a weight is drawn when the layer reads it."""

        def __contains__(self, name_in_layer: str) -> bool:
            return True

        def buffer(self, name_in_layer: str, *shape: int) -> np.ndarray:
            values = draw.standard_normal(shape, np.float32) / np.sqrt(np.float32(shape[-1]))
            return np.abs(values) if name_in_layer == "scale" else values

        tensor = buffer

    def layer(kind: str, inputs: int, outputs: int, *cells: Layer, **settings: Any) -> Layer:
        settings |= {"input_size": inputs, "output_size": outputs}
        return LAYER_TYPES[kind](Random({"kind": kind, "settings": settings}, {}, cells))

    def same(kind: str, **settings: Any) -> Layer:
        return layer(kind, UNITS, UNITS, **settings)

    def recurrent(kind: str, inputs: int = UNITS) -> Layer:
        settings: dict[str, dict[str, Any]] = {"lstm": {"forget_gate": True}, "gru": {"reset": "after"},
                                               "rnn": {"activation": "tanh"}}  # fmt: skip
        return layer(kind, inputs, UNITS, **settings.get(kind, {}))

    lstm: dict[str, dict[str, Any]] = {
        "": {"forget_gate": True},
        ", no forget gate": {"forget_gate": False},
        ", layer norm, peephole": {"forget_gate": True, "layer_norm": True, "peephole": True},
        ", coupled, clipped": {"forget_gate": False, "coupled": True, "cell_clip": 0.5},
        ", projection, zoneout": {"forget_gate": True, "hidden_size": 50, "zoneout_c": 0.2},
    }
    found = {f"rnn, {word}": layer("rnn", INPUTS, UNITS, activation=word) for word in ACTIVATIONS}
    found |= {f"lstm{name}": layer("lstm", INPUTS, UNITS, **settings) for name, settings in lstm.items()}
    found |= {f"gru, reset {word}": layer("gru", INPUTS, UNITS, reset=word) for word in ("after", "before")}
    found |= {f"activation, {word}": same("activation", function=word,
                                          **{name: PARAMETERS[name] for name in FUNCTIONS[word].parameters})
              for word in sorted(NATIVE)}  # fmt: skip
    found |= {
        "min_gru": layer("min_gru", INPUTS, UNITS),
        "window_net": layer("window_net", INPUTS, UNITS, window=3, activation="tanh"),
        "embedding": layer("embedding", INPUTS, UNITS),
        "linear": layer("linear", INPUTS, UNITS),
        "layer_norm": same("layer_norm", epsilon=1e-5),
        "rms_norm": same("rms_norm", epsilon=1e-5),
        "deviations": same("deviations", shape=[UNITS]),
        "differences": layer("differences", UNITS, 2 * UNITS, shape=[UNITS]),
        "last_pooling": same("last_pooling"),
        "mean_pooling": same("mean_pooling"),
        "max_pooling": same("max_pooling"),
        "attention_pooling": same("attention_pooling", attention_size=5),
        "stack": layer("stack", INPUTS, UNITS, recurrent("lstm", INPUTS), same("dropout"), recurrent("gru"),
                       recurrent("rnn")),
        "residual": layer("residual", UNITS, UNITS, recurrent("lstm")),
        "output_feedback": layer("output_feedback", UNITS, UNITS, recurrent("gru", 2 * UNITS)),
        "bidirectional": layer("bidirectional", INPUTS, 2 * UNITS, recurrent("lstm", INPUTS), recurrent("gru", INPUTS)),
        "reversed": layer("reversed", INPUTS, UNITS, recurrent("rnn", INPUTS)),
    }  # fmt: skip
    return found


def _inputs(layer: Layer) -> Sequences:
    draw, steps = np.random.default_rng(1), sum(LENGTHS)
    if layer.reads_ids:
        return Sequences(draw.integers(0, INPUTS, steps), LENGTHS)
    return Sequences(draw.standard_normal((steps, layer.input_size), np.float32), LENGTHS)


def _scanned(layer: Layer, x: Sequences) -> list[np.ndarray]:
    """Return the outputs [N, O] and the leaves of the final state."""
    y, final = layer.scan(x)
    return [y.values, *states.leaves(final)]


def _stepped(layer: Layer, x: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the outputs of a stepper for the steps of a row, and whether a stream of a pool returns the same bits."""
    stepper, streams = layer.stepper(), Streams(layer, 3)
    slot = [streams.open() for _ in range(2)][1]
    outputs, same = [], True
    for now in x:
        stepper.input[...] = now
        stepper()
        outputs.append(stepper.output[0].copy())
        same = same and np.array_equal(streams.step([slot], now[None])[0], outputs[-1])
    return np.stack(outputs), same


def _error(got: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """Return the largest difference, divided by the largest number if that is above 1; NaN if there is one."""
    with np.errstate(invalid="ignore"):  # the maximum of no steps is -inf
        parts = [np.where(a == b, 0, np.abs(a - b)).max() / np.abs(b[np.isfinite(b)]).max(initial=1)
                 for a, b in zip(got, expected, strict=True)]  # fmt: skip
    return float(np.max(parts))
