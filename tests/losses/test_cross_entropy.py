import pytest
import torch

from elman.losses import cross_entropy


def test_mean_and_sum_over_the_real_steps():
    logits, targets = torch.randn(7, 5), torch.tensor([0, 1, 2, 3, 4, 0, 1])
    each = -logits.log_softmax(-1)[torch.arange(7), targets]
    torch.testing.assert_close(cross_entropy(logits, targets), each.mean())
    torch.testing.assert_close(cross_entropy(logits, targets, "sum", streams=2), each.sum() / 2)


def test_an_unknown_reduction():
    with pytest.raises(ValueError, match="mean, sum"):
        cross_entropy(torch.zeros(1, 2), torch.tensor([0]), "total")
