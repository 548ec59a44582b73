"""Products in bfloat16 against those of rounded numbers in float64, and the effects of autocast."""

import copy
import itertools
import math
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import pytest
import torch

from elman import state as states
from elman.cells import GRU, LSTM, RNN, MinGRU, WindowNet
from elman.cells.module import CellModule
from elman.kernels import autocast, native
from elman.layers import (
    Attention,
    AttentionPooling,
    Bidirectional,
    Deviations,
    Differences,
    Dropout,
    LastPooling,
    LayerNorm,
    Linear,
    MaxPooling,
    MeanPooling,
    Stack,
)
from elman.memory import Memory
from elman.sequences import Sequences
from elman.testing import check_cell

from .test_recurrence import CELLS, assert_same, draw, make, run, threads, torch_net

LENGTHS = [5, 0, 1, 63, 7]
SMOOTH = sorted(
    set(CELLS) - {"rnn_relu", "rnn_identity", "lstm_without_forget", "lstm_peephole"}
)  # no kinks, no growth


@contextmanager
def lowered(dtype=torch.bfloat16):
    """Return a context of autocast that multiplies bfloat16 on every processor."""
    with torch.autocast("cpu", dtype=dtype), native.emulating():
        yield


def rounded(x):
    """Round to bfloat16 with PyTorch."""
    return x.detach().bfloat16().double()


def assert_near(got, wanted, tolerance):
    """Compare with a tolerance relative to the largest number."""
    for name, value in wanted.items():
        if value.numel():
            error, largest = (float(a.detach().abs().max()) for a in (got[name].double() - value, value))
            assert error <= tolerance * largest, (name, error, largest)


# --- Products


@pytest.mark.needs_native
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 50, 301])
@pytest.mark.parametrize(("inputs", "units"), [
    *itertools.product([1, 3, 8, 9, 17], [1, 5, 16, 33]), (300, 259), (0, 5), (513, 16), (4, 600)
])  # fmt: skip
def test_products_are_those_of_rounded_numbers(inputs, units, rows):
    cell = RNN(inputs, units, activation="identity")
    x, h, dy = torch.randn(rows, inputs), torch.randn(rows, units), torch.randn(rows, units)
    x, h = x.requires_grad_(), h.requires_grad_()
    with lowered():
        y, _ = cell.scan(Sequences(x, [1] * rows), h)
    read = [x, h, cell.weight_ih, cell.weight_hh, cell.bias]
    got = dict(zip(["y", "dx", "dh", "dweight_ih", "dweight_hh", "dbias"],
                   [y.values, *torch.autograd.grad(y.values, read, dy)], strict=True))  # fmt: skip
    w_ih, w_hh = rounded(cell.weight_ih), rounded(cell.weight_hh)
    wanted = {
        "y": rounded(x) @ w_ih.T + rounded(h) @ w_hh.T + cell.bias.double(),
        "dx": rounded(dy) @ w_ih,
        "dh": rounded(dy) @ w_hh,
        "dweight_ih": rounded(dy).T @ rounded(x),
        "dweight_hh": rounded(dy).T @ rounded(h),
        "dbias": rounded(dy).sum(0),
    }
    assert_near(got, wanted, 1e-5)


@pytest.mark.needs_native
@pytest.mark.parametrize("kind", ["lstm", "lstm_without_forget", "gru_after", "gru_before", "rnn_tanh", "rnn_relu"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (9, 33), (20, 40)])
def test_a_step_is_that_of_rounded_numbers(kind, size):
    cell = make("forwards", kind, *size)
    x, state = torch.randn(7, size[0]), states.map(lambda leaf: torch.randn_like(leaf) / 2, cell.initial_state(7))
    with lowered():
        y, _ = cell.step(x, state)
    exact = copy.deepcopy(cell).double()
    with torch.no_grad():
        for weight in exact.parameters():
            if weight.dim() == 2:
                weight.copy_(rounded(weight))
    if kind.startswith("lstm"):
        wanted, _ = exact.step(rounded(x), type(state)(rounded(state.h), state.c.double()))
        return assert_near({"y": y}, {"y": wanted}, 2e-6)
    wanted, _ = exact.step(rounded(x), rounded(state))
    if kind.startswith("gru"):  # the state itself is not rounded
        with torch.no_grad():
            keep = (
                exact.project(rounded(x))[:, size[1] : 2 * size[1]]
                + rounded(state) @ exact.weight_hh.T[:, size[1] : 2 * size[1]]
            )
        wanted = wanted + keep.sigmoid() * (state.double() - rounded(state))
    assert_near({"y": y}, {"y": wanted}, 2e-6 if kind != "gru_before" else 4e-3)  # it rounds r * h


@pytest.mark.needs_native
def test_rounding_of_extreme_numbers():
    bits = [0x3F808000, 0x3F818000, 0x3F80FFFF, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7F800001, 0xFFFFFFFF, 0x80000000]
    x = torch.tensor([b - (1 << 32) if b >> 31 else b for b in bits], dtype=torch.int32).view(torch.float32)
    cell = RNN(1, 1, activation="identity")
    with torch.no_grad():
        cell.weight_ih.fill_(1)
        cell.bias.zero_()
        with lowered():
            y, _ = cell.scan(Sequences(x[:, None], [1] * len(x)))
    torch.testing.assert_close(y.values[:, 0], x.bfloat16().float(), rtol=0, atol=0, equal_nan=True)


# --- Whole recurrences


@pytest.mark.needs_native
@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru_after"])
def test_close_to_torch(kind, both_ways):
    cell = CELLS[kind]
    net = Bidirectional(cell(9, 40), cell(9, 40)) if both_ways else Stack(cell(9, 40), cell(40, 40))
    theirs = torch_net(net, kind, **({"bidirectional": True} if both_ways else {"num_layers": 2}))
    x = torch.randn(sum(LENGTHS) - 5, 9, requires_grad=True)
    lengths = [1, 63, 7]
    with lowered():
        y, _ = net.scan(Sequences(x, lengths))
    expected = Sequences.from_packed(theirs(Sequences(x, lengths).to_packed())[0]).values
    dy = torch.randn_like(expected)
    cells = [net.forward_cell, net.backward_cell] if both_ways else list(net)
    weights = [weight for cell in cells for weight in (cell.weight_ih, cell.weight_hh)]
    ours = torch.autograd.grad(y.values, [x, *weights], dy)
    other = torch.autograd.grad(expected, [x, *(w for layer in theirs.all_weights for w in layer[:2])], dy)
    assert not torch.equal(y.values, expected)
    assert_near(dict(enumerate([y.values, *ours])), dict(enumerate([expected, *other])), 2e-2)


@pytest.mark.needs_native
@pytest.mark.parametrize("arrangement", ["forwards", "reversed", "both ways", "wave"])
@pytest.mark.parametrize("kind", SMOOTH)
def test_close_to_float32(kind, arrangement):
    net = make(arrangement, kind, 9, 33)
    case = draw(net, LENGTHS)
    exact = run(net, LENGTHS, *case)
    with lowered():
        got = run(net, LENGTHS, *case)
    assert_near(got, exact, 0.03)
    assert not torch.equal(got["y"], exact["y"])


@pytest.mark.needs_native
@pytest.mark.parametrize("kind", CELLS)
def test_the_same_bits_for_any_number_of_threads(kind):
    net = make("wave", kind, 9, 33)
    case = draw(net, LENGTHS)
    with lowered():
        alone = run(net, LENGTHS, *case)
        for count in (1, 2, 5):
            with threads(count):
                assert_same(run(net, LENGTHS, *case), alone)


@pytest.mark.needs_native
@pytest.mark.parametrize("kind", ["lstm", "lstm_projected", "gru_after", "gru_before", "rnn_tanh"])
def test_the_laws_hold(kind):
    with lowered(), patch.object(CellModule, "runs_without_torch", lambda _: False):  # which has types of its own
        check_cell(make("forwards", kind, 3, 21))


@pytest.mark.needs_native
def test_a_norm_reads_products_that_are_rounded():
    net, lengths = LSTM(9, 20, layer_norm=True), [5, 3]
    x = Sequences(torch.randn(8, 9), lengths)
    exact, _ = net.scan(x)
    with lowered():
        y, _ = net.scan(x)
    assert_near({"y": y.values}, {"y": exact.values}, 2e-2)
    assert not torch.equal(y.values, exact.values)


# --- The choice of the dtype


@pytest.mark.needs_native
def test_float32_and_bfloat16_keep_packs_of_their_own():
    net = make("wave", "lstm", 9, 33)
    case = draw(net, LENGTHS)
    first = run(net, LENGTHS, *case)
    with lowered():
        lower = run(net, LENGTHS, *case)
    assert_same(run(net, LENGTHS, *case), first)
    with lowered():
        assert_same(run(net, LENGTHS, *case), lower)
    assert not torch.equal(lower["y"], first["y"])


@pytest.mark.needs_native
def test_the_backward_pass_uses_the_dtype_of_the_forward_pass():
    net = make("forwards", "lstm", 9, 33)
    x = torch.randn(9, 9, requires_grad=True)
    with lowered():
        y, _ = net.scan(Sequences(x, [9]))
        inside = torch.autograd.grad(y.values.sum(), x, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(y.values.sum(), x)[0], inside)


@pytest.mark.needs_native
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_computes_in_float32_on_processors_without_bfloat16(dtype):
    net = make("wave", "gru_after", 9, 33)
    case = draw(net, LENGTHS)
    exact = run(net, LENGTHS, *case)
    with torch.autocast("cpu", dtype=dtype):
        got = run(net, LENGTHS, *case)
    if dtype is torch.bfloat16 and native.module.multiplies_bfloat16:
        assert not torch.equal(got["y"], exact["y"])
    else:
        assert_same(got, exact)


@pytest.mark.needs_native
def test_products_are_float32_without_autocast():
    net = make("wave", "gru_after", 9, 33)
    case = draw(net, LENGTHS)
    exact = run(net, LENGTHS, *case)
    with native.emulating():
        assert_same(run(net, LENGTHS, *case), exact)
    with lowered(torch.float16):
        assert_same(run(net, LENGTHS, *case), exact)
    with lowered(), autocast.off():
        assert_same(run(net, LENGTHS, *case), exact)


@pytest.mark.parametrize("kind", CELLS)
def test_the_reference_is_unchanged(kind):
    net = make("wave", kind, 9, 20)
    x, state, *_ = draw(net, LENGTHS)
    x = x.requires_grad_()
    with native.disabled():
        exact, _ = net.scan(Sequences(x, LENGTHS), state)
        with lowered():
            y, _ = net.scan(Sequences(x, LENGTHS), state)
    assert torch.equal(y.values, exact.values)
    assert torch.equal(*(torch.autograd.grad(values.sum(), x)[0] for values in (y.values, exact.values)))


def test_a_gradient_of_a_gradient_is_that_of_float32():
    net = make("forwards", "lstm", 3, 5)
    x = torch.randn(4, 3, requires_grad=True)

    def second():
        y, _ = net.scan(Sequences(x, [4]))
        (first,) = torch.autograd.grad(y.values.square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    exact = second()
    with lowered():
        assert_near({"d": second()}, {"d": exact}, 3e-2)


# --- Inputs of other dtypes

LAYERS = {
    "lstm": lambda: LSTM(6, 7),
    "lstm_normed": lambda: LSTM(6, 7, layer_norm=True),
    "lstm_dropped": lambda: LSTM(6, 7, recurrent_dropout=0.2, zoneout_h=0.1),
    "gru": lambda: GRU(6, 7),
    "rnn": lambda: RNN(6, 7),
    "min_gru": lambda: MinGRU(6, 7),
    "window_net": lambda: WindowNet(6, 7, 3),
    "stack": lambda: Stack(LSTM(6, 7), Dropout(7, 0.5), Linear(7, 2)),
    "both ways": lambda: Bidirectional(GRU(6, 7), GRU(6, 7)),
    "linear": lambda: Linear(6, 7),
    "layer_norm": lambda: LayerNorm(6),
    "last": lambda: LastPooling(6),
    "mean": lambda: MeanPooling(6),
    "max": lambda: MaxPooling(6),
    "attention pooling": lambda: AttentionPooling(6),
    "differences": lambda: Differences(6),
    "deviations": lambda: Deviations(6),
}


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_bfloat16_inputs_are_converted_to_float32(name, fast):
    net, before = LAYERS[name]().eval(), torch.nn.Linear(4, 6)
    x = torch.randn(8, 4)
    with nullcontext() if fast else native.disabled(), torch.autocast("cpu", dtype=torch.bfloat16):
        values = before(x)
        y, _ = net.scan(Sequences(values, [5, 3]))
        expected, _ = net.scan(Sequences(values.float(), [5, 3]))
        step, _ = net.step(values[:2], net.initial_state(2)) if net.streams else (values.float(), None)
    assert values.dtype is torch.bfloat16
    assert y.values.dtype is step.dtype is torch.float32
    assert torch.equal(y.values, expected.values)
    y.values.sum().backward()
    assert before.weight.grad.isfinite().all()


@pytest.mark.needs_native
def test_states_and_memories_are_converted_too():
    cell, attention = GRU(6, 7), Attention(6, 7, 3)
    x, h, kept = torch.randn(8, 6), torch.randn(2, 7).bfloat16(), torch.randn(5, 7).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, _ = cell.scan(Sequences(x, [5, 3]), h)
        assert torch.equal(y.values, cell.scan(Sequences(x, [5, 3]), h.float())[0].values)
        read = [attention.initial_state(2, Memory(Sequences(m, [1, 4]))) for m in (kept, kept.float())]
        first, second = (attention.scan(Sequences(x, [5, 3]), memory)[0].values for memory in read)
    assert torch.equal(first, second)


def test_other_types_raise():
    x = Sequences(torch.zeros(2, 3, dtype=torch.float16), [2])
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(TypeError, match=r"expected values of torch.float32"),
    ):
        LSTM(3, 4).scan(x)
    with pytest.raises(TypeError, match=r"expected values of torch.float32, like the weights, got torch.bfloat16"):
        LSTM(3, 4).scan(x.map(torch.Tensor.bfloat16))


@pytest.mark.needs_native
@pytest.mark.parametrize("kind", ["lstm", "gru_before"])
def test_compiled_results_are_the_same(kind):
    net = make("wave", kind, 5, 19)
    x = torch.randn(7, 5)

    def scan(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return net.scan(Sequences(x, [4, 3]))[0].values

    with native.emulating():
        y = scan(x)
        assert torch.equal(torch.compile(scan, fullgraph=True, backend="aot_eager")(x), y)
    assert not torch.equal(net.scan(Sequences(x, [4, 3]))[0].values, y)


# --- Training


@pytest.mark.needs_native
def test_a_language_model_learns_as_well():
    text = torch.tensor(list(("the cat sat on the mat and the dog sat on the log; " * 40).encode()))
    vocabulary, ids = text.unique(return_inverse=True)

    def bits(context):
        torch.manual_seed(0)
        embedding, net, out = (
            torch.nn.Embedding(len(vocabulary), 16),
            LSTM(16, 48),
            torch.nn.Linear(48, len(vocabulary)),
        )
        parameters = [*embedding.parameters(), *net.parameters(), *out.parameters()]
        optimizer = torch.optim.Adam(parameters, 0.01)
        windows = ids[: len(ids) // 40 * 40].view(-1, 40)
        for _ in range(40):
            with context():
                x = embedding(windows[:, :-1]).flatten(0, 1)
                y, _ = net.scan(Sequences(x, [39] * len(windows)))
            loss = torch.nn.functional.cross_entropy(out(y.values), windows[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(loss.detach()) / math.log(2)

    exact, lower = bits(nullcontext), bits(lowered)
    assert lower != exact
    assert abs(lower - exact) < 0.05 * exact
    assert exact < 1.5
