"""Layers of torch.nn, converted to elman and back."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import elman.nn
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
    Residual,
    Stack,
    VariationalDropout,
)
from elman.convert import from_torch, to_keras, to_onnx, to_torch
from elman.layers import Reversed

from .running import random_weights, same_nets, scanned

KINDS = {"tanh": nn.RNN, "relu": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
LENGTHS = [4, 6, 1]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def made(name, *sizes, **settings):
    return random_weights(KINDS[name](*sizes, **settings, **({"nonlinearity": name} if name.islower() else {})))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("name", KINDS)
def test_a_recurrence_round_trip(name, layers, both_ways, bias):
    theirs = made(name, 3, 4, layers, bias=bias, bidirectional=both_ways, batch_first=True)
    x = torch.randn(3, 6, 3)
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    with torch.no_grad():
        truth = pad_packed_sequence(theirs(packed)[0], batch_first=True)[0]
    ours = from_torch(theirs)
    assert not ours.training
    torch.testing.assert_close(scanned(ours, x, LENGTHS), truth)
    back = to_torch(ours, batch_first=True)
    assert type(back) is type(theirs)
    assert repr(back) == repr(made(name, 3, 4, layers, bidirectional=both_ways, batch_first=True))  # with biases
    with torch.no_grad():
        torch.testing.assert_close(pad_packed_sequence(back(packed)[0], batch_first=True)[0], truth)
    same_nets(from_torch(back), ours)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # PyTorch warns
@pytest.mark.parametrize("both_ways", [True, False])
def test_a_projection_round_trip(both_ways):
    theirs = made("LSTM", 3, 5, 2, proj_size=2, bidirectional=both_ways, batch_first=True)
    x, ours = torch.randn(3, 6, 3), from_torch(theirs)
    torch.testing.assert_close(scanned(ours, x), theirs(x)[0].detach())
    back = to_torch(ours, batch_first=True)
    assert repr(back) == repr(theirs)
    torch.testing.assert_close(back(x)[0], theirs(x)[0])
    assert len(to_torch(Stack(LSTM(3, 4, projection_size=2), LSTM(2, 3, projection_size=2)))) == 2


def test_two_biases_become_one_except_in_the_candidate_of_a_gru():
    theirs = made("GRU", 3, 4)
    ours, back = from_torch(theirs), to_torch(from_torch(theirs))
    torch.testing.assert_close(ours.bias[:8], (theirs.bias_ih_l0 + theirs.bias_hh_l0)[:8], rtol=0, atol=0)
    assert torch.equal(ours.bias[8:], theirs.bias_ih_l0[8:])
    assert torch.equal(back.bias_hh_l0, torch.cat([torch.zeros(8), theirs.bias_hh_l0[8:]]))
    assert not to_torch(from_torch(made("LSTM", 3, 4))).bias_hh_l0.any()


@pytest.mark.parametrize(
    "cell", [nn.RNNCell(3, 4, nonlinearity="relu"), nn.LSTMCell(3, 4), nn.GRUCell(3, 4, bias=False)]
)
def test_a_step_of_a_cell_is_equal(cell):
    random_weights(cell)
    x, ours, state = torch.randn(2, 5, 3), from_torch(cell), None
    for step in range(5):
        state = cell(x[:, step], state)
    y = scanned(ours, x)[:, -1]
    torch.testing.assert_close(y, state[0].detach() if isinstance(state, tuple) else state.detach())


def test_a_chain_of_layers_round_trip():
    parts = [nn.Embedding(7, 3, sparse=True), nn.LSTM(3, 4, 2, dropout=0.3, bidirectional=True), nn.Dropout(0.2),
             nn.GRU(8, 5), nn.LayerNorm(5, eps=0.1), nn.Identity(), nn.Linear(5, 2, bias=False)]  # fmt: skip
    theirs = random_weights(nn.Sequential(*parts))
    ids = torch.randint(0, 7, (6, 3))

    def run(modules):
        y = ids
        for module in modules:
            y = module(y)
            y = y[0] if isinstance(y, tuple) else y
        return y.detach()

    ours = from_torch(theirs)
    kinds = [Embedding, Bidirectional, Dropout, Bidirectional, Dropout, GRU, LayerNorm, Linear]
    assert [type(layer) for layer in ours] == kinds
    torch.testing.assert_close(scanned(ours, ids, batch_first=False), run(parts))
    back = to_torch(ours)
    assert isinstance(back, nn.ModuleList)
    assert (back[1].num_layers, back[1].dropout, back[0].sparse, back[4].eps) == (2, 0.3, True, 0.1)
    torch.testing.assert_close(run(back), run(parts))
    same_nets(from_torch(back), ours)


def test_a_stack_with_at_most_a_final_recurrence_is_a_sequential():
    ours = random_weights(Stack(Embedding(7, 3), Linear(3, 4), LSTM(4, 4), LSTM(4, 4)))
    ids = torch.randint(0, 7, (3, 5))
    back = to_torch(ours, batch_first=True)
    assert isinstance(back, nn.Sequential)
    torch.testing.assert_close(back(ids)[0].detach(), scanned(ours, ids))


def test_recurrences_of_different_sizes_or_dropout_are_separate_modules():
    ours = Stack(LSTM(3, 4), LSTM(4, 4), Dropout(4, 0.1), LSTM(4, 4), LSTM(4, 5), RNN(5, 5), RNN(5, 5, "relu"))
    back = to_torch(ours)
    assert [(type(part).__name__, getattr(part, "num_layers", 0)) for part in back] == [
        ("LSTM", 2), ("Dropout", 0), ("LSTM", 1), ("LSTM", 1), ("RNN", 1), ("RNN", 1)]  # fmt: skip


def test_modes_types_and_copies():
    theirs = nn.LSTM(3, 4).double()
    before = torch.get_rng_state()
    ours = from_torch(theirs)
    back = to_torch(ours)
    assert torch.equal(torch.get_rng_state(), before)
    assert ours.training
    assert back.training
    assert ours.weight_ih.dtype == back.weight_ih_l0.dtype == torch.float64
    with torch.no_grad():
        theirs.weight_ih_l0.zero_()
        ours.weight_hh.zero_()
    assert ours.weight_ih.any()
    assert back.weight_hh_l0.any()


def test_modules_of_elman_nn_and_modules_with_changed_weights():
    theirs = random_weights(elman.nn.GRU(3, 4, bidirectional=True))
    x = torch.randn(2, 5, 3).transpose(0, 1)
    torch.testing.assert_close(scanned(from_torch(theirs), x, batch_first=False), theirs(x)[0].detach())
    normed = weight_norm(nn.Linear(3, 2))
    torch.testing.assert_close(scanned(from_torch(normed), x), normed(x).detach())
    plain = from_torch(nn.LayerNorm(3, elementwise_affine=False))
    torch.testing.assert_close(scanned(plain, x), nn.functional.layer_norm(x, (3,)))


class Peephole(nn.LSTM):
    def forward(self, x, state=None):
        return super().forward(2 * x, state)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Conv1d(3, 4, 2), "from_torch: Conv1d is not supported"),
        (nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Tanh())), "from_torch: 1: 0: Tanh is not supported"),
        (Peephole(3, 4), "from_torch: Peephole overrides forward"),
        (nn.Embedding(7, 3, max_norm=1.0), "from_torch: Embedding: expected max_norm=None, got max_norm=1.0"),
        (nn.LayerNorm((2, 3)), r"from_torch: LayerNorm: expected normalized_shape of one axis, got \[2, 3\]"),
        (nn.Sequential(nn.Identity()), "from_torch: expected a layer with weights, got none"),
        (nn.Sequential(nn.Linear(3, 4), nn.Linear(3, 4)), r"from_torch: Stack: cell 0 \(Linear\) has output size 4"),
        (
            nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4).double()),
            "expected weights of one dtype, got torch.float32 and",
        ),
    ],
)
def test_an_unsupported_module_raises(module, message):
    with pytest.raises(ValueError, match=message):
        from_torch(module)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MinGRU(3, 4), "to_torch: MinGRU is not supported by torch.nn"),
        (Stack(Linear(3, 3), Residual(GRU(3, 3))), "to_torch: Residual is not supported"),
        (RNN(3, 4, "sigmoid"), "to_torch: RNN: expected activation='tanh' or 'relu', got 'sigmoid'"),
        (GRU(3, 4, reset="before"), "to_torch: GRU: expected reset='after', got 'before'"),
        (LSTM(3, 4, peephole=True), "to_torch: LSTM: expected a plain LSTM, got one with weights peephole"),
        (LSTM(3, 4, projection_size=2, cell_clip=1.0), "expected a plain LSTM, got one with further options"),
        (LSTM(3, 4, zoneout_h=0.1), "expected a plain LSTM, got one with further options"),
        (LSTM(3, 4, forget_gate=False), "to_torch: LSTM: expected a plain LSTM, got one with further options"),
        (
            Bidirectional(GRU(3, 4), GRU(3, 5)),
            "expected two cells of one kind and size in a Bidirectional, got GRU of 4",
        ),
        (Reversed(GRU(3, 4)), "to_torch: Reversed is not supported"),
        (VariationalDropout(3, 0.5), "to_torch: VariationalDropout is not supported"),
        (Stack(GRU(3, 4), LastPooling(4)), "to_torch: LastPooling is not supported"),
    ],
)
def test_a_model_that_torch_does_not_support_raises(model, message):
    with pytest.raises(ValueError, match=message):
        to_torch(model)


def test_arguments_of_another_type_raise():
    with pytest.raises(TypeError, match=r"from_torch: expected a module of torch\.nn, got dict"):
        from_torch({})
    with pytest.raises(TypeError, match="to_torch: expected a cell, a layer or a Stack of elman, got LSTM"):
        to_torch(nn.LSTM(3, 4))


class Tagger(nn.Module):
    """Network of a user's own class."""

    def __init__(self):
        super().__init__()
        self.embedding, self.lstm, self.readout = nn.Embedding(9, 3), nn.LSTM(3, 4), nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, ids):
        return self.readout(self.lstm(self.embedding(ids))[0]) * self.scale


def test_a_network_of_an_own_class_is_converted_part_by_part():
    net = Tagger()
    parts = r"elman\.Stack\(from_torch\(net\.embedding\), from_torch\(net\.lstm\), from_torch\(net\.readout\)\)\.$"
    with pytest.raises(ValueError, match=rf"^from_torch: Tagger is not supported; .* part by part: {parts}"):
        from_torch(net)
    converted = Stack(from_torch(net.embedding), from_torch(net.lstm), from_torch(net.readout))
    ids = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(converted(ids)[0], net(ids.T).transpose(0, 1))
    with pytest.raises(
        ValueError, match=r"^from_torch: 1: Conv1d is not supported; convert the layers before and after"
    ):
        from_torch(nn.Sequential(nn.Linear(2, 2), nn.Conv1d(2, 2, 2)))


def test_writers_name_the_conversion_of_a_module_of_pytorch(tmp_path):
    for write, advice in (
        (
            lambda net: to_onnx(net, tmp_path / "m.onnx"),
            "use torch.onnx.export, or convert its layers with elman.convert",
        ),
        (lambda net: to_keras(net, tmp_path / "m.keras"), "convert its layers with elman.convert.from_torch first"),
        (to_torch, "it is a PyTorch module already"),
    ):
        with pytest.raises(TypeError, match=f"got Tagger; {advice}"):
            write(Tagger())
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("cell", "theirs"),
    [
        (LSTM(3, 4), nn.LSTM(3, 4)),
        (GRU(3, 4), nn.GRU(3, 4, num_layers=2, bidirectional=True, bias=False)),
        (RNN(3, 4), nn.RNNCell(3, 4)),
        (Stack(LSTM(3, 4), Linear(4, 2)), Tagger()),
    ],
)
def test_a_state_dict_of_pytorch_names_the_conversion(cell, theirs):
    before = copy.deepcopy(cell.state_dict())
    message = rf"^{type(cell).__name__}\.load_state_dict: expected weights of elman, got .*elman\.convert\.from_torch"
    with pytest.raises(RuntimeError, match=message):
        cell.load_state_dict(theirs.state_dict())
    assert cell.state_dict().keys() == before.keys()
    with pytest.raises(RuntimeError, match="size mismatch for weight_ih"):
        LSTM(3, 4).load_state_dict(LSTM(3, 5).state_dict())
