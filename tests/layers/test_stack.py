import numpy as np
import pytest
import torch

from elman.cells import LSTM, RNN, LSTMState
from elman.layers import Embedding, Linear, Stack
from elman.sequences import Sequences


def test_two_layers_equal_those_of_torch():
    torch.manual_seed(0)
    ours, theirs = Stack(LSTM(3, 4), LSTM(4, 4)).double(), torch.nn.LSTM(3, 4, num_layers=2).double()
    with torch.no_grad():
        for number, cell in enumerate(ours):
            for name in ("weight_ih", "weight_hh"):
                getattr(theirs, f"{name}_l{number}").copy_(getattr(cell, name))
            getattr(theirs, f"bias_ih_l{number}").copy_(cell.bias)
            getattr(theirs, f"bias_hh_l{number}").zero_()
    x = torch.randn(12, 3, dtype=torch.float64, requires_grad=True)
    batch = Sequences(x, [5, 1, 6])
    y, state = ours.scan(batch)
    packed, (h, c) = theirs(batch.to_packed())
    torch.testing.assert_close(y.values, Sequences.from_packed(packed).values)
    for layer in range(2):
        assert isinstance(state[layer], LSTMState)
        torch.testing.assert_close(state[layer].h, h[layer])
        torch.testing.assert_close(state[layer].c, c[layer])
    own, other = torch.autograd.grad(y.values.sum(), x)[0], torch.autograd.grad(packed.data.sum(), x)[0]
    torch.testing.assert_close(own, other)


def test_equals_its_cells_in_order():
    first, second = RNN(3, 4), Linear(4, 2)
    stack = Stack(first, second)
    assert list(stack) == [first, second]
    assert (stack.input_size, stack.output_size) == (3, 2)
    x = Sequences(torch.randn(5, 3), [5])
    assert torch.equal(stack.scan(x)[0].values, second.scan(first.scan(x)[0])[0].values)


def test_sizes_that_do_not_match_raise():
    with pytest.raises(ValueError, match=r"^Stack: cell 1 \(RNN\) has output size 5, but cell 2 \(Linear\) has input"):
        Stack(Embedding(9, 3), RNN(3, 5), Linear(4, 2))


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        (torch.zeros(2, 5, 3), "expected Sequences, got Tensor; make them with Sequences.from_list"),
        (Sequences.from_list([np.zeros((5, 3), np.float32)]), "expected values in a tensor, got ndarray; convert them"),
    ],
    ids=["padded", "numpy"],
)
def test_a_scan_reads_sequences_of_tensors_alone(inputs, error):
    with pytest.raises(TypeError, match=rf"^RNN\.scan: {error}"):
        RNN(3, 4).scan(inputs)


def test_no_cells_raise():
    with pytest.raises(ValueError, match=r"^Stack: expected at least one cell, got none\.$"):
        Stack()


@pytest.mark.parametrize("cells", [(RNN(3, 4), RNN(4, 4)), (RNN(3, 4), Linear(4, 4))], ids=["wave", "mixed"])
def test_a_state_of_other_cells_raises(cells):
    stack = Stack(*cells)
    state = stack.initial_state(1)
    for wrong, got in ((state[:1], "1"), ((*state, ()), "3"), (state[0], "a Tensor")):
        message = rf"expected a tuple of 2 states, one per cell, got {got}\.$"
        with pytest.raises(ValueError, match=rf"^Stack\.scan: {message}"):
            stack.scan(Sequences(torch.zeros(2, 3), [2]), wrong)
        with pytest.raises(ValueError, match=rf"^Stack\.step: {message}"):
            stack.step(torch.zeros(1, 3), wrong)
