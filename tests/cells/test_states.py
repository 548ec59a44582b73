"""States that do not fit are refused in one line by every cell, and a failed call changes nothing."""

import numpy as np
import pytest
import torch

from elman import (
    GRU,
    LSTM,
    RNN,
    Attention,
    AttentionPooling,
    Bidirectional,
    Deviations,
    Differences,
    Dropout,
    LastPooling,
    Linear,
    MaxPooling,
    MeanPooling,
    MinGRU,
    OutputFeedback,
    Residual,
    Sequences,
    Stack,
    VariationalDropout,
    WeightDrop,
    WindowNet,
)
from elman import state as states
from elman.layers import Reversed

LENGTHS = [4, 0, 5]
CELLS = {
    "lstm": lambda: LSTM(3, 4),
    "lstm with zoneout": lambda: LSTM(3, 4, zoneout_h=0.1),
    "gru": lambda: GRU(3, 4),
    "rnn": lambda: RNN(3, 4),
    "min_gru": lambda: MinGRU(3, 4),
    "window_net": lambda: WindowNet(3, 4, 3),
    "differences": lambda: Differences(3),
    "deviations": lambda: Deviations(3),
    "dropout": lambda: Dropout(3, 0.5),
    "variational dropout": lambda: VariationalDropout(3, 0.5),
    "mean": lambda: MeanPooling(3),
    "max": lambda: MaxPooling(3),
    "attention pooling": lambda: AttentionPooling(3),
    "output feedback": lambda: OutputFeedback(LSTM(7, 4)),
    "stack": lambda: Stack(MinGRU(3, 4), LSTM(4, 4), MeanPooling(4)),
    "residual": lambda: Residual(MinGRU(3, 3)),
}
WITHOUT_STATE = {"linear": lambda: Linear(3, 4), "last": lambda: LastPooling(3)}


def other_dtype(leaf):
    return leaf.to(torch.float64 if leaf.is_floating_point() else torch.int32)


MISFITS = {
    "one row": lambda cell: cell.initial_state(1),
    "two rows": lambda cell: cell.initial_state(2),
    "another dtype": lambda cell: states.map(other_dtype, cell.initial_state(3)),
    "NumPy": lambda cell: states.map(lambda leaf: leaf.numpy(), cell.initial_state(3)),
    "another size": lambda cell: states.map(lambda leaf: torch.cat([leaf[..., None]] * 2, -1), cell.initial_state(3)),
    "no tensors": lambda cell: (),
    "a number": lambda cell: 5,
    "too many": lambda cell: (*states.leaves(cell.initial_state(3)), torch.zeros(3)),
}
X = torch.linspace(-1, 1, 27).view(9, 3)


@pytest.mark.parametrize("misfit", MISFITS.values(), ids=MISFITS)
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_state_that_does_not_fit_is_refused(cell, misfit):
    cell = cell().eval()
    state = misfit(cell)
    for call in (lambda: cell.scan(Sequences(X, LENGTHS), state), lambda: cell.step(X[:3], state)):
        with pytest.raises((TypeError, ValueError), match="expected"):
            call()


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_the_state_follows_the_dtype_of_the_weights(cell):
    cell = cell().eval()
    before = cell.initial_state(3)
    cell.step(X[:3], before)
    cell.double()
    cell.step(X[:3].double(), cell.initial_state(3))
    if any(leaf.is_floating_point() for leaf in states.leaves(before)):
        for call in (
            lambda: cell.scan(Sequences(X.double(), LENGTHS), before),
            lambda: cell.step(X[:3].double(), before),
        ):
            with pytest.raises(TypeError, match="expected"):
                call()


@pytest.mark.parametrize("cell", WITHOUT_STATE.values(), ids=WITHOUT_STATE)
def test_a_cell_without_a_state_refuses_one(cell):
    for call in (lambda: cell().scan(Sequences(X, LENGTHS), X[:3]), lambda: cell().step(X[:3], 5)):
        with pytest.raises((TypeError, ValueError), match=r"expected a state of \(\)"):
            call()


def test_an_attention_refuses_the_memory_of_other_rows():
    cell = Attention(3, 2, 4)
    for state in (cell.initial_state(2), (), 5, torch.zeros(3, 2)):
        with pytest.raises((TypeError, ValueError), match="expected a state of Memory of B=3 rows, got"):
            cell.step(X[:3], state)
        with pytest.raises((TypeError, ValueError), match="expected a state of Memory of B=3 rows, got"):
            cell.scan(Sequences(X, LENGTHS), state)


def test_both_directions_refuse_a_state_of_one():
    cell = Bidirectional(MinGRU(3, 4), MinGRU(3, 4))
    for state in (torch.zeros(3, 4), (torch.zeros(3, 4),), 5):
        with pytest.raises((TypeError, ValueError), match=r"^Bidirectional.scan: expected a state of \("):
            cell.scan(Sequences(X, LENGTHS), state)


def test_the_message_names_both_states():
    message = (r"^MinGRU\.scan: expected a state of float32 \[B=3, 4\], got float32 \[1, 4\]; give the state that the "
               r"last call returned, or initial_state\(3\)\.$")  # fmt: skip
    with pytest.raises(ValueError, match=message):
        MinGRU(3, 4).scan(Sequences(X, LENGTHS), torch.zeros(1, 4))


def test_a_plain_tuple_is_as_good_as_a_named_one():
    cell = MeanPooling(3)
    _, state = cell.step(X[:3], cell.initial_state(3))
    torch.testing.assert_close(cell.step(X[3:6], tuple(state))[0], cell.step(X[3:6], state)[0])


@pytest.mark.parametrize("cell", [*CELLS.values(), *WITHOUT_STATE.values()], ids=[*CELLS, *WITHOUT_STATE])
def test_values_of_numpy_are_refused(cell):
    with pytest.raises((TypeError, ValueError), match="expected values in a tensor, got ndarray"):
        cell().scan(Sequences(np.zeros((9, 3), np.float32), LENGTHS))


@pytest.mark.parametrize("cell", [*CELLS.values(), *WITHOUT_STATE.values()], ids=[*CELLS, *WITHOUT_STATE])
@pytest.mark.parametrize(
    "values", [torch.zeros(3, 3, 3), [np.zeros((3, 3))], 5, None], ids=["tensor", "list", "integer", "None"]
)
def test_a_scan_reads_sequences_alone(cell, values):
    with pytest.raises(TypeError, match=r"\.scan: expected Sequences, got "):
        cell().scan(values)


LAYERS = {
    "reversed": lambda: Reversed(LSTM(3, 4)),
    "weight drop": lambda: WeightDrop(LSTM(3, 4), 0.5),
    "stack in a stack": lambda: Stack(Stack(LSTM(3, 4))),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_the_scan_of_a_layer_refuses_batches_that_only_a_call_converts(layer):
    values = np.zeros((9, 3), np.float32)
    with pytest.raises(TypeError, match="expected values in a tensor, got ndarray"):
        layer().scan(Sequences(values, LENGTHS))
    with pytest.raises(TypeError, match="expected Sequences, got Tensor"):
        layer().scan(torch.zeros(1, 9, 3))
    assert isinstance(layer()(Sequences(values, LENGTHS))[0].values, np.ndarray)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("state", [None, 5, torch.zeros(1, 4), (torch.zeros(3, 4),) * 3], ids=["None", "5", "row", "3"])
def test_a_step_names_itself_in_an_error_about_its_state(cell, state):
    with pytest.raises((TypeError, ValueError), match=r"^\w+\.step: expected a "):
        cell().step(X[:3], state)
