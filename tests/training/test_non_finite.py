import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import make_net, small_run
from torch import Tensor, nn

from elman import LSTM, Linear, Sequences, Stack, files
from elman.training import Event, NonFinite, TrainingSettings, train


class Batches:
    """Five batches of two rows, one number of which can be bad."""

    def __init__(self, bad: float | None = None, update: int = 3):
        self.bad, self.update = bad, update

    def epoch(self, number: int) -> list[Sequences]:
        values = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(number))
        if self.bad is not None:
            values[self.update - 1, 4, 1] = self.bad
        return [Sequences(batch, [4, 3]) for batch in values]


def make_stack() -> Stack:
    torch.manual_seed(0)
    return Stack(LSTM(3, 4), Linear(4, 4), LSTM(4, 2))


def overflow(model: Stack) -> None:
    """Set weights of the second layer that are finite but make its output overflow."""
    with torch.no_grad():
        model.cells[1].weight.fill_(3e38)
        model.cells[1].bias.fill_(3.4e38)


def squares(model: nn.Module) -> Any:
    def loss(batch: Sequences, state: Any) -> tuple[Tensor, Any]:
        y, state = model(batch, state)
        return y.values.square().mean(), state

    return loss


def fail(model: nn.Module, loss: Any, data: Any = None, run: Path | None = None, **settings: Any) -> NonFinite:
    with pytest.raises(NonFinite) as caught:
        train(model, loss, data or Batches(), TrainingSettings(**{"epochs": 2, **settings}), run=run, save_every=0.0)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, FloatingPointError)
    return caught.value


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_data_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    model = Stack(Linear(3, 3), make_stack())
    failure = fail(model, squares(model), Batches(bad), tmp_path)
    assert (failure.update, failure.epoch, failure.layer) == (3, 1, "cells.0")
    assert str(failure) == (
        "update 3 (epoch 1): the loss is nan in cells.0 (row 1, step 0); its input is not finite already: look for NaN "
        f"and infinite values in the data; {tmp_path}/last.safetensors holds update 2."
    )


def test_neither_the_weights_nor_the_files_are_touched(tmp_path: Path) -> None:
    model, events = make_stack(), []
    weights: dict[str, Tensor] = {}

    def keep(event: Event) -> None:
        events.append(event)
        weights.update({name: tensor.clone() for name, tensor in model.state_dict().items()})

    with pytest.raises(NonFinite):
        train(
            model,
            squares(model),
            Batches(math.nan, 4),
            TrainingSettings(),
            run=tmp_path,
            observers=[keep],
            save_every=0.0,
        )
    assert len(events) == 3
    tensors, facts = files.read_tensors(tmp_path / "last.safetensors", torch=True)
    assert facts["place"]["update"] == 3
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name])
        assert torch.equal(tensor, tensors[f"model/{name}"])
    assert not list(tmp_path.glob("*" + files.TEMPORARY))
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3


def test_the_first_layer_to_fail_is_named() -> None:
    model = make_stack()
    overflow(model)
    failure = fail(model, squares(model))
    assert failure.layer == "cells.1"
    assert "likely cause: updates too large (learning_rate 0.002, largest weight 3.4e+38); lower learning_rate" in str(
        failure
    )


def test_a_cell_that_is_stepped_is_named() -> None:
    model = make_stack()
    overflow(model)

    def loss(batch: Sequences, state: Any) -> tuple[Tensor, Any]:
        y, _ = model.step(batch.values, model.initial_state(len(batch.values)))
        return y.mean(), None

    assert fail(model, loss).layer == "cells.1"


def test_a_learning_rate_that_is_too_high_without_clipping() -> None:
    net = make_net()
    with pytest.raises(
        NonFinite, match=r"no clipping, largest weight .*\); lower learning_rate or set clip_norm=1\.0\.$"
    ):
        small_run(net=net, learning_rate=1e30, clip_norm=None, validate=False)


def test_a_loss_that_fails_by_itself() -> None:
    model = make_stack()
    failure = fail(model, lambda batch, state: (squares(model)(batch, None)[0] * 0 + torch.zeros(()).log(), None))
    assert failure.layer == ""
    assert "update 1 (epoch 1): the loss is -inf; every layer's output is finite: look at the loss itself" in str(
        failure
    )


def test_a_gradient_that_is_not_finite() -> None:
    model = make_stack()

    def loss(batch: Sequences, state: Any) -> tuple[Tensor, Any]:
        y, state = model(batch, state)
        return (y.values.mean() * 0).abs().sqrt() + y.values.square().mean(), state  # the root has no slope at 0

    failure = fail(model, loss)
    assert failure.layer == "cells.2.bias"  # the nearest to the loss
    assert "update 1 (epoch 1): the norm of the gradient is nan in cells.2.bias; likely cause" in str(failure)


def test_a_gradient_whose_norm_overflows() -> None:
    line = nn.Linear(2, 1)
    data = type("Data", (), {"epoch": lambda self, number: [torch.full((1, 2), 1e25)]})()
    failure = fail(line, lambda batch, state: (line(batch).mean(), None), data)
    assert failure.layer == ""
    assert "the norm of the gradient is inf; likely cause" in str(failure)


def test_weights_that_overflow_reach_no_checkpoint(tmp_path: Path) -> None:
    line = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        line.weight.fill_(3e38)
    data = type("Data", (), {"epoch": lambda self, number: [torch.full((1, 2), -1e-30)]})()
    failure = fail(
        line,
        lambda batch, state: (line(batch).sum() * 4e29, None),
        data,
        tmp_path,
        optimizer="sgd",
        schedule="constant",
        learning_rate=3e38,
        clip_norm=None,
    )
    assert (failure.update, failure.layer) == (1, "weight")
    assert "a weight is not finite in weight" in str(failure)
    assert not (tmp_path / "last.safetensors").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_evaluation_that_is_not_finite(tmp_path: Path, value: float) -> None:
    model = make_stack()
    with pytest.raises(NonFinite, match=f"update 5 .epoch 1.: the evaluation is {value}; check the evaluation"):
        train(model, squares(model), Batches(), TrainingSettings(), evaluate=lambda: value, run=tmp_path)
    assert not (tmp_path / "best.safetensors").exists()


def test_watching_leaves_the_model_as_it_was() -> None:
    model = make_stack()
    before = [set(vars(module)) for module in model.modules()]
    fail(model, squares(model), Batches(math.nan))
    assert [set(vars(module)) for module in model.modules()] == before
