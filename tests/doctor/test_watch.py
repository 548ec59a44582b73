"""An observer that changes nothing, within its budget of time."""

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from elman import GRU, LSTM, RNN, Classifier, Dropout, LanguageModel, Linear, Sequences, Stack
from elman.doctor import watch
from elman.doctor.capture import capture
from elman.doctor.gates import gates
from elman.doctor.gradient_by_lag import gradients_by_lag, growth, half_life, horizon
from elman.doctor.watch import Watch
from elman.tasks.run import Run
from elman.training import Event, Examined, NonFinite, TrainingSettings, Update, train

BATCHES = 12


class Net(nn.Module):
    def __init__(self, cell: Any = LSTM) -> None:
        super().__init__()
        self.body = Stack(cell(3, 6), Dropout(6, 0.3), GRU(6, 5))
        self.norm, self.read_out = nn.BatchNorm1d(5), nn.Linear(5, 1)

    def loss(self, batch: Sequences, state: Any) -> tuple[Tensor, Any]:
        noisy = batch.map(lambda x: x + 0.1 * torch.randn_like(x))
        y, _ = self.body(noisy)
        return (self.read_out(self.norm(y.values))[:, 0] - batch.values.sum(1)).square().mean(), None


class Numbers:
    def epoch(self, number: int) -> list[Sequences]:
        generator = torch.Generator().manual_seed(number)
        return [Sequences(torch.randn(40, 3, generator=generator), [9, 0, 20, 11]) for _ in range(BATCHES)]


def make_net(cell: Any = LSTM) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return Net(cell)


def run(observers: list[Any], net: Net | None = None, **settings: Any) -> Net:
    net = make_net() if net is None else net
    first = Numbers().epoch(1)[0]
    train(net, net.loss, Numbers(), TrainingSettings(**{"epochs": 2, **settings}),
          evaluate=lambda: net.loss(first, None)[0].item(), observers=observers)  # fmt: skip
    return net


def update(number: int, seconds: float) -> Update:
    return Update(number, 1, 0.1, 1.0, 1.0, 1e-3, 50, seconds, 500.0)


@pytest.mark.parametrize("average", [None, 0.9])
def test_the_weights_are_the_same_bits(average: float | None) -> None:
    kept: list[dict[str, Tensor]] = []
    for observers in ([], [Watch(cost=1.0)]):
        events: list[Event] = []
        torch.manual_seed(5)
        net = run([*observers, events.append], average=average)
        kept.append({**net.state_dict(), "losses": torch.tensor([e.loss for e in events if isinstance(e, Update)])})
        kept[-1]["drawn"] = torch.rand(2)
        assert any(isinstance(event, Examined) for event in events) == bool(observers)
    for name, tensor in kept[0].items():
        assert torch.equal(tensor, kept[1][name]), name


def test_the_model_does_not_change() -> None:
    net, snapshots = make_net(), []

    def freeze(event: Event) -> None:
        net.norm.eval()  # a part that is kept in evaluation mode stays so, and no other does

    def compare(event: Event) -> None:
        snapshots.append((
            torch.get_rng_state(),
            [module.training for module in net.modules()],
            [set(vars(module)) for module in net.modules()],
            [tensor.clone() for tensor in net.state_dict().values()],
            [None if weight.grad is None else weight.grad.clone() for weight in net.parameters()],
        ))  # fmt: skip

    run([freeze, compare, Watch(), lambda event: compare(event) if event.update == 1 else None], net)
    before, after = snapshots[0], snapshots[2]  # the first event is events to three: an `Examined` comes in between
    assert before[1:3] == after[1:3]
    for ours, theirs in zip([before[0], *before[3], *before[4]], [after[0], *after[3], *after[4]], strict=True):
        assert torch.equal(ours, theirs)


def test_the_statistics_equal_the_measurements() -> None:
    watched, net = [], make_net()

    def measure(event: Event) -> None:
        if not isinstance(event, Examined):
            return
        torch.manual_seed(0)  # the noise of the loss
        batch = Numbers().epoch(1)[0]
        traces = {trace.name: trace for trace in capture(net, lambda: net.loss(batch, None)[0]).traces}
        assert list(event.layers) == list(traces) == ["body.cells.0", "body.cells.2"]
        for name, trace in traces.items():
            lags, found = gradients_by_lag(trace, 8, 200), event.layers[name]
            assert (found["horizon"], found["half_life"]) == (horizon(lags), half_life(lags))
            assert found["growth"] == growth(lags)
            for gate, of in gates(trace).items():
                assert found[f"{gate}_mean"] == of.mean
                np.testing.assert_allclose(found[f"{gate}_histogram"], of.histogram, atol=5e-5)
        assert {"input_mean", "forget_histogram", "output_mean"} <= event.layers["body.cells.0"].keys()
        watched.append(event)

    run([Watch(), measure], net)
    assert watched[0].update == 1
    assert (watched[0].epoch, type(watched[0].seconds)) == (1, float)


def test_a_model_and_a_loss_of_your_own() -> None:
    other = Stack(RNN(2, 3), Linear(3, 1))
    x = Sequences(torch.randn(30, 2), [30])
    events: list[Event] = []
    run([Watch(other, lambda: other(x)[0].values.mean()), events.append])
    assert list(next(event for event in events if isinstance(event, Examined)).layers) == ["cells.0"]


def test_it_stays_within_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """An examination takes 1 second, an update 0.1 seconds."""
    clock = 0.0
    monkeypatch.setattr(watch, "perf_counter", lambda: clock)

    def examine(self: Watch) -> dict[str, Any]:
        nonlocal clock
        clock += 1.0
        return {}

    monkeypatch.setattr(Watch, "_examine", examine)
    observer, at = Watch(cost=0.05), []
    for number in range(1, 3001):
        clock += 0.1
        began = clock
        if observer(update(number, clock)) is not None:
            at.append(number)
            if number > 1:
                assert observer.spent <= 0.05 * began
    assert at[0] == 1
    assert at[1] * 0.1 >= 2 * 1.0 / 0.05 - 2
    assert 1 + len(at) >= 0.05 * clock  # the budget is used


def test_free_examinations_are_spaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watch, "_examine", lambda self: {})
    observer = Watch(cost=1.0)
    at = [number for number in range(1, 5001) if observer(update(number, 1e3 * number)) is not None]
    assert at[:20] == list(range(1, 21))
    assert len(at) < 150
    assert all(later - sooner >= 0.05 * sooner for sooner, later in pairwise(at))


def test_a_loss_that_is_not_finite_is_left_to_the_loop() -> None:
    net = make_net()

    def corrupt(event: Event) -> None:
        with torch.no_grad():
            net.read_out.bias.fill_(math.nan)

    with pytest.raises(NonFinite, match=r"update 2 .* in read_out\.bias"):
        run([corrupt, Watch(cost=1.0)], net)


def test_a_model_without_a_recurrence() -> None:
    line = nn.Linear(3, 1)
    with pytest.raises(ValueError, match="expected a model with a recurrence, got Linear"):
        train(line, lambda batch, _: (line(batch.values).mean(), None), Numbers(), TrainingSettings(),
              observers=[Watch()])  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"model": nn.Linear(1, 1)}, "expected both model and loss, or neither"),
        ({"loss": lambda: None}, "expected both model and loss, or neither"),
        ({"cost": 0.0}, "expected cost above 0 and at most 1, got 0.0"),
        ({"cost": 5}, "expected cost above 0 and at most 1, got 5"),
    ],
)
def test_wrong_arguments(wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=f"^Watch: {line}"):
        Watch(**wrong)


def test_an_event_before_any_model_is_known() -> None:
    with pytest.raises(ValueError, match="expected a model, got none"):
        Watch()(update(1, 0.1))


def test_tasks_pass_their_model_and_loss(tmp_path: Any) -> None:
    texts = ["a b c d", "b b a", "c c d a b", "d a"] * 8
    model = LanguageModel(units="words", hidden_size=6, embedding_size=4, epochs=1, steps=10, streams=2, ngram_order=0)
    model.fit(texts, run=Run(tmp_path / "text", observers=[Watch()]))
    events = [json.loads(line) for line in (tmp_path / "text" / "log.jsonl").read_text().splitlines()]
    (layer,) = next(event["layers"] for event in events if "layers" in event).values()
    assert set(layer) >= {"horizon", "half_life", "growth", "forget_mean", "forget_histogram"}
    events: list[Event] = []
    rows = Classifier(units="words", hidden_size=6, embedding_size=4, epochs=1)
    rows.fit(texts, ["x", "y"] * 16, run=Run(observers=[Watch(), events.append]))
    assert len(next(event for event in events if isinstance(event, Examined)).layers) == 2  # from both ends
