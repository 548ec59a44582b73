"""Recurrences as a scan of JAX, compiled by XLA: one batch of rows of equal length, inputs in one product."""

import os
from functools import partial
from typing import Any

import numpy as np
from models import Model
from problems import LEAVES, Batch, Problem


def load(threads: int) -> Any:
    """Import JAX with a number of threads, which is fixed at its first import."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("NPROC", str(threads))
    if threads == 1:
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    import jax

    return jax


def rnn(jax: Any, x: Any, state: Any, weight_hh: Any) -> Any:
    (h,) = state
    return (jax.numpy.tanh(x + h @ weight_hh.T),)


def lstm(jax: Any, x: Any, state: Any, weight_hh: Any) -> Any:
    h, c = state
    i, f, g, o = jax.numpy.split(x + h @ weight_hh.T, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
    return jax.nn.sigmoid(o) * jax.numpy.tanh(c), c


def gru(jax: Any, x: Any, state: Any, weight_hh: Any, bias_hn: Any) -> Any:
    (h,) = state
    (x_r, x_z, x_n), (h_r, h_z, h_n) = (jax.numpy.split(gates, 3, -1) for gates in (x, h @ weight_hh.T))
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    n = jax.numpy.tanh(x_n + r * (h_n + bias_hn))
    return (n + z * (h - n),)


class Jax(Model):
    """Implementation with JAX. A call waits for its result, so that nothing runs in another turn."""

    name = "jax"

    def __init__(self, problem: Problem, batches: list[Batch], threads: int):
        super().__init__(problem, batches)
        self.jax = jax = load(threads)
        (batch,) = batches
        step, leaves = {"rnn": rnn, "lstm": lstm, "gru": gru}[problem.cell], LEAVES[problem.cell]

        def scan(x: Any, *given: Any) -> tuple[Any, Any]:
            state, (weight_ih, weight_hh, bias, *bias_hn) = given[:leaves], given[leaves:]

            def body(state: Any, x: Any) -> tuple[Any, Any]:
                state = step(jax, x, state, weight_hh, *bias_hn)
                return state, state[0]

            final, y = jax.lax.scan(body, state, x @ weight_ih.T + bias)
            return y, final

        def train(dy: Any, *given: Any) -> Any:
            y, back, final = jax.vjp(scan, *given, has_aux=True)
            return y, *final, *back(dy)

        arrays = [np.stack(rows, 1) for rows in (batch.dy, batch.x)] + batch.state + problem.weights()
        self.compiled = partial(jax.jit(train), *(jax.device_put(array) for array in arrays))

    def train(self) -> list[Any]:
        return [self.jax.block_until_ready(self.compiled())]

    def read(self, batch: Batch, name: str, array: Any) -> np.ndarray:
        array = np.asarray(array)
        return array.swapaxes(0, 1).reshape(-1, array.shape[-1]) if name in ("y", "dx") else array
