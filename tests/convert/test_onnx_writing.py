"""ONNX files that `to_onnx` writes, run by onnxruntime and compared with the model."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from elman import (
    GRU,
    LSTM,
    RNN,
    AttentionPooling,
    Bidirectional,
    Deviations,
    Differences,
    Dropout,
    Embedding,
    FrameEncoder,
    LastPooling,
    LayerNorm,
    Linear,
    MaxPooling,
    MeanPooling,
    MinGRU,
    OutputFeedback,
    Residual,
    Sequences,
    Stack,
    WindowNet,
)
from elman.convert import to_onnx
from elman.layers import Reversed
from elman.network import LAYER_TYPES, make_layer
from elman.network.activations import FUNCTIONS as ours

from .running import random_weights

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from elman.convert.onnx_writing.activations import FUNCTIONS  # noqa: E402
from elman.convert.onnx_writing.graphs import named_leaves  # noqa: E402
from elman.convert.onnx_writing.layers import WRITERS  # noqa: E402
from elman.convert.onnx_writing.task_graphs import GRAPHS  # noqa: E402

LENGTHS = [4, 0, 6, 1]
FRAME = 2, 7, 9


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# At least one model of each layer type, and one of each option of an LSTM
MODELS = {
    "rnn": lambda: Stack(*(RNN(3, 3, activation) for activation in ("tanh", "relu", "sigmoid", "identity"))),
    "gru": lambda: GRU(3, 4),
    "gru, reset before": lambda: GRU(3, 4, reset="before"),
    "lstm": lambda: LSTM(3, 4),
    "lstm, peephole": lambda: LSTM(3, 4, peephole=True),
    "lstm, coupled": lambda: LSTM(3, 4, forget_gate=False, coupled=True, peephole=True),
    "lstm, no forget gate": lambda: LSTM(3, 4, forget_gate=False, peephole=True),
    "lstm, projection": lambda: LSTM(3, 4, projection_size=2, peephole=True),
    "lstm, layer norm": lambda: LSTM(3, 4, layer_norm=True),
    "lstm, clip": lambda: LSTM(3, 4, cell_clip=0.3),
    "lstm, zoneout": lambda: LSTM(3, 4, zoneout_c=0.1, zoneout_h=0.2),
    "lstm, recurrent dropout": lambda: LSTM(3, 4, recurrent_dropout=0.3),
    "min_gru": lambda: MinGRU(3, 4),
    "window_net": lambda: Stack(WindowNet(3, 4, window=3), WindowNet(4, 2, window=1, activation="relu")),
    "embedding, dropout, layer_norm, linear": lambda: Stack(Embedding(9, 3), Dropout(3, 0.2), LayerNorm(3, 0.1),
                                                            LSTM(3, 4), Linear(4, 2)),
    "residual": lambda: Stack(Residual(LSTM(3, 3)), Residual(Stack(LayerNorm(3), GRU(3, 3)))),
    "output_feedback": lambda: OutputFeedback(Stack(LSTM(5, 4), Dropout(4, 0.5), Linear(4, 2))),
    "bidirectional": lambda: Stack(Bidirectional(LSTM(3, 4), LSTM(3, 4)), Bidirectional(GRU(8, 2), GRU(8, 2))),
    "bidirectional, two operators": lambda: Bidirectional(LSTM(3, 4), MinGRU(3, 2)),
    "bidirectional, loops": lambda: Bidirectional(LSTM(3, 4, cell_clip=1.0), OutputFeedback(GRU(5, 2))),
    "frame_encoder": lambda: Stack(FrameEncoder(2, 7, 9, 4, (3, 4)), GRU(4, 3)),
    "last_pooling": lambda: Stack(GRU(3, 4), LastPooling(4), Linear(4, 2)),
    "last_pooling, both ways": lambda: Stack(Bidirectional(GRU(3, 2), GRU(3, 2)), LastPooling(4, 2)),
    "mean_pooling": lambda: Stack(GRU(3, 4), MeanPooling(4), Linear(4, 2)),
    "max_pooling": lambda: Stack(GRU(3, 4), MaxPooling(4), Linear(4, 2)),
    "attention_pooling": lambda: Stack(GRU(3, 4), AttentionPooling(4, attention_size=3), Linear(4, 2)),
    "deviations, differences": lambda: Stack(Deviations(3), Differences(3), GRU(6, 4)),
    "deviations, differences of frames": lambda: Stack(Deviations(FRAME), Differences(FRAME, torch.rand(2) + 1),
                                                       FrameEncoder(4, 7, 9, 3, (3,)), GRU(3, 2)),
    "activation": lambda: Stack(nn.GELU(), nn.Softplus(2.0), Linear(3, 4), nn.Hardshrink(0.1)),
    "prelu, rms_norm": lambda: Stack(Linear(3, 4), nn.PReLU(4), nn.RMSNorm(4), nn.PReLU()),
    "reversed": lambda: Stack(Reversed(GRU(3, 4)), Reversed(WindowNet(4, 3)), Reversed(LSTM(3, 4, layer_norm=True))),
}  # fmt: skip


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def random_input(name, *sizes):
    if name.startswith("embedding"):
        return torch.randint(0, 9, sizes)
    return torch.randn(*sizes, *FRAME) / 10 if "frame" in name else torch.randn(*sizes, 3)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_every_layer_type_has_a_writer_or_a_graph():
    assert LAYER_TYPES.keys() == WRITERS.keys() | GRAPHS.keys()


def test_every_activation(tmp_path):
    assert ours.keys() == FUNCTIONS.keys()
    for name, function in ours.items():
        parameters = {"threshold": 20.0 if name == "softplus" else 0.1, "value": -0.7, "min_val": -0.5, "max_val": 0.3}
        settings = {part: parameters.get(part, 0.4) for part in function.parameters}
        spec = {"kind": "activation", "settings": {"input_size": 3, "output_size": 3, "function": name, **settings}}
        to_onnx(make_layer(spec, {}), tmp_path / f"{name}.onnx")  # compares


@pytest.mark.parametrize("name", MODELS)
def test_whole_rows_equal_the_model_with_any_padding(name, tmp_path):
    net = random_weights(MODELS[name]())
    to_onnx(net, tmp_path / "model.onnx")
    x, real = random_input(name, 4, 6), np.arange(6) < np.array(LENGTHS)[:, None]
    given = x.numpy().copy()
    if given.dtype == np.float32:
        given[~real] = np.nan
    (y,) = session(tmp_path / "model.onnx").run(None, {"x": given, "lengths": np.int64(LENGTHS)})
    with torch.no_grad():
        truth, _ = net.scan(Sequences.from_padded(x, LENGTHS))
    close(y[real], truth.values)


@pytest.mark.parametrize("name", [name for name, make in MODELS.items() if make().streams])
def test_steps_equal_the_model(name, tmp_path):
    """The metadata of the file are enough to run it: names and initial values of the state."""
    net = random_weights(MODELS[name]())
    to_onnx(net, tmp_path / "model.onnx", steps=True)
    step = session(tmp_path / "model.onnx")
    about = json.loads(step.get_modelmeta().custom_metadata_map["elman"])
    assert about["graph"] == "step"
    sizes = [[3 if size == "B" else size for size in leaf["shape"]] for leaf in about["state"]]
    state = {leaf["input"]: np.full(size, float(leaf["initial"]), leaf["dtype"])
             for leaf, size in zip(about["state"], sizes, strict=True)}  # fmt: skip
    x = random_input(name, 3, 5)
    with torch.no_grad():
        truth, after = net.scan(Sequences.from_padded(x, [5, 5, 5]))
    for t in range(5):
        outputs = step.run(None, {"x": x[:, t].numpy(), **state})
        found = dict(zip([output.name for output in step.get_outputs()], outputs, strict=True))
        close(found["y"], truth.to_padded()[:, t])
        state = {leaf["input"]: found[leaf["output"]] for leaf in about["state"]}
    leaves = dict(named_leaves(after))
    assert {leaf for leaf in leaves if not leaf.endswith((".row", ".step"))} == state.keys()
    for leaf, found in state.items():
        close(found, leaves[leaf])


@pytest.mark.parametrize("name", MODELS)
def test_rows_that_are_cut_continue_from_their_states(name, tmp_path):
    net = random_weights(MODELS[name]())
    to_onnx(net, tmp_path / "model.onnx", state=True)
    file = session(tmp_path / "model.onnx")
    read, written = [value.name for value in file.get_inputs()], [value.name for value in file.get_outputs()]
    state = net.initial_state(3)
    for length in ([2, 0, 3], [1, 2, 0]):
        x = random_input(name, 3, 3)
        given = {"x": x, "lengths": np.int64(length), **dict(named_leaves(state))}
        found = dict(zip(written, file.run(None, {value: np.asarray(given[value]) for value in read}), strict=True))
        with torch.no_grad():
            y, state = net.scan(Sequences.from_padded(x, length), state)
        real = np.arange(3) < np.array(length)[:, None]
        close(found["y"][real], y.values)
        for leaf, truth in named_leaves(state):
            if leaf in read:
                close(found[f"next_{leaf}"], truth)


def test_a_newer_opset(tmp_path):
    net = random_weights(Bidirectional(LSTM(3, 4, layer_norm=True), GRU(3, 4)))
    to_onnx(net, tmp_path / "model.onnx", opset=21)
    assert onnx.load(tmp_path / "model.onnx").opset_import[0].version == 21
    with pytest.raises(ValueError, match=r"expected an opset from 18 to [0-9]+, got 17"):
        to_onnx(net, tmp_path / "model.onnx", opset=17)


def test_a_plain_cell_is_an_operator_and_another_one_a_loop(tmp_path):
    for net, operators in ((LSTM(3, 4), {"LSTM"}), (LSTM(3, 4, cell_clip=1.0), {"Scan"})):
        to_onnx(net, tmp_path / "model.onnx")
        found = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
        assert found & {"LSTM", "Scan"} == operators


def test_a_file_of_a_model_is_enough(tmp_path):
    net = random_weights(Stack(LSTM(3, 4), Linear(4, 2)))
    net.save(tmp_path / "model.safetensors")
    to_onnx(net, tmp_path / "net.onnx")
    to_onnx(tmp_path / "model.safetensors", tmp_path / "file.onnx")
    net, file = (onnx.load(tmp_path / name).graph for name in ("net.onnx", "file.onnx"))
    assert net == file


def wrong(monkeypatch):
    """Make all layer norms wrong."""
    monkeypatch.setattr(type(WRITERS["layer_norm"]), "apply", lambda self, layer, x: x * 0.999)


def test_a_file_with_other_numbers_is_not_written(monkeypatch, tmp_path):
    wrong(monkeypatch)
    with pytest.raises(
        ValueError, match=r"^to_onnx: expected y within 1e-05 of the network from onnxruntime, got a dif"
    ):
        to_onnx(Stack(LSTM(3, 4), LayerNorm(4)), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_without_onnxruntime_a_warning_reports_that_the_file_was_not_compared(monkeypatch, tmp_path, caplog):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    to_onnx(LSTM(3, 4), tmp_path / "model.onnx")
    assert "not compared with the model; pip install onnxruntime" in caplog.text
    assert (tmp_path / "model.onnx").exists()


def test_a_model_that_reads_whole_rows_has_no_steps(tmp_path):
    net = Stack(Linear(3, 3), Residual(Stack(Bidirectional(GRU(3, 4), GRU(3, 4)), Linear(8, 3))))
    with pytest.raises(ValueError, match=r"^to_onnx: Bidirectional reads whole rows, so that the network has no steps"):
        to_onnx(net, tmp_path / "model.onnx", steps=True)
    assert not list(tmp_path.iterdir())


def test_other_kinds_of_models_raise(monkeypatch, tmp_path):
    with pytest.raises(TypeError, match="to_onnx: expected the path of a model, or a cell, a layer or a Stack of"):
        to_onnx(nn.LSTM(3, 4), tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=r"expected weight_ih float32 .*convert the weights in PyTorch"):
        to_onnx(LSTM(3, 4).double(), tmp_path / "model.onnx")
    monkeypatch.delitem(WRITERS, "linear")
    with pytest.raises(ValueError, match=r"^to_onnx: Linear is not supported; convert the layers before and after it"):
        to_onnx(Stack(LSTM(3, 4), Linear(4, 2)), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
