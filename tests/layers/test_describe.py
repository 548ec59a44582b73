"""The table of `elman.describe`."""

import os
import subprocess
import sys

import pytest
import torch

import elman
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


@pytest.mark.needs_native
@pytest.mark.parametrize(
    ("model", "answer"),
    [
        (lambda: LSTM(3, 4), "yes"),
        (lambda: Own(), "no, Own has no layer type in elman.runtime"),
        (lambda: Bidirectional(GRU(3, 4), GRU(3, 4)), "no, Bidirectional reads whole sequences, so it cannot stream"),
        (lambda: LSTM(3, 4).double(), "no, weights are float64"),
    ],
)
def test_the_last_line_reports_whether_it_steps_without_pytorch(model, answer):
    assert elman.describe(model()).splitlines()[-1] == f"One step at a time without PyTorch (elman.runtime): {answer}."


def test_tied_parameters_count_once():
    net = Stack(Embedding(7, 3), Linear(3, 7))
    net.cells[1].weight = net.cells[0].weight
    assert elman.describe(net).startswith("Stack(7 -> 7), 28 parameters, float32 on cpu\n")


def test_a_task_is_described_by_its_network():
    settings = {"hidden_size": 8, "epochs": 1, "steps": 10, "streams": 2, "ngram_order": 0, "validation": 0}
    model = LanguageModel(**settings).fit("to be or not to be " * 10)
    assert elman.describe(model) == elman.describe(model.net_)


def test_an_untrained_task_raises():
    with pytest.raises(TypeError, match=r"^describe: expected a cell, a layer or a trained task, got LanguageModel\.$"):
        elman.describe(LanguageModel())


def test_without_native_kernels():
    code = "import elman; print(elman.describe(elman.LSTM(3, 4)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | {"ELMAN_NATIVE": "0"}, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("LSTM(3 -> 4), 128 parameters, float32 on cpu: reference: ELMAN_NATIVE=0\nThreads: ")
