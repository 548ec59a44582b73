"""The contract tests of every cell in every variant; settings without effect raise."""

import inspect
import itertools

import numpy as np
import pytest
import torch

import elman
from elman.cells import CELLS, LSTM, CellModule
from elman.kernels import native
from elman.sequences import Sequences
from elman.testing import check_cell

LSTM_PLAIN = {
    "forget_gate": True, "init": "orthogonal", "forget_bias": None, "chrono": None, "projection_size": None,
    "layer_norm": False, "peephole": False, "coupled": False, "cell_clip": None, "recurrent_dropout": 0.0,
    "hidden_dropout": 0.0, "zoneout_h": 0.0, "zoneout_c": 0.0,
}  # fmt: skip
MANY = {"peephole": True, "cell_clip": 0.3, "recurrent_dropout": 0.3, "hidden_dropout": 0.25, "zoneout_h": 0.2,
        "zoneout_c": 0.4}  # fmt: skip
VARIANTS = {
    "rnn": [{"activation": name, "init": init} for name in ("tanh", "sigmoid", "relu", "identity")
            for init in ("orthogonal", "identity", "pytorch")],
    "lstm": [LSTM_PLAIN | some for some in (
        {}, {"init": "pytorch"}, {"forget_gate": False}, {"forget_gate": False, "init": "pytorch"},
        {"forget_bias": 3.0}, {"chrono": 10}, {"peephole": True}, {"forget_gate": False, "coupled": True},
        {"cell_clip": 0.3}, {"projection_size": 2}, {"layer_norm": True}, {"recurrent_dropout": 0.3},
        {"hidden_dropout": 0.25},
        {"zoneout_h": 0.2, "zoneout_c": 0.4}, MANY, MANY | {"layer_norm": True},
        MANY | {"forget_gate": False, "coupled": True, "projection_size": 3})],
    "gru": [{"reset": reset, "init": init} for reset in ("after", "before") for init in ("orthogonal", "pytorch")],
    "window_net": [{"window": window, "activation": name} for window, name in
                   ((8, "tanh"), (1, "sigmoid"), (2, "relu"), (5, "identity"))],
}  # fmt: skip
EVERY = [(name, settings) for name in CELLS for settings in VARIANTS.get(name, [{}])]
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


@pytest.fixture(autouse=True)
def same_weights():
    torch.manual_seed(0)


def variants_and_types():
    """Yield every variant in both dtypes; float64 variants that differ only in the initial weights are slow."""
    for (name, settings), dtype in itertools.product(EVERY, [torch.float32, torch.float64]):
        fast = dtype == torch.float32 or settings.get("init", "orthogonal") == "orthogonal"
        yield pytest.param(name, settings, dtype, marks=() if fast else pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "settings", "dtype"), [*variants_and_types()], ids=lambda value: value if value else "-"
)
def test_laws_hold(name, settings, dtype):
    laws = check_cell(CELLS[name](3, 4, **settings).to(dtype))
    assert len(laws) == 11 + ("runtime equals scan" in laws) + ("stepper equals scan" in laws)
    assert ("runtime equals scan" in laws) == (dtype == torch.float32)
    assert ("stepper equals scan" in laws) == (native.available() and dtype == torch.float32)


@every_cell
@pytest.mark.parametrize(("inputs", "hidden"), [(1, 1), (5, 2), (2, 7)])
def test_laws_hold_for_any_sizes(cell, inputs, hidden):
    check_cell(cell(inputs, hidden))


@every_cell
def test_laws_hold_with_biases_that_are_not_zero(cell):
    model = cell(3, 4)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) / 4)
    check_cell(model)


@every_cell
def test_a_cell_names_its_kind_sizes_and_gates(cell):
    model = cell(3, 4)
    assert CELLS[model.kind] is cell
    assert (model.input_size, model.hidden_size, model.output_size) == (3, 4, 4)
    if model.gate_names:
        assert model.weight_ih.shape == (len(model.gate_names) * 4, 3)
    matrices = model.recurrent_matrices()
    if matrices:
        assert torch.equal(torch.cat([*matrices.values()]), model.weight_hh)
        assert tuple(matrices) == model.gate_names
    found = model.gate_activations(model.project(torch.randn(2, 3)), model.initial_state(2))
    assert model.memory_gate is None or model.memory_gate in found


def test_a_cell_without_gate_names_has_no_recurrent_matrices():
    class Own(CellModule):
        def __init__(self):
            super().__init__()
            self.weight_hh = torch.nn.Parameter(torch.ones(4, 4))

    assert Own().recurrent_matrices() == {}


def test_the_recurrent_matrices_of_a_projected_lstm_include_the_projection():
    cell = LSTM(3, 4, projection_size=2, forget_gate=False)
    matrices = cell.recurrent_matrices()
    assert [*matrices] == ["input", "candidate", "output"]
    torch.testing.assert_close(matrices["output"], cell.weight_hh[8:] @ cell.weight_hr)


def test_variants_name_every_setting():
    for name, cell in CELLS.items():
        settings = [word for word in inspect.signature(cell).parameters if word not in ("input_size", "hidden_size")]
        assert settings == [*VARIANTS.get(name, [{}])[0]]


@every_cell
def test_sizes_and_calls(cell):
    model = cell(3, 4)
    assert (model.input_size, model.output_size, model.streams) == (3, 4, True)
    assert getattr(elman, cell.__name__) is cell
    x = Sequences(torch.randn(5, 3), [2, 3])
    assert torch.equal(model(x)[0].values, model.scan(x)[0].values)


@every_cell
def test_the_dtype_is_that_of_the_weights(cell):
    model = cell(3, 4).double()
    y, state = model.scan(Sequences(torch.randn(5, 3, dtype=torch.float64), [2, 3]))
    assert y.values.dtype == torch.float64
    for x in (torch.randn(5, 3), torch.zeros(5, 3, dtype=torch.int64)):
        with pytest.raises(
            TypeError, match=rf"^{cell.__name__}\.scan: expected values of torch\.float64, .* got {x.dtype}\.$"
        ):
            model.scan(Sequences(x, [2, 3]))
        with pytest.raises(
            TypeError, match=rf"^{cell.__name__}\.step: expected x of torch\.float64, .* got {x.dtype}\.$"
        ):
            model.step(x[:2], state)


@every_cell
def test_inputs_of_another_size_raise(cell):
    model = cell(16, 4)
    with pytest.raises(
        ValueError, match=rf"^{cell.__name__}\.scan: expected values of shape \[N, D=16\], got \[160, 12\]\.$"
    ):
        model.scan(Sequences(torch.zeros(160, 12), [160]))
    with pytest.raises(
        ValueError, match=rf"^{cell.__name__}\.step: expected x of shape \[B, D=16\], got \[2, 5, 16\]\.$"
    ):
        model.step(torch.zeros(2, 5, 16), model.initial_state(2))


@every_cell
@pytest.mark.parametrize("rows", [1, 3])
def test_a_state_of_another_batch_raises(cell, rows):
    model = cell(3, 4)
    with pytest.raises(ValueError, match=rf"expected .*\[B=2.*\], got .*\[{rows}, "):
        model.scan(Sequences(torch.zeros(5, 3), [2, 3]), model.initial_state(rows))


@every_cell
def test_memory_grows_with_the_steps(cell, largest_tensor):
    lengths = [300] + [1] * 150
    model = cell(3, 4)
    x = Sequences(torch.randn(sum(lengths), 3), lengths)
    with largest_tensor:
        model.scan(x)
    # Kernels save all gates, in whole vectors; padded, the units of one gate would be 400 times the steps.
    assert largest_tensor.elements <= sum(lengths) * 100


@every_cell
def test_the_same_seed_gives_the_same_weights(cell):
    def weights():
        torch.manual_seed(5)
        return [weight.detach().numpy() for weight in cell(3, 4).parameters()]

    assert all(np.array_equal(a, b) for a, b in zip(weights(), weights(), strict=True))
