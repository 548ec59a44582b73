import sys

import pytest
import torch
import torch.nn.functional as F

from elman.losses import readout_loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("logits", [1, 70, 1 << 22])
def test_equals_cross_entropy(monkeypatch, smoothing, logits):
    monkeypatch.setattr(sys.modules["elman.losses.readout_loss"], "LOGITS", logits)
    torch.manual_seed(0)
    features, weight, bias = (torch.randn(*shape, dtype=torch.float64, requires_grad=True)
                              for shape in ((13, 5), (11, 5), (11,)))  # fmt: skip
    targets = torch.randint(11, (13,))
    expected = F.cross_entropy(features @ weight.T + bias, targets, label_smoothing=smoothing)
    loss, log_probs = readout_loss(features, weight, bias, targets, smoothing)
    torch.testing.assert_close(loss, expected)
    each = (features @ weight.T + bias).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(log_probs, each.detach())
    inputs = features, weight, bias
    for got, wanted in zip(
        torch.autograd.grad(3 * loss, inputs), torch.autograd.grad(3 * expected, inputs), strict=True
    ):
        torch.testing.assert_close(got, wanted)
    with torch.no_grad():
        again, log_probs = readout_loss(features, weight, bias, targets, smoothing)
    torch.testing.assert_close(again, expected.detach())
    torch.testing.assert_close(log_probs, each.detach())


def test_a_gradient_of_its_gradient_is_refused():
    features = torch.randn(3, 2, requires_grad=True)
    loss, _ = readout_loss(features, torch.randn(4, 2), torch.zeros(4), torch.tensor([0, 1, 2]))
    (gradient,) = torch.autograd.grad(loss, features, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        gradient.sum().backward()
