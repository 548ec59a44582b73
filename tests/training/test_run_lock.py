"""Locks of run folders: two trainings never write to one folder, and a killed one blocks nobody."""

import errno
import logging
import os
import subprocess
import sys
import threading

import pytest
import torch
from small_run import small_run
from torch import nn

from elman.training import TrainingSettings, run_lock, train
from elman.training.run_lock import LOCK, RunLock

# Hold the lock of a folder until standard input ends, with a forked child that lives longer; without PyTorch.
HOLD = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("run_lock", sys.argv[1])
run_lock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run_lock)
with run_lock.RunLock(sys.argv[2]) as lock:
    if os.fork() == 0:
        print("child holds it" if lock.held else "held", flush=True)
        sys.stdin.read()
        os._exit(0)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch):
    monkeypatch.setattr(run_lock, "_WAIT", 0.0)


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path):
    run = tmp_path / "new" / "run"
    with RunLock(run) as lock:
        (run / "config.toml").touch()
        assert lock.held
        for second in (RunLock(run), RunLock(str(run)), RunLock(run / ".." / "run")):
            for attempt in (second.check, second.__enter__):
                with pytest.raises(BlockingIOError, match=r"run: in use: this process has been training there since "):
                    attempt()
            assert not second.held
    assert not lock.held
    assert [path.name for path in run.iterdir()] == ["config.toml"]
    RunLock(run).check()


def test_a_new_folder_that_stays_empty_is_removed(tmp_path):
    (tmp_path / "old").mkdir()
    for name in ("old", "new"):
        with RunLock(tmp_path / name):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_another_process_holds_the_lock_until_it_is_killed(tmp_path, monkeypatch):
    code = [sys.executable, "-c", HOLD, run_lock.__file__, str(tmp_path)]
    with subprocess.Popen(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        message = rf"{tmp_path}: in use: process {holder.pid} on .+ has been training there since \d{{4}}-.*; wait"
        with pytest.raises(BlockingIOError, match=message):
            RunLock(tmp_path).check()
        monkeypatch.setattr(run_lock, "_WAIT", 30.0)
        holder.kill()  # its forked child still runs, and it has not been waited for
        with RunLock(tmp_path) as lock:
            assert lock.held
            assert str(os.getpid()) in (tmp_path / LOCK).read_text()
        holder.stdin.close()


def test_text_of_a_holder_that_no_longer_exists_is_no_lock(tmp_path):
    for text in ('{"pid": 1, "host": "another", "since": "2020-01-01 00:00:00"}', "", "no JSON", "[1]"):
        (tmp_path / LOCK).write_text(text)
        with RunLock(tmp_path) as lock:
            assert lock.held


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", "{}"])
def test_a_holder_without_a_description(tmp_path, text):
    with RunLock(tmp_path):
        (tmp_path / LOCK).write_text(text)
        with pytest.raises(BlockingIOError, match="in use: another process is training there; wait"):
            RunLock(tmp_path).check()


def test_a_folder_that_was_removed_and_made_again_belongs_to_its_new_holder(tmp_path):
    run = tmp_path / "run"
    first, second = RunLock(run), RunLock(run)
    with first:
        (run / LOCK).unlink()
        run.rmdir()
        with second:
            first.__exit__()
            assert (run / LOCK).exists()
            with pytest.raises(BlockingIOError):
                RunLock(run).check()


def test_a_file_system_without_locks_gives_a_warning(tmp_path, monkeypatch, caplog):
    def unsupported(file):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_lock, "_lock", unsupported)
    with caplog.at_level(logging.WARNING), RunLock(tmp_path) as lock:
        assert lock.held
    assert "its file system has no locks (No locks available); start no other training there" in caplog.text


def test_a_folder_that_cannot_be_made_or_written(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "run" / LOCK).mkdir(parents=True)
    for folder, message in {"file": "cannot be made: File exists", "file/run": "cannot be made: Not a directory",
                            "run": "cannot be written: Is a directory",
                            "/proc/run": "/proc/run: cannot be made: No such file or directory"}.items():  # fmt: skip
        with pytest.raises(OSError, match=message):
            RunLock(tmp_path / folder).__enter__()


def test_a_second_training_in_the_folder_is_refused_and_the_first_one_ends_well(tmp_path):
    refused = []

    def again(event):
        for resume in (False, True):
            try:
                train(nn.Linear(1, 1), None, None, TrainingSettings(), run=tmp_path, resume=resume)
            except BlockingIOError as error:
                refused.append(str(error))

    def in_a_thread(event):
        thread = threading.Thread(target=again, args=(event,))
        thread.start()
        thread.join()

    net, result = small_run(tmp_path, epochs=1, observers=[again, in_a_thread], validate=False)
    alone, _ = small_run(epochs=1, validate=False)
    assert len(refused) == 4 * result.updates
    assert all(f"{tmp_path}: in use: this process" in text for text in refused)
    assert all(torch.equal(mine, its) for mine, its in zip(net.parameters(), alone.parameters(), strict=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.safetensors", "log.jsonl"]


def test_the_caller_may_hold_the_lock(tmp_path):
    with RunLock(tmp_path / "run") as lock:
        small_run(lock, epochs=1, validate=False)
        assert lock.held
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_training_that_cannot_begin_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="expected batches"):
        train(nn.Linear(1, 1), None, type("Empty", (), {"epoch": lambda *_: []})(), TrainingSettings(),
              run=tmp_path / "run")  # fmt: skip
    assert not (tmp_path / "run").exists()
