"""Comparison with Keras in a separate process: importing it takes seconds and fixes its backend."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from elman import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dropout,
    Embedding,
    LastPooling,
    LayerNorm,
    Linear,
    MaxPooling,
    Stack,
    VariationalDropout,
)
from elman.convert import from_keras, to_keras
from elman.layers import Reversed

from .running import last, random_weights, same_nets, scanned

THEIRS = ["everything", "functional", "lstm", "gru", "gru before", "linear", "sigmoid", "backwards", "nested", "norms",
          "float64", "mean", "maximum"]  # fmt: skip
pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("keras") is None, reason="keras is not installed")]
OURS = {
    "ours": lambda: Stack(Embedding(7, 3), VariationalDropout(3, 0.2), Bidirectional(GRU(3, 4), GRU(3, 4)),
                          Dropout(8, 0.1), LSTM(8, 3), LayerNorm(3), GRU(3, 4, reset="before"),
                          Reversed(RNN(4, 3, "identity")), LastPooling(3, 3), Linear(3, 2)),
    "our last": lambda: Stack(Bidirectional(LSTM(3, 4), LSTM(3, 4)), LastPooling(8, 4)),
    "our maximum": lambda: Stack(LSTM(3, 4), MaxPooling(4), Linear(4, 2)),
    "our float64": lambda: RNN(3, 4, "sigmoid").double(),
    "our rows": lambda: Stack(Bidirectional(RNN(3, 4, "relu"), RNN(3, 4, "tanh")), LSTM(8, 4)),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with files of Keras, and its outputs for our files."""
    folder = tmp_path_factory.mktemp("keras")
    torch.manual_seed(0)
    for name, make in OURS.items():
        net = random_weights(make())
        x = torch.randint(0, 7, (3, 5)) if name == "ours" else torch.randn(3, 5, 3)
        to_keras(net, folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", x=x, y=scanned(net, x))
    script, quiet = (
        Path(__file__).with_name("keras_truth.py"),
        {"KERAS_BACKEND": "torch", "KERAS_HOME": str(folder / "home")},
    )
    subprocess.run([sys.executable, str(script), str(folder)], check=True, env=os.environ | quiet)
    return folder


@pytest.mark.parametrize("name", OURS)
def test_keras_computes_the_same_from_our_file(folder, name):
    found = np.load(folder / f"{name}.y.npy")
    with np.load(folder / f"{name}.npz") as truth:
        y = truth["y"] if found.ndim == 3 else last(truth["y"], [5] * 3)
    assert (found.ndim == 2) == (name in ("ours", "our last", "our maximum"))
    np.testing.assert_allclose(found, y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", THEIRS)
def test_we_compute_the_same_from_a_file_of_keras(folder, name):
    net = from_keras(folder / f"{name}.keras", logits=True)
    with np.load(folder / f"{name}.npz") as given:
        y = scanned(net, given["x"])
        y = y.softmax(-1) if name == "everything" else y
        y = last(y, [5] * 3) if given["y"].ndim == 2 else y
        np.testing.assert_allclose(y, given["y"], rtol=1e-5, atol=1e-6)
        arrays = [given[key] for key in sorted(given) if key.startswith("weight")]
    assert ("float64" in name) == (next(net.parameters()).dtype == torch.float64)
    config = (folder / f"{name}.json").read_text()
    same_nets(from_keras(folder / f"{name}.weights.h5", config, logits=True), net)
    same_nets(from_keras(arrays, json.loads(config), logits=True), net)


def test_every_file_of_keras_is_read(folder):
    assert {path.stem for path in folder.glob("*.json")} == {*THEIRS}
