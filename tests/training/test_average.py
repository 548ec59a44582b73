"""Moving average of the weights: it is evaluated and kept, and does not change the updates."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import make_net, small_run
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from elman import Embedding, Linear, Sequences, Stack, files
from elman.training import Evaluation, Event, Interrupted, TrainingSettings, Update, model_tensors, train

DECAY = 0.6  # reached in the ninth update


class Ids:
    """Batches of a few ids; the last two of nine are never read."""

    def epoch(self, number: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(number)
        return [torch.randint(7, (size,), generator=generator) for size in (4, 1, 0, 6, 2, 3, 5)]


def make_stack(lazy: bool) -> Stack:
    torch.manual_seed(0)
    return Stack(Embedding(9, 3, lazy), Linear(3, 2))


def loss_of(net: nn.Module) -> Any:
    def loss(ids: Tensor, state: Any) -> tuple[Tensor, None]:
        y, _ = net(Sequences(ids, [len(ids)]))
        return (y.values - torch.linspace(-1, 1, y.values.numel()).view_as(y.values)).square().sum(), None

    return loss


def learn(net: nn.Module, watch: Callable[[Event], object] = lambda event: None, **options: Any) -> None:
    of_train = {name: options.pop(name) for name in ("evaluate", "run", "resume", "save_every") if name in options}
    settings = TrainingSettings(
        **{"epochs": 4, "learning_rate": 0.05, "schedule": "constant", "average": DECAY, **options}
    )
    train(net, loss_of(net), Ids(), settings, observers=[watch], **of_train)


def theirs(net: nn.Module) -> tuple[AveragedModel, Callable[[Event], None]]:
    """Return PyTorch's average of the weights that an observer sees, with the same decay."""

    def blend(average: Tensor, weight: Tensor, number: Tensor) -> Tensor:
        decay = min(DECAY, (1 + int(number)) / (10 + int(number)))
        return decay * average + (1 - decay) * weight

    averaged = AveragedModel(net, avg_fn=blend, use_buffers=True)
    averaged.update_parameters(net)  # the first is a copy of the weights

    def watch(event: Event) -> None:
        if isinstance(event, Update):
            averaged.update_parameters(net)

    return averaged, watch


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_it_equals_pytorchs_average_also_in_rows_without_gradients(lazy: bool, optimizer: str) -> None:
    net = make_stack(lazy)
    averaged, watch = theirs(net)
    learn(net, watch, optimizer=optimizer)
    torch.testing.assert_close(dict(net.state_dict()), dict(averaged.module.state_dict()))
    plain = make_stack(lazy)
    learn(plain, optimizer=optimizer, average=None)
    assert (net.cells[0].weight[:7] - plain.cells[0].weight[:7]).abs().max() > 1e-3


def test_evaluations_use_the_average_and_the_best_average_is_kept(tmp_path: Path) -> None:
    net, seen, script = make_stack(lazy=True), [], iter([3.0, 1.0, 2.0, 4.0])
    averaged, watch = theirs(net)

    def evaluate() -> float:
        torch.testing.assert_close(dict(net.state_dict()), dict(averaged.module.state_dict()))
        return next(script)

    def observe(event: Event) -> None:
        watch(event)
        if isinstance(event, Evaluation):
            seen.append({name: tensor.clone() for name, tensor in net.state_dict().items()})

    learn(net, observe, evaluate=evaluate, run=tmp_path)
    best, _ = files.read_tensors(tmp_path / "best.safetensors", torch=True)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, seen[1][name])
        assert torch.equal(tensor, best[f"model/{name}"])


def test_the_average_does_not_change_the_updates(tmp_path: Path) -> None:
    for average in (None, 0.99):
        small_run(tmp_path / str(average), average=average)
    plain, other = (
        files.read_tensors(tmp_path / name / "last.safetensors", torch=True)[0] for name in ("None", "0.99")
    )
    assert all(torch.equal(tensor, other[name]) for name, tensor in plain.items())
    assert other["average/body.cells.2.weight_ih"].shape == other["model/body.cells.2.weight_ih"].shape
    assert not torch.equal(other["average/norm.running_mean"], other["model/norm.running_mean"])
    assert "average/norm.num_batches_tracked" not in other  # not floating point


def test_without_an_evaluation_the_trained_model_is_the_average() -> None:
    net = make_net()
    averaged, watch = theirs(net)
    small_run(net=net, validate=False, observers=[watch], average=DECAY)
    for (name, tensor), mean in zip(model_tensors(net).items(), model_tensors(averaged.module).values(), strict=True):
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, mean, msg=name)
    assert net.norm.num_batches_tracked == 42


def contents(run: Path) -> dict[str, Tensor]:
    parts = {}
    for name in ("last", "best"):
        tensors, _ = files.read_tensors(run / f"{name}.safetensors", torch=True)
        parts |= {f"{name}/{key}": tensor for key, tensor in tensors.items()}
    return parts


def stop_at(update: int, kind: type) -> Callable[[Event], None]:
    def stop(event: Event) -> None:
        if isinstance(event, kind) and event.update == update:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("lazy", [False, True])
def test_a_run_that_is_resumed_ends_with_the_same_bits(tmp_path: Path, lazy: bool) -> None:
    whole, resumed = make_stack(lazy), make_stack(lazy)

    def evaluate_of(net: nn.Module) -> Callable[[], float]:
        return lambda: net.cells[0].weight.square().sum().item()

    learn(whole, evaluate=evaluate_of(whole), run=tmp_path / "whole", evaluate_every=4)
    for update, kind in ((3, Update), (8, Evaluation), (11, Update), (16, Evaluation)):
        cut = make_stack(lazy)
        with pytest.raises(Interrupted):
            learn(cut, stop_at(update, kind), evaluate=evaluate_of(cut), run=tmp_path / "cut", resume=True,
                  evaluate_every=4)  # fmt: skip
    learn(resumed, evaluate=evaluate_of(resumed), run=tmp_path / "cut", resume=True, evaluate_every=4)
    left, other = contents(tmp_path / "whole"), contents(tmp_path / "cut")
    assert left.keys() == other.keys()
    assert all(torch.equal(left[name], other[name]) for name in left)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_an_interrupted_evaluation_restores_the_trained_weights(tmp_path: Path) -> None:
    whole, resumed, calls = make_stack(lazy=True), make_stack(lazy=True), iter([1.0, None])

    def evaluate() -> float:
        value = next(calls, 0.5)
        if value is None:
            raise KeyboardInterrupt
        return value

    with pytest.raises(Interrupted):
        learn(resumed, evaluate=evaluate, run=tmp_path / "cut", save_every=math.inf)
    for net, run in ((whole, "whole"), (resumed, "cut")):
        script = iter([1.0]) if run == "whole" else iter([])
        learn(net, evaluate=lambda script=script: next(script, 0.5), run=tmp_path / run, resume=True)
    left, other = contents(tmp_path / "whole"), contents(tmp_path / "cut")
    assert all(torch.equal(left[name], other[name]) for name in left)


def test_a_model_of_lazy_tables_alone_has_an_average() -> None:
    net = make_stack(lazy=True).cells[0]
    averaged, watch = theirs(net)
    learn(net, watch)
    torch.testing.assert_close(net.weight, averaged.module.weight)
