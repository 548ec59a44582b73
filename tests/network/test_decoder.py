"""Decoders and encoder-decoders without PyTorch equal those of PyTorch, in every form that a task builds."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from elman import GRU, LSTM
from elman import state as states
from elman.kernels import native
from elman.layers import Attention, Bidirectional, Decoder, Dropout, Embedding, Linear, OutputFeedback, Stack
from elman.memory import Memory
from elman.network import make_layer
from elman.network.states import KeysAndValues
from elman.sequences import Sequences
from elman.tasks.encoder_decoder import EncoderDecoder
from elman.testing.torch_laws import without_torch
from elman.training import model_tensors

SOURCES = Sequences(np.array([3, 1, 4, 1, 5, 9, 2]), [3, 0, 4])
UNITS = Sequences(np.array([0, 3, 5, 0, 2, 8, 0, 1]), [3, 3, 2])

FORMS = {  # keyword arguments of `network`
    "additive": {},
    "dot": {"score": "dot"},
    "general, input feeding": {"score": "general", "feeds": True},
    "additive, input feeding, projections": {"feeds": True, "projection": 5},
    "projections": {"projection": 5},
    "no attention": {"score": None},
    "no attention, input feeding, tied": {"score": None, "feeds": True, "tied": True},
    "gru, tied": {"cell": GRU, "tied": True},
    "no summary": {"summary": False},
}


def network(score="additive", feeds=False, projection=None, cell=LSTM, tied=False, summary=True):
    """Return an `EncoderDecoder` of PyTorch in evaluation mode."""
    torch.manual_seed(0)
    encoder = Stack(Embedding(10, 6), Bidirectional(LSTM(6, 4), LSTM(6, 4)))
    options = {"projection_size": projection} if projection else {}
    width = projection or 8
    last = Linear(width, 4) if score is None else Attention(width, 8, 4, score)
    layers = [cell(4 + 4 * feeds, 8, **options), Dropout(width, 0.5), cell(width, 8, **options), last, Dropout(4, 0.5)]
    body = OutputFeedback(Stack(*layers)) if feeds else Stack(*layers)
    embedding, readout = Embedding(9, 4), Linear(4, 9)
    if tied:
        readout.weight = embedding.weight
    return EncoderDecoder(encoder, Decoder(Stack(embedding, Dropout(4, 0.5)), body, readout, 16 * summary)).eval()


each = pytest.mark.parametrize("natively", [pytest.param(True, marks=pytest.mark.needs_native), False],
                               ids=["native", "numpy"])  # fmt: skip


def kernels(natively):
    """Return a context in which the layers of `elman.network` run with or without native kernels."""
    return nullcontext() if natively else native.disabled()


def compare(got, expected, tolerance):
    for own, wanted in zip(states.leaves(got), states.leaves(expected), strict=True):
        wanted = wanted.numpy() if isinstance(wanted, torch.Tensor) else wanted
        assert (own.dtype, own.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(own, wanted, rtol=tolerance, atol=tolerance)


@each
@pytest.mark.parametrize("form", FORMS)
def test_equals_pytorch(form, natively):
    net = network(**FORMS[form])
    ids, rows = UNITS.map(torch.from_numpy), np.array([2, 0, 2])
    with torch.no_grad():
        expected = net.begin(SOURCES.map(torch.from_numpy), rows)
        scanned, final = net.decoder.scan(ids, expected)
        stepped, after = net.step(np.array([4, 0, 7]), states.select(final, [2, 2, 0]))
        alignment = net.decoder.alignment(ids, expected) if net.decoder.attention else None
    tolerance = 1e-6 if natively else 1e-5  # PyTorch and NumPy round tanh differently
    own = without_torch(net)
    with kernels(natively):
        state = own.begin(SOURCES, rows)
        compare(state, expected, tolerance)
        y, state = own.decoder.scan(UNITS, state)
        compare((y.values, state), (scanned.values, final), tolerance)
        compare(own.decoder.step(np.array([4, 0, 7]), states.select(state, [2, 2, 0])), (stepped, after), tolerance)
        if alignment:
            compare(tuple(own.decoder.alignment(UNITS, own.begin(SOURCES, rows))), tuple(alignment), tolerance)


@pytest.mark.needs_native
def test_the_memory_of_a_native_encoder_has_the_bits_of_pytorch():
    net = network(score="general")
    with torch.no_grad():
        expected = net.begin(SOURCES.map(torch.from_numpy)).body[3]
    memory = without_torch(net).begin(SOURCES).body[3]
    for own, wanted in zip(
        states.leaves(memory.sequences.values), states.leaves(expected.sequences.values), strict=True
    ):
        np.testing.assert_array_equal(own, wanted.numpy())


def test_tied_weights_are_one_tensor():
    net = network(tied=True)
    assert len(model_tensors(net)) == len(net.state_dict()) - 1
    own = without_torch(net)
    assert own.decoder.readout.weight is own.decoder.embedding.cells[0].weight


def test_alignment_without_attention():
    own = without_torch(network(score=None))
    with pytest.raises(ValueError, match=r"Decoder\.alignment: expected a decoder with an Attention layer"):
        own.decoder.alignment(UNITS, own.begin(SOURCES))


def test_rows_join_and_leave():
    own = without_torch(network(feeds=True))
    state = own.begin(SOURCES)
    joined = states.cat([states.select(state, [2]), state])
    y, after = own.decoder.step(np.array([1, 5, 5, 1]), joined)
    assert after.body[0][3].rows.tolist() == [2, 0, 1, 2]
    np.testing.assert_array_equal(y[0], y[3])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cells: cells.pop(0), r"encoder_decoder: expected an encoder and a decoder, got 1 cells"),
        (lambda cells: cells.reverse(), r"encoder_decoder: expected a decoder, got a stack"),
        (lambda cells: cells[1]["cells"].pop(), r""),
        (lambda cells: cells[1]["cells"].pop(1), r"decoder: expected "),
        (lambda cells: cells[1]["cells"].reverse(), r"decoder: expected "),
        (
            lambda cells: cells[1]["cells"].append(cells[0]),
            r"decoder: expected an embedding, a body, a readout and a bri",
        ),
        (
            lambda cells: cells[1]["cells"].__setitem__(3, cells[1]["cells"][2]),
            r"decoder: expected a bridge to 32 numbers",
        ),
        (
            lambda cells: cells.__setitem__(0, cells[1]["cells"][0]),
            r"encoder_decoder: expected sizes of 9 and 9, got 10",
        ),
        (
            lambda cells: cells[0].update(
                settings={"input_size": 10, "output_size": 6}, cells=[cells[0]["cells"][0]], tensors={}
            ),
            r"encoder_decoder: expected a memory_size of 6, got 8",
        ),
    ],
)
def test_bad_files(change, message):
    net = network()
    spec = net.spec()
    change(spec["cells"])
    tensors = {name: tensor.numpy(force=True) for name, tensor in model_tensors(net).items()}
    if not message:  # a decoder without a bridge begins with its own initial state
        make_layer(spec, tensors)
        return
    with pytest.raises(ValueError, match=message):
        make_layer(spec, tensors)


def test_bad_states():
    own = without_torch(network()).decoder
    own.outermost = True  # as in a file of its own
    with pytest.raises(ValueError, match=r"Decoder\.step: expected a state with a leaf of shape \[B=2\], got \[3\]"):
        own.step(np.array([1, 2]), own.initial_state(3))
    with pytest.raises(ValueError, match=r"Embedding: expected ids from 0 to 8, got 9"):
        own.step(np.array([1, 9]), own.initial_state(2))
    encoder = Stack(Embedding(10, 8), Linear(8, 8))
    net = EncoderDecoder(encoder, network().decoder)
    message = "encoder_decoder: expected an encoder with a state of 16 numbers, as the bridge reads, got 0"
    with pytest.raises(ValueError, match=message):
        without_torch(net)


@each
def test_a_step_with_the_state_of_another_decoder_raises(natively):
    """A native kernel would read beyond the end of a memory of fewer features."""
    net = without_torch(network())
    x, state = np.array([1, 2, 3]), net.begin(SOURCES)
    others = [without_torch(network(**form)) for form in ({"score": None}, {"cell": GRU}, {"score": "dot"})]
    wrong = [other.decoder.initial_state(3) for other in others]
    narrow = Memory(
        SOURCES.map(lambda ids: KeysAndValues(np.zeros((len(ids), 3), np.float32), np.zeros((len(ids), 8))))
    )
    lstm, *rest = state.body
    wrong.append(state._replace(body=tuple(narrow if isinstance(part, Memory) else part for part in state.body)))
    wrong.append(state._replace(body=(lstm._replace(h=lstm.h[:, :4]), *rest)))
    wrong.append(states.select(state, [0, 1]))
    with kernels(natively):
        for bad in wrong[:2] + wrong[3:]:
            with pytest.raises((ValueError, TypeError), match=r"^EncoderDecoder\.step: expected a state "):
                net.step(x, bad)
        with pytest.raises(TypeError, match=r"^EncoderDecoder\.step: expected x that are integer ids, got float64"):
            net.step(x * 1.0, state)


@pytest.mark.parametrize("call", [lambda net: net.scan(SOURCES), lambda net: net.stepper()], ids=["scan", "stepper"])
def test_an_encoder_decoder_does_not_stream(call):
    with pytest.raises(ValueError, match=r"^EncoderDecoder\.\w+: the .*; use predict of the trained model, or begin"):
        call(without_torch(network()))
