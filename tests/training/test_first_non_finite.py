import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from elman import GRU, LSTM, RNN, Bidirectional, Linear, MinGRU, Sequences, Stack
from elman.kernels import native
from elman.training import NonFinite, TrainingSettings, train
from elman.training.first_non_finite import (
    FirstNonFinite,
    first_non_finite,
    first_non_finite_gradient,
    first_non_finite_output,
)

LENGTHS = [9, 4, 30, 12]


def rows_of(size: int = 3, lengths: list[int] = LENGTHS) -> Sequences:
    values = torch.randn(sum(lengths), size, generator=torch.Generator().manual_seed(1))
    return Sequences(values, lengths)


def explode(cell: RNN, factor: float) -> None:
    """Multiply every unit by `factor` at every step."""
    with torch.no_grad():
        cell.weight_hh.copy_(factor * torch.eye(cell.output_size))


def fail(model: nn.Module, batch: Any, loss: Any = None) -> NonFinite:
    def squares(batch: Sequences, state: Any) -> tuple[Tensor, Any]:
        y, _ = model(batch)
        return y.values.square().mean(), None

    data = type("Data", (), {"epoch": lambda self, number: [batch]})()
    with pytest.raises(NonFinite) as caught:
        train(model, loss or squares, data, TrainingSettings(epochs=1))
    assert "\n" not in str(caught.value)
    return caught.value


def unrolled_by_hand(cell: RNN, row: Tensor) -> list[float]:
    """Return the largest unit before each step, up to the first step that is not finite."""
    h, sizes = torch.zeros(cell.output_size), []
    while torch.isfinite(h).all():
        sizes.append(h.abs().max().item())
        h = torch.relu(cell.weight_ih @ row[len(sizes) - 1] + cell.weight_hh @ h + cell.bias)
    return sizes


def test_a_relu_net_that_explodes() -> None:
    torch.manual_seed(0)
    model = Stack(Linear(3, 3), RNN(3, 5, activation="relu"), Linear(5, 2))
    cell, batch = model.cells[1], rows_of(lengths=[2, 9, 30])
    explode(cell, 1e3)
    failure = fail(model, batch)
    with torch.no_grad():
        inputs = model.cells[0].apply_to(batch.values)
        sizes = unrolled_by_hand(cell, inputs[11:])
        assert torch.isfinite(cell.unrolled(Sequences(inputs[2:11], [9]), None)[0].values).all()
    assert (failure.layer, failure.row, failure.step, failure.gate) == ("cells.1", 2, len(sizes) - 1, None)
    assert failure.magnitudes == pytest.approx(sizes[-4:])
    largest = ", ".join(f"{size:.2g}" for size in sizes[-4:])
    assert f"the loss is nan in cells.1 (row 2, step {failure.step}; |state| {largest} before); likely cause" in str(
        failure
    )


def test_data_that_are_not_finite_have_a_row_and_a_step() -> None:
    batch = rows_of()
    batch.values[9 + 4 + 5, :2] = torch.tensor([math.inf, -math.inf])
    failure = fail(Stack(LSTM(3, 4), Linear(4, 2)), batch)
    assert (failure.layer, failure.row, failure.step, failure.gate) == ("cells.0", 2, 5, None)
    assert "nan in cells.0 (row 2, step 5); its input is not finite already: look for NaN" in str(failure)


def test_an_input_that_only_the_gradient_reveals() -> None:
    batch = rows_of()
    batch.values[9 + 4 + 5, 0] = math.inf  # closes or opens gates: the output is finite
    failure = fail(Stack(LSTM(3, 4), Linear(4, 2)), batch)
    assert failure.layer.startswith("cells.0.")
    assert (failure.row, failure.step) == (2, 5)
    assert f"gradient is nan in {failure.layer} (row 2, step 5); its input is not finite already" in str(failure)


@pytest.mark.parametrize(
    ("cell", "gate", "of_all"),
    [
        (LSTM, "input", 0),
        (LSTM, "forget", 1),
        (LSTM, None, 2),
        (LSTM, "output", 3),
        (GRU, "reset", 0),
        (GRU, "update", 1),
    ],
)
def test_a_weight_of_one_gate(cell: Any, gate: str | None, of_all: int) -> None:
    torch.manual_seed(0)
    model = Stack(LSTM(3, 4), cell(4, 4))
    with torch.no_grad():
        model.cells[1].weight_hh[4 * of_all + 2, 1] = math.nan
    failure = fail(model, rows_of())
    assert (failure.layer, failure.row, failure.step, failure.gate) == ("cells.1.weight_hh", 0, 0, gate)
    assert failure.magnitudes == (0.0,)
    assert f"in cells.1.weight_hh (row 0, step 0{f', gate {gate}' if gate else ''}; |state| 0 before)" in str(failure)


def test_a_cell_state_that_overflows_behind_a_gate() -> None:
    """c grows; the output stays below 1, so the loss is finite, and the gradient is not."""
    torch.manual_seed(0)
    cell = LSTM(3, 2, forget_gate=False).double()
    x = rows_of(lengths=[40, 50]).map(Tensor.double)
    state = cell.initial_state(2)._replace(c=torch.full((2, 2), 1e308, dtype=torch.float64))
    with torch.no_grad():
        cell.bias.copy_(torch.tensor([50.0, 50, 50, 50, 0, 0]))  # add 1 at each step
    assert first_non_finite(cell, x, state) is None  # 1e308 + 1 is 1e308
    state = state._replace(c=torch.tensor([[1.0, 1.0], [math.inf, 1.0]], dtype=torch.float64))
    assert first_non_finite(cell, x, state) == FirstNonFinite(1, 0, "state")


def test_steps_of_a_backward_cell_are_counted_in_the_row() -> None:
    batch = rows_of()
    batch.values[9 + 4 + 5, :2] = torch.tensor([math.inf, -math.inf])
    torch.manual_seed(0)
    model = Bidirectional(RNN(3, 4), RNN(3, 4))
    with torch.no_grad():
        model.forward_cell.weight_ih.zero_()  # NaN by 0 times infinity: the forward cell would be the first to fail
        batch = Sequences(batch.values.nan_to_num(posinf=3e38, neginf=3e38), batch.lengths)
        model.backward_cell.weight_ih.fill_(2.0)
        model.backward_cell.activation = "relu"
    failure = fail(model, batch)
    assert (failure.layer, failure.row, failure.step) == ("backward_cell", 2, 5)


def test_a_gradient_that_explodes_in_the_backward_pass() -> None:
    """With zero inputs the outputs of a tanh net stay small, and the gradient grows 1000 times per step."""
    torch.manual_seed(0)
    cell = RNN(3, 2, activation="tanh")
    explode(cell, 1e3)
    with torch.no_grad():
        cell.weight_ih.zero_()

    def loss(batch: Sequences, state: Any) -> tuple[Tensor, Any]:
        _, final = model(batch)
        return final[0].sum(), None

    model = Stack(cell)
    failure = fail(model, rows_of(lengths=[5, 20]), loss)
    # d final / d h before step t is 1000^(20 - t): 1e39 overflows float32 at t = 7
    assert (failure.layer, failure.row, failure.step) == ("cells.0.bias", 1, 7)
    assert failure.magnitudes == pytest.approx((1e27, 1e30, 1e33, 1e36), rel=1e-4)
    assert "in cells.0.bias (row 1, step 7; |gradient| 1e+27, 1e+30, 1e+33, 1e+36 after it); likely" in str(failure)


def test_a_layer_of_torch_has_a_place_by_its_output() -> None:
    batch = torch.randn(4, 7, 3)  # [T, B, D]
    batch[2, 5, 1] = math.nan
    net = nn.LSTM(3, 4)
    failure = fail(net, batch, lambda batch, state: (net(batch)[0].square().mean(), None))
    assert (failure.layer, failure.row, failure.step) == ("LSTM", 5, 2)
    assert len(failure.magnitudes) == 2
    packed = nn.utils.rnn.pack_padded_sequence(batch, torch.tensor([4, 1, 2, 4, 2, 3, 4]), enforce_sorted=False)
    found = first_non_finite_output(net(packed)[0], carried=True)
    assert found is not None
    assert found[:3] == (5, 2, "state")
    one_row = first_non_finite_output(net(batch[:, 5])[0])
    assert one_row == FirstNonFinite(0, 2, "output")


@pytest.mark.parametrize("cell", [RNN(3, 4), LSTM(3, 4), GRU(3, 4), MinGRU(3, 4), Stack(Linear(3, 3), GRU(3, 2))])
def test_finite_numbers_have_no_place(cell: Any) -> None:
    x = rows_of(lengths=[5, 0, 3])
    y, final = cell.scan(x)
    assert first_non_finite(cell, x, None) is None
    assert first_non_finite(cell, x.select([]), None) is None
    assert first_non_finite_output(y) is None
    assert first_non_finite_gradient(cell, x, None, torch.ones_like(y.values), final) is None


def test_the_earliest_step_of_the_first_row_counts() -> None:
    x = rows_of(lengths=[6, 8, 7])
    for row, step in ((0, 5), (1, 2), (2, 2)):
        x.values[x.offsets[row] + step] = math.nan
    assert first_non_finite(GRU(3, 4), x, None)[:3] == (1, 2, "input")


def test_a_cell_of_your_own_written_as_one_step() -> None:
    class Power(GRU):
        def recurrence(self) -> None:
            return None

        def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            state = (state + 2) ** 2
            return state, state

    sizes = [0.0]
    while sizes[-1] < 1e38:
        sizes.append((sizes[-1] + 2) ** 2)
    failure = fail(Power(3, 4), rows_of())
    assert (failure.layer, failure.row, failure.step) == ("Power", 0, len(sizes) - 2)
    assert failure.magnitudes == pytest.approx(sizes[:-1][-4:])


@pytest.mark.needs_native
def test_a_failure_only_in_the_kernels_is_found_in_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels and references may differ by rounding, and so by an overflow."""
    cell, scan = LSTM(3, 4), LSTM.scan

    def rounded_up(self: LSTM, sequences: Sequences, state: Any = None) -> Any:
        y, state = scan(self, sequences, state)
        if native.available():
            y.values[11, 1] = math.inf
        return y, state

    monkeypatch.setattr(LSTM, "scan", rounded_up)
    failure = fail(cell, rows_of())
    assert (failure.layer, failure.row, failure.step, failure.magnitudes) == ("LSTM", 1, 2, ())
