"""Comparison of the native kernels with PyTorch in float64."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor

from elman import state as states
from elman.cells import GRU, LSTM, RNN, CellModule, MinGRU
from elman.kernels import native
from elman.kernels.native import ACTIVATIONS
from elman.layers import Bidirectional, LayerNorm, Linear, Stack
from elman.sequences import Sequences
from elman.threads import get_num_threads, set_num_threads

LENGTHS = [40, 0, 7, 1, 23, 64, 5, 40, 2, 31]
INPUTS, UNITS = 20, 37  # not multiples of a vector width


class Comparison(NamedTuple):
    """Largest differences from float64, divided by the largest number.

    Args:
        threads: number of threads of the kernel.
        error: difference of the kernel.
        reference: difference of PyTorch in float32.
    """

    kernel: str
    threads: int
    error: float
    reference: float

    @property
    def agrees(self) -> bool:
        """Whether the error is about that of PyTorch; False for NaN."""
        return self.error <= 10 * self.reference + 1e-5


def compare_kernels() -> Iterator[Comparison]:
    """Compare every kernel, in a network that uses it, with one thread and with as many as are set."""
    nets, streamed = _nets()
    for name, net in nets.items():
        yield from _compare(name, net, _trained, _trained, {1, get_num_threads()})
    yield from _compare("one step at a time", streamed, _stepped, _scanned, {1})


def _compare(
    kernel: str,
    net: CellModule,
    by_kernel: Callable[[CellModule], list[Tensor]],
    by_pytorch: Callable[[CellModule], list[Tensor]],
    numbers_of_threads: set[int],
) -> Iterator[Comparison]:
    with native.disabled():
        exact, plain = by_pytorch(deepcopy(net).double()), by_pytorch(net)
    before = get_num_threads()
    for threads in sorted(numbers_of_threads):
        set_num_threads(threads)
        try:
            outputs = by_kernel(net)
        finally:
            set_num_threads(before)
        yield Comparison(kernel, threads, _error(outputs, exact), _error(plain, exact))


def _nets() -> tuple[dict[str, CellModule], CellModule]:
    """Return a network for every kernel, and one to run one step at a time."""
    deep = UNITS, UNITS
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        nets = {f"rnn, {word}": RNN(INPUTS, UNITS, activation=word) for word in ACTIVATIONS} | {
            "lstm": LSTM(INPUTS, UNITS),
            "lstm, few inputs": LSTM(3, UNITS),
            "lstm, no forget gate": LSTM(INPUTS, UNITS, forget_gate=False),
            "gru, reset after": GRU(INPUTS, UNITS),
            "gru, reset before": GRU(INPUTS, UNITS, reset="before"),
            "linear": Linear(INPUTS, 71),
            "linear, linear_scan": MinGRU(INPUTS, UNITS),
            "three layers as a wave": Stack(LSTM(INPUTS, UNITS), GRU(*deep), RNN(*deep)),
            "bidirectional": Bidirectional(GRU(INPUTS, UNITS), LSTM(INPUTS, UNITS)),
        }
        words = (RNN(INPUTS, UNITS), LSTM(*deep), GRU(*deep), MinGRU(*deep), LayerNorm(UNITS), Linear(UNITS, 71))
        streamed = Stack(*words)
        with torch.no_grad():
            for net in (*nets.values(), streamed):
                for name, weight in net.named_parameters():
                    if "bias" in name:
                        weight.add_(torch.randn_like(weight) / 4)
    return nets, streamed


def _trained(net: CellModule) -> list[Tensor]:
    """Return outputs, final states and gradients, for the same inputs in every call."""
    draw = _drawer(net)
    x = draw(sum(LENGTHS), net.input_size).requires_grad_()
    state = states.map(lambda leaf: draw(*leaf.shape).requires_grad_(), net.initial_state(len(LENGTHS)))
    y, final = net.scan(Sequences(x, LENGTHS), state)
    outputs = [y.values, *states.leaves(final)]
    inputs = [x, *states.leaves(state), *net.parameters()]
    return [*outputs, *torch.autograd.grad(outputs, inputs, [draw(*output.shape) for output in outputs])]


def _scanned(net: CellModule) -> list[Tensor]:
    """Return the outputs of a scan, [B, T, O]."""
    x = _drawer(net)(5, 30, net.input_size)
    with torch.no_grad():
        y, _ = net.scan(Sequences(x.flatten(0, 1), [30] * 5))
    return [y.values.view(5, 30, -1)]


def _stepped(net: CellModule) -> list[Tensor]:
    """Return the outputs of a stepper, [B, T, O]."""
    x, stepper, outputs = _drawer(net)(5, 30, net.input_size), net.stepper(batch_size=5), []
    for now in x.unbind(1):
        stepper.input[...] = now.numpy()
        stepper()
        outputs.append(torch.tensor(stepper.output))
    return [torch.stack(outputs, 1)]


def _drawer(net: CellModule) -> Callable[..., Tensor]:
    """Return a function that draws random numbers of the dtype of a net's weights."""
    generator, dtype = torch.Generator().manual_seed(0), next(net.parameters()).dtype
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float32).to(dtype)


def _error(got: list[Tensor], exact: list[Tensor]) -> float:
    """Return the largest difference, divided by the largest number; NaN if there is one."""
    parts = [(a.detach() - b.detach()).abs().max() / b.detach().abs().max() for a, b in zip(got, exact, strict=True)]
    return float(torch.stack(parts).max())
