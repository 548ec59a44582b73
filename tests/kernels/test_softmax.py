"""Softmax loss and its gradient against PyTorch's."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from elman.kernels.softmax import softmax_gradient
from elman.threads import get_num_threads, set_num_threads


def expected(scores, targets, smoothing):
    scores = scores.detach().double().requires_grad_()
    losses = F.cross_entropy(scores, targets, label_smoothing=smoothing, reduction="none")
    (gradient,) = torch.autograd.grad(losses.sum(), scores)
    return losses.detach(), scores.detach().log_softmax(-1).gather(1, targets[:, None])[:, 0], gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize(("rows", "units"), [(1, 1), (3, 2), (7, 31), (5, 64), (4, 127), (30, 5000), (0, 4)])
def test_equals_pytorch(rows, units, smoothing, dtype):
    generator = torch.Generator().manual_seed(rows + units)
    scores = 20 * torch.randn(rows, units, generator=generator, dtype=dtype)
    targets = torch.randint(units, (rows,), generator=generator)
    losses, log_probs, gradient = expected(scores, targets, smoothing)
    found = softmax_gradient(scores, targets, smoothing)
    tolerance = {"rtol": 3e-6, "atol": 3e-5} if dtype is torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
    for got, wanted in zip((*found, scores), (losses, log_probs, gradient), strict=True):
        assert got.dtype is dtype
        torch.testing.assert_close(got.double(), wanted, **tolerance)


@pytest.mark.parametrize("size", [3, 100])
def test_impossible_classes_have_no_gradient(size):
    scores, targets = torch.zeros(1, size), torch.tensor([1])
    scores[0, 0] = -torch.inf
    losses, _ = softmax_gradient(scores, targets)
    assert losses.item() == pytest.approx(np.log(size - 1), rel=1e-6)
    assert scores[0, 0].item() == pytest.approx(0, abs=1e-30)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_non_finite_logits_stay_visible(value):
    scores = torch.zeros(2, 50)
    scores[1, 40] = value
    losses, _ = softmax_gradient(scores, torch.tensor([0, 3]))
    assert torch.isfinite(losses[0])
    assert not torch.isfinite(losses[1])


@pytest.mark.parametrize("target", [-1, 4])
def test_targets_are_units(target):
    with pytest.raises((IndexError, RuntimeError)):
        softmax_gradient(torch.zeros(1, 4), torch.tensor([target]))


@pytest.mark.needs_native
def test_threads_change_nothing():
    scores, targets = torch.randn(100, 3000), torch.randint(3000, (100,))
    kept, found = get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            set_num_threads(threads)
            given = scores.clone()
            found.append((*softmax_gradient(given, targets, 0.1), given))
    finally:
        set_num_threads(kept)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert torch.equal(one, other)
