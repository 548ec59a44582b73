import numpy as np
import pytest
import torch

from elman.cells import LSTM, LSTMState
from elman.sequences import Sequences


@pytest.mark.parametrize("start", ["orthogonal", "pytorch"])
def test_equals_torch(start, check_against_torch):
    torch.manual_seed(0)
    ours, theirs = LSTM(3, 4, start=start).double(), torch.nn.LSTM(3, 4).double()
    with torch.no_grad():
        ours.bias.add_(torch.randn(16) / 4)
        theirs.weight_ih_l0.copy_(ours.weight_ih)
        theirs.weight_hh_l0.copy_(ours.weight_hh)
        theirs.bias_hh_l0.copy_(torch.randn(16))
        theirs.bias_ih_l0.copy_(ours.bias - theirs.bias_hh_l0)  # torch has two biases that only ever act as their sum
    check_against_torch(ours, theirs, {
        "weight_ih": lambda g: g["weight_ih_l0"],
        "weight_hh": lambda g: g["weight_hh_l0"],
        "bias": lambda g: g["bias_ih_l0"],
    })  # fmt: skip


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def as_in_1997(cell, x, h, c):
    """One row through the net of Hochreiter and Schmidhuber: nothing is ever taken from the memory c."""
    names = ("weight_ih", "weight_hh", "bias")
    (wi, wg, wo), (ui, ug, uo), (bi, bg, bo) = (np.split(getattr(cell, name).detach().numpy(), 3) for name in names)
    outputs = []
    for now in x:
        write, candidate, read = (w @ now + u @ h + b for w, u, b in ((wi, ui, bi), (wg, ug, bg), (wo, uo, bo)))
        c = c + sigmoid(write) * np.tanh(candidate)
        h = sigmoid(read) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs), h, c


@pytest.mark.parametrize("start", ["orthogonal", "pytorch"])
def test_without_forget_gate_it_is_that_of_1997(start):
    torch.manual_seed(0)
    cell = LSTM(3, 4, forget_gate=False, start=start).double()
    batch = Sequences(torch.randn(9, 3, dtype=torch.float64), [5, 4])
    state = LSTMState(*torch.randn(2, 2, 4, dtype=torch.float64))
    y, final = cell.scan(batch, state)
    for row, (x, got) in enumerate(zip(batch.to_list(), y.to_list(), strict=True)):
        outputs, h, c = as_in_1997(cell, x.numpy(), state.h[row].numpy(), state.c[row].numpy())
        for a, b in ((got, outputs), (final.h[row], h), (final.c[row], c)):
            np.testing.assert_allclose(a.detach().numpy(), b, atol=1e-12)


def test_without_forget_gate_the_gradient_of_the_memory_neither_vanishes_nor_explodes():
    cell = LSTM(2, 3, forget_gate=False).double()
    with torch.no_grad():
        cell.weight_hh.zero_()  # the path along c alone
    h, c = torch.zeros(2, 1, 3, dtype=torch.float64)
    c = c.requires_grad_()
    _, final = cell.scan(Sequences(torch.randn(50, 2, dtype=torch.float64), [50]), LSTMState(h, c))
    assert torch.autograd.grad(final.c.sum(), c)[0].tolist() == [[1.0] * 3]


@pytest.mark.parametrize(("forget_gate", "gates"), [(True, 4), (False, 3)])
def test_parameters(forget_gate, gates):
    cell = LSTM(3, 5, forget_gate=forget_gate)
    shapes = {name: list(weight.shape) for name, weight in cell.named_parameters()}
    assert shapes == {"weight_ih": [5 * gates, 3], "weight_hh": [5 * gates, 5], "bias": [5 * gates]}


def test_the_keep_gate_starts_open():
    assert LSTM(3, 2).bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]  # gates i, f, g, o
    assert LSTM(3, 2, forget_gate=False).bias.tolist() == [0] * 6
    assert LSTM(3, 2, start="pytorch").bias.abs().max() <= 2**-0.5


@pytest.mark.parametrize("start", ["orthogonal", "pytorch"])
def test_the_forget_bias_is_that_of_the_keep_gate_alone(start):
    torch.manual_seed(0)
    usual = LSTM(3, 2, start=start)
    torch.manual_seed(0)
    raised = LSTM(3, 2, start=start, forget_bias=3.0)
    assert raised.bias[2:4].tolist() == [3, 3]
    for name, weight in usual.state_dict().items():
        other = raised.state_dict()[name]
        if name == "bias":
            weight, other = (torch.cat([gates[:2], gates[4:]]) for gates in (weight, other))
        assert torch.equal(weight, other), name


def test_a_forget_bias_without_a_forget_gate_is_refused():
    with pytest.raises(ValueError, match=r"forget_bias=3\.0 cannot act with forget_gate=False"):
        LSTM(3, 2, forget_gate=False, forget_bias=3.0)


def test_the_state_has_names():
    state = LSTM(3, 4).initial_state(2)
    assert isinstance(state, LSTMState)
    assert state.h.shape == state.c.shape == (2, 4)
    assert not state.h.any()
    assert not state.c.any()


def test_openings_are_the_gates_of_torch():
    torch.manual_seed(0)
    theirs = torch.nn.LSTMCell(3, 4).double()
    ours = LSTM(3, 4).double()
    with torch.no_grad():
        ours.weight_ih.copy_(theirs.weight_ih)
        ours.weight_hh.copy_(theirs.weight_hh)
        ours.bias.copy_(theirs.bias_ih + theirs.bias_hh)
    x, (h, c) = torch.randn(6, 3).double(), 2 * torch.randn(2, 6, 4).double()
    gates = x @ theirs.weight_ih.T + theirs.bias_ih + h @ theirs.weight_hh.T + theirs.bias_hh
    i, f, g, o = gates.chunk(4, 1)
    found = ours.openings(ours.project(x), LSTMState(h, c))
    assert list(found) == ["write", "keep", "read"]
    for name, gate in {"write": i, "keep": f, "read": o}.items():
        torch.testing.assert_close(found[name], gate.sigmoid())
    shown, memory = theirs(x, (h, c))
    remembered = found["keep"] * c + found["write"] * g.tanh()
    torch.testing.assert_close(remembered, memory)
    torch.testing.assert_close(found["read"] * remembered.tanh(), shown)


def test_without_forget_gate_the_two_openings_make_the_step():
    torch.manual_seed(0)
    cell = LSTM(3, 4, forget_gate=False).double()
    x, (h, c) = torch.randn(1, 3).double(), torch.randn(2, 1, 4).double()
    found = cell.openings(cell.project(x), LSTMState(h, c))
    assert list(found) == ["write", "read"]
    write, candidate, read = (x @ w.T + h @ u.T + b for w, u, b in zip(
        *(weight.chunk(3) for weight in (cell.weight_ih, cell.weight_hh, cell.bias)), strict=True))  # fmt: skip
    torch.testing.assert_close(found["write"], write.sigmoid())
    torch.testing.assert_close(found["read"], read.sigmoid())
    _, shown, memory = as_in_1997(cell, x.numpy(), h[0].numpy(), c[0].numpy())
    remembered = c + found["write"] * candidate.tanh()
    np.testing.assert_allclose(remembered[0].detach().numpy(), memory, atol=1e-12)
    np.testing.assert_allclose((found["read"] * remembered.tanh())[0].detach().numpy(), shown, atol=1e-12)
