"""The table of `elman.describe`."""

import os
import pathlib
import subprocess
import sys

import pytest
import torch

import elman
import elman.nn as elman_nn
from elman import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Embedding,
    LanguageModel,
    LayerNorm,
    Linear,
    MinGRU,
    OutputFeedback,
    Residual,
    Stack,
)
from elman.cells import CellModule
from elman.kernels import native


class Own(CellModule):
    """Cell of the user."""

    def __init__(self):
        super().__init__()
        self.input_size = self.output_size = 4
        self.weight = torch.nn.Parameter(torch.ones(4))


def runners(model) -> dict[str, str]:
    """Return the implementation that runs each part, by its path."""
    head, *lines = [line.split(None, 5) for line in elman.describe(model).splitlines() if line.startswith("  ")]
    assert head == ["part", "layer", "parameters", "runs", "in"]
    return {line[0]: line[5] if len(line) == 6 else "" for line in lines}


@pytest.mark.needs_native
def test_every_part_has_a_line_with_its_implementation():
    isa = f"native ({native.module.isa})"
    net = Stack(
        Embedding(7, 3), LSTM(3, 4), LayerNorm(4), Stack(MinGRU(4, 4), Own()), OutputFeedback(GRU(6, 2)), Linear(2, 7)
    )
    assert runners(net) == {
        "cells.0": "PyTorch",
        "cells.1": isa,
        "cells.2": "PyTorch",
        "cells.3": "",
        "cells.3.cells.0": isa,
        "cells.3.cells.1": "PyTorch, step by step",
        "cells.4": "PyTorch, step by step",
        "cells.4.cell": isa,
        "cells.5": isa,
    }


@pytest.mark.needs_native
def test_a_reference_has_a_reason():
    strided = RNN(3, 4)
    strided.weight_hh.data = strided.weight_hh.data.t()
    net = Stack(LSTM(3, 3).double(), strided)
    assert runners(net) == {
        "cells.0": "reference: weights are float64",
        "cells.1": "reference: weights are not contiguous",
    }
    assert "reference: weights are on meta" in elman.describe(LSTM(3, 4).to("meta"))


@pytest.mark.parametrize(
    ("model", "report"),
    [
        (lambda: LSTM(3, 4), "runs, also step by step"),
        (lambda: Own(), "no, Own has no layer type in elman.network"),
        (
            lambda: Bidirectional(GRU(3, 4), GRU(3, 4)),
            "runs, but not step by step, because Bidirectional reads whole sequences",
        ),
        (
            lambda: Stack(Linear(3, 3), Residual(Stack(Bidirectional(GRU(3, 2), GRU(3, 1))))),
            "runs, but not step by step, because cells.1.cell.cells.0 (Bidirectional) reads whole sequences",
        ),
        (lambda: LSTM(3, 4).double(), "no, weights are float64"),
    ],
)
def test_the_last_line_reports_whether_it_runs_without_pytorch(model, report):
    assert elman.describe(model()).splitlines()[-1] == f"Without PyTorch (elman.runtime): {report}."


def test_tied_parameters_count_once():
    net = Stack(Embedding(7, 3), Linear(3, 7))
    net.cells[1].weight = net.cells[0].weight
    assert elman.describe(net).startswith("Stack(7 -> 7), 28 parameters, float32 on cpu\n")


def test_a_task_is_described_by_its_network():
    settings = {"hidden_size": 8, "epochs": 1, "steps": 10, "streams": 2, "ngram_order": 0, "validation": 0}
    model = LanguageModel(**settings).fit("to be or not to be " * 10)
    assert elman.describe(model) == elman.describe(model.net_)


def test_an_untrained_task_raises():
    with pytest.raises(
        TypeError,
        match=r"^describe: expected a cell, .* or a module of PyTorch, got LanguageModel; fit it first\.$",
    ):
        elman.describe(LanguageModel())


def test_without_native_kernels():
    code = "import elman; print(elman.describe(elman.LSTM(3, 4)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | {"ELMAN_NATIVE": "0"}, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("LSTM(3 -> 4), 128 parameters, float32 on cpu: reference: ELMAN_NATIVE=0\nThreads: ")


class Tagger(torch.nn.Module):
    """Network of a user's own class."""

    def __init__(self, layers):
        super().__init__()
        self.embedding, self.lstm, self.readout = layers.Embedding(9, 3), layers.LSTM(3, 4), layers.Linear(4, 2)
        self.rest = torch.nn.Sequential(torch.nn.Dropout(0.1), Stack(GRU(2, 2)))


@pytest.mark.needs_native
def test_a_module_of_pytorch_shows_what_runs_in_kernels():
    isa = f"native ({native.module.isa})"
    parts = {
        "embedding": "PyTorch",
        "readout": "PyTorch",
        "rest.1": "Stack(2 -> 2)                          32",
        "rest.1.cells.0": isa,
    }
    for layers, lstm in ((elman_nn, isa), (torch.nn, "PyTorch")):
        text = elman.describe(Tagger(layers))
        found = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ")}
        assert found.keys() == {"part", "lstm", *parts}
        for name, runner in ({"lstm": lstm} | parts).items():
            assert found[name].split()[-len(runner.split()) :] == runner.split()
        assert text.endswith(": no, Tagger is not a cell or a layer of elman.")
    alone = elman.describe(elman_nn.GRU(3, 4)).splitlines()[0]
    assert alone == f"GRU(3, 4), 108 parameters, float32 on cpu: {isa}"
    assert ": reference: weights are float64\n" in elman.describe(elman_nn.RNN(3, 4).double())


@pytest.mark.parametrize("wrong", [3, "runs/m", torch.zeros(3), None, LSTM])
def test_other_objects_are_not_described(wrong):
    with pytest.raises(
        TypeError, match=r"^describe: expected a cell, a layer, a trained task or a module of PyTorch, got"
    ):
        elman.describe(wrong)


@pytest.mark.parametrize(("model", "message"), [
    ("runs/m", r"got str; load it first: describe\(elman\.load\('runs/m'\)\), or print elman\.runtime\.load\(.*\)\.$"),
    (pathlib.Path("runs/m"), "got \\w+Path; load it first"),
    (GRU(3, 4).network(), r"got GRU, which runs without PyTorch; print it, or describe elman\.load\(path\)\.$"),
])  # fmt: skip
def test_models_that_are_not_in_pytorch(model, message):
    with pytest.raises(TypeError, match=message):
        elman.describe(model)
