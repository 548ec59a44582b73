"""Comparison of cells with `torch.nn`, on the same weights and the same ragged batch."""

import pytest
import torch

from elman import state as states
from elman.sequences import Sequences


def leaf(shape, dtype):
    return torch.randn(shape, dtype=dtype, requires_grad=True)


@pytest.fixture(params=[(torch.float32, 1e-5), (torch.float64, 1e-10)], ids=["float32", "float64"])
def dtype_and_tolerance(request):
    return request.param


@pytest.fixture
def check_against_torch(dtype_and_tolerance):
    """Return a function (ours, theirs, gradients) that compares values, final states and every gradient.

    `gradients` gives the gradient of each weight of ours in terms of the gradients of theirs.
    """
    dtype, tolerance = dtype_and_tolerance

    def check(ours, theirs, gradients):
        ours, theirs = ours.to(dtype), theirs.to(dtype)
        for lengths in ([5, 1, 7, 3, 7], [1], [63, 2]):
            torch.manual_seed(len(lengths))
            x = leaf((sum(lengths), ours.input_size), dtype)
            start = states.map(lambda zeros: leaf(zeros.shape, dtype), ours.initial_state(len(lengths)))
            batch = Sequences(x, lengths)

            y, final = ours.scan(batch, start)
            first = states.map(lambda h: h[None], start)
            packed, last = theirs(batch.to_packed(), tuple(first) if isinstance(first, tuple) else first)
            pairs = [("values", y.values, Sequences.from_packed(packed).values)]
            finals = zip(states.leaves(final), states.leaves(last), strict=True)
            pairs += [(f"final state {i}", a, b[0]) for i, (a, b) in enumerate(finals)]

            weights = [torch.randn_like(a) for _, a, _ in pairs]
            arguments = [x, *states.leaves(start)]
            own = torch.autograd.grad([a for _, a, _ in pairs], [*arguments, *ours.parameters()], weights)
            other = torch.autograd.grad([b for _, _, b in pairs], [*arguments, *theirs.parameters()], weights)
            theirs_by_name = dict(
                zip([name for name, _ in theirs.named_parameters()], other[len(arguments) :], strict=True)
            )
            names = [name for name, _ in ours.named_parameters()]
            assert sorted(names) == sorted(gradients)
            pairs += zip(["dx", "dh", "dc"], own[: len(arguments)], other[: len(arguments)], strict=False)
            pairs += [(f"d{name}", gradient, gradients[name](theirs_by_name))
                      for name, gradient in zip(names, own[len(arguments) :], strict=True)]  # fmt: skip
            for name, a, b in pairs:
                scale = max(1.0, float(b.detach().abs().max()))
                torch.testing.assert_close(
                    a, b, rtol=0, atol=tolerance * scale, msg=lambda text, name=name: f"{name}: {text}"
                )

    return check
