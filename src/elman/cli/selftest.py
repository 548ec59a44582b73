"""`elman selftest`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from torch import Tensor

    from elman.cells import CellModule

LENGTHS = [40, 0, 7, 1, 23, 64, 5, 40, 2, 31]
INPUTS, UNITS = 20, 37  # not multiples of a vector width
LINE = "{:26}  {:8}  {:>7}  {:>13}  {:>17}  {}"


@click.command()
def selftest() -> None:
    """Compare every native kernel with float64 on this machine.

    Compares the outputs, final states and all gradients of a ragged batch. An error is the largest difference from
    float64, divided by the largest number. PyTorch's own float32 has its error in the next column.
    """
    from elman.kernels import native
    from elman.threads import get_num_threads

    if not native.available():
        click.echo("No native kernels (installed without a compiler, or ELMAN_NATIVE=0): elman uses its "
                   "PyTorch reference.")  # fmt: skip
        return
    click.echo(LINE.format("kernel", "ISA", "threads", "largest error", "PyTorch's float32", "").rstrip())
    compared = wrong = 0
    for case in _cases():
        with native.disabled():
            exact, plain = case.by_pytorch(case.net_in_float64()), case.by_pytorch(case.net)
        allowed = 10 * _error(plain, exact) + 1e-5
        for threads in sorted({1, get_num_threads()} if case.threaded else {1}):
            with _threads(threads):
                error = _error(case.by_kernel(case.net), exact)
            right = error <= allowed  # False for NaN
            compared, wrong = compared + 1, wrong + (not right)
            figures = f"{error:.1e}", f"{_error(plain, exact):.1e}", "ok" if right else "FAILED"
            click.echo(LINE.format(case.kernel, native.module.isa, threads, *figures))
    if wrong:
        raise click.ClickException(f"{wrong} of {compared} comparisons failed; ELMAN_NATIVE=0 disables the "
                                   "kernels, ELMAN_ISA=baseline selects the simplest ones.")  # fmt: skip
    click.echo(f"All {compared} comparisons agree.")


class _Case(NamedTuple):
    kernel: str
    net: "CellModule"
    by_kernel: Callable[["CellModule"], "list[Tensor]"]
    by_pytorch: Callable[["CellModule"], "list[Tensor]"]
    threaded: bool = True

    def net_in_float64(self) -> "CellModule":
        from copy import deepcopy

        return deepcopy(self.net).double()


def _cases() -> Iterator[_Case]:
    """Yield every kernel with a net that uses it."""
    import torch

    from elman.cells import GRU, LSTM, RNN, MinGRU
    from elman.kernels.native import ACTIVATIONS
    from elman.layers import Bidirectional, LayerNorm, Linear, Stack

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
    for kernel, net in nets.items():
        yield _Case(kernel, net, _trained, _trained)
    yield _Case("one step at a time", streamed, _stepped, _scanned, threaded=False)


def _trained(net: "CellModule") -> "list[Tensor]":
    """Return outputs, final states and gradients, for the same inputs in every call."""
    import torch

    from elman import state as states
    from elman.sequences import Sequences

    draw = _drawer(net)
    x = draw(sum(LENGTHS), net.input_size).requires_grad_()
    state = states.map(lambda leaf: draw(*leaf.shape).requires_grad_(), net.initial_state(len(LENGTHS)))
    y, final = net.scan(Sequences(x, LENGTHS), state)
    outputs = [y.values, *states.leaves(final)]
    inputs = [x, *states.leaves(state), *net.parameters()]
    return [*outputs, *torch.autograd.grad(outputs, inputs, [draw(*output.shape) for output in outputs])]


def _scanned(net: "CellModule") -> "list[Tensor]":
    """Return the outputs of a scan, [B, T, O]."""
    import torch

    from elman.sequences import Sequences

    x = _drawer(net)(5, 30, net.input_size)
    with torch.no_grad():
        y, _ = net.scan(Sequences(x.flatten(0, 1), [30] * 5))
    return [y.values.view(5, 30, -1)]


def _stepped(net: "CellModule") -> "list[Tensor]":
    """Return the outputs of a stepper, [B, T, O]."""
    import torch

    x, stepper, outputs = _drawer(net)(5, 30, net.input_size), net.stepper(batch_size=5), []
    for now in x.unbind(1):
        stepper.input[...] = now.numpy()
        stepper()
        outputs.append(torch.tensor(stepper.output))
    return [torch.stack(outputs, 1)]


def _drawer(net: "CellModule") -> "Callable[..., Tensor]":
    """Return a function that draws random numbers of the dtype of a net's weights."""
    import torch

    generator, dtype = torch.Generator().manual_seed(0), next(net.parameters()).dtype
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float32).to(dtype)


def _error(got: "list[Tensor]", exact: "list[Tensor]") -> float:
    """Return the largest difference, divided by the largest number; NaN if there is one."""
    import torch

    parts = [(a.detach() - b.detach()).abs().max() / b.detach().abs().max() for a, b in zip(got, exact, strict=True)]
    return float(torch.stack(parts).max())


@contextmanager
def _threads(count: int) -> Iterator[None]:
    from elman.threads import get_num_threads, set_num_threads

    before = get_num_threads()
    set_num_threads(count)
    try:
        yield
    finally:
        set_num_threads(before)
