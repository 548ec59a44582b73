"""Outputs of a model of elman for padded arrays."""

import numpy as np
import torch

from elman.sequences import Sequences


def scanned(net, x, lengths=None, batch_first=True):
    """Scan x [B, T, ...] to y [B, T, O], zero after the last step of each row; with batch_first=False [T, B, ...]."""
    x, weight = torch.as_tensor(x), next(net.parameters())
    x = x.to(weight.dtype) if x.is_floating_point() else x
    if lengths is None:
        lengths = [x.shape[1]] * x.shape[0] if batch_first else [x.shape[0]] * x.shape[1]
    with torch.no_grad():
        y, _ = net.scan(Sequences.from_padded(x, lengths, batch_first=batch_first))
    return y.to_padded(batch_first=batch_first)


def last(y, lengths):
    """Return the last step of each row of y [B, T, O], [B, O]."""
    return y[np.arange(len(lengths)), np.asarray(lengths) - 1]


def random_weights(net):
    """Draw all weights and biases large enough that a wrong gate shows."""
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(0.6 * torch.randn_like(weight))
    return net.eval()


def same_nets(one, other):
    """Assert equal layers, settings and weights."""
    one, other = ([module for module in net.modules() if not list(module.children())] for net in (one, other))
    assert [type(module) for module in one] == [type(module) for module in other]
    for a, b in zip(one, other, strict=True):
        for name in ("activation", "reset", "coupled", "forget_gate", "p", "epsilon", "lazy", "backward_size"):
            assert getattr(a, name, None) == getattr(b, name, None)
        assert dict(a.named_parameters()).keys() == dict(b.named_parameters()).keys()
        assert all(torch.equal(v, w) for v, w in zip(a.parameters(), b.parameters(), strict=True))
