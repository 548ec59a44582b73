"""Traces of `torch.nn` layers against a float64 loop over its cells that keeps a gradient for every state."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence

from elman import state as states
from elman.doctor.capture import capture
from elman.doctor.gradient_by_lag import gradients_by_lag

KINDS = {"rnn": (nn.RNN, nn.RNNCell), "lstm": (nn.LSTM, nn.LSTMCell), "gru": (nn.GRU, nn.GRUCell)}
H = 4


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class Way(NamedTuple):
    """One layer in one direction, on one row; the input of each step is a separate tensor."""

    reads: list[Tensor]
    states: list[list[Tensor]]
    writes: list[Tensor]
    final: list[Tensor]


def unrolled(layer, row, start):
    """Return the outputs [T, ...] of one row [T, D] from given states [layers and directions, H], and every `Way`."""
    cell = next(cell for kind, cell in KINDS.values() if isinstance(layer, kind))
    below, ways = list(row), []
    for number in range(layer.num_layers):
        written = []
        for way in ("", "_reverse") if layer.bidirectional else ("",):
            options = {"nonlinearity": layer.nonlinearity} if cell is nn.RNNCell else {}
            one = cell(len(below[0]), layer.hidden_size, bias=layer.bias, **options).double()
            one.load_state_dict({name: getattr(layer, f"{name}_l{number}{way}") for name, _ in one.named_parameters()})
            reads = below[::-1] if way else below
            state, captured = [leaf[len(ways)] for leaf in start], []
            for x in reads:
                new = one(x, tuple(state) if len(state) == 2 else state[0])
                state = list(new) if len(state) == 2 else [new]
                captured.append(state)
            ways.append(Way(reads, captured, [state[0] * 1 for state in captured], [leaf * 1 for leaf in state]))
            written.append(ways[-1].writes[::-1] if way else ways[-1].writes)
        below = [torch.cat(parts) for parts in zip(*written, strict=True)]
    return torch.stack(below), ways


def loss_of(outputs, finals):
    """Return a weighted sum of every output and every final state."""
    leaves = [*outputs, *finals]
    return sum(
        (leaf.tanh() * torch.linspace(-1, 1, leaf.numel()).double().reshape(leaf.shape)).sum() for leaf in leaves
    )


LENGTHS = {"batch": (5, 5, 5), "batch first": (5, 5, 5), "packed": (3, 6, 1), "sorted": (4, 2), "unbatched": (5,)}


@pytest.mark.parametrize("form", LENGTHS)
@pytest.mark.parametrize("both_ways", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_states_and_gradients_are_those_of_float64_autograd(kind, layers, both_ways, form):
    given, bias = form != "packed", form != "sorted"
    layer = KINDS[kind][0](3, H, layers, bias=bias, batch_first=form == "batch first", bidirectional=both_ways).double()
    lengths = LENGTHS[form]
    rows = [torch.randn(length, 3).double() for length in lengths]
    shape = (layers * (2 if both_ways else 1), len(lengths), H)
    start = [torch.randn(shape).double() if given else torch.zeros(shape).double() for _ in range(1 + (kind == "lstm"))]

    def call():
        hx = [leaf[:, 0] for leaf in start] if form == "unbatched" else start
        options = {"hx": tuple(hx) if kind == "lstm" else hx[0]} if given else {}
        if form in ("packed", "sorted"):
            x = pack_sequence(rows, enforce_sorted=form == "sorted")
        else:
            x = rows[0] if form == "unbatched" else torch.stack(rows, 0 if form == "batch first" else 1)
        y, final = layer(x, **options)
        if isinstance(y, PackedSequence):
            y = pad_packed_sequence(y, batch_first=True)[0]
        elif form != "unbatched":
            y = y if form == "batch first" else y.transpose(0, 1)
        outputs = [y] if form == "unbatched" else [row[:length] for row, length in zip(y, lengths, strict=True)]
        finals = [leaf.reshape(shape) for leaf in (final if kind == "lstm" else (final,))]
        return loss_of(outputs, finals)

    captured = capture(layer, call)
    reference = [unrolled(layer, row, [leaf[:, number] for leaf in start]) for number, row in enumerate(rows)]
    ways = list(zip(*(ways for _, ways in reference), strict=True))  # by layer and direction, then by row
    finals = [torch.stack([torch.stack([row.final[leaf] for row in of_rows]) for of_rows in ways])
              for leaf in range(len(start))]  # fmt: skip
    loss = loss_of([y for y, _ in reference], finals)
    assert captured.loss == pytest.approx(loss.item(), rel=1e-12)
    assert not captured.skipped
    assert [trace.name for trace in captured.traces] == [
        f"l{number}{way}" for number in range(layers) for way in (("", "_reverse") if both_ways else ("",))
    ]

    for number, (trace, of_rows) in enumerate(zip(captured.traces, ways, strict=True)):
        assert trace.x.lengths.tolist() == list(lengths)
        writes = [write for row in of_rows for write in row.writes]
        ends = [leaf for row in of_rows for leaf in row.final]
        dy, dfinal = (torch.autograd.grad(loss, leaves, retain_graph=True) for leaves in (writes, ends))
        pairs = [(trace.x.values, torch.stack([x for row in of_rows for x in row.reads])),
                 (trace.gradient, torch.stack(dy))]  # fmt: skip
        for leaf, (first, after, final) in enumerate(
            zip(*map(states.leaves, (trace.initial, trace.after, trace.final_gradient)), strict=True)
        ):
            pairs.append((first, start[leaf][number]))
            pairs.append((after, torch.stack([state[leaf] for row in of_rows for state in row.states])))
            pairs.append((final, torch.stack(dfinal[leaf :: len(start)])))
        for ours, theirs in pairs:
            assert ours.dtype is torch.float64
            torch.testing.assert_close(ours, theirs.detach(), rtol=1e-9, atol=1e-12)


class Theirs(nn.Module):
    """Module with recurrent layers inside, called twice."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(7, 3)
        self.parts = nn.ModuleDict({"encoder": nn.LSTM(3, H, 2, dropout=0.5, batch_first=True)})
        self.reader = nn.GRU(H, H)
        self.out = nn.Linear(H, 2)

    def forward(self, ids):
        y, (h, _) = self.parts["encoder"](self.words(ids))
        y, _ = self.reader(y.transpose(0, 1), h[-1:])
        y, _ = self.reader(y)
        return self.out(y[-1])


def test_layers_inside_a_module():
    net, ids = Theirs(), torch.randint(7, (3, 6))
    captured = capture(net, lambda: net(ids).square().sum())
    assert [trace.name for trace in captured.traces] == ["parts.encoder.l0", "parts.encoder.l1", "reader.l0"]
    assert [trace.x.lengths.tolist() for trace in captured.traces] == [[6] * 3, [6] * 3, [6] * 6]
    assert not captured.skipped
    assert all(trace.gradient.abs().sum() > 0 for trace in captured.traces)
    reader = captured.traces[2]
    # The second call of the reader is read at its last step alone; all of the first, by the second.
    assert (reader.gradient.abs().sum(1) > 0).reshape(6, 6)[3:].nonzero().tolist() == [[0, 5], [1, 5], [2, 5]]
    assert reader.gradient[:18].abs().sum(1).all()
    torch.testing.assert_close(reader.initial[:3], captured.traces[1].after.h[5::6])


@pytest.mark.parametrize("training", [True, False])
def test_the_module_does_not_change(training):
    net, ids = Theirs().train(training), torch.randint(7, (3, 6))
    net.out.train(not training)
    net.words.weight.requires_grad_(False)
    net.out.weight.grad = torch.ones_like(net.out.weight)
    weights = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    flags = [module.training for module in net.modules()]
    generator = torch.get_rng_state()
    capture(net, lambda: net(ids).square().sum())
    assert torch.equal(generator, torch.get_rng_state())
    assert flags == [module.training for module in net.modules()]
    for name, weight in net.named_parameters():
        assert torch.equal(weights[name], weight)
        assert weight.requires_grad == (name != "words.weight")
        assert weight.grad is None or (name == "out.weight" and weight.grad.eq(1).all())
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_with_kwargs")
    assert not any(getattr(module, kind) for module in net.modules() for kind in hooks)


def test_the_module_is_in_evaluation_mode_meanwhile():
    net, ids = Theirs(), torch.randint(7, (3, 6))
    first, second = (capture(net, lambda: net(ids).square().sum()) for _ in range(2))
    assert first.loss == second.loss == pytest.approx(net.eval()(ids).square().sum().item(), rel=1e-6)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_projection_is_skipped_and_the_rest_is_examined():
    net = nn.ModuleDict({"small": nn.LSTM(3, H, proj_size=2), "plain": nn.GRU(2, H)})
    x = torch.randn(5, 2, 3)
    captured = capture(net, lambda: net["plain"](net["small"](x)[0])[0].sum())
    assert [trace.name for trace in captured.traces] == ["plain.l0"]
    assert list(captured.skipped) == ["small"]
    assert "proj_size" in captured.skipped["small"]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_layer_that_is_the_whole_model_has_a_name():
    layer = nn.LSTM(3, H, proj_size=2)
    captured = capture(layer, lambda: layer(torch.randn(5, 2, 3))[0].sum())
    assert captured.traces == []
    assert list(captured.skipped) == ["LSTM"]


def test_an_unused_layer_is_skipped():
    net = nn.ModuleDict({"used": nn.RNN(3, H), "idle": nn.RNN(3, H)})
    x = torch.randn(5, 2, 3)
    captured = capture(net, lambda: net["used"](x)[0].sum())
    assert [trace.name for trace in captured.traces] == ["used.l0"]
    assert list(captured.skipped) == ["idle"]


def test_a_frozen_layer_is_examined_and_has_no_gradient():
    net = nn.ModuleDict({"frozen": nn.GRU(3, H), "head": nn.GRU(H, H)})
    x = torch.randn(5, 2, 3)

    def loss():
        with torch.no_grad():
            y, _ = net["frozen"](x)
        return net["head"](y)[0].square().sum()

    frozen, head = capture(net, loss).traces
    assert not frozen.gradient.any()
    assert head.gradient.any()
    assert len(gradients_by_lag(frozen).steps) == 0


def test_frozen_weights_are_supported():
    layer, x = nn.LSTM(3, H).requires_grad_(False), torch.randn(5, 2, 3)
    (trace,) = capture(layer, lambda: layer(x)[0][-1].sum()).traces
    assert trace.gradient.reshape(2, 5, H)[:, -1].eq(1).all()
    assert gradients_by_lag(trace).norms.shape == (2, 5)


class Outputs(nn.LSTM):
    """Layer with a different output than its parent class."""

    def forward(self, x):
        return super().forward(x)[0]


def test_a_subclass_with_its_own_forward_is_skipped():
    net = nn.ModuleDict({"odd": Outputs(3, H), "plain": nn.GRU(H, H)})
    x = torch.randn(5, 2, 3)
    captured = capture(net, lambda: net["plain"](net["odd"](x))[0].sum())
    assert [trace.name for trace in captured.traces] == ["plain.l0"]
    assert list(captured.skipped) == ["odd"]


def test_relu():
    layer, x = nn.RNN(3, H, nonlinearity="relu"), torch.randn(5, 2, 3)
    (trace,) = capture(layer, lambda: layer(x)[0].sum()).traces
    torch.testing.assert_close(trace.after.float(), layer(x)[0].transpose(0, 1).reshape(10, H))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_layer_of_elman_nn_equals_one_of_torch(kind):
    import elman.nn

    theirs, x = getattr(nn, kind)(3, H, num_layers=2), torch.randn(7, 2, 3)
    ours = getattr(elman.nn, kind)(3, H, num_layers=2)
    ours.load_state_dict(theirs.state_dict())
    found = [capture(net, lambda net=net: net(x)[0].square().sum()).traces for net in (ours, theirs)]
    assert [trace.name for trace in found[0]] == ["l0", "l1"]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one.gradient, other.gradient)
        for a, b in zip(states.leaves(one.after), states.leaves(other.after), strict=True):
            torch.testing.assert_close(a, b)
