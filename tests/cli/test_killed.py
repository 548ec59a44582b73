"""A run of the command line, killed at random moments and resumed, ends with the same bits as one never killed."""

import random
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
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    settings = [word for setting in SET for word in ("--set", setting)]
    began = time.monotonic()
    whole = start(text, "--out", tmp_path / "whole", *settings)
    assert whole.wait(300) == 0, whole.stderr.read()
    length, draw, kills = time.monotonic() - began, random.Random(0), 0
    run = tmp_path / "run"
    for _ in range(20):
        begun = (run / "config.toml").exists()
        going = start(*(("--resume",) if begun else (text, *settings)), "--out", run)
        try:
            going.wait(draw.uniform(0.3, 1.1) * length)
        except subprocess.TimeoutExpired:
            going.kill()
            kills += 1
        finally:
            going.communicate()
    assert kills > 5
    last = start("--resume", "--out", run)
    assert last.wait(300) == 0, last.stderr.read()
    for name in ("model.safetensors", "ngram.safetensors", "config.toml"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
