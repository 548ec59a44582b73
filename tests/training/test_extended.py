"""A run that is resumed with other settings: more epochs, another patience, other evaluations."""

import json
import logging
from pathlib import Path

import pytest
import torch
from small_run import small_run

from elman import files
from elman.training import TrainingSettings


def events(run: Path) -> list[dict[str, object]]:
    """Return the events of a log without their times."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in line if not name.startswith(("seconds", "steps_per"))} for line in lines]


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    tensors, _ = files.read_tensors(run / f"{name}.safetensors", torch=True)
    return tensors


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert tensor.equal(b[name]), name


@pytest.mark.parametrize("options", [{"schedule": "constant"}, {"schedule": "plateau"}, {"schedule": "step"}])
def test_a_schedule_without_an_end_extends_to_the_bits_of_one_long_run(tmp_path: Path, options: dict[str, str]) -> None:
    for epochs, resume, run in ((2, False, "cut"), (4, True, "cut"), (4, False, "whole")):
        _, result = small_run(tmp_path / run, resume, epochs=epochs, average=0.9, **options)
        assert result.epoch == epochs
    assert_equal(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert_equal(weights(tmp_path / "cut", "best"), weights(tmp_path / "whole", "best"))
    for a, b in zip(events(tmp_path / "cut"), events(tmp_path / "whole"), strict=True):
        assert a | {"progress": 0} == b | {"progress": 0}


def test_the_first_part_of_an_extended_run_stays_as_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, first = small_run(tmp_path, epochs=2, learning_rate=0.02)
    before = events(tmp_path)
    caplog.clear()
    with caplog.at_level(logging.INFO, "elman"):
        _, result = small_run(tmp_path, resume=True, epochs=4, learning_rate=0.02)
    assert events(tmp_path)[: len(before)] == before
    assert (result.epoch, result.updates) == (4, events(tmp_path)[-1]["update"])
    assert result.updates > first.updates
    message = next(message for message in caplog.messages if message.startswith("epochs changed"))
    assert message == (
        "epochs changed from 2 to 4: the learning rate continues at 0.01, on the cosine schedule of 4 epochs; "
        "the weights will differ from those of a single run of 4 epochs"
    )
    rates = [event["learning_rate"] for event in events(tmp_path) if "learning_rate" in event]
    assert rates[first.updates] == pytest.approx(0.01)


def test_an_extended_run_that_is_killed_ends_with_the_same_bits(tmp_path: Path) -> None:
    def stop(event: object) -> None:
        if getattr(event, "epoch", 0) == 3:
            raise KeyboardInterrupt

    for run in ("whole", "cut"):
        small_run(tmp_path / run, epochs=2)
    small_run(tmp_path / "whole", resume=True, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        small_run(tmp_path / "cut", resume=True, epochs=4, observers=[stop])
    small_run(tmp_path / "cut", resume=True, epochs=4)
    assert_equal(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


def test_patience_until_and_the_interval_of_evaluations_may_change(tmp_path: Path) -> None:
    _, first = small_run(tmp_path, epochs=5, until=100.0)  # reached by the first evaluation
    _, result = small_run(tmp_path, resume=True, epochs=5, until=0.0, patience=9, evaluate_every=4)
    assert result.updates > first.updates
    evaluated = [event["update"] for event in events(tmp_path) if "evaluation" in event]
    assert [update for update in evaluated if update > first.updates][:-1] == [
        update for update in range(first.updates + 1, result.updates) if update % 4 == 0
    ]


@pytest.mark.parametrize("changes", [{"learning_rate": 0.1}, {"schedule": "constant"}, {"seed": 1}, {"clip_norm": 2.0}])
def test_other_settings_may_not_change(tmp_path: Path, changes: dict[str, object]) -> None:
    small_run(tmp_path, epochs=1)
    with pytest.raises(ValueError, match=rf"the checkpoint of another run: settings\.{next(iter(changes))} is "):
        small_run(tmp_path, resume=True, epochs=2, **changes)


def test_fewer_epochs_than_the_run_has_begun_are_an_error(tmp_path: Path) -> None:
    small_run(tmp_path, epochs=3)
    with pytest.raises(ValueError, match=r"expected epochs of at least 3, which the resumed run has begun, got 2;"):
        small_run(tmp_path, resume=True, epochs=2)
    assert small_run(tmp_path, resume=True, epochs=3)[1].epoch == 3


def test_no_epochs_leave_the_weights_as_they_are(tmp_path: Path) -> None:
    for validate in (True, False):
        net, result = small_run(epochs=0, validate=validate)
        assert result[:4] == (0, 0, None, 0)
        untrained = small_run(epochs=0)[0].state_dict()
        assert all(tensor.equal(untrained[name]) for name, tensor in net.state_dict().items())
    small_run(tmp_path, epochs=0)
    assert small_run(tmp_path, resume=True, epochs=1)[1].epoch == 1
    assert TrainingSettings(epochs=0).epochs == 0
