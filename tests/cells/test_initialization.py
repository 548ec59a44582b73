"""Initialisation of recurrent weights."""

import pytest
import torch

from elman.cells import GRU, LSTM, RNN

GATED = [lambda **more: LSTM(6, 5, **more), lambda **more: LSTM(6, 5, forget_gate=False, **more),
         lambda **more: GRU(6, 5, **more), lambda **more: GRU(6, 5, reset="before", **more)]  # fmt: skip
EVERY = [lambda **more: RNN(6, 5, **more), *GATED]


@pytest.fixture(autouse=True)
def same_weights():
    torch.manual_seed(0)


@pytest.mark.parametrize("make", EVERY)
def test_orthogonal_keeps_lengths_and_is_the_default(make):
    cell = make()
    for gate in cell.weight_hh.split(5):
        torch.testing.assert_close(gate @ gate.T, torch.eye(5))
    assert set(cell.bias.tolist()) <= {0.0, 1.0}  # 1 for the forget gate of an LSTM
    bound = (6 / (6 + 5)) ** 0.5  # Glorot's, for each gate
    assert bound / 2 < cell.weight_ih.abs().max() <= bound
    torch.manual_seed(0)
    assert torch.equal(make(init="orthogonal").weight_hh, cell.weight_hh)


def test_gates_have_different_initial_weights():
    one, other = GRU(6, 5).weight_hh.split(5)[:2]
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_identity_copies_the_state(activation):
    cell = RNN(6, 5, activation, init="identity")
    assert torch.equal(cell.weight_hh, torch.eye(5))
    assert not cell.bias.any()
    assert 0 < cell.weight_ih.abs().max() < 0.01
    h = torch.rand(2, 5)
    if activation == "relu":
        assert torch.equal(cell.step(torch.zeros(2, 6), h)[1], h)


@pytest.mark.parametrize("make", EVERY)
def test_pytorch_is_uniform_within_its_bounds(make):
    bound = 5**-0.5
    for name, weight in make(init="pytorch").named_parameters():
        assert weight.abs().max() <= bound, name
        assert weight.std() > bound / 4, name


@pytest.mark.parametrize("make", GATED)
def test_identity_cannot_act_on_gates(make):
    with pytest.raises(
        ValueError, match=r"^(LSTM|GRU): init='identity' is for RNN \(IRNN\); .*: use init='orthogonal'\.$"
    ):
        make(init="identity")


@pytest.mark.parametrize("make", EVERY)
def test_an_unknown_init_names_the_known_ones(make):
    with pytest.raises(
        ValueError, match=r"expected init to be one of orthogonal, identity, pytorch, got 'ortogonal'\.$"
    ):
        make(init="ortogonal")
