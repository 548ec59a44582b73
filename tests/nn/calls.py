"""Calls of a module of `torch.nn` and of elman's with the same weights, and all their results."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import elman.nn

KINDS = {"tanh": ("RNN", {}), "relu": ("RNN", {"nonlinearity": "relu"}), "lstm": ("LSTM", {}), "gru": ("GRU", {})}
FORMS = ["padded", "unbatched", "packed", "sorted"]
LENGTHS = {"padded": (6, 6, 6), "unbatched": (6,), "packed": (2, 6, 1, 4), "sorted": (6, 5, 5, 1)}


class Given(NamedTuple):
    """Arguments of a call: leaf tensors, from which the input is made."""

    form: str
    batch_first: bool
    rows: list[Tensor]
    hx: list[Tensor]  # none, h, or h and c

    def input(self) -> Any:
        if self.form == "unbatched":
            return self.rows[0]
        if self.form == "padded":
            return torch.stack(self.rows, 0 if self.batch_first else 1)
        return pack_sequence(self.rows, enforce_sorted=self.form == "sorted")


def modules(kind: str, *sizes: int, **options: Any) -> tuple[Any, Any]:
    """Return a module of PyTorch, and one of elman with the same weights."""
    name, more = KINDS[kind]
    theirs = getattr(nn, name)(*sizes, **more, **options)
    ours = getattr(elman.nn, name)(*sizes, **more, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def given(module: Any, form: str, state: bool = True, seed: int = 0) -> Given:
    """Return steps and, on request, an initial state; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    dtype = module.weight_ih_l0.dtype

    def leaf(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()

    rows = [leaf(length, module.input_size) for length in LENGTHS[form]]
    count = module.num_layers * (2 if module.bidirectional else 1)
    batch = () if form == "unbatched" else (len(rows),)
    sizes = (module.proj_size or module.hidden_size, module.hidden_size)[: 2 if isinstance(module, nn.LSTM) else 1]
    leaves = [leaf(count, *batch, size) for size in sizes]
    return Given(form, module.batch_first, rows, leaves if state else [])


def call(module: Any, given: Given) -> list[Tensor]:
    """Return the output and the final states."""
    hx = (tuple(given.hx) if isinstance(module, nn.LSTM) else given.hx[0]) if given.hx else None
    x = given.input()
    output, final = module(x, hx)
    if isinstance(output, PackedSequence):
        assert all(a is b or torch.equal(a, b) for a, b in zip(output[1:], x[1:], strict=True))
    written = [output.data if isinstance(output, PackedSequence) else output]
    return [*written, *(final if isinstance(final, tuple) else (final,))]


def gradients(module: Any, given: Given, written: list[Tensor]) -> list[Tensor]:
    """Return the gradients of all arguments, given a gradient of every output."""
    sent = [torch.randn(leaf.shape, generator=torch.Generator().manual_seed(9), dtype=leaf.dtype) for leaf in written]
    return list(torch.autograd.grad(written, [*given.rows, *given.hx, *module.parameters()], sent))


def assert_same(got: list[Tensor], expected: list[Tensor], tolerance: float = 1e-5) -> None:
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)
