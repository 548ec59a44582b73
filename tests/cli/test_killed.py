"""A run of the command line, killed eight times and resumed, ends with the same bits as one never killed."""

import random
import signal
import subprocess
import sys
import time

import pytest

TEXT = "the cat sat on the mat and the dog sat on the log; " * 200
SET = ["hidden_size=16", "epochs=6", "steps=20", "streams=4", "dropout=0.3", "embedding_dropout=0.2", "ngram_order=3"]


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "elman.cli", "train", "language-model", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def lines(log):
    return log.read_bytes().count(b"\n") if log.exists() else 0


@pytest.mark.slow
def test_killed_eight_times(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    settings = [word for setting in SET for word in ("--set", setting)]
    whole = start(text, "--out", tmp_path / "whole", *settings)
    assert whole.wait(300) == 0
    run, length = tmp_path / "run", lines(tmp_path / "whole" / "log.jsonl")
    for number, place in enumerate(sorted(random.Random(0).sample(range(length * 3 // 4), 8))):
        going = start(*(("--resume",) if number else (text, *settings)), "--out", run)
        while going.poll() is None and lines(run / "log.jsonl") <= place:
            time.sleep(0.002)
        going.kill()
        going.wait()
        assert going.returncode == -signal.SIGKILL
    last = start("--resume", "--out", run)
    assert last.wait(300) == 0
    for name in ("model.safetensors", "ngram.safetensors", "config.toml"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
