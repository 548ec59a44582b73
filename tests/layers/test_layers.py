"""The laws for every layer, alone and with cells."""

import pytest
import torch
from torch import nn

from elman import layers
from elman.cells import CELLS, GRU, LSTM, RNN, CellModule, MinGRU
from elman.layers import (
    Attention,
    AttentionPooling,
    Bidirectional,
    Decoder,
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
    OutputFeedback,
    Residual,
    Reversed,
    Stack,
    VariationalDropout,
    WeightDrop,
)
from elman.network import LAYER_TYPES
from elman.sequences import Sequences
from elman.testing import check_cell

ALONE = {
    "Embedding": lambda: Embedding(7, 3),
    "Linear": lambda: Linear(3, 2),
    "LayerNorm": lambda: LayerNorm(3),
    "Dropout": lambda: Dropout(3, 0.5),
    "VariationalDropout": lambda: VariationalDropout(3, 0.5),
    "WeightDrop": lambda: WeightDrop(GRU(3, 4), 0.5),
    "Stack": lambda: Stack(LSTM(3, 4)),
    "Residual": lambda: Residual(GRU(3, 3)),
    "Bidirectional": lambda: Bidirectional(GRU(3, 2), LSTM(3, 3)),
    "Reversed": lambda: Reversed(LSTM(3, 2)),
    "OutputFeedback": lambda: OutputFeedback(GRU(5, 2)),
    "Deviations": lambda: Deviations(3),
    "Differences": lambda: Differences(3),
    "LastPooling": lambda: LastPooling(3),
    "MeanPooling": lambda: MeanPooling(3),
    "MaxPooling": lambda: MaxPooling(3),
    "AttentionPooling": lambda: AttentionPooling(3, attention_size=5),
    "FrameEncoder": lambda: FrameEncoder(1, 2, 2, 3),
    "Attention": lambda: Attention(3, 4, 2),  # without a memory; with one in test_attention.py
    "Decoder": lambda: Decoder(Stack(Embedding(7, 3)), Stack(LSTM(3, 4), Attention(4, 2, 3)), Linear(3, 7)),
}
TOGETHER = {
    "deep": lambda: Stack(LSTM(3, 4), GRU(4, 4), RNN(4, 2), MinGRU(2, 3)),
    "lazy embedding": lambda: Stack(Embedding(7, 3, lazy=True), GRU(3, 2)),
    "language model": lambda: Stack(Embedding(7, 3), Dropout(3, 0.2), LSTM(3, 4), LayerNorm(4), Linear(4, 7)),
    "deep residual": lambda: Stack(LSTM(3, 4), Residual(Stack(LayerNorm(4), GRU(4, 4), VariationalDropout(4, 0.3)))),
    "Jordan net": lambda: OutputFeedback(Stack(RNN(5, 4, "sigmoid"), Linear(4, 2))),
    "autoregression": lambda: Stack(OutputFeedback(Linear(3, 2)), Linear(2, 1)),
    "stack in a stack": lambda: Stack(Stack(RNN(3, 2)), Stack(Linear(2, 2), Stack(LSTM(2, 2)))),
    "residual pointwise layer": lambda: Residual(Linear(3, 3)),
    "feedback through memory": lambda: OutputFeedback(Stack(MinGRU(4, 3), Linear(3, 1))),
    "layers of PyTorch": lambda: Stack(GRU(3, 4), nn.RMSNorm(4), nn.PReLU(), nn.GELU(), nn.Linear(4, 2)),
    "running class probabilities": lambda: Stack(GRU(3, 4), AttentionPooling(4, attention_size=5), Linear(4, 2)),
}
WHOLE = {
    "stack with both directions": lambda: Stack(Linear(3, 2), Bidirectional(LSTM(2, 3), LSTM(2, 3)), GRU(6, 2)),
    "deep in both directions": lambda: Bidirectional(Stack(GRU(3, 2), GRU(2, 2)), Stack(MinGRU(3, 2), Dropout(2, 0.5))),
    "both directions twice": lambda: Stack(Bidirectional(GRU(3, 1), RNN(3, 1)), Bidirectional(GRU(2, 2), RNN(2, 2))),
    "residual bidirectional": lambda: Residual(Bidirectional(GRU(4, 2), GRU(4, 2))),
    "both final states": lambda: Stack(Bidirectional(GRU(3, 2), LSTM(3, 3)), LastPooling(5, 3)),
}


IDS = torch.arange(7)
FRAMES = torch.randn(64, 1, 2, 2, generator=torch.Generator().manual_seed(0))
DIFFERENT = torch.randn(10_000, 3, generator=torch.Generator().manual_seed(0))  # a maximum has a kink at equal steps
READ_IDS = ("Embedding", "Decoder", "lazy embedding", "language model")
STEPS = dict.fromkeys(READ_IDS, IDS) | {"FrameEncoder": FRAMES, "MaxPooling": DIFFERENT}
READ_FEATURES = [name for name in [*ALONE, *TOGETHER, *WHOLE] if name not in (*READ_IDS, "FrameEncoder")]


@pytest.fixture(autouse=True)
def same_weights():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", [*ALONE, *TOGETHER, *WHOLE])
def test_laws_hold(name):
    cell = (ALONE | TOGETHER | WHOLE)[name]()
    laws = check_cell(cell, STEPS.get(name))
    assert cell.streams == ("cutting rows" in laws)
    assert "runtime equals scan" in laws


@pytest.mark.parametrize("name", ["Embedding", "LayerNorm", "Residual", "Bidirectional", "Jordan net", "deep residual"])
def test_laws_hold_in_float64(name):
    cell = (ALONE | TOGETHER)[name]().double()
    check_cell(cell, STEPS.get(name))


def test_every_layer_is_here():
    assert {name for name in layers.__all__ if name[0].isupper()} == set(ALONE)


def test_the_laws_cover_every_layer_type_of_a_cell():
    def of_classes(cls):
        kinds = {cls.kind} if cls.__module__.startswith(("elman.cells", "elman.layers")) else set()
        return kinds.union(*map(of_classes, cls.__subclasses__()))

    def of_spec(spec):
        return {spec["kind"]}.union(*map(of_spec, spec["cells"]))

    cells = [make() for make in (ALONE | TOGETHER | WHOLE).values()] + [cell(3, 4) for cell in CELLS.values()]
    covered = set().union(*(of_spec(cell.spec()) for cell in cells))
    assert of_classes(CellModule) & set(LAYER_TYPES) <= covered


@pytest.mark.parametrize("name", WHOLE)
def test_layers_that_need_whole_sequences_do_not_stream(name):
    cell = WHOLE[name]()
    assert not cell.streams
    with pytest.raises(
        ValueError, match=r"Bidirectional\.step: the layer reads a sequence from both ends and cannot stream; use scan"
    ):
        cell.step(torch.zeros(1, cell.input_size), cell.initial_state(1))


@pytest.mark.parametrize("name", READ_FEATURES)
def test_inputs_of_another_size_raise(name):
    cell = (ALONE | TOGETHER | WHOLE)[name]()
    with pytest.raises(
        ValueError, match=rf"^\w+\.scan: expected values of shape \[N, D={cell.input_size}\], got \[4, 12\]\.$"
    ):
        cell.scan(Sequences(torch.zeros(4, 12), [4]))


@pytest.mark.parametrize("name", [*ALONE, *TOGETHER, *WHOLE])
def test_memory_grows_with_the_steps(name, largest_tensor):
    lengths = [300] + [1] * 300
    cell = (ALONE | TOGETHER | WHOLE)[name]()
    steps = STEPS.get(name, torch.randn(1, cell.input_size))
    x = Sequences(steps[:1].expand(sum(lengths), *steps.shape[1:]).contiguous(), lengths)
    with largest_tensor:
        cell.scan(x)
    assert largest_tensor.elements <= sum(lengths) * 100  # padded, one feature would be 150 times the steps
