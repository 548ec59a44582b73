"""Compare the native kernels with plain loops on random ragged batches, with NumPy and without PyTorch.

`--overrun KERNEL` reads beyond an array on purpose.
"""

import sys
from itertools import pairwise

import numpy as np

from elman import state as states
from elman.kernels import kalman, native, semiring_scan
from elman.kernels.best import best
from elman.kernels.best import reference as reference_best
from elman.kernels.masks import draw as draw_masks
from elman.kernels.masks import reference as reference_masks
from elman.kernels.native import ACTIVATIONS, KINDS
from elman.network import Streams, make_layer

WEIGHTS = ("weight_ih", "weight_hh", "bias", "bias_hn")


def nan(*shape):
    """Return an array of NaN, which a kernel must overwrite."""
    return np.full(shape, np.nan, np.float32)


def near(got, wanted):
    assert got.shape == wanted.shape
    assert np.isfinite(got).all()
    if got.size:
        np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5 * max(1.0, np.abs(wanted).max()))


# --- The linear scan


def loops(a, x, offsets, h0, dh, dlast):
    """Return the expected h, last, da, dx, dh0."""
    h, last, da, dx, dh0 = np.empty_like(a), h0.copy(), np.empty_like(a), np.empty_like(a), dlast.copy()
    for row, (start, end) in enumerate(pairwise(offsets)):
        for t in range(start, end):
            h[t] = last[row] = a[t] * last[row] + x[t]
        for t in reversed(range(start, end)):
            dx[t] = dh[t] + dh0[row]
            da[t] = dx[t] * (h[t - 1] if t > start else h0[row])
            dh0[row] = a[t] * dx[t]
    return h, last, da, dx, dh0


def linear_scan(generator, rows, features):
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


# --- Sums, maxima and samples over paths of states


def paths(generator, number):
    states, per_step, lengths = 1 + number % 19, number % 3 == 0, generator.integers(0, 70, number % 9)
    steps, rows = int(lengths.sum()), len(lengths)
    forbidden, spread = (0, 0.1, 0.3)[number % 3], (1, 3, 300)[number // 3 % 3]

    def logs(*shape):
        return np.where(generator.random(shape) < forbidden, -np.inf, spread * generator.normal(size=shape))

    transition = logs(steps if per_step else 2, states, states)
    model = None if per_step else generator.integers(0, 2, rows)
    case = logs(rows, states), transition, logs(steps, states), lengths, model, per_step
    uniforms = generator.random((2, steps))

    def results():
        yield from semiring_scan.forward(*case)
        yield semiring_scan.total(*case)
        yield from semiring_scan.forward_backward(*case)
        for k in (1, 3):
            yield from semiring_scan.best_path(*case, k=k)
        yield semiring_scan.sample_paths(*case[:4], uniforms, *case[4:])

    for got, wanted in zip(results(), wanted_of(results), strict=True):
        limit = 1e-9 * max(1.0, np.abs(wanted[np.isfinite(wanted)]).max(initial=0))
        np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=limit)


def wanted_of(results):
    with native.disabled():
        return list(results())


# --- Kalman filter and smoother


def estimates(generator, number):
    n, m, per_step = 1 + number % 11, 1 + number % 4, number % 3 == 0
    lengths = generator.integers(n + 1, 40, number % 6) * generator.integers(0, 2, number % 6)
    steps, rows = int(lengths.sum()), len(lengths)

    def covariances(count, size):
        root = generator.normal(size=(count, size, size))
        return root @ root.swapaxes(-1, -2) + 0.1 * np.eye(size)

    entries = steps if per_step else 2
    noise = np.eye(m) * generator.uniform(0.1, 2, (entries, m, 1)) if number % 2 else covariances(entries, m)
    system = kalman.System(0.9 * generator.normal(size=(entries, n, n)) / np.sqrt(n),
                           generator.normal(size=(entries, m, n)), covariances(entries, n), noise)  # fmt: skip
    x = generator.normal(size=(steps, m))
    x[generator.random(x.shape) < (0, 0.2)[number // 2 % 2]] = np.nan
    diffuse = covariances(rows, n) * (number % 5 == 0)
    given = system, x, lengths, generator.normal(size=(rows, n)), covariances(rows, n), diffuse
    offsets = (None, None) if number % 7 else (generator.normal(size=(steps, n)), generator.normal(size=(steps, m)))
    model = None if per_step else generator.integers(0, 2, rows)

    def results(square_root):
        more = *offsets, model, per_step, square_root
        for found in kalman.filter(*given, *more):
            yield from found
        yield kalman.log_likelihood(*given, *more)
        yield from kalman.smooth(*given[:5], 0 * diffuse, *more)

    for square_root in (False, True):
        wanted = wanted_of(lambda root=square_root: results(root))
        for got, each in zip(results(square_root), wanted, strict=True):
            np.testing.assert_allclose(got, each, rtol=1e-6, atol=1e-8 * max(1.0, np.abs(each).max(initial=0)))


# --- RNN, LSTM and GRU


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


FUNCTIONS = {"tanh": np.tanh, "sigmoid": sigmoid, "relu": lambda a: np.maximum(a, 0), "identity": lambda a: a}


class Layer:
    """Recurrence with random weights: its reference in float64, and its arrays for C++."""

    def __init__(self, generator, number, inputs, units, reverse=False):
        self.kind = KINDS[number % len(KINDS)]
        self.activation = ACTIVATIONS[number // 20 % len(ACTIVATIONS)]
        self.inputs, self.units, self.reverse = inputs, units, reverse
        self.leaves = 2 if self.kind.startswith("lstm") else 1
        gates = {"rnn": 1, "lstm": 4}.get(self.kind, 3) * units
        shapes = [(gates, inputs), (gates, units), (gates,), *([(units,)] if self.kind == "gru_after" else [])]
        self.weights = [(generator.standard_normal(shape) / shape[-1] ** 0.5).astype(np.float32) for shape in shapes]

    def step(self, weights, x, h, c):
        """Return h and c after one step of one row."""
        weight_ih, weight_hh, bias, *bias_hn = weights
        if self.kind.startswith("gru"):
            x_r, x_z, x_n = np.split(weight_ih @ x + bias, 3)
            u_r, u_z, u_n = np.split(weight_hh, 3)
            r, z = sigmoid(x_r + u_r @ h), sigmoid(x_z + u_z @ h)
            n = np.tanh(x_n + (r * (u_n @ h + bias_hn[0]) if bias_hn else u_n @ (r * h)))
            return n + z * (h - n), c
        gates = weight_ih @ x + weight_hh @ h + bias
        if self.kind == "rnn":
            return FUNCTIONS[self.activation](gates), c
        i, *f, g, o = np.split(gates, len(gates) // self.units)
        c = (sigmoid(f[0]) if f else 1.0) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    def run(self, weights, offsets, x, state):
        """Return y and the final state."""
        y = np.empty((len(x), self.units))
        h, c = state[0].copy(), state[-1].copy()
        for row, (start, end) in enumerate(pairwise(offsets)):
            for t in range(start, end)[:: -1 if self.reverse else 1]:
                h[row], c[row] = self.step(weights, x[t], h[row], c[row])
                y[t] = h[row]
        return y, [h, c][: self.leaves]

    def bind(self, below, x, y, state, last):
        """Return the layer as a C++ object bound to the arrays."""
        bound = native.module.Layer(
            KINDS.index(self.kind), ACTIVATIONS.index(self.activation), self.inputs, self.units, self.units,
            self.reverse, below,
        )  # fmt: skip
        put(bound, WEIGHTS, self.weights)
        bound.x, bound.x_stride, bound.y, bound.y_stride = *lies(x), *lies(y)
        put(bound, ("h0", "c0"), state)
        put(bound, ("h_last", "c_last"), last)
        return bound


def lies(array):
    """Return the address of an array and the distance of its rows."""
    return array.ctypes.data, array.strides[0] // array.itemsize


def put(bound, names, arrays):
    for name, array in zip(names, arrays, strict=False):
        setattr(bound, name, array.ctypes.data)


def recurrence(generator, number):
    """Check single, stacked and bidirectional layers against loops and finite differences."""
    offsets = np.cumsum([0, *generator.integers(0, 9, number % 7)])
    steps, rows, inputs = offsets[-1], len(offsets) - 1, int(generator.integers(1, 20))
    units = generator.integers(1, 40, 3).tolist()
    both_ways = number % 4 == 2
    if both_ways:
        layers = [Layer(generator, number + way, inputs, units[way], reverse=way == 1) for way in range(2)]
    elif number % 4 == 3:
        layers = [Layer(generator, number + i, units[i - 1] if i else inputs, units[i]) for i in range(3)]
    else:
        layers = [Layer(generator, number, inputs, units[0], reverse=number % 4 == 1)]
    x = generator.standard_normal((steps, inputs), np.float32)
    state = [generator.standard_normal((layer.leaves, rows, layer.units), np.float32) for layer in layers]
    with_state = number % 3 > 0
    zeros = [leaves * with_state for leaves in state]

    def run(x, states, weights):
        outputs, finals = [], []
        for i, layer in enumerate(layers):
            below = outputs[-1] if outputs and not both_ways else x
            y, final = layer.run(weights[i], offsets, below, states[i])
            outputs.append(y)
            finals.append(np.stack(final))
        return [np.concatenate(outputs, 1) if both_ways else outputs[-1], *finals]

    weights = [layer.weights for layer in layers]
    exact = run(*doubles([x, zeros, weights]))
    directions = [generator.standard_normal(value.shape).astype(np.float32) for value in exact]
    values, gradients = native_run(layers, both_ways, offsets, x, state if with_state else None, directions)
    for got, wanted in zip(values, exact, strict=True):
        near(got, wanted)
    lower, (dx, _, dweights) = native_run(
        layers, both_ways, offsets, x, state if with_state else None, directions, bfloat16=True
    )
    assert np.isfinite(flat([*lower, dx, dweights])).all()  # other tests check the values

    def loss(arguments):
        return sum((value * direction).sum() for value, direction in zip(run(*arguments), directions, strict=True))

    for place in (0, 1, 2) if with_state else (0, 2):
        check_slope(generator, loss, doubles([x, zeros, weights]), place, gradients[place])


def doubles(tree):
    return [doubles(part) for part in tree] if isinstance(tree, list) else tree.astype(np.float64)


def flat(tree):
    return np.concatenate([flat(part) for part in tree]) if isinstance(tree, list) else tree.ravel()


def moved(tree, along, step):
    """Return a tree of arrays, moved a step along a direction."""
    return (
        [moved(a, b, step) for a, b in zip(tree, along, strict=True)] if isinstance(tree, list) else tree + step * along
    )


def random_like(generator, tree):
    return (
        [random_like(generator, part) for part in tree]
        if isinstance(tree, list)
        else generator.standard_normal(tree.shape)
    )


def check_slope(generator, loss, arguments, place, gradient):
    """Check the gradient of one argument along a random direction."""
    along, step = random_like(generator, arguments[place]), 1e-6

    def at(step):
        return loss([moved(a, along, step) if i == place else a for i, a in enumerate(arguments)])

    found, slope = flat(gradient).astype(np.float64), (at(step) - at(-step)) / (2 * step)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found @ flat(along), slope, rtol=0, atol=1e-4 * (1 + np.linalg.norm(found)))


def native_run(layers, both_ways, offsets, x, state, directions, bfloat16=False):
    """Return y and the final states, and the gradients of x, of the states and of the weights."""
    steps, rows = len(x), len(offsets) - 1
    plan, sizes = native.module.Plan(offsets), [layer.units for layer in layers]
    dy, *dlast = directions
    if both_ways:
        y = nan(steps, sum(sizes))
        ys, dys = ([a[:, : sizes[0]], a[:, sizes[0] :]] for a in (y, dy))
        xs, dxs = [x, x], [nan(*x.shape), nan(*x.shape)]
    else:
        ys = [nan(steps, size) for size in sizes]
        y, xs, dxs = ys[-1], [x, *ys[:-1]], [nan(*x.shape), *(nan(steps, size) for size in sizes[:-1])]
        dys = [*dxs[1:], dy]
    given = [()] * len(layers) if state is None else state
    last, dstate = ([nan(layer.leaves, rows, layer.units) for layer in layers] for _ in range(2))
    belows = [-1 if both_ways else i - 1 for i in range(len(layers))]
    bound = [layer.bind(*arrays) for layer, *arrays in zip(layers, belows, xs, ys, given, last, strict=True)]
    saved = [nan(steps, one.saved_stride) for one in bound]
    for one, memory in zip(bound, saved, strict=True):
        one.saved, one.bfloat16 = memory.ctypes.data, bfloat16
    packs = pack(bound, back=False)
    native.module.scan(plan, bound)
    packs += pack(bound, back=True)
    dweights = [[nan(*weight.shape) for weight in layer.weights] for layer in layers]
    for i, one in enumerate(bound):
        one.dy, one.dy_stride, one.dx, one.dx_stride = *lies(dys[i]), *lies(dxs[i])
        put(one, ("dh_last", "dc_last"), dlast[i])
        if state is not None:
            put(one, ("dh0", "dc0"), dstate[i])
        put(one, [f"d{name}" for name in WEIGHTS], dweights[i])
    native.module.scan_backward(plan, bound)
    dx = dxs[0] + dxs[1] if both_ways else dxs[0]
    return [y, *last], [dx, dstate, dweights]


def pack(bound, back):
    """Pack the weights; return the packs, which the caller must keep alive."""
    packs = [one.pack(back) for one in bound]
    for one, memory in zip(bound, packs, strict=True):
        one.packed = memory.address
    return packs


def options(generator, number):
    """Check that an LSTM with options writes all its outputs, and nothing else; other tests check the values."""
    offsets = np.cumsum([0, *generator.integers(0, 9, number % 7)])
    steps, rows, units = offsets[-1], len(offsets) - 1, int(generator.integers(2, 40))
    forget, normed = number % 2 == 0, number % 3 == 1
    gates = 4 if forget else 3
    inputs = int(generator.integers(1, 20))
    outputs = int(generator.integers(1, units)) if number % 3 == 2 else units

    def random(*shape):
        return generator.standard_normal(shape, np.float32)

    weights = {"weight_ih": random(gates * units, inputs), "weight_hh": random(gates * units, outputs),
               "bias": random(gates * units)}  # fmt: skip
    if normed:
        weights |= {"gain_ih": random(gates * units), "gain_hh": random(gates * units), "gain_c": random(units),
                    "bias_c": random(units)}  # fmt: skip
    if outputs < units:
        weights["weight_hr"] = random(outputs, units)
    if number % 5:
        weights["peephole"] = random((gates - 1) * units)
    one = native.module.Layer(
        KINDS.index("lstm" if forget else "lstm_without_forget"), 0, inputs, units, outputs, number % 4 == 1, -1
    )
    x, y, dy, dx = random(steps, inputs), nan(steps, outputs), random(steps, outputs), nan(steps, inputs)
    state, last, dlast, dstate = ([make(rows, outputs), make(rows, units)] for make in (random, nan, random, nan))
    one.any_option, one.coupled, one.clip = True, not forget and number % 4 == 0, 0.5 if number % 7 else 0.0
    one.bfloat16 = number % 9 > 4
    kept = [generator.integers(0, 2, (steps, size)).astype(bool) for size in (units, outputs, units)]
    kept.append(generator.integers(0, 2, (rows, outputs)).astype(bool))
    for name, mask in zip(("candidate", "zone_h", "zone_c", "hidden"), kept, strict=True):
        getattr(one, f"set_{name}")(mask.ctypes.data if number % 2 else 0, 0.3)
    dweights = {name: nan(*weight.shape) for name, weight in weights.items()}
    put(one, weights, weights.values())
    put(one, [f"d{name}" for name in weights], dweights.values())
    put(one, ("h0", "c0", "h_last", "c_last"), state + last)
    put(one, ("dh0", "dc0", "dh_last", "dc_last"), dstate + dlast)
    one.x, one.x_stride, one.y, one.y_stride = *lies(x), *lies(y)
    one.dx, one.dx_stride, one.dy, one.dy_stride = *lies(dx), *lies(dy)
    saved = nan(steps, one.saved_stride)
    one.saved = saved.ctypes.data
    plan, packs = native.module.Plan(offsets), pack([one], back=False)
    native.module.scan(plan, [one])
    packs += pack([one], back=True)
    native.module.scan_backward(plan, [one])
    for written in (y, dx, *last, *dstate, *dweights.values()):
        assert np.isfinite(written).all()


# --- The linear map


def linear(generator, rows, inputs, outputs):
    x, dy = (generator.standard_normal((rows, size), np.float32) for size in (inputs, outputs))
    weight, bias = (
        generator.standard_normal((outputs, inputs), np.float32),
        generator.standard_normal(outputs, np.float32),
    )
    y, dx, dweight, dbias = nan(rows, outputs), nan(rows, inputs), nan(outputs, inputs), nan(outputs)
    sizes = rows, inputs, outputs
    native.module.linear(*sizes, *(a.ctypes.data for a in (x, weight, bias, y)))
    native.module.linear_backward(*sizes, *(a.ctypes.data for a in (x, weight, dy, dx, dweight, dbias)))
    x, dy, weight, bias = doubles([x, dy, weight, bias])
    near(y, x @ weight.T + bias)
    near(dx, dy @ weight)
    near(dweight, dy.T @ x)
    near(dbias, dy.sum(0))


# --- Masks


def masks(generator, rows, units, words):
    """Check that mask bits do not depend on the other rows, and the products with them."""
    key, probability = tuple(generator.integers(-9, 9, 3).tolist()), generator.uniform(0.1, 0.9)
    steps = tuple(generator.integers(0, 3, (words, rows)))
    wanted = reference_masks(probability, key, steps, units)
    x, y, dx = generator.standard_normal((rows, units), np.float32), nan(rows, units), nan(rows, units)
    kept = np.full((rows, units), 7, np.uint8)
    draw_masks(probability, key, steps, units, *(a.ctypes.data for a in (kept, x, y)))
    native.module.masked(probability, x.size, *(a.ctypes.data for a in (kept, x, dx)))
    np.testing.assert_array_equal(kept, wanted)
    for product in (y, dx):
        np.testing.assert_array_equal(product, x * (wanted / np.float32(probability)))


# --- Attention


def attention(generator, rows, features, outputs, additive):
    steps, sizes = generator.integers(0, 40, rows), generator.integers(0, 30, rows)
    starts = np.cumsum(sizes) - sizes
    shared = generator.integers(0, rows, rows) if rows else np.arange(0)  # some rows share their memory
    starts, sizes = starts[shared], sizes[shared]
    queries, memory, pairs = int(steps.sum()), int(max(starts + sizes, default=0)) + 2, int(steps @ sizes)
    shapes = [(queries, features), (memory, features), (memory, outputs), (features,), (queries, outputs), (pairs,)]
    q, k, v, direction, dcontext, dweights = (generator.standard_normal(shape, np.float32) / 2 for shape in shapes)
    context, weights, *gradients = (nan(*a.shape) for a in (dcontext, dweights, q, k, v, direction))
    arrays = [a.ctypes.data for a in (q, k, v)] + [direction.ctypes.data if additive else 0]
    given = steps, starts, sizes, memory, features, outputs, *arrays, weights.ctypes.data
    native.module.attend(*given, context.ctypes.data)
    sent = [a.ctypes.data for a in (dcontext, dweights, *gradients[: 3 + additive])]
    native.module.attend_backward(*given, *sent, *([] if additive else [0]))
    wanted = attention_loops(steps, starts, sizes, *doubles([q, k, v, direction, dcontext, dweights]), additive)
    for got, exact in zip((context, weights, *gradients[: 3 + additive]), wanted, strict=False):
        near(got, exact)


def attention_loops(steps, starts, sizes, q, k, v, direction, dcontext, dweights, additive):
    context, weights = np.zeros_like(dcontext), []
    dq, dk, dv, ddirection = (np.zeros_like(a) for a in (q, k, v, direction))
    query, pair = 0, 0
    for row, count in enumerate(steps):
        read = slice(starts[row], starts[row] + sizes[row])
        for _ in range(count if sizes[row] else 0):
            y = np.tanh(q[query] + k[read])
            scores = y @ direction if additive else k[read] @ q[query]
            w = np.exp(scores - scores.max())
            w /= w.sum()
            weights.append(w)
            context[query] = w @ v[read]
            dw = v[read] @ dcontext[query] + dweights[pair : pair + len(w)]
            ds = (w * (dw - w @ dw))[:, None]
            inside = ds * (1 - y * y) * direction
            dq[query] = (inside if additive else ds * k[read]).sum(0)
            dk[read] += inside if additive else ds * q[query]
            dv[read] += w[:, None] * dcontext[query]
            ddirection += (ds * y).sum(0)
            query, pair = query + 1, pair + len(w)
        query += 0 if sizes[row] else count
    return context, np.concatenate([[], *weights]), dq, dk, dv, ddirection


# --- The k largest scores


def largest(generator, rows, size, k):
    for scores in (generator.standard_normal((rows, size), np.float32), generator.integers(0, 3, (rows, size))):
        scores = scores.astype(np.float32)
        for got, wanted in zip(best(scores, k), reference_best(scores, k), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=0, atol=5e-6)


# --- The softmax


def softmax(generator, rows, size):
    scores, targets = 9 * generator.standard_normal((rows, size), np.float32), generator.integers(0, size, rows)
    gradient, losses, log_probs, smoothing = scores.copy(), nan(rows), nan(rows), 0.1
    native.module.softmax_gradient(gradient, targets, smoothing, losses, log_probs)
    scores, each = scores.astype(np.float64), np.arange(rows)
    logs = scores - np.logaddexp.reduce(scores, 1, keepdims=True)
    wanted = np.full((rows, size), smoothing / size)
    wanted[each, targets] += 1 - smoothing
    for got, right in ((gradient, np.exp(logs) - wanted), (losses, -(wanted * logs).sum(1)),
                       (log_probs, logs[each, targets])):  # fmt: skip
        np.testing.assert_allclose(got, right, rtol=1e-5, atol=2e-5)


# --- The stepper


def model(generator, units):
    """Return the spec and the weights of a net with every layer type of the stepper."""
    tensors = {}

    def layer(kind, inputs, outputs, shapes, cells=(), **settings):
        names = {name: f"{len(tensors)}.{name}" for name in shapes}
        tensors.update({names[name]: generator.standard_normal(shape, np.float32) for name, shape in shapes.items()})
        sizes = {"input_size": inputs, "output_size": outputs}
        return {"kind": kind, "settings": sizes | settings, "tensors": names, "cells": list(cells)}

    def recurrence(kind, inputs, gates, **settings):
        shapes = {"weight_ih": (gates * units, inputs), "weight_hh": (gates * units, units), "bias": (gates * units,)}
        extra = {"bias_hn": (units,)} if settings.get("reset") == "after" else {}
        return layer(kind, inputs, units, shapes | extra, **settings)

    cells = [
        layer("embedding", 5, 3, {"weight": (5, 3)}),
        recurrence("rnn", 3, 1, activation="relu"),
        recurrence("lstm", units, 4, forget_gate=True),
        layer("dropout", units, units, {}),
        layer("residual", units, units, {}, [recurrence("gru", units, 3, reset="after")]),
        recurrence("gru", units, 3, reset="before"),
        layer("layer_norm", units, units, {"weight": (units,), "bias": (units,)}, epsilon=1e-5),
        layer("min_gru", units, units, {"weight_ih": (2 * units, units), "bias": (2 * units,)}),
        layer("output_feedback", units, units, {}, [recurrence("lstm", 2 * units, 3, forget_gate=False)]),
        layer("linear", units, 7, {"weight": (7, units), "bias": (7,)}),
    ]
    return layer("stack", 5, 7, {}, cells), tensors


def step(generator, rows, units):
    """Check that rows that step together give the same results as each row alone, also as streams of a pool."""
    net = make_layer(*model(generator, units))
    together, alone = net.stepper(rows, output="probs"), [net.stepper(output="probs") for _ in range(rows)]
    streams = Streams(net, capacity=2 * rows, batch_size=rows, output="probs")
    slots = generator.permutation([streams.open() for _ in range(2 * rows)])[:rows]
    for _ in range(3):
        together.input[...] = generator.integers(0, 5, rows)
        together()
        np.testing.assert_array_equal(streams.step(slots, together.input), together.output)
        for row, one in enumerate(alone):
            one.input[...] = together.input[row]
            one()
            np.testing.assert_array_equal(one.output[0], together.output[row])
    for leaf, *own in zip(*map(list, map(states.leaves, (together.state, *(one.state for one in alone)))), strict=True):
        if leaf.dtype == np.float32:
            np.testing.assert_array_equal(leaf, np.concatenate(own))
    assert streams.step(slots[:0], together.input[:0]).shape == (0, 7)
    sent, x = streams.to_bytes(slots[0]), together.input[:1]
    streams.close(slots[0])
    moved = streams.from_bytes(sent)
    scores, after = alone[0].step(x, alone[0].state)
    np.testing.assert_array_equal(streams.step([moved], x), scores)
    for ours, theirs in zip(*map(states.leaves, (streams.state(moved), after)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def running(generator, rows, columns):
    """Check the operations that summarise the steps so far."""
    stepper = native.module.Stepper(rows)
    x, scores = stepper.floats(columns), stepper.floats(1)
    scale = generator.uniform(0.5, 2, columns).astype(np.float32)
    mean, deviation, largest, change, attended, norm = (stepper.floats(n * columns) for n in (1, 1, 1, 2, 1, 1))
    most, top = stepper.floats(columns), stepper.floats(1)
    most.fill(-np.inf)
    top.fill(-np.inf)
    stepper.add_mean_pooling(x, stepper.floats(columns), stepper.integers(), mean)
    stepper.add_deviations(x, stepper.floats(columns), stepper.integers(), deviation)
    stepper.add_max_pooling(x, most, largest)
    stepper.add_differences(x, stepper.floats(columns), stepper.integers(), scale, change)
    stepper.add_attention_pooling(x, scores, top, stepper.floats(1), stepper.floats(columns), attended)
    stepper.add_rms_norm(x, scale, 1e-5, norm)
    steps, weights = generator.standard_normal((2, 4, rows, columns), np.float32)
    for t in range(4):
        x[...], scores[...] = steps[t], weights[t, :, :1]
        stepper()
        seen, shares = steps[: t + 1].astype(float), np.exp(weights[: t + 1, :, :1].astype(float))
        near(mean, seen.mean(0))
        near(deviation, seen[-1] - seen.mean(0))
        np.testing.assert_array_equal(largest, seen.max(0))
        near(change, np.concatenate([x, (x - steps[t - 1]) / scale if t else 0 * x], 1))
        near(attended, (shares * seen).sum(0) / shares.sum(0))
        near(norm, x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-5) * scale)


def overrun(kernel):
    x, h0 = np.ones((1000, 8), np.float32), np.ones((1, 8), np.float32)
    if kernel == "linear_scan":
        native.module.linear_scan(x, x, np.array([0, 1001]), h0, np.empty_like(x), np.empty_like(h0))
    elif kernel == "semiring_scan":
        scores, rows = np.zeros((1000, 8)), np.zeros(1)
        arguments = np.zeros((1, 8)), np.zeros((1, 8, 8)), scores, np.array([0, 1001]), rows.astype(np.int64), False
        native.module.semiring_sums(*arguments, None, None, None, rows, None, np.zeros(1, np.uint8))
    elif kernel == "kalman":
        one, zero = np.ones((1, 1, 1)), np.zeros(1, np.int64)
        native.module.kalman(one, one, one, one, False, zero, np.ones((1000, 1)), np.array([0, 1001]), one[0], one, one,
                             None, None, False, np.zeros((1, 2), np.int64), total=np.zeros(1))  # fmt: skip
    elif kernel == "masks":
        kept, y = np.ones((1001, 8), np.uint8), nan(1001, 8)
        native.module.masked(0.5, y.size, *(a.ctypes.data for a in (kept, x, y)))
    elif kernel == "attention":
        one, context, weights = np.ones(1, np.int64), nan(1, 8), nan(1001)
        arrays = [a.ctypes.data for a in (h0, x, x)]
        native.module.attend(
            one, 0 * one, 1001 * one, 1001, 8, 8, *arrays, 0, *(a.ctypes.data for a in (weights, context))
        )
    elif kernel == "best":
        native.module.best(x.reshape(1, -1), np.zeros((1, 8001), np.int64), np.zeros((1, 8001)))
    elif kernel == "softmax":
        native.module.softmax_gradient(x.reshape(1, -1), np.array([8000]), 0.1, nan(1), nan(1))
    elif kernel == "linear":
        y = nan(1001, 8)
        native.module.linear(1001, 8, 8, x.ctypes.data, x.ctypes.data, 0, y.ctypes.data)
    else:
        layer, y, last = Layer(np.random.default_rng(0), KINDS.index(kernel), 8, 8), nan(1001, 8), nan(2, 1, 8)
        bound = layer.bind(-1, x, y, (), last)
        saved = nan(1001, bound.saved_stride)
        bound.saved = saved.ctypes.data
        packs = pack([bound], back=False)
        native.module.scan(native.module.Plan(np.array([0, 1001])), [bound])
        del packs


if __name__ == "__main__":
    if "--overrun" in sys.argv:
        overrun(sys.argv[-1])
    for number in range(300):
        linear_scan(np.random.default_rng(number), rows=number % 7, features=1 + number % 41)
    for number in range(180):
        paths(np.random.default_rng(number), number)
    for number in range(44):
        estimates(np.random.default_rng(number), number)
    for number in range(240):
        recurrence(np.random.default_rng(number), number)
        options(np.random.default_rng(number), number)
    for number in range(100):
        generator = np.random.default_rng(number)
        linear(generator, number * 3 % 131, *generator.integers(1, (600 if number % 5 == 0 else 60, 80)).tolist())
    for sizes in ((3, 513, 1100), (200, 3, 2049), (1, 1100, 1)):
        linear(np.random.default_rng(0), *sizes)
    for number in range(100):
        generator = np.random.default_rng(number)
        masks(generator, *generator.integers(0, (900 if number % 5 == 0 else 9, 80)).tolist(), 1 + number % 2)
    for number in range(120):
        generator = np.random.default_rng(number)
        attention(generator, number % 7, *generator.integers(1, (90, 200)).tolist(), additive=number % 2)
    for number in range(120):
        generator = np.random.default_rng(number)
        size = int(generator.integers(1, 3000 if number % 5 == 0 else 150))
        largest(generator, number % 6, size, int(generator.integers(0, min(size, 256) + 1)))
    for number in range(120):
        softmax(np.random.default_rng(number), number % 6, 1 + number * 7 % 150 + (2000 if number % 5 == 0 else 0))
    for number in range(30):
        step(np.random.default_rng(number), rows=(1, 2, 5, 30)[number % 4], units=1 + number)
        running(np.random.default_rng(number), rows=(1, 2, 5, 30)[number % 4], columns=1 + number)
    print("native agrees")
