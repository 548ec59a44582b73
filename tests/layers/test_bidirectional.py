import pytest
import torch

from elman.cells import GRU, LSTM, LSTMState
from elman.layers import Bidirectional
from elman.sequences import Sequences


def test_equals_torch():
    torch.manual_seed(0)
    ours = Bidirectional(LSTM(3, 4), LSTM(3, 4)).double()
    theirs = torch.nn.LSTM(3, 4, bidirectional=True).double()
    with torch.no_grad():
        for cell, ending in ((ours.forward_cell, ""), (ours.backward_cell, "_reverse")):
            for name in ("weight_ih", "weight_hh"):
                getattr(theirs, f"{name}_l0{ending}").copy_(getattr(cell, name))
            getattr(theirs, f"bias_ih_l0{ending}").copy_(cell.bias)
            getattr(theirs, f"bias_hh_l0{ending}").zero_()
    x = torch.randn(12, 3, dtype=torch.float64, requires_grad=True)
    batch = Sequences(x, [5, 1, 6])
    start = torch.randn(2, 2, 3, 4, dtype=torch.float64)  # [h or c, direction, B, H]
    states = tuple(LSTMState(*start[:, direction]) for direction in range(2))
    y, (forward, backward) = ours.scan(batch, states)
    packed, (h, c) = theirs(batch.to_packed(), tuple(start))
    torch.testing.assert_close(y.values, Sequences.from_packed(packed).values)
    for direction, state in enumerate((forward, backward)):
        torch.testing.assert_close(state.h, h[direction])
        torch.testing.assert_close(state.c, c[direction])
    weight = torch.randn(12, 8, dtype=torch.float64)
    own = torch.autograd.grad((y.values * weight).sum(), x)[0]
    other = torch.autograd.grad((Sequences.from_packed(packed).values * weight).sum(), x)[0]
    torch.testing.assert_close(own, other)


def test_each_direction_has_its_own_state():
    ours = Bidirectional(GRU(3, 2), LSTM(3, 4))
    x = Sequences(torch.randn(5, 3), [3, 0, 2])
    start = (torch.randn(3, 2), LSTMState(torch.randn(3, 4), torch.randn(3, 4)))
    y, (first, last) = ours.scan(x, start)
    there, end = ours.forward_cell.scan(x, start[0])
    back, begin = ours.backward_cell.scan(x.reverse(), start[1])
    assert torch.equal(y.values, torch.cat([there.values, back.reverse().values], -1))
    assert torch.equal(first, end)
    assert torch.equal(last.c, begin.c)


def test_different_input_sizes_raise():
    with pytest.raises(ValueError, match=r"^Bidirectional: expected two cells of the same input size, got 3 and 4\.$"):
        Bidirectional(GRU(3, 2), GRU(4, 2))
