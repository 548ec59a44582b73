"""Native RNN, LSTM and GRU against their defining loops in float64, and bitwise laws."""

import copy
import itertools
from contextlib import contextmanager
from unittest.mock import patch

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from elman import state as states
from elman.cells import GRU, LSTM, RNN, LSTMState
from elman.cells.module import CellModule
from elman.kernels import marshal, native, recurrence
from elman.layers import Bidirectional, Linear, Stack
from elman.sequences import Sequences
from elman.threads import get_num_threads, set_num_threads

pytestmark = pytest.mark.needs_native


def started(cell):
    """Initialise the peepholes, which are zero by default, at random."""
    with torch.no_grad():
        cell.peephole.normal_()
    return cell


CELLS = {
    "rnn_tanh": RNN,
    "rnn_sigmoid": lambda d, h: RNN(d, h, activation="sigmoid"),
    "rnn_relu": lambda d, h: RNN(d, h, activation="relu"),
    "rnn_identity": lambda d, h: RNN(d, h, activation="identity"),
    "lstm": LSTM,
    "lstm_without_forget": lambda d, h: LSTM(d, h, forget_gate=False),
    "lstm_peephole": lambda d, h: started(LSTM(d, h, peephole=True, cell_clip=0.5)),
    "lstm_projected": lambda d, h: LSTM(d, h + 5, projection_size=h),
    "lstm_coupled": lambda d, h: started(LSTM(d, h, forget_gate=False, coupled=True, peephole=True)),
    "gru_after": GRU,
    "gru_before": lambda d, h: GRU(d, h, reset="before"),
}


class Reversed(CellModule):
    """Cell that reads every row from its last step to its first."""

    def __init__(self, cell):
        super().__init__()
        self.cell, self.input_size, self.output_size = cell, cell.input_size, cell.output_size

    def initial_state(self, batch_size):
        return self.cell.initial_state(batch_size)

    def scan(self, sequences, state=None):
        kernel = self.cell.recurrence()._replace(reverse=True)
        x, blank = sequences.values, self.initial_state(0)
        y, state = recurrence.scan([kernel], x, sequences.layout, state, blank, self.unrolled)
        return sequences.with_values(y), state

    def unrolled(self, sequences, state=None):
        y, final = self.cell.unrolled(sequences.reverse(), state)
        return y.reverse(), final


ALONE = {
    "forwards": lambda cell, d, h: cell(d, h),
    "reversed": lambda cell, d, h: Reversed(cell(d, h)),
    "both ways": lambda cell, d, h: Bidirectional(cell(d, h), cell(d, h + 3)),
}
NETS = ALONE | {"wave": lambda cell, d, h: Stack(cell(d, h), cell(h, h + 2), cell(h + 2, h))}

random_lengths = np.random.default_rng(0).integers
SHAPES = {  # rows, D, H
    "one step": ([1], 1, 1),
    "two steps": ([2], 2, 5),
    "one row": ([63], 3, 8),
    "long": ([1000], 1, 5),
    "long and short": ([150, 3, 0, 1], 17, 33),
    "no rows": ([], 4, 16),
    "empty rows": ([0, 0], 5, 19),
    "some empty rows": ([0, 7, 7, 0, 2, 0], 9, 64),
    "few lanes": ([3, 0, 5, 1], 6, 33),
    "dense": ([12] * 20, 9, 16),
    "many rows": (random_lengths(0, 12, 60).tolist(), 8, 16),
    "no inputs": ([3, 2], 0, 5),
    "many more steps": (random_lengths(0, 30, 40).tolist(), 7, 19),
}


def pairs(shapes, lone=()):
    """Return every kind in every arrangement for every shape; the fast ones cover every pair of two factors.

    Args:
        lone: shapes that are not tested with several layers or two directions.
    """
    for (row, kind), (column, shape) in itertools.product(enumerate(CELLS), enumerate(shapes)):
        nets = [net for net in NETS if shape not in lone or net in ("forwards", "reversed")]
        for place, net in enumerate(nets):
            meet = (row + column + place) % min(len(nets), len(shapes)) == 0
            yield pytest.param(kind, net, shape, marks=() if meet else pytest.mark.slow)


def make(arrangement, kind, inputs, units, seed=0):
    """Return a net whose biases are not zero."""
    torch.manual_seed(seed)
    net = NETS[arrangement](CELLS[kind], inputs, units)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if "bias" in name:
                weight.add_(torch.randn_like(weight) / 4)
    return net


def draw(net, lengths, seed=0):
    """Return x, a state, and the gradients of y and of the final state."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    zeros = net.initial_state(len(lengths))
    state, dstate = (states.map(lambda leaf: normal(*leaf.shape) / 2, zeros) for _ in range(2))
    steps = sum(lengths)
    return normal(steps, net.input_size), state, normal(steps, net.output_size), dstate


def run(net, lengths, x, state, dy, dstate, dtype=torch.float32):
    """Return all results of a scan and of its backward pass, by name."""
    x, state, dy, dstate = states.map(lambda leaf: leaf.to(dtype), (x, state, dy, dstate))
    x, state = states.map(lambda leaf: leaf.clone().requires_grad_(), (x, state))
    y, final = net.scan(Sequences(x, lengths), state)
    weights = dict(net.named_parameters())
    inputs = [x, *states.leaves(state), *weights.values()]
    gradients = torch.autograd.grad([y.values, *states.leaves(final)], inputs, [dy, *states.leaves(dstate)])
    count = len(list(states.leaves(state)))
    names = [f"state {i}" for i in range(count)]
    found = dict(zip(["y", *names], [y.values, *states.leaves(final)], strict=True))
    return found | dict(zip(["dx", *(f"d{name}" for name in (*names, *weights))], gradients, strict=True))


@contextmanager
def threads(count):
    before = get_num_threads()
    set_num_threads(count)
    try:
        yield
    finally:
        set_num_threads(before)


def assert_same(got, wanted, index=None):
    """Compare bitwise."""
    for name, a in got.items():
        b = wanted[name] if index is None else wanted[name][index(name)]
        assert torch.equal(a, b), f"{name}: {(a - b).abs().max()}"


def rows_and_steps(name):
    """Return whether an array of `run` has one entry per step or per row, or is the gradient of a weight."""
    return "steps" if name in ("y", "dx") else "rows" if "state " in name else "weights"


# --- Values and gradients


@pytest.mark.parametrize(("kind", "arrangement", "shape"), [*pairs(SHAPES, lone=["long"])])
def test_as_close_to_float64_as_the_reference_is(kind, arrangement, shape):
    lengths, inputs, units = SHAPES[shape]
    net = make(arrangement, kind, inputs, units)
    case = draw(net, lengths)
    got = run(net, lengths, *case)
    with native.disabled():
        plain = run(net, lengths, *case)
    exact = run(copy.deepcopy(net).double(), lengths, *case, dtype=torch.float64)
    roundings = 3 if kind == "lstm_without_forget" else 1  # its cell state grows until tanh saturates
    for name, value in exact.items():
        if not value.numel():
            assert got[name].shape == value.shape
            continue
        error, plain_error = ((a[name].double() - value).abs().max() for a in (got, plain))
        assert error <= roundings * (4 * plain_error + 2e-6 * value.abs().max()), (name, error, plain_error)


def torch_net(net, kind, **options):
    """Return the module of torch.nn with the same weights."""
    cells = list(net) if isinstance(net, Stack) else [net.forward_cell, net.backward_cell]
    known = {"lstm": torch.nn.LSTM, "gru_after": torch.nn.GRU}
    size = cells[0].output_size
    if kind in known:
        theirs = known[kind](net.input_size, size, **options)
    else:
        theirs = torch.nn.RNN(net.input_size, size, nonlinearity=kind.removeprefix("rnn_"), **options)
    with torch.no_grad():
        for (w_ih, w_hh, b_ih, b_hh), cell in zip(theirs.all_weights, cells, strict=True):
            w_ih.copy_(cell.weight_ih)
            w_hh.copy_(cell.weight_hh)
            b_ih.copy_(cell.bias)
            b_hh.zero_()
            if kind == "gru_after":
                b_hh[2 * size :] = cell.bias_hn
    return theirs


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("kind", ["rnn_tanh", "rnn_relu", "lstm", "gru_after"])
def test_equals_torch(kind, both_ways):
    torch.manual_seed(0)
    cell, lengths = CELLS[kind], [5, 1, 63, 7]
    net = Bidirectional(cell(9, 19), cell(9, 19)) if both_ways else Stack(cell(9, 19), cell(19, 19))
    theirs = torch_net(net, kind, **({"bidirectional": True} if both_ways else {"num_layers": 2}))
    x = torch.randn(sum(lengths), 9, requires_grad=True)
    y, final = net.scan(Sequences(x, lengths))
    packed, last = theirs(Sequences(x, lengths).to_packed())
    expected = Sequences.from_packed(packed).values
    torch.testing.assert_close(y.values, expected, rtol=0, atol=3e-6)
    hs = [part.h if isinstance(part, LSTMState) else part for part in final]
    torch.testing.assert_close(torch.stack(hs), last[0] if kind == "lstm" else last, rtol=0, atol=3e-6)
    dy = torch.randn_like(expected)
    ours, other = (torch.autograd.grad(out, x, dy)[0] for out in (y.values, expected))
    torch.testing.assert_close(ours, other, rtol=0, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize("arrangement", NETS)
@pytest.mark.parametrize("kind", CELLS)
def test_the_default_state_is_zero(kind, arrangement):
    net, lengths = make(arrangement, kind, 5, 19), [3, 0, 30]
    x, _, dy, dstate = draw(net, lengths)
    zeros = net.initial_state(3)
    given = run(net, lengths, x, zeros, dy, dstate)
    leaf = x.clone().requires_grad_()
    y, final = net.scan(Sequences(leaf, lengths))
    weights = dict(net.named_parameters())
    outputs = [y.values, *states.leaves(final)]
    gradients = torch.autograd.grad(outputs, [leaf, *weights.values()], [dy, *states.leaves(dstate)])
    names = ["y", *(name for name in given if name.startswith("state")), "dx", *(f"d{name}" for name in weights)]
    assert_same(dict(zip(names, [*outputs, *gradients], strict=True)), given)


# --- Bitwise laws

kinds = st.sampled_from(sorted(CELLS))
some_lengths = st.lists(st.integers(0, 9), max_size=9)
sizes = st.tuples(st.integers(1, 11), st.integers(1, 37))
counts = st.integers(1, 5)


def select(name, lengths, rows):
    """Return the entries of some rows in an array of `run`."""
    starts = np.cumsum([0, *lengths])
    steps = [n for row in rows for n in range(starts[row], starts[row + 1])]
    return torch.tensor({"steps": steps, "rows": list(rows)}[rows_and_steps(name)], dtype=torch.int64)


@settings(max_examples=60)
@given(kind=kinds, arrangement=st.sampled_from(sorted(NETS)), lengths=some_lengths, size=sizes,
       random=st.randoms(use_true_random=False), count=counts)  # fmt: skip
def test_rows_do_not_affect_each_other(kind, arrangement, lengths, size, random, count):
    net = make(arrangement, kind, *size)
    rows = random.sample(range(len(lengths)), random.randint(0, len(lengths)))
    case = draw(net, lengths)
    together = run(net, lengths, *case)
    x, state, dy, dstate = case
    steps, rows_ = select("y", lengths, rows), torch.tensor(rows, dtype=torch.int64)
    parts = (x[steps], states.select(state, rows_), dy[steps], states.select(dstate, rows_))
    with threads(count):
        apart = run(net, [lengths[row] for row in rows], *parts)
    apart = {name: array for name, array in apart.items() if rows_and_steps(name) != "weights"}
    assert_same(apart, together, lambda name: select(name, lengths, rows))


@settings(max_examples=60)
@given(kind=kinds, deep=st.booleans(), lengths=some_lengths, size=sizes, random=st.randoms(use_true_random=False))
def test_a_cut_anywhere_changes_nothing(kind, deep, lengths, size, random):
    net = make("wave" if deep else "forwards", kind, *size)
    cuts = [random.randint(0, length) for length in lengths]
    x, state, dy, dstate = draw(net, lengths)
    whole = run(net, lengths, x, state, dy, dstate)
    batch = Sequences(torch.arange(len(x)), lengths)
    first, second = (torch.cat([row[:0], *rows]) for rows, row in (
        ([row[:cut] for row, cut in zip(batch.to_list(), cuts, strict=True)], batch.values),
        ([row[cut:] for row, cut in zip(batch.to_list(), cuts, strict=True)], batch.values),
    ))  # fmt: skip
    x, state = states.map(lambda leaf: leaf.clone().requires_grad_(), (x, state))
    early, middle = net.scan(Sequences(x[first], cuts), state)
    late, final = net.scan(Sequences(x[second], [n - cut for n, cut in zip(lengths, cuts, strict=True)]), middle)
    y = torch.empty_like(whole["y"]).index_copy(0, torch.cat([first, second]), torch.cat([early.values, late.values]))
    arrays = [y, *states.leaves(final)]
    gradients = torch.autograd.grad(arrays, [x, *states.leaves(state)], [dy, *states.leaves(dstate)])
    names = [name for name in whole if rows_and_steps(name) != "weights"]
    assert_same(dict(zip(names, [*arrays, *gradients], strict=True)), whole)


@pytest.mark.parametrize("arrangement", ["forwards", "wave"])
@pytest.mark.parametrize("kind", CELLS)
def test_steps_equal_the_scan(kind, arrangement):
    net, rows, length = make(arrangement, kind, 3, 21), 4, 6
    x, state, dy, dstate = draw(net, [length] * rows)
    whole = run(net, [length] * rows, x, state, dy, dstate)
    x, state = states.map(lambda leaf: leaf.clone().requires_grad_(), (x, state))
    now, outputs = state, []
    for t in range(length):
        y, now = net.step(x.view(rows, length, -1)[:, t], now)
        outputs.append(y)
    arrays = [torch.stack(outputs, 1).flatten(0, 1), *states.leaves(now)]
    gradients = torch.autograd.grad(arrays, [x, *states.leaves(state)], [dy, *states.leaves(dstate)])
    names = [name for name in whole if rows_and_steps(name) != "weights"]
    assert_same(dict(zip(names, [*arrays, *gradients], strict=True)), whole)


@pytest.mark.parametrize(
    ("kind", "arrangement", "shape"), [*pairs(["long and short", "dense", "many rows", "one row"])]
)
def test_the_number_of_threads_changes_nothing(kind, arrangement, shape):
    lengths, inputs, units = SHAPES[shape]
    net = make(arrangement, kind, inputs, units)
    case = draw(net, lengths)
    with threads(1):
        alone = run(net, lengths, *case)
    for count in (2, 3, 5):
        with threads(count):
            assert_same(run(net, lengths, *case), alone)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", CELLS)
def test_a_stack_computed_as_a_wave_equals_its_cells_in_sequence(kind, count):
    net, lengths = make("wave", kind, 4, 18), [40, 0, 3, 17, 90]
    case = draw(net, lengths)
    with threads(count), patch.object(Stack, "waves", lambda stack: [[cell] for cell in stack]):
        apart = run(net, lengths, *case)
    with threads(count):
        assert_same(run(net, lengths, *case), apart)


@pytest.mark.parametrize("kind", CELLS)
def test_two_directions_equal_the_two_cells(kind):
    net, lengths = make("both ways", kind, 4, 18), [40, 0, 3, 17]
    x, state, dy, dstate = draw(net, lengths)
    together = run(net, lengths, x, state, dy, dstate)
    there, back = dy.split([18, 21], -1)
    forwards = run(net.forward_cell, lengths, x, state[0], there, dstate[0])
    backwards = run(Reversed(net.backward_cell), lengths, x, state[1], back, dstate[1])
    assert torch.equal(together["y"], torch.cat([forwards["y"], backwards["y"]], -1))
    assert torch.equal(together["dx"], forwards["dx"] + backwards["dx"])
    final = [value for part in (forwards, backwards) for name, value in part.items() if name.startswith("state")]
    assert all(torch.equal(together[f"state {i}"], value) for i, value in enumerate(final))
    for name in ("weight_ih", "weight_hh", "bias"):
        assert torch.equal(together[f"dforward_cell.{name}"], forwards[f"d{name}"])
        assert torch.equal(together[f"dbackward_cell.{name}"], backwards[f"dcell.{name}"])


@settings(max_examples=20)
@given(kind=kinds, lengths=some_lengths, random=st.randoms(use_true_random=False), count=counts)
def test_a_stack_with_its_read_out_keeps_the_laws(kind, lengths, random, count):
    torch.manual_seed(0)
    net = Stack(CELLS[kind](5, 19), CELLS[kind](19, 7), Linear(7, 23))
    x, state, dy, dstate = draw(net, lengths)
    together = run(net, lengths, x, state, dy, dstate)
    rows = random.sample(range(len(lengths)), random.randint(0, len(lengths)))
    steps, index = select("y", lengths, rows), torch.tensor(rows, dtype=torch.int64)
    parts = (x[steps], states.select(state, index), dy[steps], states.select(dstate, index))
    with threads(count):
        apart = run(net, [lengths[row] for row in rows], *parts)
        assert_same(run(net, lengths, x, state, dy, dstate), together)
    apart = {name: array for name, array in apart.items() if rows_and_steps(name) != "weights"}
    assert_same(apart, together, lambda name: select(name, lengths, rows))


@pytest.mark.parametrize("arrangement", NETS)
@pytest.mark.parametrize("kind", CELLS)
def test_nan_in_a_row_stays_in_that_row(kind, arrangement):
    net, lengths = make(arrangement, kind, 9, 19), [5, 30, 0, 7, 5]
    case = draw(net, lengths)
    healthy = run(net, lengths, *case)
    x = case[0].clone()
    x[5 + 12] = torch.nan  # in row 1
    sick = run(net, lengths, x, *case[1:])
    assert sick["y"][5:35].isnan().any()
    others = [0, 2, 3, 4]
    for name in healthy:
        if rows_and_steps(name) != "weights":
            index = select(name, lengths, others)
            assert torch.equal(sick[name][index], healthy[name][index]), name


# --- Autograd


@pytest.mark.parametrize("arrangement", NETS)
@pytest.mark.parametrize("kind", CELLS)
def test_backward_twice(kind, arrangement):
    net, lengths = make(arrangement, kind, 5, 19), [3, 0, 9]
    x, state, dy, _ = draw(net, lengths)
    x.requires_grad_()
    y, _ = net.scan(Sequences(x, lengths), state)
    inputs = [x, *net.parameters()]
    first = torch.autograd.grad(y.values, inputs, dy, retain_graph=True)
    second = torch.autograd.grad(y.values, inputs, dy)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(y.values, inputs, dy)


def reentrant(function, x):
    return checkpoint(function, x, use_reentrant=True)


def recomputed(function, x):
    return checkpoint(function, x, use_reentrant=False)


def on_the_cpu(function, x):
    with torch.autograd.graph.save_on_cpu():
        return function(x)


@pytest.mark.parametrize("hook", [reentrant, recomputed, on_the_cpu])
@pytest.mark.parametrize("arrangement", NETS)
def test_saved_tensors_go_through_hooks(arrangement, hook):
    net, lengths = make(arrangement, "lstm", 5, 64), [300, 0, 60]
    x, _, dy, _ = draw(net, lengths)
    x.requires_grad_()

    def gradients(of):
        for leaf in (x, *net.parameters()):
            leaf.grad = None
        of(lambda x: net.scan(Sequences(x, lengths))[0].values, x).backward(dy)
        return {str(i): leaf.grad for i, leaf in enumerate((x, *net.parameters()))}

    assert_same(gradients(hook), gradients(lambda function, x: function(x)))


@pytest.mark.parametrize("what", ["x", "y", "weight"])
def test_a_change_before_the_backward_pass_is_an_error(what):
    cell, x = LSTM(3, 4), torch.randn(5, 3)
    y = cell.scan(Sequences(x, [5]))[0].values
    with torch.no_grad():
        {"x": x, "y": y, "weight": cell.weight_hh}[what].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in CELLS if kind != "lstm_projected"])  # h and c differ in size
def test_x_that_is_the_state_as_well(kind, create_graph):
    cell, x = make("forwards", kind, 4, 4), torch.randn(3, 4, requires_grad=True)

    def gradient():
        state = LSTMState(x, x) if kind.startswith("lstm") else x
        y, _ = cell.scan(Sequences(x, [1, 1, 1]), state)
        return torch.autograd.grad(y.values.square().sum(), x, create_graph=create_graph)[0]

    got = gradient()
    with native.disabled():
        torch.testing.assert_close(got, gradient(), rtol=1e-5, atol=1e-6)


def test_very_many_rows():
    cell, lengths = make("forwards", "gru_after", 3, 5), np.random.default_rng(0).integers(0, 3, 50_000)
    x = torch.randn(int(lengths.sum()), 3)
    with torch.no_grad():
        got = cell.scan(Sequences(x, lengths))[0].values
        with native.disabled():
            torch.testing.assert_close(got, cell.scan(Sequences(x, lengths))[0].values, rtol=0, atol=2e-6)


def test_the_backward_pass_frees_the_gates():
    net, lengths = make("wave", "lstm", 5, 64), [500, 500]
    x, state, dy, _ = draw(net, lengths)
    y, _ = net.scan(Sequences(x, lengths), state)
    y.values.backward(dy, retain_graph=True)
    before = native.module.pooled_bytes()
    y.values.backward(dy)
    gates = 4 * 1000 * 5 * (64 + 66 + 64)
    assert native.module.pooled_bytes() >= before + gates


def test_backward_in_evaluation_mode():
    net, lengths = make("wave", "lstm", 5, 19), [3, 0, 9]
    case = draw(net, lengths)
    assert_same(run(net.eval(), lengths, *case), run(net.train(), lengths, *case))


@pytest.mark.parametrize("arrangement", NETS)
@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru_after", "gru_before"])
def test_only_wanted_gradients_are_computed(kind, arrangement):
    net, lengths = make(arrangement, kind, 5, 19), [3, 0, 9]
    x, state, dy, dstate = draw(net, lengths)
    everything = run(net, lengths, x, state, dy, dstate)
    names = [name for name in everything if name.startswith("d")]
    inputs = [x, *states.leaves(state), *net.parameters()]
    for chosen in itertools.chain(([i] for i in range(len(names))), [[0, len(names) - 1]]):
        for i, leaf in enumerate(inputs):
            leaf.requires_grad_(i in chosen)
        y, final = net.scan(Sequences(x, lengths), state)
        outputs = [(a, b) for a, b in zip([y.values, *states.leaves(final)], [dy, *states.leaves(dstate)], strict=True)
                   if a.requires_grad]  # fmt: skip
        arrays, gradients = zip(*outputs, strict=True)
        found = torch.autograd.grad(arrays, [inputs[i] for i in chosen], gradients)
        assert_same({names[i]: gradient for i, gradient in zip(chosen, found, strict=True)}, everything)


@pytest.mark.parametrize("arrangement", NETS)
@pytest.mark.parametrize("kind", CELLS)
def test_an_unused_output_has_no_gradient(kind, arrangement):
    net, lengths = make(arrangement, kind, 5, 19), [3, 0, 9]
    x, state, dy, dstate = draw(net, lengths)
    zeros = states.map(torch.zeros_like, dstate)
    expected = run(net, lengths, x, state, dy, zeros)
    x.requires_grad_()
    y, _ = net.scan(Sequences(x, lengths), state)
    gradients = torch.autograd.grad(y.values, [x, *net.parameters()], dy)
    names = ["dx", *(f"d{name}" for name, _ in net.named_parameters())]
    assert_same(dict(zip(names, gradients, strict=True)), expected)


@pytest.mark.parametrize(("kind", "arrangement", "given_state"), [*pairs([False, True])])
def test_the_gradient_of_a_gradient(kind, arrangement, given_state):
    net, lengths = make(arrangement, kind, 3, 5), [3, 0, 4]
    x, state, dy, _ = draw(net, lengths)

    def penalty():
        leaves = states.map(lambda leaf: leaf.clone().requires_grad_(), (x, state))
        inputs = [leaves[0], *(states.leaves(leaves[1]) if given_state else []), *net.parameters()]
        y, final = net.scan(Sequences(leaves[0], lengths), leaves[1] if given_state else None)
        loss = (y.values * dy).square().sum() + sum(leaf.sum() for leaf in states.leaves(final))
        first = torch.autograd.grad(loss, inputs, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs, allow_unused=True)
        return [*first, *second]

    got = penalty()
    with native.disabled():
        expected = penalty()
    for a, b in zip(got, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * max(1.0, float(b.detach().abs().max())))


@pytest.mark.parametrize("twice", [Stack, Bidirectional])
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_weights_that_are_used_twice(kind, create_graph, twice):
    torch.manual_seed(0)
    cell = CELLS[kind](6, 6)
    net, x = twice(cell, cell), torch.randn(5, 6)

    def gradients():
        leaf = x.clone().requires_grad_()
        y, _ = net.scan(Sequences(leaf, [3, 2]))
        return torch.autograd.grad(y.values.sum(), [leaf, *net.parameters()], create_graph=create_graph)

    got = gradients()
    with native.disabled():
        expected = gradients()
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def lent():
    """Return every kind in three arrangements, of which one is fast; all are tested above with parameters."""
    for (row, kind), (place, net) in itertools.product(enumerate(CELLS), enumerate(["forwards", "both ways", "wave"])):
        yield pytest.param(kind, net, marks=() if (row + place) % 3 == 0 else pytest.mark.slow)


@pytest.mark.parametrize(("kind", "arrangement"), [*lent()])
def test_the_gradient_of_a_gradient_of_weights_of_functional_call(kind, arrangement):
    """In meta-learning, each step of gradient descent makes weights that are not parameters of a module."""
    net, x = make(arrangement, kind, 3, 5), torch.randn(7, 3)

    def learned():
        weights = dict(net.named_parameters())
        for _ in range(2):
            y, _ = functional_call(net, weights, (Sequences(x, [3, 0, 4]),))
            gradients = torch.autograd.grad(y.values.square().sum(), [*weights.values()], create_graph=True)
            weights = {name: w - 0.01 * g for (name, w), g in zip(weights.items(), gradients, strict=True)}
        y, _ = functional_call(net, weights, (Sequences(x, [3, 0, 4]),))
        return torch.autograd.grad(y.values.square().sum(), [*net.parameters()])

    got = learned()
    with native.disabled():
        expected = learned()
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5 * max(1.0, float(b.abs().max())))


def test_weights_that_are_computed_from_others():
    cell, x = LSTM(3, 4), Sequences(torch.randn(5, 3), [3, 2])
    torch.nn.utils.parametrizations.weight_norm(cell, "weight_hh")

    def gradients(create_graph=False):
        y, _ = cell.scan(x)
        return torch.autograd.grad(y.values.sum(), [*cell.parameters()], create_graph=create_graph)

    got = gradients()
    with native.disabled():
        expected = gradients()
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    with pytest.raises(RuntimeError, match="parametrized weights needs the reference"):
        gradients(create_graph=True)


# --- Array arguments


@pytest.mark.parametrize("arrangement", NETS)
def test_arrays_that_are_not_contiguous(arrangement):
    net, lengths = make(arrangement, "lstm", 5, 19), [4, 0, 3]
    case = draw(net, lengths)
    strided = states.map(lambda leaf: leaf.t().contiguous().t(), case)
    assert_same(run(net, lengths, *strided), run(net, lengths, *case))


@pytest.mark.parametrize("name", ["weight_ih", "weight_hh", "bias"])
def test_weights_that_are_not_contiguous(name):
    cell, lengths = make("forwards", "lstm", 5, 19), [4, 0, 3]
    case = draw(cell, lengths)
    expected = run(cell, lengths, *case)
    weight = getattr(cell, name)
    setattr(cell, name, torch.nn.Parameter(torch.stack([weight.detach()] * 2, -1)[..., 0]))
    assert not getattr(cell, name).is_contiguous()
    for key, value in run(cell, lengths, *case).items():
        torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-5)


def test_a_state_may_be_a_plain_tuple():
    cell = LSTM(3, 4)
    x, (h, c) = Sequences(torch.randn(5, 3), [5]), torch.randn(2, 1, 4)
    for now in (cell, copy.deepcopy(cell).double()):
        batch, given = Sequences(x.values.to(now.bias.dtype), [5]), (h.to(now.bias.dtype), c.to(now.bias.dtype))
        y, final = now.scan(batch, given)
        assert isinstance(final, LSTMState)
        assert torch.equal(y.values, now.scan(batch, LSTMState(*given))[0].values)


@pytest.mark.parametrize("name", ["weight_ih", "weight_hh", "bias", "bias_hn"])
@pytest.mark.parametrize("place", [0, 1])
def test_weights_of_another_size_do_not_reach_the_kernel(name, place):
    net = Stack(GRU(6, 5), GRU(5, 4))
    weight = getattr(net.cells[place], name)
    setattr(net.cells[place], name, torch.nn.Parameter(torch.zeros(2, *weight.shape[1:])))
    with pytest.raises(RuntimeError):
        net.scan(Sequences(torch.zeros(2, 6), [2]))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_cell_without_units():
    y, state = LSTM(3, 0).scan(Sequences(torch.zeros(2, 3), [2]))
    assert y.values.shape == (2, 0)
    assert state.h.shape == state.c.shape == (1, 0)


def a_state(*shape, dtype=torch.float32):
    return LSTMState(torch.zeros(1, 4), torch.zeros(shape, dtype=dtype))


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (torch.zeros(1, 4), ValueError, "a state of 2 tensors, got 1."),
        ((torch.zeros(1, 4),) * 3, ValueError, "a state of 2 tensors, got 3."),
        (a_state(1, 5), ValueError, "state of shape [B=1, H=4], got [1, 5]."),
        (a_state(2, 4), ValueError, "state of shape [B=1, H=4], got [2, 4]."),
        (a_state(4), ValueError, "state of shape [B=1, H=4], got [4]."),
        (
            a_state(1, 4, dtype=torch.float64),
            TypeError,
            "a state of torch.float32, as the weights are, got torch.float64.",
        ),
        (LSTMState(*np.zeros((2, 1, 4))), TypeError, "a state of torch.float32, as the weights are, got ndarray."),
    ],
)
@pytest.mark.parametrize("arrangement", ["forwards", "reversed"])
def test_a_wrong_state_is_one_clear_line(arrangement, state, error, message):
    with pytest.raises(error) as caught:
        make(arrangement, "lstm", 3, 4).scan(Sequences(torch.zeros(2, 3), [2]), state)
    assert str(caught.value) == f"scan: expected {message}"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_go_to_the_reference(dtype):
    net = make("wave", "gru_after", 3, 4).to(dtype)
    x = Sequences(torch.randn(5, 3, dtype=dtype), [3, 2])
    y, _ = net.scan(x)
    with native.disabled():
        assert torch.equal(net.scan(x)[0].values, y.values)
    assert y.values.dtype == dtype


def test_the_defaults_of_pytorch_change_nothing():
    net, lengths = make("wave", "lstm", 5, 19), [4, 0, 3]
    case = draw(net, lengths)
    expected = run(net, lengths, *case)
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float16)
        torch.set_default_device("meta")
        got = run(net, lengths, *case)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(before)
    assert_same(got, expected)


# --- Packed weights


def changes():
    """Return ways to change weights, some of which PyTorch's version counters miss."""

    def by_data(weights):
        for weight in weights:
            weight.data.mul_(0.5)

    def by_sign(weights):
        for weight in weights:
            weight.data.neg_()

    def by_one_number(weights):
        for weight in weights:
            weight.data.view(-1)[-1] += 1e-3

    def by_swap(weights):
        for weight in weights:
            weight.data = weight.data.flip(0).contiguous()

    def by_fused_optimizer(weights):
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        torch.optim.Adam(weights, lr=0.01, fused=True).step()

    return {change.__name__.removeprefix("by_"): change for change in
            (by_data, by_sign, by_one_number, by_swap, by_fused_optimizer)}  # fmt: skip


def changes_of_kinds():
    """Return every change of every kind; fast for the smallest change and for the most used cell."""
    for kind, change in itertools.product(CELLS, changes()):
        fast = change == "one_number" or kind in ("lstm", "gru_after")
        yield pytest.param(kind, change, marks=() if fast else pytest.mark.slow)


@pytest.mark.parametrize(("kind", "change"), [*changes_of_kinds()])
def test_changed_weights_are_packed_again(kind, change):
    net, lengths = make("wave", kind, 8, 16), [4, 0, 3]
    case = draw(net, lengths)
    for name, weight in net.named_parameters():
        run(net, lengths, *case)  # packs them
        changes()[change]([weight])
        fresh = copy.deepcopy(net)
        assert_same(run(net, lengths, *case), run(fresh, lengths, *case)), name


def test_a_copy_has_packs_of_its_own():
    net, lengths = make("wave", "lstm", 5, 19), [4, 0, 3]
    case = draw(net, lengths)
    expected = run(net, lengths, *case)
    other = copy.deepcopy(net)
    assert_same(run(other, lengths, *case), expected)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    assert not torch.equal(run(other, lengths, *case)["y"], expected["y"])
    assert_same(run(net, lengths, *case), expected)


def test_layers_that_share_one_weight_do_not_share_its_pack():
    torch.manual_seed(0)
    cells = [LSTM(16, 16) for _ in range(3)]
    for cell in cells:
        cell.weight_hh = cells[0].weight_hh
    net, x = Stack(*cells), torch.randn(2000, 16)
    got = net.scan(Sequences(x, [2000]))[0].values
    with native.disabled():
        torch.testing.assert_close(got, net.scan(Sequences(x, [2000]))[0].values, rtol=0, atol=1e-5)


def test_packs_are_freed_with_their_weights():
    cell = LSTM(3, 4)
    cell.scan(Sequences(torch.zeros(2, 3), [2]))
    count = len(marshal._packs)
    del cell
    assert len(marshal._packs) == count - 1
