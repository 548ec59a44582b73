import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from small_run import Net, make_net, small_run
from torch import Tensor, nn

from elman import LSTM, Linear, files
from elman.training import Evaluation, Event, Interrupted, TrainingSettings, train
from elman.training.checkpoint import first_difference


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("finished")
    small_run(run, epochs=1, metadata={"task": "test", "labels": ["a", "b"]})
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of a run of one epoch."""
    for path in finished.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def resume(run: Path, **options: Any) -> Any:
    return small_run(run, resume=True, **{"epochs": 1, "metadata": {"task": "test", "labels": ["a", "b"]}, **options})


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir()}


def test_the_contents_of_the_files(run: Path) -> None:
    net = make_net()
    tensors, facts = files.read_tensors(run / "last.safetensors", torch=True)
    assert {name for name in tensors if name.startswith("model/")} == {
        f"model/{name}" for name in net.state_dict() if name != "read_out.weight"
    }
    for name, parameter in net.named_parameters():
        assert tensors[f"optimizer/{name}/exp_avg"].shape == parameter.shape
        assert tensors[f"optimizer/{name}/step"] == 14
    assert "state" in tensors
    assert facts["task"] == "test"
    assert facts["settings"]["epochs"] == 1
    assert facts["place"]["log_bytes"] == (run / "log.jsonl").stat().st_size
    best, _ = files.read_tensors(run / "best.safetensors")
    assert best.keys() == {name for name in tensors if name.startswith("model/")}


@pytest.mark.parametrize(("name", "other"), [("last", "best"), ("best", "last")])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_checkpoint_copied_over_the_other_one(tmp_path: Path, name: str, other: str, optimizer: str) -> None:
    small_run(tmp_path, epochs=1, optimizer=optimizer)
    (tmp_path / f"{name}.safetensors").write_bytes((tmp_path / f"{other}.safetensors").read_bytes())
    line = f"{name}.safetensors: expected {name}.safetensors, got a copy of {other}.safetensors; put the file back"
    with pytest.raises(ValueError, match=line):
        small_run(tmp_path, resume=True, epochs=1, optimizer=optimizer)


def test_resuming_a_finished_run_changes_nothing(run: Path) -> None:
    before = contents(run)
    net, result = resume(run)
    assert contents(run) == before
    again, other = small_run(epochs=1)
    assert result[:4] == other[:4]
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_an_existing_run_is_not_overwritten(run: Path) -> None:
    before = contents(run)
    with pytest.raises(FileExistsError, match="holds a training run; resume it, or name another folder"):
        small_run(run)
    assert contents(run) == before


def test_resuming_without_a_folder() -> None:
    with pytest.raises(ValueError, match="expected a run folder to resume, got none"):
        small_run(None, resume=True)


def test_resuming_before_the_first_checkpoint_starts_from_the_beginning(run: Path) -> None:
    (run / "last.safetensors").unlink()
    (run / "log.jsonl").write_text("half a li")
    for name in ("last", "best"):
        (run / f"{name}.safetensors{files.TEMPORARY}").write_text("half a file")
    resume(run)
    assert sorted(contents(run)) == ["best.safetensors", "last.safetensors", "log.jsonl"]
    assert (run / "log.jsonl").read_text().startswith('{"update": 1,')


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"learning_rate": 0.5}, "settings.learning_rate is 0.02, in this run 0.5"),
        ({"clip_value": 2.0}, "settings.clip_value is None, in this run 2.0"),
        ({"metadata": {"task": "other", "labels": ["a", "b"]}}, "task is 'test', in this run 'other'"),
        ({"metadata": {"task": "test", "labels": ["a", "c"]}}, "labels.1 is 'b', in this run 'c'"),
        ({"metadata": {"task": "test"}}, "only the checkpoint has labels"),
    ],
)
def test_a_checkpoint_of_other_settings_is_an_error(run: Path, options: dict[str, Any], difference: str) -> None:
    before = contents(run)
    line = f"{run}/last.safetensors: the checkpoint of another run: {difference}; resume with the values of the "
    with pytest.raises(ValueError, match="^" + re.escape(line + "checkpoint, or train in a new folder.") + "$"):
        resume(run, **options)
    assert contents(run) == before


def larger() -> Net:
    net = make_net()
    net.norm = nn.BatchNorm1d(9)
    return net


def with_more() -> Net:
    net = make_net()
    net.more = Linear(2, 2)
    return net


def with_less() -> Net:
    net = make_net()
    net.norm.bias = None
    return net


@pytest.mark.parametrize(
    ("make", "difference"),
    [
        (larger, r"norm.weight is 'float32 \[8\]', in this run 'float32 \[9\]'"),
        (with_more, "only this run has more.weight"),
        (with_less, "only the checkpoint has norm.bias"),
        (lambda: make_net().double(), r"body.cells.0.weight is 'float32 \[12, 8\]', in this run 'float64"),
    ],
)
def test_a_checkpoint_of_another_model_is_an_error(run: Path, make: Any, difference: str) -> None:
    with pytest.raises(ValueError, match="last.safetensors: the checkpoint of another run: " + difference):
        resume(run, net=make())


def test_a_run_cannot_be_resumed_with_other_data(run: Path) -> None:
    net = make_net()
    text = [None, None]
    data = type("Data", (), {"epoch": lambda self, number: text})()
    settings = TrainingSettings(epochs=1, learning_rate=0.02)
    with pytest.raises(ValueError, match="expected the data of the resumed run, 14 batches in epoch 1, got 2; resume"):
        train(net, net.loss, data, settings, run=run, resume=True, metadata={"task": "test", "labels": ["a", "b"]})


@pytest.mark.parametrize("name", ["last.safetensors", "best.safetensors"])
@pytest.mark.parametrize(
    "harm", [lambda blob: blob[:-10], lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]), lambda blob: b""]
)
def test_a_damaged_checkpoint_is_an_error(run: Path, name: str, harm: Any) -> None:
    blob = (run / name).read_bytes()
    (run / name).write_bytes(harm(blob))
    with pytest.raises(ValueError, match=name):
        resume(run)


def test_a_model_file_is_not_a_checkpoint(run: Path) -> None:
    files.write_tensors(run / "last.safetensors", make_net().state_dict(), {"schema": files.SCHEMA})
    with pytest.raises(ValueError, match=r"last\.safetensors: expected a checkpoint, got a model file"):
        resume(run)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("name", ["last", "best"])
def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path, name: str) -> None:
    whole = small_run(evaluate_every=7)[0]
    with pytest.raises(Interrupted):
        small_run(tmp_path, evaluate_every=7, observers=[stop_at(7)])
    before = contents(tmp_path)
    size = len(before[f"{name}.safetensors"]) * 9 // 10
    with largest_file(size), pytest.raises(OSError, match=rf"{name}\.safetensors: not saved: .*; free disk space"):
        small_run(tmp_path, resume=True, evaluate_every=7)
    after = contents(tmp_path)
    assert after.keys() == before.keys()
    assert after["last.safetensors"] == before["last.safetensors"]
    net, _ = small_run(tmp_path, resume=True, evaluate_every=7)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), whole.parameters(), strict=True))


def stop_at(update: int) -> Any:
    def stop(event: Event) -> None:
        if isinstance(event, Evaluation) and event.update == update:
            raise KeyboardInterrupt

    return stop


class Memory(NamedTuple):
    h: Any
    counts: tuple[Any, ...]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_states_of_any_structure_and_dtype_are_resumed(tmp_path: Path, dtype: torch.dtype) -> None:
    """The state holds a non-contiguous view, integers and an empty tuple."""

    class Data:
        def epoch(self, number: int) -> list[Tensor]:
            return list(torch.randn(9, 4, 6, generator=torch.Generator().manual_seed(number)).to(dtype))

    def learn(run: Path | None, resume: bool, stop: int | None) -> nn.Module:
        torch.manual_seed(0)
        model, seen = nn.Linear(9, 6).to(dtype), iter(range(100))

        def loss(batch: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
            if torch.is_grad_enabled() and next(seen) == stop:
                raise KeyboardInterrupt
            memory = memory or Memory(batch[:, ::2].T, (torch.zeros(4, dtype=torch.int64), ()))
            y = model(torch.cat([batch, memory.h.T], 1)).tanh() + memory.counts[0][:, None].to(dtype) / 100
            return (y - batch).float().square().mean(), Memory(y[:, 3:].T, (memory.counts[0] + 1, ()))

        train(
            model, loss, Data(), TrainingSettings(epochs=2, learning_rate=0.05), run=run, resume=resume, save_every=0.0
        )
        return model

    expected = learn(None, False, None)
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path, False, 4)
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path, True, 8)
    got = learn(tmp_path, True, None)
    assert all(torch.equal(a, b) for a, b in zip(got.parameters(), expected.parameters(), strict=True))


def test_a_state_of_numpy_arrays_is_resumed(tmp_path: Path) -> None:
    line, counts = nn.Linear(2, 1), []

    def loss(batch: Tensor, state: Any) -> tuple[Tensor, Any]:
        state = np.zeros(3, np.int64) if state is None else state
        counts.append(int(state[0]))
        if counts == [0, 1, 2]:
            raise KeyboardInterrupt
        return line(batch).mean(), state + 1

    data = type("Data", (), {"epoch": lambda self, number: [torch.ones(1, 2)] * 5})()
    with pytest.raises(Interrupted):
        train(line, loss, data, TrainingSettings(epochs=1), run=tmp_path, save_every=0.0)
    train(line, loss, data, TrainingSettings(epochs=1), run=tmp_path, resume=True)
    assert counts == [0, 1, 2, 0, 2, 3, 4]  # the second 0: the call that returns an example of the state


def test_the_first_difference_is_described() -> None:
    there = {"a": 1, "b": {"c": [1, {"d": 2.5}], "e": None}, "f": list(range(100))}
    assert first_difference(there, there) == ""
    assert first_difference(there, {**there, "b": {"c": [1, {"d": 2.25}], "e": None}}) == (
        "b.c.1.d is 2.5, in this run 2.25"
    )
    assert first_difference(there, {**there, "b": {"c": [1, {"d": 2.5}]}}) == "only the checkpoint has b.e"
    assert first_difference(there, {**there, "f": []}) == "f is [0, 1, 2, 3, 4, 5, ...], in this run []"


def test_a_run_folder_is_created(tmp_path: Path) -> None:
    small_run(tmp_path / "some" / "run", epochs=1)
    assert (tmp_path / "some" / "run" / "last.safetensors").exists()


def test_the_carried_state_of_a_cell_is_its_named_tuple(tmp_path: Path) -> None:
    """The state has the cell's own type in every batch."""
    cell = LSTM(3, 4)
    seen: list[Any] = []

    def loss(batch: Tensor, state: Any) -> tuple[Tensor, Any]:
        seen.append(state)
        y, state = cell.step(batch, cell.initial_state(2) if state is None else state)
        return y.square().mean(), state

    data = type("Data", (), {"epoch": lambda self, number: [torch.ones(2, 3)] * 3})()
    train(cell, loss, data, TrainingSettings(epochs=1), run=tmp_path)
    assert [type(state).__name__ for state in seen] == ["NoneType", "LSTMState", "LSTMState"]
