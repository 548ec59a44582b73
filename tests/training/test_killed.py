"""Killed runs: a run that is killed at any moment and resumed ends with the same bits."""

import json
import multiprocessing
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from small_run import killable

from elman import files

CONTEXT = multiprocessing.get_context("forkserver")  # children of a process that has loaded PyTorch and run nothing yet
CONTEXT.set_forkserver_preload(["elman.training", "elman.cells", "elman.layers"])
TIMES = ("seconds", "steps_per_second")


def go(run: Path, seconds: float | None = None, die_in: str = "", die_at: int = 0) -> int | None:
    """Run in a separate process, killed after `seconds` or at a call, and return its exit code."""
    process = CONTEXT.Process(target=killable, args=(run, die_in, die_at))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode


def ending(run: Path) -> list[Any]:
    """Return the weights, log and files of a run, without its times."""
    left: list[Any] = []
    for name in ("last", "best", "model"):
        tensors, facts = files.read_tensors(run / f"{name}.safetensors", torch=True)
        left.append({key: (tensor.dtype, tensor.shape, tensor.numpy().tobytes()) for key, tensor in tensors.items()})
        place = facts.get("place", {})
        left.append({key: value for key, value in place.items() if key not in ("seconds", "log_bytes")})
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    left.append([{key: value for key, value in line.items() if key not in TIMES} for line in lines])
    left.append(sorted(path.name for path in run.iterdir()))
    return left


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Return the ending of a run that was not killed."""
    run = tmp_path_factory.mktemp("whole")
    assert go(run) == 0
    return ending(run)


@pytest.fixture(scope="module")
def seconds(tmp_path_factory: pytest.TempPathFactory, whole: list[Any]) -> float:
    """Return the duration of a run, once the process that loads PyTorch has started."""
    again, began = tmp_path_factory.mktemp("again"), time.monotonic()
    assert go(again) == 0
    duration = time.monotonic() - began
    assert ending(again) == whole
    return duration


def test_killed_while_a_checkpoint_is_written(tmp_path: Path, whole: list[Any]) -> None:
    # `os.fsync` is called for the log, for the file and for its folder; `os.replace` when the file is written.
    for die_in, die_at in [("replace", 0), ("fsync", 12), ("fsync", 13), ("fsync", 14), ("replace", 10)]:
        assert go(tmp_path, die_in=die_in, die_at=die_at) == -signal.SIGKILL
        assert die_in == "fsync" or list(tmp_path.glob("*" + files.TEMPORARY))
    assert go(tmp_path) == 0
    assert ending(tmp_path) == whole


def test_killed_between_best_and_last(tmp_path: Path, whole: list[Any]) -> None:
    # Rename number 6 (from 0) is the checkpoint before an evaluation, number 7 its best, number 8 the one after it.
    assert go(tmp_path, die_in="replace", die_at=7) == -signal.SIGKILL
    assert (tmp_path / ("last.safetensors" + files.TEMPORARY)).exists()
    assert files.read_tensors(tmp_path / "best.safetensors")[1]["place"]["update"] == 7
    assert files.read_tensors(tmp_path / "last.safetensors")[1]["place"]["update"] == 6
    assert go(tmp_path) == 0
    assert ending(tmp_path) == whole


@pytest.mark.slow
def test_killed_thrice(tmp_path: Path, whole: list[Any], seconds: float) -> None:
    dice = random.Random(0)
    codes = [go(tmp_path, dice.uniform(0.1, 0.5) * seconds) for _ in range(3)]
    assert -signal.SIGKILL in codes
    assert go(tmp_path) == 0
    assert ending(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(20))
def test_killed_at_a_random_moment(tmp_path: Path, whole: list[Any], seconds: float, moment: int) -> None:
    code = go(tmp_path, random.Random(moment).uniform(0, seconds))
    assert code in (-signal.SIGKILL, 0)
    assert go(tmp_path) == 0
    assert ending(tmp_path) == whole
