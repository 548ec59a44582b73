"""PyTorch's packed kernels, which are cuDNN on CUDA; the tests run them on the CPU."""

import pytest
import torch

from elman import GRU, LSTM, RNN, Sequences
from elman import state as states
from elman.kernels import cudnn

CELLS = [lambda: LSTM(3, 5), lambda: GRU(3, 5), lambda: RNN(3, 5), lambda: RNN(3, 5, activation="relu")]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.mark.parametrize("lengths", [[4, 0, 1, 7, 4, 0], [3], [0, 0], []], ids=str)
@pytest.mark.parametrize("make", CELLS, ids=["lstm", "gru", "rnn", "relu"])
def test_equals_the_definition(make, lengths):
    cell = make().double()
    for weight in cell.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    x = torch.randn(sum(lengths), 3, dtype=torch.float64, requires_grad=True)
    state = states.map(lambda leaf: torch.randn_like(leaf).requires_grad_(), cell.initial_state(len(lengths)))
    inputs = [x, *cell.parameters(), *states.leaves(state)]

    def run(scan):
        y, final = scan(Sequences(x, lengths), state)
        outputs = [y.values, *states.leaves(final)]
        return outputs + list(torch.autograd.grad(sum(leaf.sin().sum() for leaf in outputs), inputs, allow_unused=True))

    for got, wanted in zip(run(lambda *a: cudnn.scan(cell.recurrence(), *a)), run(cell.unrolled), strict=True):
        if wanted is None or got is None:  # without steps, weights have no gradient
            assert not any(lengths)
        else:
            torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


def test_recurrences_that_pytorch_does_not_support():
    options = LSTM(3, 5, peephole=True), LSTM(3, 5, cell_clip=1.0), LSTM(3, 5, projection_size=2)
    for cell in (LSTM(3, 5, forget_gate=False), GRU(3, 5, reset="before"), RNN(3, 5, activation="sigmoid"), *options):
        assert cudnn.function(cell.recurrence()) is None


@needs_cuda
@pytest.mark.parametrize("make", CELLS, ids=["lstm", "gru", "rnn", "relu"])
def test_cells_on_cuda(make):
    cell = make()
    x, lengths = torch.randn(10, 3), [4, 0, 6]
    expected = cell.unrolled(Sequences(x, lengths))
    got = cell.cuda().scan(Sequences(x.cuda(), lengths))
    torch.testing.assert_close(got[0].values.cpu(), expected[0].values, rtol=1e-5, atol=1e-5)
