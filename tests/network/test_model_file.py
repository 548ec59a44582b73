"""Model files: read without PyTorch, and loaded by the same layers."""

import numpy as np
import pytest
import torch

import elman
from elman import GRU, LSTM, Embedding, LayerNorm, Linear, Residual, Stack, network
from elman.files import write_tensors
from elman.kernels import native
from elman.layers import Bidirectional
from elman.sequences import Sequences


def test_a_model_file_or_its_folder(tmp_path):
    write_tensors(tmp_path / network.MODEL, {"weight": np.arange(6.0).reshape(2, 3)}, {"schema": 1, "task": "any"})
    for path in (tmp_path, str(tmp_path), tmp_path / network.MODEL):
        file = network.read_model(path)
        assert file.metadata["task"] == "any"
        assert np.array_equal(file.tensors["weight"], [[0, 1, 2], [3, 4, 5]])


def test_a_folder_without_a_model_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: no such file"):
        network.read_model(tmp_path)


def deep():
    return Stack(LSTM(3, 4, zoneout_c=0.1), Residual(Bidirectional(GRU(4, 2), GRU(4, 2))), Linear(4, 2))


def tied():
    net = Stack(Embedding(7, 3), Linear(3, 7))
    net.cells[1].weight = net.cells[0].weight
    return net


SAVED = {
    "lstm": lambda: LSTM(3, 4),
    "stack": lambda: Stack(LSTM(3, 4, zoneout_c=0.1), Linear(4, 2)),
    "whole sequences": deep,
    "tied": tied,
    "double": lambda: Stack(GRU(3, 4), LayerNorm(4)).double(),
}


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_model_is_loaded_by_the_same_layers_and_without_pytorch(name, tmp_path):
    torch.manual_seed(0)
    cell, other, path = SAVED[name]().eval(), SAVED[name]().eval(), tmp_path / "cell.safetensors"
    cell.save(path)
    assert other.load(str(path)) is other
    assert all(map(torch.equal, cell.state_dict().values(), other.state_dict().values()))
    file = network.read_model(path)
    assert file.metadata["version"] == elman.__version__
    assert file.runs == cell.runs_without_torch() == (name != "double")
    assert f"runs without PyTorch {'yes' if file.runs else 'no'}" in repr(file)
    if file.runs:
        x = np.arange(6) if name == "tied" else np.random.default_rng(0).standard_normal((6, 3), np.float32)
        with torch.no_grad():
            y, _ = cell.scan(Sequences(torch.from_numpy(x), [4, 2]))
        close = np.testing.assert_array_equal if native.available() else np.testing.assert_allclose
        close(file.network().scan(Sequences(x, [4, 2]))[0].values, y.values.numpy())
    else:
        with pytest.raises(ValueError, match=r"cell\.safetensors: gru: .* got float64 .*; .* model\.float\(\)"):
            file.network()
    with pytest.raises(ValueError, match=r"expected the model of a task, .* elman\.runtime\.load\(path\)"):
        elman.load(path)


def test_a_folder_is_not_loaded(tmp_path):
    with pytest.raises(IsADirectoryError, match="expected a model file, got a folder; give the path of the file"):
        LSTM(3, 4).load(tmp_path)


def test_weights_of_other_layers_are_not_loaded(tmp_path):
    path = tmp_path / "cell.safetensors"
    Stack(LSTM(3, 4), Linear(4, 2)).save(path)
    for other, message in (
        (Stack(LSTM(3, 5), Linear(5, 2)), r"cells\.0\.bias \(20,\), got \(16,\)"),
        (Stack(LSTM(3, 4)), r"cells\.1\.bias nothing, got \(2,\)"),
        (LSTM(3, 4), r"bias \(16,\), got nothing"),
    ):
        before = [weight.clone() for weight in other.parameters()]
        with pytest.raises(ValueError, match=rf"cell\.safetensors: expected {message}; construct the layers"):
            other.load(path)
        assert all(map(torch.equal, before, other.parameters()))


def test_weights_that_are_not_finite_are_not_read(tmp_path):
    damaged = Linear(2, 2)
    damaged.bias.data.fill_(float("nan"))
    damaged.save(tmp_path / "cell.safetensors")
    with pytest.raises(ValueError, match="bias: expected finite numbers, got 2"):
        network.read_model(tmp_path / "cell.safetensors")


def test_a_file_without_a_spec_has_no_network(tmp_path):
    write_tensors(tmp_path / network.MODEL, {"weight": np.zeros(3, np.float32)}, {"schema": 1})
    file = network.read_model(tmp_path)
    assert not file.runs
    message = r"model\.safetensors: the file describes no network; run the model in PyTorch: construct it"
    with pytest.raises(ValueError, match=message):
        file.network()
