"""Compiled modules run on the kernels, as one operator without a graph break, with the results of eager calls."""

import subprocess
import sys

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import elman.nn as nn

pytestmark = pytest.mark.needs_native


class Own(nn.GRU):
    """Subclass of a user."""


class Tagger(nn.Module):
    def __init__(self, kind, packed=False, **options):
        super().__init__()
        self.packed, self.batch_first = packed, options.get("batch_first", False)
        self.embedding = nn.Embedding(11, 6)
        self.layer = kind(6, 5, **options)
        ways = 2 if options.get("bidirectional") else 1
        self.readout = nn.Linear(ways * options.get("proj_size", 5), 3)

    def forward(self, ids, lengths, state=None):
        x = self.embedding(ids)
        if self.packed:
            x = pack_padded_sequence(x, lengths, self.batch_first, enforce_sorted=False)
        y, final = self.layer(x, state)
        if self.packed:
            y, _ = pad_packed_sequence(y, self.batch_first)
        return self.readout(y), *(final if isinstance(final, tuple) else (final,))


@pytest.fixture(autouse=True)
def _reset_compiler():
    torch._dynamo.reset()


def outcome(net, run, *batch):
    found = run(*batch)
    loss = sum(part.sin().sum() for part in found)
    return [*found, *torch.autograd.grad(loss, [*net.parameters()])]


def batches(batch_first=False):
    for rows, steps in ((3, 7), (4, 9), (2, 12), (5, 4)):
        torch.manual_seed(rows)
        ids = torch.randint(11, (rows, steps) if batch_first else (steps, rows))
        yield ids, torch.tensor([steps, *range(1, rows)]).clamp(max=steps)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (nn.LSTM, {"batch_first": True, "bidirectional": True, "num_layers": 2}),
        (nn.LSTM, {"proj_size": 3, "bias": False}),
        (nn.GRU, {"num_layers": 2, "batch_first": True}),
        (nn.RNN, {"nonlinearity": "relu", "bidirectional": True}),
        (Own, {}),
    ],
)
def test_a_compiled_net_is_one_graph_with_the_results_of_eager_calls(kind, options):
    net = Tagger(kind, **options)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(net, fullgraph=True, dynamic=True, backend=counter)
    compilations = []
    for batch in batches(options.get("batch_first", False)):
        for got, expected in zip(outcome(net, compiled, *batch), outcome(net, net, *batch), strict=True):
            assert torch.equal(got, expected)
        compilations.append(counter.frame_count)
    assert len(set(compilations)) == 1, compilations
    targets = [str(node.target) for graph in counter.graphs for node in graph.graph.nodes]
    assert any("elman.scan" in target for target in targets)
    assert not any("lstm" in target or "gru" in target or "rnn" in target for target in targets)


def test_an_initial_state_and_evaluation():
    net = Tagger(nn.LSTM, batch_first=True).eval()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    ids, lengths = next(batches(batch_first=True))
    state = torch.randn(1, 3, 5), torch.randn(1, 3, 5)
    with torch.no_grad():
        for got, expected in zip(compiled(ids, lengths, state), net(ids, lengths, state), strict=True):
            assert torch.equal(got, expected)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # the compiler reads it
def test_a_packed_batch_breaks_the_graph_and_runs_on_the_kernels(monkeypatch):
    net = Tagger(nn.LSTM, packed=True, bidirectional=True)
    expected = [outcome(net, net, *batch) for batch in batches()]
    monkeypatch.setattr(torch._VF, "lstm", None)  # PyTorch's own would raise
    compiled = torch.compile(net, dynamic=True, backend="aot_eager")
    for batch, values in zip([*batches()][:3], expected, strict=False):
        for got, value in zip(outcome(net, compiled, *batch), values, strict=True):
            assert torch.equal(got, value)


def test_an_argument_that_does_not_fit_has_the_error_of_pytorch():
    compiled = torch.compile(nn.LSTM(6, 5), backend="aot_eager")
    with pytest.raises(Exception, match="input"):
        compiled(torch.zeros(7, 2, 4))


def test_the_compiler_refuses_modules_of_pytorch_as_before():
    compiled = torch.compile(Tagger(torch.nn.LSTM), fullgraph=True, backend="aot_eager")
    with pytest.raises(torch._dynamo.exc.Unsupported, match="does not support RNN, GRU, or LSTM"):
        compiled(*next(batches()))
    assert not torch._dynamo.config.allow_rnn


def test_the_compiler_is_loaded_by_its_first_use_alone():
    code = ("import sys, torch, elman.nn as nn; assert 'torch._dynamo' not in sys.modules; "
            "torch.compile(nn.GRU(3, 4), fullgraph=True, backend='eager')(torch.zeros(5, 2, 3))")  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)
