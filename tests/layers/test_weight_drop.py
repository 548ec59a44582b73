import pytest
import torch

from elman import GRU, LSTM, RNN, MinGRU, Sequences, WeightDrop
from elman.layers import set_key
from elman.testing import check_cell


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
def test_laws_hold(cell):
    torch.manual_seed(0)
    check_cell(WeightDrop(cell(3, 4), 0.5))


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
def test_training_is_the_cell_with_masked_weights(cell):
    torch.manual_seed(0)
    layer = WeightDrop(cell(3, 24), 0.4).train()
    set_key(layer, 1, 2)
    x = Sequences(torch.randn(12, 3), [5, 0, 7])
    y, _ = layer.scan(x)
    dropped = layer._dropped()
    zeros = dropped == 0
    assert zeros.float().mean().item() == pytest.approx(0.4, abs=0.1)
    torch.testing.assert_close(dropped[~zeros], layer.cell.weight_hh[~zeros] / 0.6)
    plain = cell(3, 24)
    plain.load_state_dict(layer.cell.state_dict())
    with torch.no_grad():
        plain.weight_hh.copy_(dropped)
    torch.testing.assert_close(y.values, plain.scan(x)[0].values)
    gradient, expected = (torch.autograd.grad(values.sum(), weight)[0] for values, weight in (
        (y.values, layer.cell.weight_hh), (plain.scan(x)[0].values, plain.weight_hh)))  # fmt: skip
    torch.testing.assert_close(gradient, torch.where(zeros, 0.0, expected / 0.6))


def test_masks_depend_on_the_key_and_are_random_without_one():
    layer = WeightDrop(RNN(3, 24), 0.5).train()
    set_key(layer, 1, 2)
    first = layer._dropped() == 0
    assert torch.equal(first, layer._dropped() == 0)
    set_key(layer, 1, 3)
    assert not torch.equal(first, layer._dropped() == 0)
    set_key(layer)
    assert not torch.equal(layer._dropped() == 0, layer._dropped() == 0)


def test_evaluation_drops_nothing():
    layer = WeightDrop(GRU(3, 4), 0.5).eval()
    x = Sequences(torch.randn(6, 3), [6])
    assert torch.equal(layer.scan(x)[0].values, layer.cell.scan(x)[0].values)
    assert layer.spec()["tensors"]["weight_hh"] == "cell.weight_hh"


def test_invalid_settings_raise():
    with pytest.raises(ValueError, match=r"WeightDrop: expected 0 < p < 1, got 1\.5; leave it out to drop nothing"):
        WeightDrop(RNN(3, 4), 1.5)
    with pytest.raises(ValueError, match="WeightDrop: expected a cell with recurrent weights, got MinGRU"):
        WeightDrop(MinGRU(3, 4), 0.5)
