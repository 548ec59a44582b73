"""All benchmarked implementations (torch.nn, elman, onnxruntime) return the same results."""

import numpy as np
import pytest
from models import Elman, Packed, Padded, Prepacked, Reference
from problems import Problem, agree, names


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("train", [True, False])
def test_models_agree_on_ragged_batches(cell, train):
    problem = Problem("ragged", cell, (3, 7, 1, 2), 5, 4)
    given = problem.batches([np.array([0, 1]), np.array([2, 3])])
    alike = problem.batches([np.array([2, 3]), np.array([0, 1])])
    models = [
        Elman(problem, given),
        Reference(problem, given),
        Padded(problem, alike),
        Prepacked(problem, given, "packed before"),
        Packed(problem, given, True, "sorted"),
        Packed(problem, given, False, "unsorted"),
    ]
    results = {model.name: model.results(train) for model in models}
    assert set(results["elman"]) == set(results["sorted"]) == set(names(cell, train))
    assert set(results["torch"]) == set(names(cell, train)) - {"h", "c"}
    agree(cell, results, truth="unsorted", tolerance=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("lengths", [(3, 3), (2, 5, 1)])
def test_onnx_agrees(cell, lengths):
    pytest.importorskip("onnxruntime")
    from onnx_graph import Onnx

    problem = Problem("any", cell, lengths, 5, 4)
    batches = problem.batches()
    results = {model.name: model.results(False) for model in (Elman(problem, batches), Onnx(problem, batches, 1))}
    assert set(results["onnxruntime"]) == set(results["elman"])
    agree(cell, results, truth="elman", tolerance=1e-5)
