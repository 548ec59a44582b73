import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import make_net, small_run
from torch import Tensor, nn

from elman.training import (
    Evaluation,
    Event,
    Examined,
    NonFinite,
    Score,
    TrainingSettings,
    Update,
    model_tensors,
    train,
)


class Numbers:
    """Batches of four numbers, `batches` per epoch, with a record of the requested epochs."""

    def __init__(self, batches: int = 5):
        self.batches, self.requested = batches, []

    def epoch(self, number: int) -> Sequence[Tensor]:
        self.requested.append(number)
        generator = torch.Generator().manual_seed(number)
        return list(torch.randn(self.batches, 4, 3, generator=generator))


def make_line() -> nn.Linear:
    line = nn.Linear(3, 1)
    with torch.no_grad():
        for parameter in line.parameters():
            parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    return line


def squares(line: nn.Module) -> Any:
    return lambda batch, state: (((line(batch) - batch.sum(1, keepdim=True)) ** 2).mean(), None)


def scripted(values: Sequence[float]) -> Any:
    script: Iterator[float] = iter(values)
    return lambda: next(script)


def run_line(
    settings: dict[str, Any], values: Sequence[float] | None = None, batches: int = 5
) -> tuple[Any, list[Event]]:
    line, events = make_line(), []
    evaluate = None if values is None else scripted(values)
    result = train(
        line,
        squares(line),
        Numbers(batches),
        TrainingSettings(**settings),
        evaluate=evaluate,
        observers=[events.append],
    )
    return result, events


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_the_same_weights_as_a_plain_pytorch_loop(optimizer: str) -> None:
    line, theirs, data = make_line(), make_line(), Numbers()
    settings = TrainingSettings(epochs=4, learning_rate=0.05, optimizer=optimizer, clip_norm=0.5, warmup=3)
    train(line, squares(line), data, settings)
    assert data.requested == [1, 2, 3, 4]

    kinds = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}
    plain, update = kinds[optimizer](theirs.parameters(), lr=1.0), 0
    for epoch in range(1, 5):
        for batch in data.epoch(epoch):
            plain.param_groups[0]["lr"] = 0.05 * min(1, (update + 1) / 3) * (1 + math.cos(math.pi * update / 20)) / 2
            plain.zero_grad()
            squares(theirs)(batch, None)[0].backward()
            nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
            plain.step()
            update += 1
    torch.testing.assert_close(line.state_dict(), theirs.state_dict())


def test_the_state_is_carried_between_batches_detached_and_reset_each_epoch() -> None:
    line, seen = make_line(), []

    def loss(batch: Tensor, state: Any) -> tuple[Tensor, Any]:
        seen.append(state)
        y = line(batch)
        return y.mean(), (y[:, 0], (torch.full((4,), len(seen)),))

    train(line, loss, Numbers(3), TrainingSettings(epochs=2))
    assert [state is None for state in seen] == [True, False, False, True, False, False]
    for number in (1, 2, 4, 5):
        y, (count,) = seen[number]
        assert not y.requires_grad
        assert count.tolist() == 4 * [number]


def test_events_describe_the_training() -> None:
    result, events = run_line({"epochs": 2, "schedule": "constant", "clip_norm": None}, [3.0, 2.0], batches=2)
    assert [type(event).__name__ for event in events] == 2 * ["Update", "Update", "Evaluation"]
    updates = [event for event in events if isinstance(event, Update)]
    assert [(event.update, event.epoch, event.progress) for event in updates] == [
        (1, 1, 0.25), (2, 1, 0.5), (3, 2, 0.75), (4, 2, 1.0)]  # fmt: skip
    line, batch = make_line(), Numbers(2).epoch(1)[0]
    loss, _ = squares(line)(batch, None)
    loss.backward()
    assert updates[0].loss == loss.item()
    assert updates[0].gradient_norm == pytest.approx(math.hypot(*line.weight.grad.flatten(), line.bias.grad))
    assert updates[0].learning_rate == 2e-3
    assert updates[0].steps == 1
    assert updates[0].steps_per_second > 0
    assert [event[:5] for event in events if isinstance(event, Evaluation)] == [
        (2, 1, Score("evaluation", 3.0), 3.0, 2),
        (4, 2, Score("evaluation", 2.0), 2.0, 4),
    ]
    assert result[:4] == (4, 2, 2.0, 4)


def test_batches_with_num_steps_are_counted_by_time_steps() -> None:
    events: list[Event] = []
    small_run(observers=[events.append], epochs=1, validate=False)
    assert sum(event.steps for event in events if isinstance(event, Update)) > 3 * len(events)


def test_the_best_weights_come_back_in_evaluation_mode() -> None:
    line, kept, script = make_line(), [], scripted([3.0, 1.0, 2.0])

    def evaluate() -> float:
        assert not line.training
        assert not torch.is_grad_enabled()
        kept.append({name: tensor.clone() for name, tensor in line.state_dict().items()})
        return script()

    result = train(line, squares(line), Numbers(), TrainingSettings(epochs=3), evaluate=evaluate)
    assert (result.best, result.best_update, result.updates) == (1.0, 10, 15)
    assert all(torch.equal(tensor, kept[1][name]) for name, tensor in line.state_dict().items())
    assert not line.training
    assert all(parameter.grad is None for parameter in line.parameters())


def test_training_mode_between_evaluations() -> None:
    line, modes = make_line(), []

    def loss(batch: Tensor, state: Any) -> tuple[Tensor, Any]:
        modes.append(line.training)
        return squares(line)(batch, state)

    train(line, loss, Numbers(2), TrainingSettings(epochs=3), evaluate=lambda: 1.0)
    assert modes == 6 * [True]


@pytest.mark.parametrize(
    ("values", "patience", "updates"),
    [([5, 4, 4, 4, 3], 2, 20), ([5, 4, 6, 3, 4, 5, 6], 3, 35), ([5, 6, 7, 8], 1, 10), ([5, 4, 3, 2], 1, 20)],
)
def test_stops_early(values: list[float], patience: int, updates: int) -> None:
    result, _ = run_line({"epochs": len(values), "patience": patience}, values)
    assert result.updates == updates
    assert result.best == min(values[: updates // 5])


@pytest.mark.parametrize(
    ("values", "until", "updates"),
    [
        ([5, 3, 1], 3, 10),
        ([5, 3, 1], 2.5, 15),
        ([5, 6, 7], 0.0, 15),
        ([0.5, 0.25, 0.0], 0.0, 15),
        ([-2, -4, -6], -3, 10),
    ],
)
def test_stops_when_solved(values: list[float], until: float, updates: int) -> None:
    result, _ = run_line({"epochs": 3, "until": until}, values)
    assert result.updates == updates
    assert result.best == min(values[: updates // 5])


@pytest.mark.parametrize(("until", "updates"), [(0.5, 10), (0.6, 15), (0.9, 20)])
def test_a_score_may_be_better_if_it_is_higher(until: float, updates: int) -> None:
    line, script, kept, events = make_line(), scripted([0.2, 0.5, 0.8, 0.7]), [], []

    def evaluate() -> Score:
        kept.append({name: tensor.clone() for name, tensor in line.state_dict().items()})
        return Score("F1", script(), higher_is_better=True)

    settings = TrainingSettings(epochs=4, until=until, patience=1)
    result = train(line, squares(line), Numbers(), settings, evaluate=evaluate, observers=[events.append])
    assert result.updates == updates
    best = min(len(kept), 3) - 1
    assert result.best == [0.2, 0.5, 0.8][best]
    assert all(torch.equal(tensor, kept[best][name]) for name, tensor in line.state_dict().items())
    scores = [event.score for event in events if isinstance(event, Evaluation)]
    assert scores[0] == Score("F1", 0.2, higher_is_better=True)


def test_an_evaluation_that_is_not_finite_is_named() -> None:
    line = make_line()
    with pytest.raises(NonFinite, match="the perplexity is nan"):
        train(
            line, squares(line), Numbers(), TrainingSettings(epochs=1), evaluate=lambda: Score("perplexity", math.nan)
        )


def test_a_solved_run_stays_solved_when_it_is_resumed(tmp_path: Path) -> None:
    _, first = small_run(tmp_path, until=100.0)
    assert first.updates == first.best_update < small_run()[1].updates
    _, again = small_run(tmp_path, resume=True, until=100.0)
    assert again.updates == first.updates


def test_events_returned_by_an_observer_are_logged_and_passed_to_the_others(tmp_path: Path) -> None:
    line, before, after = make_line(), [], []
    found = {"cells.0": {"horizon": math.inf, "forget_histogram": [0.25, 0.75]}}

    def look(event: Event) -> Examined | None:
        assert not isinstance(event, Examined)
        return Examined(event.update, event.epoch, event.seconds, found) if event.update == 2 else None

    observers = [before.append, look, after.append]
    train(line, squares(line), Numbers(3), TrainingSettings(epochs=1), run=tmp_path, observers=observers)
    assert [type(event) for event in before] == [Update, Update, Examined, Update]
    assert [type(event) for event in after] == [
        Update,
        Examined,
        Update,
        Update,
    ]  # it comes before its own update
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event["update"] for event in logged] == [1, 2, 2, 3]
    assert logged[2]["layers"] == {"cells.0": {"horizon": None, "forget_histogram": [0.25, 0.75]}}


def test_events_of_observers_are_removed_from_the_log_with_the_rest(tmp_path: Path) -> None:
    stop = False

    def look(event: Event) -> Examined:
        if stop and event.update == 7:
            raise MemoryError  # a kill: no checkpoint is written
        return Examined(event.update, event.epoch, event.seconds, {})

    def run(folder: str, resume: bool = False) -> list[tuple[int, list[str]]]:
        small_run(tmp_path / folder, resume, epochs=2, observers=[look], save_every=1e9, evaluate_every=5)
        logged = [json.loads(line) for line in (tmp_path / folder / "log.jsonl").read_text().splitlines()]
        return [(event["update"], [*event]) for event in logged]

    whole, stop = run("whole"), True
    with pytest.raises(MemoryError):
        run("killed")
    stop = False
    assert run("killed", resume=True) == whole
    assert len([names for _, names in whole if "layers" in names]) == len(whole) / 2


def test_an_observer_with_begin_receives_the_model() -> None:
    line, begun = make_line(), []

    class Eye:
        def begin(self, model: nn.Module, loss: Any) -> None:
            begun.append((model, loss))

        def __call__(self, event: Event) -> None:
            assert begun[0][0] is line
            losses.append(begun[0][1]().item())
            expected.append(squares(line)(Numbers().epoch(1)[0], None)[0].item())

    losses: list[float] = []
    expected: list[float] = []
    data = Numbers()
    train(line, squares(line), data, TrainingSettings(epochs=2), observers=[Eye()])
    assert losses == expected
    assert len(begun) == 1
    assert data.requested == [1, 2]


def test_plateau_is_pytorchs() -> None:
    values = [5.0, 4.0, 4.5, 4.2, 3.0, 3.5, 2.0, 2.0]
    _, events = run_line({"epochs": 8, "schedule": "plateau", "learning_rate": 0.1}, values, batches=1)
    theirs = torch.optim.SGD(make_line().parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, factor=0.5, patience=0, threshold=0)
    expected = []
    for value in values:
        expected.append(theirs.param_groups[0]["lr"])
        schedule.step(value)
    assert [event.learning_rate for event in events if isinstance(event, Update)] == pytest.approx(expected)


def test_step_cuts_between_epochs() -> None:
    settings = {"epochs": 4, "schedule": "step", "decay": 0.1, "decay_after": 2, "learning_rate": 1e-3}
    _, events = run_line(settings, batches=3)
    rates = [event.learning_rate for event in events if isinstance(event, Update)]
    assert rates == pytest.approx(6 * [1e-3] + 3 * [1e-4] + 3 * [1e-5])


def test_evaluations_after_every_n_updates_and_at_the_end() -> None:
    _, events = run_line({"epochs": 2, "evaluate_every": 4}, [3.0, 2.0, 1.0])
    assert [event.update for event in events if isinstance(event, Evaluation)] == [4, 8, 10]


def test_the_same_seed_gives_the_same_bits_and_leaves_pytorchs_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, _ = small_run()
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    torch.manual_seed(6)
    again, other = small_run()[0], small_run(seed=1)[0]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_it_learns() -> None:
    line = make_line()
    result = train(
        line,
        squares(line),
        Numbers(20),
        TrainingSettings(epochs=20, learning_rate=0.05, weight_decay=0.0),
        evaluate=lambda: ((line.weight - 1) ** 2).sum().item(),
    )
    assert result.best < 1e-3


def test_parameters_without_a_gradient_stay() -> None:
    line, spare = make_line(), nn.Linear(2, 2)
    both = nn.ModuleList([line, spare])
    before = spare.weight.detach().clone()
    train(both, squares(line), Numbers(), TrainingSettings(epochs=1))
    assert torch.equal(spare.weight, before)


def test_an_epoch_without_batches() -> None:
    line = make_line()
    with pytest.raises(ValueError, match="expected batches in epoch 1, got none"):
        train(line, squares(line), Numbers(0), TrainingSettings())


@pytest.mark.parametrize("warmup", [50, 51, 100_000])
def test_a_warm_up_longer_than_the_training_is_shortened_to_it(warmup: int, caplog: pytest.LogCaptureFixture) -> None:
    _, events = run_line({"warmup": warmup, "learning_rate": 0.1, "schedule": "constant"})
    rates = [event.learning_rate for event in events if isinstance(event, Update)]
    assert rates == pytest.approx([0.1 * update / 50 for update in range(1, 51)])
    expected = f"warmup={warmup} is longer than the training: shortened to its 50 updates"
    assert caplog.messages == ([expected] if warmup > 50 else [])


def test_tied_weights_have_one_name() -> None:
    net = make_net()
    names = model_tensors(net).keys()
    assert "body.cells.0.weight" in names
    assert "read_out.weight" not in names
    assert "norm.num_batches_tracked" in names


def test_a_loss_without_a_state_raises() -> None:
    line = make_line()
    with pytest.raises(TypeError, match=r"expected loss\(batch, state\) to return \(loss, state\), got a tensor"):
        train(line, lambda batch, state: line(batch).sum(), Numbers(), TrainingSettings())


class Steady:
    """Batches of scripted losses: each epoch has the losses of one list."""

    def __init__(self, losses: list[list[float]]):
        self.losses = losses

    def epoch(self, number: int) -> list[float]:
        return self.losses[number - 1]


@pytest.mark.parametrize(
    ("evaluations", "losses", "best"),
    [
        ([1.0, 1.0, 1.0], [[4, 4], [2, 2], [3, 3]], 4),  # of equal evaluations, the lowest mean loss
        ([1.0, 1.0, 1.0], [[4, 4], [3, 3], [2, 2]], 6),
        ([1.0, 1.0, 1.0], [[2, 2], [2, 2], [2, 2]], 2),  # of equal losses, the first
        ([2.0, 1.0, 1.0], [[1, 1], [4, 4], [5, 5]], 4),  # the loss never outweighs an evaluation
        ([1.0, 2.0, 1.0], [[4, 4], [1, 1], [3, 3]], 6),
        ([1.0, 1.0], [[1, 5], [2, 3]], 4),
    ],
)
def test_of_equal_evaluations_the_lower_training_loss_is_best(
    evaluations: list[float], losses: list[list[float]], best: int
) -> None:
    line, kept, script = make_line(), [], scripted(evaluations)

    def loss(batch: float, state: Any) -> tuple[Tensor, Any]:
        return 0 * line.weight.sum() + line.bias.sum() * 0.1 - (line.bias.sum() * 0.1).detach() + batch, None

    def evaluate() -> float:
        kept.append({name: tensor.clone() for name, tensor in line.state_dict().items()})
        return script()

    result = train(line, loss, Steady(losses), TrainingSettings(epochs=len(losses)), evaluate=evaluate)
    assert result.best_update == best
    assert all(torch.equal(tensor, kept[best // 2 - 1][name]) for name, tensor in line.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "after 2 epochs, as set"),
        ({"until": 100.0}, "the evaluation that `until` sets was reached"),
        ({"patience": 1, "epochs": 9, "learning_rate": 1e-9}, "no better evaluation in 1, as `patience` sets"),
    ],
)
def test_resuming_a_run_that_has_ended_reports_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], reason: str
) -> None:
    line, values = make_line(), itertools.repeat(5.0)
    given = TrainingSettings(**{"epochs": 2, **settings})
    first = train(line, squares(line), Numbers(), given, evaluate=lambda: next(values), run=tmp_path)
    assert "nothing was trained" not in caplog.text
    again = train(line, squares(line), Numbers(), given, evaluate=lambda: next(values), run=tmp_path, resume=True)
    assert again.updates == first.updates
    assert f"the run had ended at update {first.updates} ({reason}): nothing was trained" in caplog.text
