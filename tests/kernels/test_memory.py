"""Memory pooled between calls, which does not grow with their number."""

import gc
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from elman.cells import GRU, LSTM
from elman.kernels import native
from elman.kernels.memory import LARGE, new
from elman.layers import Bidirectional, Linear, Stack
from elman.sequences import Sequences

pytestmark = pytest.mark.needs_native

MEGABYTE = 1 << 20


def resident():
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (3, 5), (LARGE, 1), (1000, 200)], ids=str)
def test_a_new_tensor(shape):
    tensor = new(*shape)
    assert tensor.shape == shape
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    tensor.fill_(1)


def test_a_large_tensor_reuses_released_memory():
    first = new(1000, 1000)
    address = first.data_ptr()
    assert new(1000, 1000).data_ptr() != address
    del first
    assert address in {tensor.data_ptr() for tensor in [new(1000, 1000) for _ in range(4)]}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_ten_thousand_calls_take_no_more_memory():
    torch.manual_seed(0)
    net = Stack(Bidirectional(LSTM(9, 24), GRU(9, 24)), LSTM(48, 33), GRU(33, 20), Linear(20, 70))
    random, sizes, before = np.random.default_rng(0), [], native.module.pooled_bytes()
    for call in range(10_000):
        lengths = random.integers(0, 1 + random.integers(1, 40), random.integers(0, 30))
        y, final = net.scan(Sequences(torch.randn(int(lengths.sum()), 9, requires_grad=True), lengths))
        if call % 3:  # some calls have no backward pass
            y.values.square().sum().backward(retain_graph=call % 9 == 1)
        net.zero_grad()
        del y, final
        if call >= 3000 and call % 500 == 0:
            gc.collect()
            sizes.append(resident())
    assert max(sizes) - sizes[0] < 8 * MEGABYTE, [size // 1024 for size in sizes]
    assert native.module.pooled_bytes() - before < 100 * MEGABYTE
    assert not any(weight.grad is not None for weight in net.parameters())


FORKS = """
import os, signal, threading
import torch
from elman.kernels.linear import linear

torch.set_grad_enabled(False)
x, weight, over = torch.ones(50_000, 1), torch.ones(1, 1), False  # hundreds of pieces of memory a call

def calls():
    while not over:
        linear(x, weight)

others = [threading.Thread(target=calls) for _ in range(3)]
for other in others:
    other.start()
ends = []
for _ in range(COUNT):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        linear(x, weight)
        os._exit(0)
    ends.append(os.waitpid(child, 0)[1])
over = True
for other in others:
    other.join()
print(set(ends))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("count", [20, pytest.param(150, marks=pytest.mark.slow)])
def test_a_fork_while_another_thread_takes_memory(count):
    script = FORKS.replace("COUNT", str(count))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=200)
    assert done.stdout == "{0}\n", done.stderr
