import numpy as np
import pytest
import torch

from elman.cells import GRU
from elman.sequences import Sequences


@pytest.mark.parametrize("init", ["orthogonal", "pytorch"])
def test_reset_after_equals_torch(init, check_against_torch):
    torch.manual_seed(0)
    ours, theirs = GRU(3, 4, init=init).double(), torch.nn.GRU(3, 4).double()
    with torch.no_grad():
        ours.bias.add_(torch.randn(12) / 4)
        ours.bias_hn.add_(torch.randn(4) / 4)
        theirs.weight_ih_l0.copy_(ours.weight_ih)
        theirs.weight_hh_l0.copy_(ours.weight_hh)
        theirs.bias_hh_l0.copy_(torch.cat([torch.randn(8), ours.bias_hn]))
        theirs.bias_ih_l0.copy_(ours.bias)
        theirs.bias_ih_l0[:8] -= theirs.bias_hh_l0[:8]  # only the sum of torch's two biases of r and z matters
    check_against_torch(ours, theirs, {
        "weight_ih": lambda g: g["weight_ih_l0"],
        "weight_hh": lambda g: g["weight_hh_l0"],
        "bias": lambda g: g["bias_ih_l0"],
        "bias_hn": lambda g: g["bias_hh_l0"][8:],
    })  # fmt: skip


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def as_in_2014(cell, x, h):
    """Compute one row by equations 5 to 8 of Cho et al. (2014): the reset acts on h before the recurrent product."""
    names = ("weight_ih", "weight_hh", "bias")
    (wr, wz, w), (ur, uz, u), (br, bz, b) = (np.split(getattr(cell, name).detach().numpy(), 3) for name in names)
    outputs = []
    for now in x:
        r = sigmoid(wr @ now + ur @ h + br)
        z = sigmoid(wz @ now + uz @ h + bz)
        candidate = np.tanh(w @ now + u @ (r * h) + b)
        h = z * h + (1 - z) * candidate
        outputs.append(h)
    return np.array(outputs)


@pytest.mark.parametrize("init", ["orthogonal", "pytorch"])
def test_reset_before_equals_cho_2014(init):
    torch.manual_seed(0)
    cell = GRU(3, 4, reset="before", init=init).double()
    batch = Sequences(torch.randn(9, 3, dtype=torch.float64), [5, 4])
    h = torch.randn(2, 4, dtype=torch.float64)
    y, final = cell.scan(batch, h)
    for row, (x, got) in enumerate(zip(batch.to_list(), y.to_list(), strict=True)):
        outputs = as_in_2014(cell, x.numpy(), h[row].numpy())
        np.testing.assert_allclose(got.detach().numpy(), outputs, atol=1e-12)
        np.testing.assert_allclose(final[row].detach().numpy(), outputs[-1], atol=1e-12)


def test_the_two_resets_differ():
    torch.manual_seed(0)
    after, before = GRU(3, 4), GRU(3, 4, reset="before")
    before.load_state_dict(after.state_dict(), strict=False)
    x, h = torch.randn(2, 3), torch.randn(2, 4)
    assert not torch.allclose(after.step(x, h)[0], before.step(x, h)[0])


@pytest.mark.parametrize("reset", ["after", "before"])
def test_parameters(reset):
    shapes = {name: list(weight.shape) for name, weight in GRU(3, 5, reset=reset).named_parameters()}
    inside = {"bias_hn": [5]} if reset == "after" else {}
    assert shapes == {"weight_ih": [15, 3], "weight_hh": [15, 5], "bias": [15]} | inside


def test_an_unknown_reset_raises():
    with pytest.raises(ValueError, match="GRU: expected reset to be 'after' or 'before', got 'both'"):
        GRU(3, 4, reset="both")


def test_the_two_biases_of_the_candidate_are_drawn_separately():
    torch.manual_seed(0)
    cell = GRU(3, 4, init="pytorch")
    assert not torch.equal(cell.bias_hn, cell.bias[8:])
    assert cell.bias_hn.abs().max() <= 0.5
    assert not GRU(3, 4).bias_hn.any()


def test_gate_activations_equal_torch():
    torch.manual_seed(0)
    theirs, ours = torch.nn.GRUCell(3, 4).double(), GRU(3, 4).double()
    with torch.no_grad():
        ours.weight_ih.copy_(theirs.weight_ih)
        ours.weight_hh.copy_(theirs.weight_hh)
        ours.bias.copy_(theirs.bias_ih + torch.cat([theirs.bias_hh[:8], torch.zeros(4)]))
        ours.bias_hn.copy_(theirs.bias_hh[8:])
    x, h = torch.randn(6, 3).double(), 2 * torch.randn(6, 4).double()
    inputs, recurrent = x @ theirs.weight_ih.T + theirs.bias_ih, h @ theirs.weight_hh.T + theirs.bias_hh
    found = ours.gate_activations(ours.project(x), h)
    assert list(found) == ["reset", "update"]
    torch.testing.assert_close(found["reset"], (inputs + recurrent)[:, :4].sigmoid())
    torch.testing.assert_close(found["update"], (inputs + recurrent)[:, 4:8].sigmoid())
    n = (inputs[:, 8:] + found["reset"] * recurrent[:, 8:]).tanh()
    torch.testing.assert_close(found["update"] * h + (1 - found["update"]) * n, theirs(x, h))


def test_with_reset_before_gate_activations_reproduce_the_step():
    torch.manual_seed(0)
    cell = GRU(3, 4, reset="before").double()
    x, h = torch.randn(1, 3).double(), torch.randn(1, 4).double()
    found = cell.gate_activations(cell.project(x), h)
    weights = [weight.chunk(3) for weight in (cell.weight_ih, cell.weight_hh, cell.bias)]
    (wr, ur, br), (wz, uz, bz), (w, u, b) = zip(*weights, strict=True)
    torch.testing.assert_close(found["reset"], (x @ wr.T + h @ ur.T + br).sigmoid())
    torch.testing.assert_close(found["update"], (x @ wz.T + h @ uz.T + bz).sigmoid())
    n = (x @ w.T + (found["reset"] * h) @ u.T + b).tanh()
    after = found["update"] * h + (1 - found["update"]) * n
    np.testing.assert_allclose(after.detach().numpy(), as_in_2014(cell, x.numpy(), h[0].numpy()), atol=1e-12)
