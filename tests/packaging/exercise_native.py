"""Runs the native kernels on random ragged batches against plain loops, with NumPy alone: no PyTorch is needed.

`--overrun` reads behind an array on purpose.
"""

import sys
from itertools import pairwise

import numpy as np

from elman import state as states
from elman.kernels import native
from elman.runtime import Stepper


def loops(a, x, offsets, h0, dh, dlast):
    """What the kernel must write: h, last, da, dx, dh0."""
    h, last, da, dx, dh0 = np.empty_like(a), h0.copy(), np.empty_like(a), np.empty_like(a), dlast.copy()
    for row, (start, end) in enumerate(pairwise(offsets)):
        for t in range(start, end):
            h[t] = last[row] = a[t] * last[row] + x[t]
        for t in reversed(range(start, end)):
            dx[t] = dh[t] + dh0[row]
            da[t] = dx[t] * (h[t - 1] if t > start else h0[row])
            dh0[row] = a[t] * dx[t]
    return h, last, da, dx, dh0


def exercise(generator, rows, features):
    offsets = np.cumsum([0, *generator.integers(0, 9, rows)])
    steps = offsets[-1]
    a, x, dh = generator.standard_normal((3, steps, features), np.float32)
    h0, dlast = generator.standard_normal((2, rows, features), np.float32)
    h, da, dx = np.full((3, steps, features), np.nan, np.float32)
    last, dh0 = np.full((2, rows, features), np.nan, np.float32)
    native.module.linear_scan(a, x, offsets, h0, h, last)
    native.module.linear_scan_backward(a, h, offsets, h0, dh, dlast, da, dx, dh0)
    for got, wanted in zip((h, last, da, dx, dh0), loops(a, x, offsets, h0, dh, dlast), strict=True):
        np.testing.assert_array_equal(got, wanted)


def model(generator, units):
    """The spec and the weights of a net in which every word occurs that the stepper knows."""
    tensors = {}

    def layer(word, inputs, outputs, shapes, cells=(), **settings):
        names = {name: f"{len(tensors)}.{name}" for name in shapes}
        tensors.update({names[name]: generator.standard_normal(shape, np.float32) for name, shape in shapes.items()})
        sizes = {"input_size": inputs, "output_size": outputs}
        return {"word": word, "settings": sizes | settings, "tensors": names, "cells": list(cells)}

    def recurrence(word, inputs, gates, **settings):
        shapes = {"weight_ih": (gates * units, inputs), "weight_hh": (gates * units, units), "bias": (gates * units,)}
        extra = {"bias_hn": (units,)} if settings.get("reset") == "after" else {}
        return layer(word, inputs, units, shapes | extra, **settings)

    cells = [
        layer("embedding", 5, 3, {"weight": (5, 3)}),
        recurrence("rnn", 3, 1, activation="relu"),
        recurrence("lstm", units, 4, forget_gate=True),
        layer("dropout", units, units, {}),
        layer("residual", units, units, {}, [recurrence("gru", units, 3, reset="after")]),
        recurrence("gru", units, 3, reset="before"),
        layer("layer_norm", units, units, {"weight": (units,), "bias": (units,)}, epsilon=1e-5),
        layer("min_gru", units, units, {"gates.weight": (2 * units, units), "gates.bias": (2 * units,)}),
        layer("output_feedback", units, units, {}, [recurrence("lstm", 2 * units, 3, forget_gate=False)]),
        layer("linear", units, 7, {"weight": (7, units), "bias": (7,)}),
    ]
    return layer("stack", 5, 7, {}, cells), tensors


def step(generator, rows, units):
    """Rows that step together give what each of them gives alone."""
    net = model(generator, units)
    together, alone = Stepper(*net, rows, output="probs"), [Stepper(*net, output="probs") for _ in range(rows)]
    for _ in range(3):
        together.input[...] = generator.integers(0, 5, rows)
        together()
        for row, one in enumerate(alone):
            one.input[...] = together.input[row]
            one()
            np.testing.assert_array_equal(one.output[0], together.output[row])
    for leaf, *own in zip(*map(list, map(states.leaves, (together.state, *(one.state for one in alone)))), strict=True):
        if leaf.dtype == np.float32:
            np.testing.assert_array_equal(leaf, np.concatenate(own))


def overrun():
    a, h0 = np.ones((1000, 8), np.float32), np.ones((1, 8), np.float32)
    native.module.linear_scan(a, a, np.array([0, 1001]), h0, np.empty_like(a), np.empty_like(h0))


if __name__ == "__main__":
    if "--overrun" in sys.argv:
        overrun()
    for number in range(300):
        exercise(np.random.default_rng(number), rows=number % 7, features=1 + number % 41)
    for number in range(30):
        step(np.random.default_rng(number), rows=(1, 2, 5, 30)[number % 4], units=1 + number)
    print("native agrees")
