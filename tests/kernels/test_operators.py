"""Compiled nets: one operator per kernel, the results of eager calls, and one program for batches of any size."""

import io
import shutil

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

from elman import state as states
from elman.cells import GRU, LSTM, RNN, MinGRU
from elman.kernels import native, recurrence_operator
from elman.kernels.dropout import random_mask
from elman.kernels.masks import keep_mask
from elman.kernels.softmax import softmax_gradient
from elman.layers import (
    Bidirectional,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Residual,
    Stack,
    VariationalDropout,
    WeightDrop,
    set_key,
)
from elman.layers.pooling import POOLINGS
from elman.sequences import Sequences

BATCHES = [[3, 4], [5, 0, 7], [1, 2, 3, 4], [2, 6]]


@pytest.fixture(autouse=True)
def _reset_compiler():
    torch._dynamo.reset()


def slow(name):
    return pytest.param(name, marks=pytest.mark.slow)


def compiled(net, backend="aot_eager", **options):
    """Return the compiled net, in one piece, and the counter of compilations."""
    counter = CompileCounterWithBackend(backend)
    return torch.compile(net, fullgraph=True, backend=counter, **options), counter


def outcome(run, net, lengths, *state, size=4):
    """Return outputs and gradients for random inputs, the same in every call."""
    torch.manual_seed(len(lengths))
    x = torch.randn(sum(lengths), size, dtype=next(net.parameters()).dtype, requires_grad=True)
    y, after = run(Sequences(x, lengths), *state)
    assert type(y.lengths) is np.ndarray
    assert y.lengths.tolist() == lengths
    found = [y.values, *(leaf for leaf in states.leaves(after) if leaf.is_floating_point())]
    loss = sum(leaf.sin().sum() for leaf in found)
    return [*found, *torch.autograd.grad(loss, [x, *net.parameters()])]


def same(got, expected):
    """Compare arrays, bitwise if native kernels computed them."""
    tolerance = 0 if native.available() else 1e-6
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def some(net):
    """Return a net of all layers that have a kernel, in training mode."""
    return {
        "stacks": lambda: Stack(Dropout(4, 0.5), LSTM(4, 5), GRU(5, 6, reset="before"), Linear(6, 3)),
        "layers": lambda: Stack(MinGRU(4, 5), Residual(Stack(LayerNorm(5), RNN(5, 5), VariationalDropout(5, 0.3)))),
        "both ways": lambda: Stack(Bidirectional(LSTM(4, 5), GRU(4, 3))),
        "options": lambda: Stack(
            LSTM(4, 5, layer_norm=True, peephole=True),
            LSTM(5, 6, projection_size=4, forget_gate=False, coupled=True, cell_clip=0.1),
            LSTM(4, 5, zoneout_h=0.1, zoneout_c=0.2, recurrent_dropout=0.3, hidden_dropout=0.2),
            WeightDrop(LSTM(5, 4), 0.4),
        ),
    }[net]()


@pytest.mark.parametrize("name", ["stacks", slow("both ways"), slow("layers"), slow("options")])
def test_same_numbers_in_one_piece_for_batches_of_any_size(name):
    net = some(name)
    run, counter = compiled(net, dynamic=True)
    made = set()
    for update, lengths in enumerate(BATCHES):
        set_key(net, 1, update)
        same(outcome(run, net, lengths), outcome(net, net, lengths))
        made.add(counter.frame_count)
    assert len(made) == 1


def test_a_second_program_without_dynamic_sizes():
    net = LSTM(4, 5)
    run, counter = compiled(net)
    for lengths in BATCHES:
        same(outcome(run, net, lengths), outcome(net, net, lengths))
    assert counter.frame_count == 2  # for the first batch, and for those of all other sizes


def test_a_given_initial_state():
    net = Bidirectional(LSTM(4, 5), GRU(4, 3))
    run, _ = compiled(net)
    state = states.map(torch.randn_like, net.initial_state(2))
    same(outcome(run, net, [3, 4], state), outcome(net, net, [3, 4], state))


def test_float64_goes_to_the_cells():
    options = LSTM(5, 3, layer_norm=True, peephole=True)
    net = Stack(LSTM(4, 5), options, Bidirectional(GRU(3, 2), RNN(3, 3))).double()
    run, _ = compiled(net)
    for got, expected in zip(outcome(run, net, [3, 0, 4]), outcome(net, net, [3, 0, 4]), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_float32_without_kernels():
    net = Stack(LSTM(4, 5), GRU(5, 3))
    with native.disabled():
        run, _ = compiled(net)
        for got, expected in zip(outcome(run, net, [3, 0, 4]), outcome(net, net, [3, 0, 4]), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_random_masks_inside_a_recurrence_need_the_kernel():
    net = LSTM(4, 5, recurrent_dropout=0.5).double()
    run, _ = compiled(net)
    with pytest.raises(NotImplementedError, match="need the native kernels; use float32"):
        run(Sequences(torch.randn(7, 4).double(), [3, 4]))


def test_two_equal_calls_have_gradients_of_their_own():
    cell = LSTM(4, 5)

    def twice(sequences):
        (a, _), (b, after) = cell(sequences), cell(sequences)
        return a.map(lambda y: y * b.values.cos()), after

    run, _ = compiled(twice)
    same(outcome(run, cell, [3, 4]), outcome(twice, cell, [3, 4]))


def test_backward_twice():
    net = LSTM(4, 5)
    run, _ = compiled(net)
    x = torch.randn(7, 4, requires_grad=True)
    loss = run(Sequences(x, [3, 4]))[0].values.sin().sum()
    same(torch.autograd.grad(loss, x, retain_graph=True), torch.autograd.grad(loss, x))


@pytest.mark.needs_native
def test_weights_are_packed_once(monkeypatch):
    from elman.kernels import recurrence_native

    packs, found = [], recurrence_native.packed
    monkeypatch.setattr(recurrence_native, "packed", lambda *args: packs.append(found(*args)) or packs[-1])
    net = LSTM(4, 5)
    run, _ = compiled(net)
    for _ in range(3):
        run(Sequences(torch.randn(7, 4), [3, 4]))[0].values.sum().backward()
    assert len(packs) == 6
    assert len({id(pack) for pack in packs}) == 2  # one for the forward pass, one for the backward pass


@pytest.mark.parametrize(("pooling", "backward_size"), [*((pooling, 0) for pooling in POOLINGS), ("last", 2)])
def test_poolings(pooling, backward_size):
    layer = POOLINGS[pooling](5, backward_size)
    run, counter = compiled(layer.pool, backend="eager", dynamic=True)
    for lengths in BATCHES:
        x = torch.randn(sum(lengths), 5).round(decimals=0).requires_grad_()  # some are equal
        results = []
        for pool in (run, layer.pool):
            y = pool(Sequences(x, lengths))
            results.append([y, *torch.autograd.grad(y.sin().sum(), [x, *layer.parameters()])])
        same(*results)
    assert counter.frame_count == 1


@pytest.mark.slow
def test_the_net_of_a_tagger():
    from elman.tasks import Tagger
    from elman.tasks.tagger_net import as_tensors

    words = [["the", "cat", "sat"], ["a", "dog"], ["on", "the", "mat", "again"], ["hello"], ["a", "cat", "sat"]]
    tags = [["O" if word != "cat" else "B-X" for word in row] for row in words]
    task = Tagger(hidden_size=8, embedding_size=8, character_size=4, epochs=1).fit(words, tags)
    net, data = task.net_.train(), task.words_.encode(words)
    run, counter = compiled(net, dynamic=True)
    made = set()
    for update, rows in enumerate(([0, 4], [2, 1, 0], [0, 2, 3, 4])):  # at first fewer words than tokens
        set_key(net, 1, update)
        batch, results = as_tensors(data.select(np.array(rows))), []
        for scores in (run, net):
            torch.manual_seed(update)
            net.zero_grad()
            y = scores(batch)
            y.values.sin().sum().backward()
            assert net.word.weight.grad.is_sparse
            found = (weight.grad.to_dense() for weight in net.parameters() if weight.grad is not None)
            results.append([y.values.detach(), *found])
        same(*results)
        made.add(counter.frame_count)
    assert len(made) == 1


class Flat(nn.Module):
    """Net with tensors as arguments, which can be exported to a file."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, values, lengths):
        return self.net(Sequences(values, lengths))[0].values


def test_export():
    net = Flat(Stack(Embedding(9, 4), Dropout(4, 0.3), LSTM(4, 5), Bidirectional(GRU(5, 3), GRU(5, 3)), Linear(6, 2)))
    net.eval()
    steps, rows = torch.export.Dim("steps"), torch.export.Dim("rows")
    example = torch.randint(9, (7,)), torch.tensor([3, 4])
    program = torch.export.export(net, example, dynamic_shapes=({0: steps}, {0: rows}))
    called = [str(node.target) for node in program.graph.nodes if "elman" in str(node.target)]
    assert called == ["elman.scan.default"] * 2 + ["elman.linear.default"] * native.available()
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for lengths in BATCHES:
        ids = torch.randint(9, (sum(lengths),))
        expected = net.net(Sequences(ids, lengths))[0].values
        same([loaded(ids, torch.tensor(lengths))], [expected])
    with pytest.raises(ValueError, match="expected lengths that sum to 8 steps, got 7"):
        loaded(torch.randint(9, (8,)), torch.tensor([3, 4]))


# The operators by themselves.


def called(cells, both_ways=False, dtype=torch.float32):
    """Return the arguments of `elman::scan` for these cells: rows of 3, 0 and 2 steps, and a state."""
    layers = [cell.to(dtype).recurrence() for cell in cells]
    if both_ways:
        layers[1] = layers[1]._replace(reverse=True)
    draw = torch.Generator().manual_seed(0)
    state = [leaf for cell in cells for leaf in states.leaves(cell.initial_state(3))]
    leaves = [torch.randn(leaf.shape, generator=draw, dtype=dtype).requires_grad_() for leaf in state]
    x = torch.randn(5, cells[0].input_size, generator=draw, dtype=dtype, requires_grad=True)
    weights = [weight for layer in layers for weight in layer.weights]
    text = "[" + ", ".join(recurrence_operator._text(layer) for layer in layers) + "]"
    return x, torch.tensor([3, 0, 2]), weights, leaves, [], torch.empty(0), text, both_ways, native.available()


def tensor(*shape):
    return torch.randn(*shape, requires_grad=True)


CALLS = {
    # Sizes for which the saved tensors have no padding, which is uninitialised.
    "scan": lambda: called([LSTM(3, 16), RNN(16, 16)]),
    "scan of both ways": lambda: called([RNN(3, 16), LSTM(3, 16)], both_ways=True),
    "scan of float64": lambda: called([LSTM(3, 2), RNN(2, 3)], dtype=torch.float64),
    "linear": lambda: (tensor(5, 3), tensor(2, 3), tensor(2)),
    "linear_scan": lambda: (tensor(5, 2), tensor(5, 2), tensor(3, 2), torch.tensor([3, 0, 2])),
    "keep_mask": lambda: (0.7, torch.tensor([1, 2]), [torch.arange(5)], 3),
    "dropout": lambda: (tensor(5, 3), torch.tensor([0.3]), torch.tensor([1, 2]), [torch.arange(5), torch.arange(5)]),
    "softmax_gradient": lambda: (torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0]), 0.1),
}


@pytest.mark.needs_native
@pytest.mark.parametrize("name", CALLS)
def test_operators_pass_opcheck(name):
    operator = getattr(torch.ops.elman, name.split()[0]).default
    torch.library.opcheck(operator, CALLS[name](), atol=1e-5, rtol=1e-5)


def gradients_of(run, cells):
    """Return the gradients of the squared norm of the gradient, for x and the weights."""
    torch.manual_seed(0)
    x, read = torch.randn(5, 3, requires_grad=True), [weight for cell in cells for weight in cell.parameters()]
    y = run(x)
    first = torch.autograd.grad(y.sin().sum(), [x, *read], create_graph=True)
    return torch.autograd.grad(sum(gradient.square().sum() for gradient in first), [x, *read])


def test_the_gradient_of_a_gradient_of_a_scan():
    cells = [LSTM(3, 2), GRU(2, 4)]
    *_, text, both_ways, available = called(cells)
    weights = [weight for cell in cells for weight in cell.recurrence().weights]
    lengths = torch.tensor([3, 0, 2])
    rest = [], [], torch.empty(0), text, both_ways, available
    got = gradients_of(lambda x: torch.ops.elman.scan(x, lengths, weights, *rest)[0], cells)
    expected = gradients_of(lambda x: Stack(*cells)(Sequences(x, [3, 0, 2]))[0].values, cells)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["scan of float64", "linear_scan", "dropout"])
def test_gradients_are_those_of_finite_differences(name):
    operator, call = getattr(torch.ops.elman, name.split()[0]), CALLS[name]()
    double = [a.detach().double().requires_grad_() if _trained(a) else a for a in call]
    read = [a for part in double for a in (part if isinstance(part, list) else [part]) if _trained(a)]

    def run(*_):
        y, after = operator(*double)[:2]
        return (y, *after) if isinstance(after, list) else (y, after) if after.is_floating_point() else y

    torch.autograd.gradcheck(run, read, fast_mode=True)
    torch.autograd.gradgradcheck(run, read, fast_mode=True)


def _trained(a):
    return isinstance(a, torch.Tensor) and a.requires_grad


def test_masks_are_those_of_eager_calls():
    key, steps = (1, 2), (np.arange(5), np.arange(5) % 3)
    run, _ = compiled(lambda rows, times: random_mask(0.6, key, (rows, times), 4))
    assert run(*steps).tolist() == keep_mask(0.6, key, steps, 4).tolist()


def test_the_softmax_while_compiling():
    scores, targets = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    run, _ = compiled(lambda scores: softmax_gradient(scores, targets, 0.1))
    got, expected = scores.clone(), scores.clone()
    same([*run(got), got], [*softmax_gradient(expected, targets, 0.1), expected])


def test_a_missing_cell():
    *call, text, both_ways, available = called([LSTM(3, 2)], dtype=torch.float64)
    for name, other in (("'LSTM'", "'Missing'"), ("'elman.cells.lstm'", "'never.imported'"), ("'LSTM'", "'Mapping'")):
        with pytest.raises(ValueError, match="elman::scan: expected a cell"):
            torch.ops.elman.scan(*call, text.replace(name, other), both_ways, available)


def test_eager_calls_do_not_use_operators():
    x = torch.randn(7, 4)
    with torch.profiler.profile() as profile:
        Stack(LSTM(4, 5), Linear(5, 3))(Sequences(x, [3, 4]))
    assert not any(event.key.startswith("elman::") for event in profile.key_averages())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor compiles C++")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own
@pytest.mark.parametrize("name", ["stacks", "layers", "both ways"])
def test_inductor(name):
    net = some(name)
    with torch._inductor.config.patch(fallback_random=True):
        run, _ = compiled(net, backend="inductor", dynamic=True)
        for lengths in BATCHES:
            for a, b in zip(outcome(run, net, lengths), outcome(net, net, lengths), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_layout_that_a_compiled_program_made_is_checked_at_its_first_use():
    run, _ = compiled(lambda values, lengths: Sequences(values, lengths))
    assert run(torch.zeros(3, 4), torch.tensor([1, 2])).offsets.tolist() == [0, 1, 3]
    for lengths in ([2**63 - 1, 2**63 - 1, 5], [4, -1]):
        batch = run(torch.zeros(3, 4), torch.tensor(lengths))
        with pytest.raises(ValueError, match="expected lengths"):
            LSTM(4, 5).scan(batch)
    batch = run(torch.zeros(3, 4), torch.tensor([1, 1]))
    with pytest.raises(ValueError, match="expected lengths that sum to 3 steps, got 2"):
        LSTM(4, 5).scan(batch)


@pytest.mark.parametrize("available", [True, False])
def test_lengths_whose_sum_overflows_raise_in_operators(available):
    lengths, layer = torch.tensor([2**63 - 1, 2**63 - 1, 5]), LSTM(4, 5).recurrence()
    rest = list(layer.weights), [], [], torch.empty(0), f"[{recurrence_operator._text(layer)}]", False, available
    with pytest.raises(ValueError, match="expected lengths that sum to less than"):
        torch.ops.elman.scan(torch.zeros(3, 4), lengths, *rest)
    with pytest.raises(ValueError, match="expected lengths that sum to less than"):
        torch.ops.elman.linear_scan(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(3, 2), lengths)
