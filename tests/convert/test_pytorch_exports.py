"""Exporters and tracers of PyTorch on modules with cells and layers of elman."""

import pytest
import torch
from torch import nn

import elman.nn
from elman import GRU, LSTM, RNN, MinGRU, Sequences, WindowNet
from elman import state as states
from elman.convert import to_onnx

onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own, about its exporters


class Around(nn.Module):
    """Module that calls a cell on two padded rows."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        y, _ = self.cell(Sequences.from_padded(x, [5, 3]))
        return y.to_padded()


class Stepping(nn.Module):
    """Module that calls one step of a cell; the state is a list of leaves."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x, *leaves):
        blank = self.cell.initial_state(1)
        y, state = self.cell.step(x, type(blank)(*leaves) if isinstance(blank, tuple) else leaves[0])
        return (y, *states.leaves(state))


@pytest.mark.parametrize("cell", [LSTM(3, 4), GRU(3, 4), MinGRU(3, 4), WindowNet(3, 4)], ids=repr)
@pytest.mark.parametrize("export", ["trace", "onnx"])
def test_pytorch_exports_no_ragged_batch_and_the_error_names_the_way_out(cell, export, tmp_path):
    net, x = Around(cell).eval(), torch.randn(2, 5, 3)
    exports = {"trace": lambda: torch.jit.trace(net, x),
               "onnx": lambda: torch.onnx.export(net, (x,), tmp_path / "net.onnx", dynamo=False)}  # fmt: skip
    with pytest.raises(ValueError, match=r"elman\.convert\.to_onnx\(model, path\), or use the layers of elman\.nn"):
        exports[export]()
    if not isinstance(cell, WindowNet):  # which ONNX has no nodes for
        to_onnx(cell, tmp_path / "net.onnx")


@pytest.mark.parametrize("cell", [RNN(3, 4), LSTM(3, 4), LSTM(3, 4, peephole=True), GRU(3, 4), MinGRU(3, 4)], ids=repr)
def test_pytorch_exports_a_step(cell, tmp_path):
    def inputs():
        return torch.randn(2, 3), *(torch.randn(2, 4) for _ in states.leaves(cell.initial_state(2)))

    net = Stepping(cell).eval()
    traced = torch.jit.trace(net, inputs())
    torch.onnx.export(net, inputs(), tmp_path / "step.onnx", dynamo=False)
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx", providers=["CPUExecutionProvider"])
    again = inputs()
    names = [one.name for one in session.get_inputs()]
    written = session.run(None, {name: array.numpy() for name, array in zip(names, again, strict=True)})
    for ours, theirs, other in zip(net(*again), traced(*again), written, strict=True):
        torch.testing.assert_close(theirs, ours)
        torch.testing.assert_close(torch.from_numpy(other), ours)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_layer_of_elman_nn_is_exported_as_the_one_of_pytorch(kind):
    x = torch.randn(2, 5, 3)
    ours, theirs = (getattr(module, kind)(3, 4, batch_first=True).eval() for module in (elman.nn, nn))
    graphs = [torch.export.export(layer, (x,)).graph for layer in (ours, theirs)]
    targets = [[str(node.target) for node in graph.nodes] for graph in graphs]
    assert targets[0] == targets[1]
    assert not any("elman" in target for target in targets[0])
