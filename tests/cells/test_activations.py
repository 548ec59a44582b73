"""Gates and states of a cell along a row."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from elman import GRU, LSTM, RNN, Linear, MinGRU, Sequences, Stack, WindowNet
from elman.cells import CellModule


def row(steps=6, size=3):
    return Sequences.from_list([torch.randn(steps, size, generator=torch.Generator().manual_seed(1))])


def values_of(cell, x=None):
    [found] = cell.activations(row() if x is None else x)
    return found.values


def test_an_lstm_has_the_gates_and_states_of_the_formulas_of_pytorch():
    torch.manual_seed(0)
    cell, x = LSTM(3, 5), row()
    theirs = nn.LSTMCell(3, 5)
    with torch.no_grad():
        theirs.weight_ih.copy_(cell.weight_ih)
        theirs.weight_hh.copy_(cell.weight_hh)
        theirs.bias_ih.copy_(cell.bias)
        theirs.bias_hh.zero_()
        h = c = torch.zeros(1, 5)
        wanted = {name: [] for name in ("input gate", "forget gate", "output gate", "cell state", "hidden state")}
        for step in x.values:
            gates = theirs.weight_ih @ step + theirs.bias_ih + theirs.weight_hh @ h[0]
            opened = gates.sigmoid().chunk(4)
            h, c = theirs(step[None], (h, c))
            for name, value in zip(wanted, (opened[0], opened[1], opened[3], c[0], h[0]), strict=True):
                wanted[name].append(value)
    found = values_of(cell, x)
    assert list(found) == list(wanted)
    for name, rows in wanted.items():
        np.testing.assert_allclose(found[name], torch.stack(rows), atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (GRU(3, 4), ["reset gate", "update gate", "hidden state"]),
        (MinGRU(3, 4), ["forget gate", "hidden state"]),
        (RNN(3, 4), ["hidden state"]),
        (LSTM(3, 6, projection_size=4), ["input gate", "forget gate", "output gate", "cell state", "hidden state"]),
        (WindowNet(3, 4), []),
        (Linear(3, 4), []),
    ],
)
def test_the_hidden_state_is_the_output_of_a_scan(cell, names):
    found = values_of(cell)
    assert list(found) == names
    if names:
        np.testing.assert_allclose(found["hidden state"], cell(row())[0].values.numpy(force=True), atol=1e-6)
    assert all(len(values) == 6 for values in found.values())


def test_random_masks_are_replaced_by_their_means_and_the_mode_is_restored():
    cell = LSTM(3, 4, zoneout_c=0.5)
    first, second = values_of(cell), values_of(cell)
    assert all((first[name] == second[name]).all() for name in first)
    assert cell.training
    assert values_of(cell.eval())
    assert not cell.training


def test_a_cell_of_a_user_shows_the_parts_of_its_state():
    class Leaky(NamedTuple):
        h: Tensor
        fast: Tensor
        count: Tensor

    class Cell(CellModule):
        input_size = hidden_size = output_size = 3

        def initial_state(self, batch_size):
            return Leaky(torch.zeros(batch_size, 3), torch.zeros(batch_size, 3), torch.zeros(batch_size))

        def step(self, x, state):
            return x, Leaky(0.9 * state.h + x, x, state.count + 1)

    found = values_of(Cell())
    assert list(found) == ["state fast", "hidden state"]
    np.testing.assert_allclose(found["state fast"], row().values)


@pytest.mark.parametrize(
    ("cell", "x", "message"),
    [
        (Stack(LSTM(3, 4)), row(), "Stack.activations: expected a cell, got a layer that contains cells"),
        (LSTM(3, 4), Sequences(torch.zeros(6, 3), [2, 4]), r"a single row, got 2; use sequences.select\(\[0\]\)"),
        (LSTM(3, 4), Sequences(torch.zeros(0, 3), []), "a single row, got 0"),
        (LSTM(3, 4), row(size=2), "D=3"),
    ],
)
def test_models_without_activations_are_refused(cell, x, message):
    with pytest.raises(ValueError, match=message):
        cell.activations(x)
