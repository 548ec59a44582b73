import re

import numpy as np
import pytest
import torch

from elman.cells import LSTM, LSTMState
from elman.kernels import native
from elman.sequences import Sequences


@pytest.mark.parametrize("init", ["orthogonal", "pytorch"])
def test_equals_torch(init, check_against_torch):
    torch.manual_seed(0)
    ours, theirs = LSTM(3, 4, init=init).double(), torch.nn.LSTM(3, 4).double()
    with torch.no_grad():
        ours.bias.add_(torch.randn(16) / 4)
        theirs.weight_ih_l0.copy_(ours.weight_ih)
        theirs.weight_hh_l0.copy_(ours.weight_hh)
        theirs.bias_hh_l0.copy_(torch.randn(16))
        theirs.bias_ih_l0.copy_(ours.bias - theirs.bias_hh_l0)  # torch has two biases that only ever act as their sum
    check_against_torch(ours, theirs, {
        "weight_ih": lambda g: g["weight_ih_l0"],
        "weight_hh": lambda g: g["weight_hh_l0"],
        "bias": lambda g: g["bias_ih_l0"],
    })  # fmt: skip


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def as_in_1997(cell, x, h, c):
    """Compute one row by the equations of Hochreiter and Schmidhuber (1997), without a forget gate."""
    names = ("weight_ih", "weight_hh", "bias")
    (wi, wg, wo), (ui, ug, uo), (bi, bg, bo) = (np.split(getattr(cell, name).detach().numpy(), 3) for name in names)
    outputs = []
    for now in x:
        i, candidate, o = (w @ now + u @ h + b for w, u, b in ((wi, ui, bi), (wg, ug, bg), (wo, uo, bo)))
        c = c + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs), h, c


@pytest.mark.parametrize("init", ["orthogonal", "pytorch"])
def test_without_forget_gate_it_equals_the_lstm_of_1997(init):
    torch.manual_seed(0)
    cell = LSTM(3, 4, forget_gate=False, init=init).double()
    batch = Sequences(torch.randn(9, 3, dtype=torch.float64), [5, 4])
    state = LSTMState(*torch.randn(2, 2, 4, dtype=torch.float64))
    y, final = cell.scan(batch, state)
    for row, (x, got) in enumerate(zip(batch.to_list(), y.to_list(), strict=True)):
        outputs, h, c = as_in_1997(cell, x.numpy(), state.h[row].numpy(), state.c[row].numpy())
        for a, b in ((got, outputs), (final.h[row], h), (final.c[row], c)):
            np.testing.assert_allclose(a.detach().numpy(), b, atol=1e-12)


def test_without_forget_gate_the_gradient_of_the_cell_state_neither_vanishes_nor_explodes():
    cell = LSTM(2, 3, forget_gate=False).double()
    with torch.no_grad():
        cell.weight_hh.zero_()  # the path along c alone
    h, c = torch.zeros(2, 1, 3, dtype=torch.float64)
    c = c.requires_grad_()
    _, final = cell.scan(Sequences(torch.randn(50, 2, dtype=torch.float64), [50]), LSTMState(h, c))
    assert torch.autograd.grad(final.c.sum(), c)[0].tolist() == [[1.0] * 3]


@pytest.mark.parametrize(("forget_gate", "gates"), [(True, 4), (False, 3)])
def test_parameters(forget_gate, gates):
    cell = LSTM(3, 5, forget_gate=forget_gate)
    shapes = {name: list(weight.shape) for name, weight in cell.named_parameters()}
    assert shapes == {"weight_ih": [5 * gates, 3], "weight_hh": [5 * gates, 5], "bias": [5 * gates]}


def test_the_forget_gate_is_initialised_open():
    assert LSTM(3, 2).bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]  # gates i, f, g, o
    assert LSTM(3, 2, forget_gate=False).bias.tolist() == [0] * 6
    assert LSTM(3, 2, init="pytorch").bias.abs().max() <= 2**-0.5


@pytest.mark.parametrize("init", ["orthogonal", "pytorch"])
def test_the_forget_bias_is_the_bias_of_the_forget_gate_alone(init):
    torch.manual_seed(0)
    usual = LSTM(3, 2, init=init)
    torch.manual_seed(0)
    raised = LSTM(3, 2, init=init, forget_bias=3.0)
    assert raised.bias[2:4].tolist() == [3, 3]
    for name, weight in usual.state_dict().items():
        other = raised.state_dict()[name]
        if name == "bias":
            weight, other = (torch.cat([gates[:2], gates[4:]]) for gates in (weight, other))
        assert torch.equal(weight, other), name


def test_a_forget_bias_without_a_forget_gate_raises():
    with pytest.raises(ValueError, match=r"forget_bias=3\.0 has no effect with forget_gate=False"):
        LSTM(3, 2, forget_gate=False, forget_bias=3.0)


def test_the_state_has_names():
    state = LSTM(3, 4).initial_state(2)
    assert isinstance(state, LSTMState)
    assert state.h.shape == state.c.shape == (2, 4)
    assert not state.h.any()
    assert not state.c.any()


def test_gate_activations_equal_torch():
    torch.manual_seed(0)
    theirs = torch.nn.LSTMCell(3, 4).double()
    ours = LSTM(3, 4).double()
    with torch.no_grad():
        ours.weight_ih.copy_(theirs.weight_ih)
        ours.weight_hh.copy_(theirs.weight_hh)
        ours.bias.copy_(theirs.bias_ih + theirs.bias_hh)
    x, (h, c) = torch.randn(6, 3).double(), 2 * torch.randn(2, 6, 4).double()
    gates = x @ theirs.weight_ih.T + theirs.bias_ih + h @ theirs.weight_hh.T + theirs.bias_hh
    i, f, g, o = gates.chunk(4, 1)
    found = ours.gate_activations(ours.project(x), LSTMState(h, c))
    assert list(found) == ["input", "forget", "output"]
    for name, gate in {"input": i, "forget": f, "output": o}.items():
        torch.testing.assert_close(found[name], gate.sigmoid())
    new_h, new_c = theirs(x, (h, c))
    cell_state = found["forget"] * c + found["input"] * g.tanh()
    torch.testing.assert_close(cell_state, new_c)
    torch.testing.assert_close(found["output"] * cell_state.tanh(), new_h)


def test_without_forget_gate_gate_activations_reproduce_the_step():
    torch.manual_seed(0)
    cell = LSTM(3, 4, forget_gate=False).double()
    x, (h, c) = torch.randn(1, 3).double(), torch.randn(2, 1, 4).double()
    found = cell.gate_activations(cell.project(x), LSTMState(h, c))
    assert list(found) == ["input", "output"]
    i, candidate, o = (x @ w.T + h @ u.T + b for w, u, b in zip(
        *(weight.chunk(3) for weight in (cell.weight_ih, cell.weight_hh, cell.bias)), strict=True))  # fmt: skip
    torch.testing.assert_close(found["input"], i.sigmoid())
    torch.testing.assert_close(found["output"], o.sigmoid())
    _, new_h, new_c = as_in_1997(cell, x.numpy(), h[0].numpy(), c[0].numpy())
    cell_state = c + found["input"] * candidate.tanh()
    np.testing.assert_allclose(cell_state[0].detach().numpy(), new_c, atol=1e-12)
    np.testing.assert_allclose((found["output"] * cell_state.tanh())[0].detach().numpy(), new_h, atol=1e-12)


# --- Options


def lstm_with_options(cell, x, h, c, normed=False):
    """Compute one row in NumPy: Gers's peepholes, Greff's coupled gates, Sak's bounds and projection, Ba's norms."""
    weights = {name: weight.detach().numpy() for name, weight in cell.named_parameters()}
    count, outputs = (4 if cell.forget_gate else 3), []
    seen = np.split(weights["peephole"], count - 1) if "peephole" in weights else [0.0] * (count - 1)
    for now in x:
        if normed:
            inner = (
                norm(weights["weight_ih"] @ now) * weights["gain_ih"]
                + norm(weights["weight_hh"] @ h) * weights["gain_hh"]
            )
        else:
            inner = weights["weight_ih"] @ now + weights["weight_hh"] @ h
        parts = np.split(inner + weights["bias"], count)
        write = sigmoid(parts[0] + seen[0] * c)
        keep = sigmoid(parts[1] + seen[1] * c) if cell.forget_gate else 1 - write if cell.coupled else 1.0
        c = keep * c + write * np.tanh(parts[-2])
        c = np.clip(c, -cell.cell_clip, cell.cell_clip) if cell.cell_clip else c
        memory = norm(c) * weights["gain_c"] + weights["bias_c"] if normed else c
        h = sigmoid(parts[-1] + seen[-1] * c) * np.tanh(memory)
        h = weights["weight_hr"] @ h if "weight_hr" in weights else h
        outputs.append(h)
    return np.array(outputs), h, c


def norm(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


OPTIONS = {
    "peephole": {"peephole": True},
    "coupled": {"forget_gate": False, "coupled": True, "peephole": True},
    "clipped": {"cell_clip": 0.2},
    "projected": {"projection_size": 3, "peephole": True},
    "normed": {"layer_norm": True},
    "normed, coupled": {"layer_norm": True, "forget_gate": False, "coupled": True, "peephole": True, "cell_clip": 0.5},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_equal_the_equations_of_their_papers(options):
    torch.manual_seed(0)
    cell = LSTM(3, 5, **options).double()
    with torch.no_grad():
        for weight in cell.parameters():
            weight.add_(torch.randn_like(weight) / 3)
    batch = Sequences(torch.randn(9, 3, dtype=torch.float64), [5, 4])
    state = LSTMState(*(torch.randn(leaf.shape, dtype=torch.float64) for leaf in cell.initial_state(2)))
    y, final = cell.scan(batch, state)
    for row, (x, got) in enumerate(zip(batch.to_list(), y.to_list(), strict=True)):
        outputs, h, c = lstm_with_options(cell, x.numpy(), state.h[row].numpy(), state.c[row].numpy(), cell.layer_norm)
        for a, b in ((got, outputs), (final.h[row], h), (final.c[row], c)):
            np.testing.assert_allclose(a.detach().numpy(), b, atol=1e-12)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_projection_equals_torch():
    torch.manual_seed(0)
    ours, theirs = LSTM(3, 6, projection_size=4), torch.nn.LSTM(3, 6, proj_size=4, batch_first=True)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "weight_hr"):
            getattr(theirs, f"{name}_l0").copy_(getattr(ours, name))
        theirs.bias_hh_l0.zero_()
        theirs.bias_ih_l0.copy_(ours.bias)
    x = torch.randn(2, 7, 3)
    y, (h, c) = ours.scan(Sequences(x.flatten(0, 1), [7, 7]))
    expected, (last, memory) = theirs(x)
    torch.testing.assert_close(y.values, expected.flatten(0, 1))
    torch.testing.assert_close(h, last[0])
    torch.testing.assert_close(c, memory[0])


DRAWN = {"recurrent_dropout": 0.3, "hidden_dropout": 0.25, "zoneout_h": 0.2, "zoneout_c": 0.4}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_masks_do_not_depend_on_batching_and_cuts(dtype):
    torch.manual_seed(0)
    cell, lengths = LSTM(3, 8, **DRAWN).to(dtype).train(), [5, 2, 7]
    cell.key = (4, 2)
    x = Sequences(torch.randn(14, 3, dtype=dtype), lengths)
    init = cell.initial_state(3)
    whole, final = cell.scan(x, init)
    with native.disabled():
        plain, _ = cell.scan(x, init)
    torch.testing.assert_close(whole.values, plain.values)
    first = Sequences(torch.cat([row[:2] for row in x.to_list()]), [2, 2, 2])
    rest = Sequences(torch.cat([row[2:] for row in x.to_list()]), [3, 0, 5])
    _, middle = cell.scan(first, init)
    _, last = cell.scan(rest, middle)
    for a, b in zip(last, final, strict=True):
        torch.testing.assert_close(a, b)
    other, _ = cell.scan(x, init._replace(row=init.row + 1))
    assert not torch.allclose(whole.values, other.values)


def test_zoneout_keeps_units_and_evaluation_mode_uses_the_mean():
    torch.manual_seed(0)
    cell = LSTM(3, 500, zoneout_h=0.2, zoneout_c=0.4)
    x = torch.randn(1, 3)
    state = cell.initial_state(1)._replace(h=torch.randn(1, 500), c=torch.randn(1, 500))
    _, after = cell.step(x, state)
    for name, share in (("h", 0.2), ("c", 0.4)):
        same = getattr(after, name) == getattr(state, name)
        assert same.float().mean().item() == pytest.approx(share, abs=0.06)
    cell.eval()
    _, mean = cell.step(x, state)
    plain = LSTM(3, 500)
    plain.load_state_dict(cell.state_dict())
    _, new = plain.step(x, LSTMState(state.h, state.c))
    torch.testing.assert_close(mean.h, 0.2 * state.h + 0.8 * new.h)
    torch.testing.assert_close(mean.c, 0.4 * state.c + 0.6 * new.c)


def test_recurrent_dropout_drops_candidates_alone():
    torch.manual_seed(0)
    cell = LSTM(3, 500, recurrent_dropout=0.3)
    with torch.no_grad():
        cell.weight_hh.zero_()
    state = cell.initial_state(1)
    _, after = cell.step(torch.randn(1, 3), state)
    dropped = after.c == 0
    assert dropped.float().mean().item() == pytest.approx(0.3, abs=0.06)
    plain = LSTM(3, 500)
    plain.load_state_dict(cell.state_dict())
    torch.manual_seed(0)
    cell.eval()
    x = torch.randn(1, 3)
    _, new = plain.step(x, LSTMState(state.h, state.c))
    _, mean = cell.step(x, state)
    torch.testing.assert_close(mean.c, new.c)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hidden_dropout_has_one_mask_for_all_steps_of_a_row(dtype):
    torch.manual_seed(0)
    units = 300
    cell = LSTM(units, units, hidden_dropout=0.25).to(dtype)
    with torch.no_grad():  # c = tanh(x + dropped h), h = tanh(c)
        for weight in (cell.weight_ih, cell.weight_hh):
            weight.zero_()[2 * units : 3 * units] = torch.eye(units)
        cell.bias.copy_(torch.tensor([40.0, -40.0, 0.0, 40.0]).repeat_interleave(units))
    x = Sequences(0.2 + 0.3 * torch.rand(9, units, dtype=dtype), [5, 4])
    y, _ = cell.scan(x)
    masks = []
    for row, h in zip(x.to_list(), y.to_list(), strict=True):
        dropped = h[1:].atanh().atanh() - row[1:]
        shares = (dropped / h[:-1]).detach()
        torch.testing.assert_close(shares, shares[:1].round(decimals=2).expand_as(shares), atol=0.01, rtol=0)
        masks.append(shares[0] > 0.5)
        torch.testing.assert_close(shares[0], masks[-1] * (1 / 0.75), check_dtype=False, atol=1e-4, rtol=0)
        assert masks[-1].float().mean().item() == pytest.approx(0.75, abs=0.08)
    assert (masks[0] != masks[1]).any()


def test_chrono_spreads_the_time_constants_up_to_its_value():
    torch.manual_seed(0)
    cell = LSTM(3, 400, chrono=100)
    input_bias, forget_bias = cell.bias.split(400)[:2]
    assert torch.equal(input_bias, -forget_bias)
    assert (forget_bias >= 0).all()
    assert forget_bias.exp().max().item() == pytest.approx(99, rel=0.1)
    assert forget_bias.exp().mean().item() == pytest.approx(50, rel=0.15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chrono": 9, "forget_gate": False}, "chrono=9 has no effect with forget_gate=False"),
        ({"chrono": 9, "forget_bias": 1.0}, "chrono=9 and forget_bias=1.0 both initialise the forget gate"),
        ({"chrono": 2}, "expected chrono of more than 2 steps, got 2"),
        ({"coupled": True}, "coupled=True replaces the forget gate; set forget_gate=False"),
        ({"cell_clip": 0.0}, "expected cell_clip above 0, got 0.0"),
        ({"zoneout_c": 1.0}, "expected zoneout_c from 0 to below 1, got 1.0"),
        ({"projection_size": 5}, "expected projection_size from 1 to below hidden_size=5, got 5"),
        ({"projection_size": 2, "layer_norm": True}, "layer_norm=True is not supported with projection_size=2"),
    ],
)
def test_options_without_effect_or_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        LSTM(3, 5, **options)
