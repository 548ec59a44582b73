import importlib
import re
from pydoc_data import topics

import pytest


@pytest.fixture
def small_demo(monkeypatch, tmp_path):
    few = sorted(topics.topics, key=lambda word: len(topics.topics[word]))[:20]
    monkeypatch.setattr(topics, "topics", {word: topics.topics[word] for word in few})
    settings = {"hidden_size": 8, "epochs": 1, "steps": 20, "streams": 16, "validation": 0.2}
    monkeypatch.setattr(importlib.import_module("elman.cli.demo"), "SETTINGS", settings)
    monkeypatch.chdir(tmp_path)


def test_it_evaluates_generates_and_draws_and_can_be_run_again(elman, small_demo, tmp_path):
    for run in "runs/demo-1", "runs/demo-2":
        result = elman("demo")
        assert result.exit_code == 0, result.output
        assert re.search(
            r"The help topics of Python 3\.\d+\.\d+: \d+ to train and validate on, \d+ for the final", result.stdout
        )
        assert re.search(r"7-gram on the held-out part.*LSTM .*7-gram .* is better: ", result.stdout, re.DOTALL)
        _, paragraph, streamed = re.split(
            r"A generated paragraph:\n|Another one, streamed unit by unit:\n", result.stdout
        )
        assert len(paragraph) > 20
        assert streamed.startswith("\nAn object ")
        assert f"The loss curves: {run}/curves.png" in streamed
        assert (tmp_path / run / "curves.png").exists()
    with_name = elman("demo", "--out", "runs/demo-2")
    assert with_name.exit_code == 1
    assert "runs/demo-2: exists already" in with_name.stderr
