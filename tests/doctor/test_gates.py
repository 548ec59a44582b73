import numpy as np
import pytest
import torch
from torch import nn

from elman.cells import GRU, LSTM, RNN, MinGRU, WindowNet
from elman.doctor import gates as module
from elman.doctor.capture import capture
from elman.doctor.gates import gates
from elman.sequences import Sequences


def trace(cell, lengths=(9, 0, 14, 2)):
    torch.manual_seed(0)
    x = Sequences(torch.randn(sum(lengths), cell.input_size), list(lengths))
    return capture(cell, lambda: cell(x)[0].values.square().mean()).traces[0]


def by_torch(layer, x):
    """Return the gates of a layer of torch at every step of a row, from its weights and outputs: [T, H] each."""
    h = torch.cat([torch.zeros(1, layer.hidden_size), layer(x)[0][:-1]])
    z = x @ layer.weight_ih_l0.T + h @ layer.weight_hh_l0.T + layer.bias_ih_l0 + layer.bias_hh_l0
    names = ("input", "forget", "", "output") if isinstance(layer, nn.LSTM) else ("reset", "update", "")
    return {name: part.sigmoid().detach().numpy() for name, part in zip(names, z.chunk(len(names), 1), strict=True)
            if name}  # fmt: skip


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_gate_activations_equal_those_of_torch(kind):
    torch.manual_seed(0)
    layer, x = kind(3, 5), torch.randn(230, 3)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(4)
    found = gates(capture(layer, lambda: layer(x)[0].mean()).traces[0])
    truth = by_torch(layer, x)
    assert found.keys() == truth.keys()
    for name, gate in found.items():
        opening = truth[name]
        counts, _ = np.histogram(opening, 20, (0, 1))
        np.testing.assert_allclose(gate.histogram, counts / counts.sum(), atol=2.5 / counts.sum())  # on an edge
        assert gate.histogram.sum() == pytest.approx(1)
        assert gate.mean == pytest.approx(opening.mean(), abs=1e-5)
        assert gate.open == pytest.approx((opening > 0.95).mean(), abs=2 / opening.size)
        assert gate.closed == pytest.approx((opening < 0.05).mean(), abs=2 / opening.size)
        assert min(gate.open, gate.closed) > 0.02
        assert gate.first_row.dtype == np.float32
        np.testing.assert_allclose(gate.first_row, opening[:200], atol=1e-5)
        if name in ("forget", "update"):
            np.testing.assert_allclose(gate.half_life, -np.log(2) / np.log(opening).mean(0), rtol=1e-3)
        else:
            assert gate.half_life is None


@pytest.mark.parametrize("bias", [-3.0, 0.0, 2.0, 6.0])
def test_half_life_is_the_time_in_which_memory_halves(bias):
    cell = LSTM(2, 3).double()
    with torch.no_grad():
        for weight in cell.parameters():
            weight.zero_()
        cell.bias[3:6] = bias
    (half_life,) = set(gates(trace(cell.float()))["forget"].half_life.round(9))
    state = type(cell.initial_state(1))(torch.zeros(1, 3), torch.ones(1, 3))
    _, after = cell.double().step(torch.zeros(1, 2).double(), type(state)(*(leaf.double() for leaf in state)))
    assert after.c[0, 0].item() ** half_life == pytest.approx(0.5)  # nothing is written: the candidate is zero


def test_a_forget_gate_at_one_has_an_infinite_half_life():
    cell = LSTM(2, 3)
    with torch.no_grad():
        cell.bias[3:6] = 100
        cell.bias[:3] = -1000
    found = gates(trace(cell))
    assert np.isinf(found["forget"].half_life).all()
    assert found["forget"].open == 1
    assert found["forget"].histogram[-1] == 1
    assert found["input"].closed == 1
    assert found["input"].histogram[0] == 1


def test_names_by_cell():
    assert [*gates(trace(LSTM(2, 3)))] == ["input", "forget", "output"]
    without = gates(trace(LSTM(2, 3, forget_gate=False)))
    assert [*without] == ["input", "output"]
    assert all(gate.half_life is None for gate in without.values())
    assert [*gates(trace(GRU(2, 3)))] == ["reset", "update"]
    assert [*gates(trace(MinGRU(2, 3)))] == ["forget"]
    assert gates(trace(RNN(2, 3))) == gates(trace(WindowNet(2, 3))) == {}


def test_chunks_do_not_change_the_result(monkeypatch):
    traced = trace(LSTM(2, 3))
    whole = gates(traced)
    monkeypatch.setattr(module, "CHUNK", 7)
    for name, gate in gates(traced).items():
        for a, b in zip(gate, whole[name], strict=True):
            assert (a is None and b is None) or np.allclose(a, b, rtol=1e-12)


def test_an_empty_first_row():
    assert gates(trace(GRU(2, 3), (0, 5)))["update"].first_row.shape == (0, 3)
