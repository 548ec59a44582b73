"""Tensors whose sign PyTorch has not applied yet, and batches of gradients: every kernel handles both."""

from functools import partial

import numpy as np
import pytest
import torch

from elman import (
    GRU,
    LSTM,
    RNN,
    AttentionPooling,
    Bidirectional,
    Dropout,
    LastPooling,
    LayerNorm,
    Linear,
    MaxPooling,
    MeanPooling,
    MinGRU,
    OutputFeedback,
    Sequences,
    Stack,
    WindowNet,
)
from elman import state as states
from elman.convert import to_keras, to_onnx, to_torch
from elman.kernels.attention import attend
from elman.kernels.linear import linear
from elman.kernels.linear_scan import linear_scan
from elman.kernels.softmax import softmax_gradient
from elman.layers import set_key
from elman.losses import CRFLoss
from elman.memory import Reads
from elman.metrics import calibration_error, temperature

LENGTHS = [4, 0, 5]
CELLS = {
    "lstm": lambda: LSTM(3, 4),
    "gru": lambda: GRU(3, 4),
    "rnn": lambda: RNN(3, 4),
    "min_gru": lambda: MinGRU(3, 4),
    "window_net": lambda: WindowNet(3, 4, 3),
    "linear": lambda: Linear(3, 4),
    "layer_norm": lambda: LayerNorm(3),
    "dropout": lambda: Dropout(3, 0.5),
    "stack": lambda: Stack(MinGRU(3, 4), LSTM(4, 4), Linear(4, 2)),
    "bidirectional": lambda: Bidirectional(GRU(3, 4), GRU(3, 4)),
    "output_feedback": lambda: OutputFeedback(LSTM(7, 4)),
    "last": lambda: LastPooling(3),
    "mean": lambda: MeanPooling(3),
    "max": lambda: MaxPooling(3),
    "attention_pooling": lambda: AttentionPooling(3),
}


def negated(x):
    """Return a tensor of the same values whose sign is deferred."""
    return torch._neg_view(-x.detach())


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_cell_reads_the_deferred_sign_of_inputs_states_weights_and_gradients(cell):
    torch.manual_seed(0)
    cell, x = cell(), torch.randn(9, 3)
    state = cell.initial_state(3) if cell.streams else None

    def changed(change, leaf):
        return change(leaf) if torch.is_tensor(leaf) and leaf.is_floating_point() else leaf

    def run(change):
        inputs = change(x).requires_grad_()
        before = None if state is None else states.map(partial(changed, change), state)
        torch.manual_seed(1)
        set_key(cell, 0, 0)  # the same random masks in every call
        y, _ = cell.scan(Sequences(inputs, LENGTHS), before)
        gradient = change(torch.linspace(-1, 1, y.values.numel()).view(y.values.shape))
        return y.values, *torch.autograd.grad(y.values, (inputs, *cell.parameters()), gradient)

    for got, right in zip(run(negated), run(torch.clone), strict=True):
        torch.testing.assert_close(got, right)
    cell.eval()
    right = cell.scan(Sequences(x, LENGTHS))[0].values
    for parameter in cell.parameters():
        parameter.data = negated(parameter.data)
    torch.testing.assert_close(cell.scan(Sequences(x, LENGTHS))[0].values, right)


def test_the_imaginary_part_of_a_conjugate_has_its_sign():
    x = torch.complex(torch.ones(1, 1), torch.full((1, 1), 2.0)).conj().imag
    assert x.is_neg()
    cell = LSTM(1, 4)
    right = cell.step(torch.full((1, 1), -2.0), cell.initial_state(1))[0]
    torch.testing.assert_close(cell.step(x, cell.initial_state(1))[0], right)


def test_functions_read_the_deferred_sign():
    torch.manual_seed(0)
    x, w, b, h0 = torch.randn(4, 3), torch.randn(3, 3), torch.randn(3), torch.randn(2, 3)
    reads = Reads(np.array([2, 2]), np.array([0, 1]), np.array([2, 3]))
    functions = {
        "linear": lambda f: linear(f(x), f(w), f(b)),
        "linear_scan": lambda f: linear_scan(f(x), f(x), [3, 1], f(h0))[0],
        "attend": lambda f: attend(f(x), f(x), f(x), reads, f(b))[0],
        "softmax_gradient": lambda f: softmax_gradient(f(x), torch.tensor([0, 1, 2, 0]))[0],
    }
    for function in functions.values():
        torch.testing.assert_close(function(negated), function(torch.clone))
    loss = CRFLoss(3)
    tags = torch.tensor([0, 1, 2, 0])
    torch.testing.assert_close(loss(Sequences(negated(x), [3, 1]), tags), loss(Sequences(x, [3, 1]), tags))


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_gradients_of_many_outputs_at_once_equal_those_one_by_one(cell):
    torch.manual_seed(0)
    cell, x = cell(), torch.randn(9, 3)

    def outputs(values):
        torch.manual_seed(1)
        set_key(cell, 0, 0)  # the same random masks in every call
        return cell.scan(Sequences(values, LENGTHS))[0].values[-1]

    one_by_one = torch.autograd.functional.jacobian(outputs, x)
    torch.testing.assert_close(torch.autograd.functional.jacobian(outputs, x, vectorize=True), one_by_one)
    y, inputs = outputs(x.requires_grad_()), (x, *cell.parameters())
    got = torch.autograd.grad(y, inputs, torch.eye(len(y)), is_grads_batched=True, retain_graph=True)
    for number in range(len(y)):
        right = torch.autograd.grad(y[number], inputs, retain_graph=True)
        for a, b in zip(got, right, strict=True):
            torch.testing.assert_close(a[number], b)


@pytest.mark.parametrize("pooling", [LastPooling, MeanPooling, MaxPooling, AttentionPooling])
def test_pooled_rows_have_batched_gradients(pooling):
    torch.manual_seed(0)
    cell, x = pooling(3), torch.randn(9, 3)

    def pooled(values):
        return cell.pool(Sequences(values, LENGTHS))[2]

    right = torch.autograd.functional.jacobian(pooled, x)
    torch.testing.assert_close(torch.autograd.functional.jacobian(pooled, x, vectorize=True), right)


def test_a_carried_state_does_not_count_the_weights_twice_in_a_gradient_with_a_graph():
    torch.manual_seed(0)
    cell, x = LSTM(3, 4), torch.randn(6, 3)
    _, state = cell.scan(Sequences(x[:3], [3]))
    loss = cell.scan(Sequences(x[3:], [3]), state)[0].values.sum()
    got = torch.autograd.grad(loss, [*cell.parameters()], create_graph=True)
    torch.testing.assert_close(got, torch.autograd.grad(loss, [*cell.parameters()]))


def test_converters_and_metrics_read_the_deferred_sign(tmp_path):
    cell, other = GRU(3, 4), GRU(3, 4)
    other.load_state_dict(cell.state_dict())
    for name, weight in list(other.named_parameters()):
        setattr(other, name, torch.nn.Parameter(negated(weight)))
        assert getattr(other, name).is_neg()
    for convert in (to_keras, lambda cell: list(to_torch(cell).parameters())):
        for ours, theirs in zip(convert(cell), convert(other), strict=True):
            torch.testing.assert_close(torch.as_tensor(theirs).resolve_neg(), torch.as_tensor(ours))
    written = []
    for number, model in enumerate((cell, other)):
        to_onnx(model, tmp_path / f"{number}.onnx")
        written.append((tmp_path / f"{number}.onnx").read_bytes())
    assert written[0] == written[1]
    logits, targets = torch.randn(6, 3, requires_grad=True), torch.tensor([0, 1, 2, 0, 1, 2])
    assert temperature(negated(logits), targets) == temperature(logits, targets)
    assert calibration_error(negated(logits.softmax(1)), targets) == calibration_error(logits.softmax(1), targets)
