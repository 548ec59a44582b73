"""ONNX files in onnxruntime, exports of PyTorch, and wrong files."""

import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn

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
    MinGRU,
    Stack,
    convert,
)
from elman.cells import LSTMState
from elman.convert import from_onnx, to_onnx
from elman.layers import Reversed
from elman.sequences import Sequences

from .running import random_weights, same_nets, scanned

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper, numpy_helper, make = onnx.helper, onnx.numpy_helper, onnx.helper.make_node
LENGTHS = [5, 2, 4]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def run(path, **given):
    """Return the outputs of a file by name."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    given = {name: np.asarray(array) for name, array in given.items()}
    return dict(zip(names, session.run(names, given), strict=True))


MODELS = {
    "lstm": lambda: LSTM(3, 4),
    "gru": lambda: GRU(3, 4),
    "gru before": lambda: GRU(3, 4, reset="before"),
    "peepholes": lambda: LSTM(3, 4, peephole=True),
    "coupled": lambda: Reversed(LSTM(3, 4, forget_gate=False, coupled=True)),
    "peepholes, coupled": lambda: Stack(LSTM(3, 4, forget_gate=False, coupled=True, peephole=True),
                                        Bidirectional(*(LSTM(4, 2, forget_gate=False, coupled=True, peephole=True)
                                                        for _ in range(2)))),
    "min gru": lambda: Stack(MinGRU(3, 4), Reversed(MinGRU(4, 3)), Bidirectional(MinGRU(3, 2), MinGRU(3, 2))),
    "both ways": lambda: Bidirectional(LSTM(3, 4), LSTM(3, 4)),
    "activations": lambda: Stack(Bidirectional(RNN(3, 4, "relu"), RNN(3, 4, "tanh")), RNN(8, 4, "identity"),
                                 RNN(4, 4, "sigmoid")),
    "reversed": lambda: Stack(Reversed(GRU(3, 4)), LSTM(4, 4)),
    "layers": lambda: Stack(Embedding(7, 3), Bidirectional(GRU(3, 4), GRU(3, 4)), Dropout(8, 0.5), LSTM(8, 3),
                            LayerNorm(3, 0.1), Linear(3, 2)),
    "no recurrence": lambda: Stack(Linear(3, 4), LayerNorm(4)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_file_that_to_onnx_wrote_converts_back(name, tmp_path):
    net, path = random_weights(MODELS[name]()), tmp_path / "model.onnx"
    to_onnx(net, path)
    layers = [layer for layer in (net if isinstance(net, Stack) else [net]) if not isinstance(layer, Dropout)]
    same_nets(from_onnx(path), Stack(*layers))


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_the_final_state_of_a_node_is_a_last_pooling(direction):
    ways = 2 if direction == "bidirectional" else 1
    weights = [tensor("W", ways, 16, 3), tensor("R", ways, 16, 4), tensor("B", ways, 32), tensor("M", 4 * ways, 2)]
    ends = [
        make("Transpose", ["h"], ["rows_first"], perm=[1, 0, 2]),
        make("Reshape", ["rows_first", "joined"], ["last"]),
    ]
    ends = ends if ways == 2 else [make("Squeeze", ["h", "zero"], ["last"])]
    constants = [numpy_helper.from_array(np.array([0, -1]), "joined"), numpy_helper.from_array(np.array([0]), "zero")]
    model = _old(graph(node(direction=direction), *ends, make("MatMul", ["last", "M"], ["y"]), weights=weights,
                       constants=constants))  # fmt: skip
    net, x = from_onnx(model), torch.randn(5, 3, 3)
    assert isinstance(net.cells[1], LastPooling)
    y = scanned(net, x, batch_first=False)[-1]
    np.testing.assert_allclose(run(model.SerializeToString(), x=x)["y"], y, rtol=1e-5, atol=1e-6)


def spec(x, w, r, b, p, h, c, coupled):
    """Compute the final state of one direction for x [T, D] as the ONNX specification defines it."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    for step in x:
        i, o, f, g = np.split(w @ step + r @ h + sum(np.split(b, 2)), 4)
        see_i, see_o, see_f = np.split(p, 3)
        i = sigmoid(i + see_i * c)
        f = 1 - i if coupled else sigmoid(f + see_f * c)
        c = f * c + i * np.tanh(g)
        h = sigmoid(o + see_o * c) * np.tanh(c)
    return h, c


@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize("coupled", [0, 1])
def test_peepholes_and_coupled_gates_equal_onnx(coupled, peepholes):
    """The node is that of another exporter, which writes weights of the coupled forget gate too."""
    given = [tensor("W", 2, 16, 3), tensor("R", 2, 16, 4), tensor("B", 2, 32), tensor("P", 2, 12)]
    inputs = ["x", "W", "R", "B", "lengths", "h", "c", *(["P"] if peepholes else [])]
    settings = {"hidden_size": 4, "direction": "bidirectional", "input_forget": coupled}
    model = _old(graph(make("LSTM", inputs, ["y", "h_last", "c_last"], "cell", **settings), weights=given, constants=(),
                       outputs=("y", "h_last", "c_last")))  # fmt: skip
    shapes = {"h": [2, 3, 4], "c": [2, 3, 4]}
    model.graph.input.extend(helper.make_tensor_value_info(name, 1, shape) for name, shape in shapes.items())
    model.graph.input.append(helper.make_tensor_value_info("lengths", 6, [3]))
    x, h, c = torch.randn(5, 3, 3), torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    found = run(model.SerializeToString(), x=x, h=h, c=c, lengths=np.int32(LENGTHS))
    net = from_onnx(model, "cell")
    state = tuple(LSTMState(h[way], c[way]) for way in range(2))
    with torch.no_grad():
        y, after = net(Sequences.from_padded(x, LENGTHS, batch_first=False), state)
    both = np.concatenate(np.split(found["y"], 2, 1), -1)[:, 0]
    np.testing.assert_allclose(y.to_padded(batch_first=False), both, rtol=1e-5, atol=1e-6)
    w, r, b, p = (numpy_helper.to_array(array).astype(np.float64) for array in given)
    for way, (turn, end) in enumerate(zip((1, -1), after, strict=True)):
        np.testing.assert_allclose(end.h, found["h_last"][way], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(end.c, found["c_last"][way], rtol=1e-5, atol=1e-6)
        for row, length in enumerate(LENGTHS):
            truth = spec(x[:length, row].numpy()[::turn], w[way], r[way], b[way], p[way] * peepholes,
                         h[way, row].numpy(), c[way, row].numpy(), coupled)  # fmt: skip
            np.testing.assert_allclose((end.h[row], end.c[row]), truth, rtol=1e-4, atol=1e-5)


def test_a_reader_without_input_forget_computes_the_same(tmp_path):
    reference = pytest.importorskip("onnx.reference")
    net = random_weights(LSTM(3, 4, forget_gate=False, coupled=True, peephole=True))
    to_onnx(net, tmp_path / "model.onnx")
    x, lengths = torch.randn(2, 5, 3), np.int64([5, 5])
    (found,) = reference.ReferenceEvaluator(str(tmp_path / "model.onnx")).run(
        None, {"x": x.numpy(), "lengths": lengths}
    )
    np.testing.assert_allclose(found, scanned(net, x), rtol=1e-5, atol=1e-6)


def test_two_directions_share_a_node(tmp_path):
    """If only one direction has peepholes, those of the other are zero; gates are coupled in both or in none."""
    net = random_weights(Bidirectional(LSTM(3, 4, peephole=True), LSTM(3, 4)))
    to_onnx(net, tmp_path / "model.onnx")
    x = torch.randn(2, 5, 3)
    torch.testing.assert_close(scanned(from_onnx(tmp_path / "model.onnx"), x), scanned(net, x))
    odd = Bidirectional(LSTM(3, 4), LSTM(3, 4, forget_gate=False, coupled=True))
    to_onnx(odd, tmp_path / "other.onnx")
    assert [node.op_type for node in onnx.load(tmp_path / "other.onnx").graph.node].count("LSTM") == 2


@pytest.mark.parametrize(
    ("r", "rows", "settings", "is_one"),
    [
        (0, 0, {}, True),
        (0, 1, {}, True),  # the bias of the candidate is outside the reset gate
        (0, 1, {"linear_before_reset": 1}, False),
        (0, 0, {"linear_before_reset": 1}, True),
        (1, 0, {}, False),
        (0, 0, {"activation_alpha": [2.0]}, False),
    ],
)
def test_a_gru_without_recurrent_weights_is_a_min_gru(r, rows, settings, is_one):
    b = numpy_helper.to_array(tensor("B", 1, 24)) * np.repeat([1, rows], 12).astype(np.float32)
    given = [tensor("W", 1, 12, 3), numpy_helper.from_array(r * numpy_helper.to_array(tensor("R", 1, 12, 4)), "R"),
             numpy_helper.from_array(b, "B")]  # fmt: skip
    settings = {"activation_alpha": [1.0], "activation_beta": [0.0]} | settings
    gru = node("GRU", activations=["Sigmoid", "Affine"], **settings)
    model = _old(graph(gru, SQUEEZE, weights=given, constants=(ONE,)))
    if not is_one:
        with pytest.raises(ValueError, match="expected the activations Sigmoid, Tanh, got Sigmoid, Affine"):
            from_onnx(model)
        return
    x = torch.randn(5, 2, 3)
    assert isinstance(from_onnx(model), MinGRU)
    found = run(model.SerializeToString(), x=x)["y"]
    np.testing.assert_allclose(found, scanned(from_onnx(model), x, batch_first=False), rtol=1e-5, atol=1e-6)


def test_weights_of_float64():
    w, r = (numpy_helper.from_array(np.random.default_rng(0).normal(size=shape), name)
            for name, shape in (("W", (1, 12, 3)), ("R", (1, 12, 4))))  # fmt: skip
    back = from_onnx(graph(node("GRU", inputs=("x", "W", "R")), SQUEEZE, constants=(w, r, ONE)))
    assert back.weight_ih.dtype == torch.float64


class Exported(nn.Module):
    """Typical PyTorch module with a recurrent layer."""

    def __init__(self, kind, pooled=False, **settings):
        super().__init__()
        self.embedding, self.recurrence = nn.Embedding(7, 3), kind(3, 4, **settings)
        width = 8 if settings.get("bidirectional") else 4
        self.norm, self.readout, self.pooled = nn.LayerNorm(width), nn.Linear(width, 2), pooled

    def forward(self, ids):
        y, state = self.recurrence(self.embedding(ids))
        return self.readout(self.norm((state[0] if isinstance(state, tuple) else state)[-1] if self.pooled else y))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (nn.LSTM, {"num_layers": 2, "bidirectional": True, "batch_first": True}),
        (nn.GRU, {"bidirectional": True}),
        (nn.RNN, {"num_layers": 2, "nonlinearity": "relu", "bias": False}),
        (nn.LSTM, {"pooled": True, "batch_first": True}),
    ],
)
def test_an_export_of_pytorch_computes_the_same(kind, settings, tmp_path):
    theirs, ids = random_weights(Exported(kind, **settings)), torch.randint(0, 7, (5, 3))
    axes = {"ids": {0: "one", 1: "other"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the exporter about itself
        torch.onnx.export(theirs, (ids,), tmp_path / "net.onnx", dynamo=False, opset_version=17, input_names=["ids"],
                          dynamic_axes=axes)  # fmt: skip
    y = scanned(from_onnx(tmp_path / "net.onnx"), ids, batch_first=settings.get("batch_first", False))
    y = y[:, -1] if settings.get("pooled") else y
    torch.testing.assert_close(y, theirs(ids).detach())


# A graph of one LSTM and extra nodes, x [T, B, 3] -> y


def tensor(name, *shape):
    return numpy_helper.from_array(np.random.default_rng(0).normal(size=shape).astype(np.float32), name)


WEIGHTS = [tensor("W", 1, 16, 3), tensor("R", 1, 16, 4), tensor("B", 1, 32)]


def node(kind="LSTM", more=(), inputs=("x", "W", "R", "B"), **settings):
    return make(kind, [*inputs, *more], ["rows", "h", "c"][: 2 + (kind == "LSTM")], "cell", hidden_size=4,
                            **settings)  # fmt: skip


ONE = numpy_helper.from_array(np.array([1]), "one")
SQUEEZE = make("Squeeze", ["rows", "one"], ["y"], "squeeze")


def graph(*nodes, weights=(), shape=("T", "B", 3), outputs=("y",), constants=(*WEIGHTS, ONE)):
    def value(name, shape):
        return helper.make_tensor_value_info(name, 1, shape)

    whole = helper.make_graph(nodes, "test", [value("x", shape)], [value(name, None) for name in outputs],
                              [*constants, *weights])  # fmt: skip
    return helper.make_model(whole)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"more": ("", "", "", "short")}, r"expected P of shape \[directions=1, 3H=12\], got \[1, 16\]"),
        ({"kind": "GRU", "more": ("", "", "", "P")}, r"expected no peepholes \(P\), which only an LSTM has, got some"),
        ({"clip": 3.0}, "expected no clip, got 3"),
        ({"kind": "GRU", "input_forget": 1}, "expected no input_forget, got 1"),
        ({"layout": 1}, "expected no layout, got 1"),
        ({"direction": "sideways"}, "expected direction to be one of forward, reverse, bidirectional, got 'sideways'"),
        ({"direction": "bidirectional"}, r"expected R of shape \[directions=2, GH=16, H=4\], got \[1, 16, 4\]"),
        (
            {"activations": ["Sigmoid", "Tanh", "Relu"]},
            "activations Sigmoid, Tanh, Tanh, got Sigmoid, Tanh, Relu",
        ),
        ({"kind": "GRU"}, r"expected R of shape \[directions=1, GH=12, H=4\], got \[1, 16, 4\]"),
        ({"more": ("", "start")}, "expected an initial state of zeros, or an input of the graph, got 'start'"),
        ({"inputs": ("x", "none", "R")}, "constant weights, but 'none' is computed or an input"),
        ({"inputs": ("x", "W", "R", "short")}, r"expected B of shape \[directions=1, 2GH=32\], got \[1, 16\]"),
    ],
)
def test_an_unsupported_setting_raises(settings, message):
    model = graph(
        node(**settings), SQUEEZE, weights=[tensor("start", 1, 1, 4), tensor("P", 1, 12), tensor("short", 1, 16)]
    )
    for name in (None, "cell"):
        with pytest.raises(ValueError, match=rf"^from_onnx: {settings.get('kind', 'LSTM')} 'cell': .*{message}"):
            from_onnx(model, name)


def test_zero_initial_states_and_weights_after_identity_nodes():
    shape = numpy_helper.from_array(np.array([1, 2, 4]), "shape")
    model = graph(
        make("ConstantOfShape", ["shape"], ["nothing"]),
        make("Identity", ["W"], ["same"]),
        make("Constant", [], ["R2"], value=WEIGHTS[1]),
        node(inputs=("x", "same", "R2"), more=("", "", "nothing", "still")),
        SQUEEZE,
        weights=[shape, numpy_helper.from_array(np.zeros((1, 2, 4), np.float32), "still")],
    )
    cell = from_onnx(model)
    x = torch.randn(5, 2, 3)
    session = onnxruntime.InferenceSession(_old(model).SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], scanned(cell, x, batch_first=False), atol=1e-6)


def _old(model):
    """Return the model with an older version number, which every onnxruntime supports."""
    model.ir_version, model.opset_import[0].version = 8, 17
    return model


AXES = numpy_helper.from_array(np.array([0, 0, -1]), "axes")


TURNED = [make("Transpose", ["y"], ["t"], perm=[1, 0, 2]), make("LSTM", ["t", "W3", "R"], ["z"], "end", hidden_size=4)]
CELL_STATE = [make("Squeeze", ["c", "zero"], ["s"]), make("MatMul", ["s", "M"], ["z"], "end")]
UNSUPPORTED = {
    "Tanh 'end' is not supported": [SQUEEZE, make("Tanh", ["y"], ["z"], "end")],
    "Softmax 'end' is not supported, except at the end": [
        SQUEEZE,
        make("Softmax", ["y"], ["z"], "end"),
    ],
    "Scale 'end' is not supported": [SQUEEZE, make("Scale", ["y"], ["z"], "end", domain="mine")],
    "Squeeze 'z' is not supported": [make("Squeeze", ["rows", "one"], ["z"], domain="mine")],
    "Add 'end' reads several tensors": [SQUEEZE, make("Add", ["y", "y"], ["z"], "end")],
    "Add 'end' is not the bias of a MatMul": [SQUEEZE, make("Add", ["y", "R"], ["z"], "end")],
    "MatMul 'end' reads its data where its weights": [SQUEEZE, make("MatMul", ["R", "y"], ["z"], "end")],
    r"MatMul 'end' reads \[.*directions.*\], whose last axis": [make("MatMul", ["rows", "M"], ["z"], "end")],
    "MatMul 'end' reads the cell state of an LSTM": CELL_STATE,
    "Squeeze 'end' removes another axis": [make("Squeeze", ["rows"], ["z"], "end")],
    "Reshape 'z' does more than merge": [make("Reshape", ["rows", "axes"], ["z"])],
    r"LSTM 'end' reads \[axis 1 of x, axis 0 of x, features\], expected time": [SQUEEZE, *TURNED],
}


@pytest.mark.parametrize("message", UNSUPPORTED)
def test_an_unsupported_node_is_named_and_a_recurrent_node_converts_alone(message):
    constants = [AXES, tensor("W3", 1, 16, 4), tensor("M", 4, 2), numpy_helper.from_array(np.array([0]), "zero")]
    model = graph(node(), *UNSUPPORTED[message], weights=constants, outputs=("z",))
    with pytest.raises(ValueError, match=rf"^from_onnx: {message}.*; node= converts a single recurrent node: 'cell'"):
        from_onnx(model)
    same_nets(from_onnx(model, "cell"), from_onnx(model, node="rows"))
    with pytest.raises(ValueError, match="node='other': expected a recurrent node, one of 'cell'"):
        from_onnx(model, node="other")


def test_a_graph_must_have_one_output_besides_final_states():
    twice = make("Identity", ["y"], ["again"])
    with pytest.raises(ValueError, match="expected a graph with one output besides final states, got 2"):
        from_onnx(graph(node(), SQUEEZE, twice, outputs=("y", "again")))
    with pytest.raises(ValueError, match="expected a graph with one output besides final states, got 0"):
        from_onnx(graph(node(), SQUEEZE, outputs=("c",)))
    assert isinstance(from_onnx(graph(node(), SQUEEZE, outputs=("h", "y", "c"))), LSTM)


def test_a_node_that_lacks_inputs_is_one_line(tmp_path):
    to_onnx(Stack(Embedding(9, 4), LSTM(4, 5), LayerNorm(5), Linear(5, 3)).eval(), tmp_path / "m.onnx")
    whole = onnx.load(tmp_path / "m.onnx")
    refused = 0
    for number, count in ((number, count) for number, node in enumerate(whole.graph.node) for count in (1, 2)):
        model = onnx.ModelProto.FromString(whole.SerializeToString())
        del model.graph.node[number].input[-count:]
        try:
            from_onnx(model)
        except ValueError as error:
            refused += 1
            assert str(error).startswith("from_onnx: ")  # noqa: PT017
    assert refused >= 4


def test_logits_removes_the_readout():
    model = graph(node(), SQUEEZE, make("Softmax", ["y"], ["z"]), outputs=("z",))
    assert isinstance(from_onnx(model, logits=True), LSTM)


def test_gemm_is_a_linear_layer():
    gemm = make("Gemm", ["x", "M", "C"], ["y"], "gemm", transB=1)
    model = _old(graph(gemm, weights=[tensor("M", 2, 3), tensor("C", 2)], shape=("B", 3)))
    x = torch.randn(4, 3)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = from_onnx(model).apply_to(x).detach()
    np.testing.assert_allclose(found, session.run(None, {"x": x.numpy()})[0], rtol=1e-5, atol=1e-6)
    gemm.attribute.append(helper.make_attribute("alpha", 2.0))
    with pytest.raises(ValueError, match=r"^from_onnx: Gemm 'gemm' is scaled or transposed\.$"):
        from_onnx(graph(gemm, weights=[tensor("M", 2, 3), tensor("C", 2)], shape=("B", 3)))


def test_files_of_another_format_and_truncated_files_raise(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(FileNotFoundError, match=r"model\.onnx: no such file; name an ONNX file"):
        from_onnx(path)
    to_onnx(LSTM(3, 4), path)
    whole = path.read_bytes()
    for bytes_ in (
        b"",
        b"PK\3\4 no model",
        b"\x00" * 64,
        *(whole[:cut] for cut in (10, len(whole) // 2, len(whole) - 1)),
    ):
        path.write_bytes(bytes_)
        with pytest.raises(ValueError, match=r"^from_onnx: .*model\.onnx: not an ONNX file"):
            from_onnx(path)
    damaged = numpy_helper.from_array(np.zeros((1, 16, 3), np.float32), "short")
    damaged.raw_data = damaged.raw_data[:8]
    with pytest.raises(ValueError, match="from_onnx: tensor 'short' is truncated or damaged"):
        from_onnx(graph(node(inputs=("x", "short", "R")), SQUEEZE, weights=[damaged]))
    with pytest.raises(TypeError, match=r"from_onnx: expected a path or an onnx\.ModelProto, got bytes"):
        from_onnx(whole)


def test_without_onnx_the_error_names_the_package(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.startswith("elman.convert.onnx_writing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (lambda: from_onnx(tmp_path), lambda: convert.to_onnx(GRU(3, 4), tmp_path / "a.onnx")):
        with pytest.raises(
            ModuleNotFoundError, match="needs the package onnx; install it with: pip install onnx"
        ) as error:
            call()
        assert error.value.name == "onnx"
