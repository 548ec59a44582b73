import numpy as np
import pytest
import torch
from torch import nn

from elman.cells import GRU, LSTM, RNN, MinGRU, WindowNet
from elman.doctor import context as module
from elman.doctor.context import Context, loss_by_context
from elman.layers import Bidirectional, Linear, Stack
from elman.sequences import Sequences
from elman.testing.snapshot import changed, generators, snapshot


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def line(places):
    """Return a net whose unit k is the input k steps back."""
    cell = RNN(1, places, activation="identity")
    with torch.no_grad():
        for weight in cell.parameters():
            weight.zero_()
        cell.weight_ih[0] = 1
        cell.weight_hh.diagonal(-1).fill_(1)
    return cell


def before(x, back):
    """Return the input `k` steps back, zero before the first step."""
    return torch.cat([torch.cat([torch.zeros(back, 1), row])[: len(row)] for row in x.to_list()])[:, 0]


@pytest.mark.parametrize("back", [0, 1, 3, 4, 7, 12, 22])
def test_an_input_k_steps_back_needs_a_context_of_k_plus_one(back):
    cell, x = line(23), Sequences(torch.randn(90, 1), [40, 0, 27, 23])
    found = loss_by_context(cell, lambda: (cell(x)[0].values[:, back] - before(x, back)).square().mean())
    assert found.needed == back + 1
    assert found.too_short == back
    assert found.full < 1e-12
    assert found.lengths[-1] == 40
    assert list(found.lengths) == sorted({*found.lengths, 1, 2, 4, 8, 16, 32})
    missed = before(x, back).square().mean().item()
    np.testing.assert_allclose(found.losses[found.lengths <= back], missed, rtol=1e-5)
    np.testing.assert_allclose(found.losses[found.lengths > back], 0, atol=1e-12)


def test_a_window_net_needs_its_window():
    cell, x = WindowNet(2, 3, window=6), Sequences(torch.randn(60, 2), [25, 35])
    target = cell(x)[0].values.detach()
    found = loss_by_context(cell, lambda: (cell(x)[0].values - target).square().mean())
    assert (found.too_short, found.needed) == (5, 6)


class Reader(nn.Module):
    """Any cell or layer, with a loss that depends on all of its outputs and its final state."""

    def __init__(self, body, x, state=None):
        super().__init__()
        self.body, self.x, self.state = body, x, state
        y, final = body(x) if state is None else body(x, state)
        self.weights = [torch.randn_like(leaf) for leaf in tensors(y, final)]

    def loss(self):
        y, final = self.body(self.x) if self.state is None else self.body(self.x, self.state)
        return sum((leaf * weight).sum() for leaf, weight in zip(tensors(y, final), self.weights, strict=True))


def tensors(*values):
    """Return the leaves of the result of a cell or a layer of torch."""
    for value in values:
        if isinstance(value, Sequences):
            yield value.values
        elif isinstance(value, nn.utils.rnn.PackedSequence):
            yield value.data
        elif isinstance(value, tuple):
            yield from tensors(*value)
        else:
            yield value


def stepped(cell, x, context, state):
    """Scan with limited context, one step at a time: each output from the initial state `context` steps before."""
    y, final = torch.zeros(x.num_steps, cell.output_size), [None] * len(x)
    for row, (start, end) in enumerate(zip(x.offsets, x.offsets[1:], strict=False)):
        given = [leaf[row : row + 1] for leaf in tensors(state)]
        given = type(state)(*given) if isinstance(state, tuple) else given[0]
        final[row] = given
        for step in range(start, end):
            young = step - start < context
            now = given if young else cell.initial_state(1)
            for at in range(start if young else step - context + 1, step + 1):
                out, now = cell.step(x.values[at : at + 1], now)
            y[step], final[row] = out[0], now
    return y, final


@pytest.mark.parametrize("make", [LSTM, GRU, RNN, MinGRU])
def test_every_step_depends_on_its_context_only(make):
    x, cell = Sequences(torch.randn(29, 2), [12, 0, 1, 9, 7]), make(2, 4)
    state = cell.initial_state(5)
    given = [torch.randn_like(leaf) for leaf in tensors(state)]
    state = type(state)(*given) if isinstance(state, tuple) else given[0]
    reader = Reader(cell, x, state)
    found = loss_by_context(reader, reader.loss)
    for context, loss in zip(found.lengths, found.losses, strict=True):
        y, final = stepped(cell, x, context, state)
        finals = [torch.cat(leaves) for leaves in zip(*(tensors(one) for one in final), strict=True)]
        truth = sum((leaf * weight).sum() for leaf, weight in zip([y, *finals], reader.weights, strict=True)).item()
        assert loss == pytest.approx(truth, abs=1e-4)


def test_chunks_do_not_change_the_result(monkeypatch):
    x = Sequences(torch.randn(120, 2), [50, 30, 40])
    reader = Reader(Stack(LSTM(2, 4), GRU(4, 3)), x)
    found = loss_by_context(reader, reader.loss)
    monkeypatch.setattr(module, "CHUNK", 500)
    np.testing.assert_allclose(loss_by_context(reader, reader.loss).losses, found.losses, rtol=1e-5)


def test_the_context_limits_each_cell_of_a_stack():
    x = Sequences(torch.randn(31, 2), [14, 6, 11])
    first, second, third = LSTM(2, 4), LSTM(2, 4), GRU(8, 3)
    whole = Reader(Stack(Bidirectional(first, second), third, RNN(3, 3)), x)
    found = loss_by_context(whole, whole.loss)
    for context, loss in zip(found.lengths, found.losses, strict=True):
        forward, left = module.limited_scan(first, x, None, context)
        backward, right = module.limited_scan(second, x.reverse(), None, context)
        below = Sequences(torch.cat([forward.values, backward.reverse().values], 1), x.lengths)
        states = [(left, right)]
        for cell in (third, whole.body.cells[2]):
            below, after = module.limited_scan(cell, below, None, context)
            states.append(after)
        truth = sum((leaf * weight).sum() for leaf, weight in
                    zip(tensors(below, tuple(states)), whole.weights, strict=True)).item()  # fmt: skip
        assert loss == pytest.approx(truth, abs=1e-5)
    assert len(set(np.round(found.losses, 4))) > 3


def given_to_torch(x, how):
    """Return rows of one length as input of a layer of torch."""
    if how == "packed":
        return nn.utils.rnn.pack_sequence(x.to_list(), enforce_sorted=False)
    if how == "one row":
        return x.values[: x.lengths[0]]
    return x.to_padded(batch_first=how == "batch first")


@pytest.mark.parametrize("how", ["packed", "one row", "batch first", "time first"])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_layers_of_torch_equal_their_windows(kind, how):
    x = Sequences(torch.randn(30, 2), [9, 13, 8] if how == "packed" else [10, 10, 10])
    layer = kind(2, 4, batch_first=how == "batch first")
    reader = Reader(layer, given_to_torch(x, how))
    found = loss_by_context(reader, reader.loss)
    rows = x.to_list()[:1] if how == "one row" else x.to_list()
    for context, loss in zip(found.lengths, found.losses, strict=True):
        written = [torch.cat([layer(row[max(0, t + 1 - context) : t + 1])[0][-1:] for t in range(len(row))])
                   for row in rows]  # fmt: skip
        finals = zip(*(tensors(layer(row[-context:])[1]) for row in rows), strict=True)
        finals = [leaves[0] if how == "one row" else torch.stack(leaves, 1) for leaves in finals]
        y = given_to_torch(Sequences(torch.cat(written), [len(row) for row in rows]), how)
        truth = sum((a * b).sum() for a, b in zip(tensors(y, *finals), reader.weights, strict=True)).item()
        assert loss == pytest.approx(truth, abs=1e-5)


@pytest.mark.parametrize("packed", [True, False])
def test_stacked_layers_of_torch_equal_a_stack_of_cells(packed):
    x = Sequences(torch.randn(30, 2), [9, 13, 8] if packed else [10, 10, 10])
    theirs = nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    cells = [LSTM(size, 3) for size in (2, 2, 6, 6)]
    for cell, suffix in zip(cells, ("l0", "l0_reverse", "l1", "l1_reverse"), strict=True):
        with torch.no_grad():
            for name in ("weight_ih", "weight_hh"):
                getattr(cell, name).copy_(getattr(theirs, f"{name}_{suffix}"))
            cell.bias.copy_(getattr(theirs, f"bias_ih_{suffix}") + getattr(theirs, f"bias_hh_{suffix}"))
    ours = Stack(Bidirectional(cells[0], cells[1]), Bidirectional(cells[2], cells[3]))
    h, c = torch.randn(2, 4, 3, 3)
    state = tuple((type(cells[0].initial_state(0))(h[i], c[i]), type(cells[0].initial_state(0))(h[i + 1], c[i + 1]))
                  for i in (0, 2))  # fmt: skip
    given = given_to_torch(x, "packed" if packed else "time first")
    back = Sequences.from_packed if packed else lambda y: Sequences.from_padded(y, x.lengths, batch_first=False)
    weight = torch.randn(30, 6)
    mine = loss_by_context(ours, lambda: (ours(x, state)[0].values * weight).sum())
    found = loss_by_context(theirs, lambda: (back(theirs(given, (h, c))[0]).values * weight).sum())
    np.testing.assert_array_equal(found.lengths, mine.lengths)
    np.testing.assert_allclose(found.losses, mine.losses, atol=1e-5)
    assert found.full == pytest.approx((back(theirs(given, (h, c))[0]).values * weight).sum().item(), abs=1e-5)


@pytest.mark.parametrize("body", [Stack(LSTM(2, 4), LSTM(4, 4)), nn.LSTM(2, 4, num_layers=2, dropout=0.5)])
def test_the_loss_with_the_longest_row_as_context_is_the_full_loss(body):
    x = Sequences(torch.randn(40, 2), [17, 13, 10])
    reader = Reader(body.eval(), x if isinstance(body, Stack) else x.to_packed())
    found = loss_by_context(reader, reader.loss)
    assert found.lengths[-1] == 17
    assert found.losses[-1] == pytest.approx(found.full, rel=1e-5)
    assert found.full == pytest.approx(reader.loss().item(), rel=1e-5)


def test_the_model_does_not_change():
    x = Sequences(torch.randn(40, 2), [17, 13, 10])
    net = nn.ModuleList([Stack(LSTM(2, 4), Linear(4, 4)), nn.GRU(4, 3, dropout=0.3, num_layers=2), nn.Dropout(0.5)])
    net[2].eval()
    modes = [module.training for module in net.modules()]
    kept, hooks = snapshot(net), [len(module._forward_hooks) for module in net.modules()]
    drawn = generators()
    loss_by_context(net, lambda: net[2](net[1](net[0](x)[0].to_packed())[0].data).mean() + torch.randn(3).mean())
    assert changed(kept, snapshot(net)) == []
    assert [len(module._forward_hooks) for module in net.modules()] == hooks
    assert [module.training for module in net.modules()] == modes
    assert generators() == drawn
    assert all(weight.grad is None for weight in net.parameters())


def test_a_loss_that_fails_leaves_the_model_as_it_was():
    net, x = LSTM(2, 3), Sequences(torch.randn(9, 2), [9])

    def loss():
        net(x)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        loss_by_context(net, loss)
    assert "scan" not in net.__dict__
    assert "recurrence" not in net.__dict__


@pytest.mark.parametrize("context", [1, 2, 15, 16, 31, 32, 37, 64, 100, 399])
def test_every_step_reads_the_context_or_a_sixteenth_more(context):
    cell = RNN(1, 1, activation="identity")
    with torch.no_grad():
        for weight in cell.parameters():
            weight.fill_(1)
        cell.bias.zero_()  # it counts its inputs
    x = Sequences(torch.ones(1050, 1), [400, 0, 90, 60, 1, 99, 400])
    with torch.no_grad():
        y, final = module.limited_scan(cell, x, None, context)
    counts, ends = y.values[:, 0].numpy(), x.offsets[1:][x.lengths > 0] - 1
    least = np.minimum(x.times + 1, context)
    assert (counts >= least).all()
    assert (counts <= np.minimum(x.times + 1, context * 17 // 16 if context > 15 else context)).all()
    assert (counts == least).all() == (context < 32 or context == 399)
    assert final[x.lengths > 0, 0].tolist() == counts[ends].tolist()


@pytest.mark.parametrize("context", [1, 16, 37, 64, 200, 399, 400])
def test_the_cost_in_steps(context, monkeypatch):
    cell, taken = LSTM(1, 2), []
    x = Sequences(torch.ones(1051, 1), [400, 0, 90, 60, 1, 100, 400])
    scan = cell.scan
    monkeypatch.setattr(cell, "scan", lambda x, state: (taken.append(x.num_steps), scan(x, state))[1])
    module.limited_scan(cell, x, None, context)
    assert module.limited_steps(x.lengths, context) == sum(taken) <= 17 * 1051


def test_a_long_context_is_found_to_a_sixteenth():
    cell, x = line(90), Sequences(torch.randn(400, 1), [220, 180])
    found = loss_by_context(cell, lambda: (cell(x)[0].values[:, 70] - before(x, 70)).square().mean())
    assert 71 - 4 <= found.too_short < 71 <= found.needed <= 71 + 4
    assert len(found.lengths) <= 13


def test_contexts_beyond_the_budget_are_skipped():
    cell, x = line(33), Sequences(torch.randn(400, 1), [200, 200])
    loss = lambda: (cell(x)[0].values[:, 32] - before(x, 32)).square().mean()  # noqa: E731
    cost = [2 * (context + (200 - context) * context) for context in (1, 2, 4, 8)]
    found = loss_by_context(cell, loss, max_steps=sum(cost))
    assert found.lengths.tolist() == [1, 2, 4, 8, 200]
    assert (found.too_short, found.needed) == (8, 200)
    assert loss_by_context(cell, loss, max_steps=sum(cost) - 1).lengths.tolist() == [1, 2, 4, 200]
    assert loss_by_context(cell, loss, max_steps=sum(cost[:3]) - 1) is None


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_loss_without_scans_has_no_context():
    cell, x = LSTM(2, 3), torch.randn(4, 2)
    assert loss_by_context(cell, lambda: cell.step(x, cell.initial_state(4))[0].sum()) is None
    assert loss_by_context(nn.Linear(2, 2), lambda: torch.zeros(())) is None
    net = nn.LSTM(2, 3, proj_size=2)
    assert loss_by_context(net, lambda: net(x)[0].sum()) is None


def test_rows_of_one_step_need_a_context_of_one():
    cell, x = LSTM(2, 3), Sequences(torch.randn(3, 2), [1, 0, 1, 1])
    found = loss_by_context(cell, lambda: cell(x)[0].values.sum())
    assert (found.lengths.tolist(), found.needed, found.too_short) == ([1], 1, 0)


@pytest.mark.parametrize(
    ("losses", "needed", "too_short"),
    [
        ([1.0, 0.8, 0.5, 0.5], 4, 2),
        ([1.0, 0.506, 0.51, 0.5], 8, 4),  # 1 % of what the context is worth is 0.005
        ([1.0, 0.505, 0.504, 0.5], 2, 1),
        ([0.4, 0.5, 0.45, 0.5], 1, 0),  # context is of no use yet
        ([0.5, 0.5 + 2e-7, 0.5, 0.5], 1, 0),  # rounding
        ([np.nan, 1.0, np.inf, 0.5], 8, 4),
    ],
)
def test_all_contexts_from_needed_on_are_long_enough(losses, needed, too_short):
    found = Context(np.array([1, 2, 4, 8]), np.array(losses), losses[-1])
    assert (found.needed, found.too_short) == (needed, too_short)
