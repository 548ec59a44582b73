"""A call of a cell or layer returns the kind of batch that it is given; ambiguous inputs raise an error."""

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

import elman
from elman import Sequences, Stack
from elman.cells import CELLS
from elman.layers import Reversed

LAYERS = {
    **{name: lambda kind=kind: kind(3, 4) for name, kind in CELLS.items()},
    "options": lambda: elman.LSTM(3, 4, layer_norm=True, zoneout_h=0.2),
    "embedding": lambda: elman.Embedding(7, 3),
    "linear": lambda: elman.Linear(3, 2),
    "layer_norm": lambda: elman.LayerNorm(3),
    "dropout": lambda: elman.Dropout(3, 0.5),
    "weight_drop": lambda: elman.WeightDrop(elman.GRU(3, 4), 0.5),
    "residual": lambda: elman.Residual(elman.GRU(3, 3)),
    "bidirectional": lambda: elman.Bidirectional(elman.GRU(3, 2), elman.LSTM(3, 3)),
    "reversed": lambda: Reversed(Stack(elman.Embedding(7, 3), elman.LSTM(3, 2))),
    "output_feedback": lambda: elman.OutputFeedback(elman.GRU(5, 2)),
    "deviations": lambda: elman.Deviations(3),
    "differences": lambda: elman.Differences(3),
    "last": lambda: elman.LastPooling(3),
    "mean": lambda: elman.MeanPooling(3),
    "max": lambda: elman.MaxPooling(3),
    "attention_pooling": lambda: elman.AttentionPooling(3),
    "frames": lambda: elman.FrameEncoder(1, 2, 2, 3),
    "attention": lambda: elman.Attention(3, 4, 2),
    "decoder": lambda: elman.Decoder(Stack(elman.Embedding(7, 3)), Stack(elman.LSTM(3, 4)), elman.Linear(4, 7)),
    "stack": lambda: Stack(elman.Embedding(7, 3), elman.GRU(3, 4), elman.Linear(4, 2)),
    "layers of PyTorch": lambda: Stack(torch.nn.Embedding(7, 3), elman.GRU(3, 4), torch.nn.Linear(4, 2)),
}


def batch_for(cell, rows=3, steps=5):
    if cell.step_axes == 0:
        return torch.randint(7, (rows, steps))
    return torch.randn(rows, steps, *((1, 2, 2) if cell.step_axes == 3 else (cell.input_size,)))


@pytest.fixture(params=LAYERS)
def cell(request):
    torch.manual_seed(0)
    return LAYERS[request.param]().eval()


def same(got, expected):
    torch.testing.assert_close(torch.as_tensor(got), expected, rtol=1e-5, atol=1e-6)


def test_every_layer_returns_the_kind_it_is_given(cell):
    x = batch_for(cell)
    y, _ = cell(Sequences(x.flatten(0, 1), [5, 5, 5]))
    padded, _ = cell(x)
    assert padded.shape[:2] == (3, 5)
    assert torch.equal(padded.flatten(0, 1), y.values)
    array, _ = cell(x.numpy())
    assert type(array) is np.ndarray
    same(array.reshape(y.values.shape), y.values)
    numbers, _ = cell(Sequences(x.flatten(0, 1).numpy(), [5, 5, 5]))
    same(numbers.values, y.values)
    assert type(numbers.values) is np.ndarray


def test_rows_of_different_lengths(cell):
    rows = [row[:length] for row, length in zip(batch_for(cell), (2, 5, 4), strict=True)]
    expected = cell(Sequences.from_list(rows))[0].to_list()
    for got, wanted in zip(cell(rows)[0], expected, strict=True):
        assert torch.equal(got, wanted)
    for got, wanted in zip(cell([row.numpy() for row in rows])[0], expected, strict=True):
        assert type(got) is np.ndarray
        same(got, wanted)
    packed, _ = cell(pack_sequence(rows, enforce_sorted=False))
    assert isinstance(packed, PackedSequence)
    y, lengths = pad_packed_sequence(packed, batch_first=True)
    for got, length, wanted in zip(y, lengths, expected, strict=True):
        assert torch.equal(got[:length], wanted)


def test_a_packed_batch_keeps_the_order_of_its_data():
    x = torch.randn(4, 3, 2)
    for lengths in ([3, 1, 3, 2], [3, 3, 2, 1]):
        packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=lengths[1] == 3)
        y, _ = elman.Linear(2, 2)(packed)
        assert [*map(type, y)] == [*map(type, packed)]
        same(elman.Linear.apply_to(layer := elman.Linear(2, 2), packed.data), layer(packed)[0].data)


def test_gradients_and_states_pass_through_the_conversion():
    cell, x = elman.GRU(2, 3), torch.randn(2, 4, 2, requires_grad=True)
    whole, final = cell(x)
    first, state = cell(x[:, :2])
    second, last = cell(x[:, 2:], state)
    same(torch.cat([first, second], 1), whole)
    same(last, final)
    whole.sum().backward()
    assert x.grad.abs().sum() > 0


def test_numpy_numbers_get_the_dtype_of_the_weights():
    y, _ = elman.LSTM(2, 3)(np.zeros((1, 2, 2)))
    assert y.dtype == np.float32
    y, _ = elman.LSTM(2, 3).double()([[[1, 2], [3, 4]]])
    assert y[0].dtype == np.float64


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (torch.zeros(5, 3), ValueError, r"LSTM: expected a batch of shape \[B, T, D\], got \[5, 3\]; give x\[None\] "
         r"for one row of 5 steps, Sequences\(x, lengths\) for several rows, or call step\(x, state\) for one step"),
        (np.zeros(5), ValueError, r"LSTM: expected a batch of shape \[B, T, D\], got \[5\]\."),
        (torch.zeros(1, 2, 3, 3), ValueError, "LSTM: expected a batch of shape"),
        (torch.zeros(2, 5, 4), ValueError, r"LSTM.scan: expected values of shape \[N, D=3\], got \[10, 4\]"),
        ((torch.zeros(2, 5, 3),), TypeError, r"LSTM: expected Sequences, a tensor \[B, T, D=3\], a PackedSequence or a "
         "list of rows, got tuple"),
        ("text", TypeError, "got str"),
        (torch.zeros(2, 5, 3).double(), TypeError, "like the weights, got torch.float64"),
        (torch.zeros(2, 5, 3).long(), TypeError, "like the weights, got torch.int64"),
    ],
)  # fmt: skip
def test_other_batches_raise(batch, error, message):
    with pytest.raises(error, match=message):
        elman.LSTM(3, 4)(batch)


def test_ids_of_one_axis_raise_an_error():
    with pytest.raises(ValueError, match=r"Embedding: expected a batch of shape \[B, T\], got \[5\]; give x\[None\]"):
        elman.Embedding(7, 3)(torch.zeros(5).long())


@pytest.mark.needs_native
def test_a_compiled_call_reads_a_tensor():
    torch._dynamo.reset()
    net = Stack(torch.nn.Embedding(7, 3), elman.LSTM(3, 4), torch.nn.Linear(4, 2))
    compiled = torch.compile(net, fullgraph=True, dynamic=True, backend="aot_eager")
    for rows, steps in ((2, 5), (3, 4)):
        ids = torch.randint(7, (rows, steps))
        assert torch.equal(compiled(ids)[0], net(ids)[0])
