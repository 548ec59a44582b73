"""Streams of a pool equal separate steppers in any batch; they move between processes; errors."""

import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elman import (
    GRU,
    LSTM,
    Attention,
    AttentionPooling,
    Classifier,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    MaxPooling,
    MeanPooling,
    MinGRU,
    OutputFeedback,
    Residual,
    Stack,
    WindowNet,
)
from elman import state as states
from elman.kernels import native
from elman.layers import Bidirectional, Deviations, Differences
from elman.memory import Memory
from elman.network import Streams
from elman.network.states import KeysAndValues
from elman.sequences import Sequences

IDS, FEATURES = 9, 5
MODELS = {
    "lstm": lambda: Stack(LSTM(FEATURES, 19), Linear(19, 4)),
    "language model": lambda: Stack(Embedding(IDS, 7), LSTM(7, 16, zoneout_c=0.1), Dropout(16, 0.2), Linear(16, IDS)),
    "deep": lambda: Stack(WindowNet(FEATURES, 8, 3), Residual(Stack(LayerNorm(8), MinGRU(8, 8))),
                          OutputFeedback(GRU(8 + 6, 6))),
    "running class": lambda: Stack(Deviations(FEATURES), Differences(FEATURES), GRU(2 * FEATURES, 6), MaxPooling(6),
                                   AttentionPooling(6, attention_size=3), MeanPooling(6), Linear(6, 3)),
    "no state": lambda: Linear(FEATURES, 3),
}  # fmt: skip
KERNELS = [pytest.param(True, marks=pytest.mark.needs_native, id="native"), pytest.param(False, id="numpy")]


@pytest.fixture(params=KERNELS)
def is_native(request):
    if request.param:
        yield True
    else:
        with native.disabled():
            yield False


def made(name: str):
    torch.manual_seed(0)
    return MODELS[name]().eval().network()


def inputs(layer, rows: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    if layer.reads_ids:
        return draw.integers(0, IDS, rows)
    return draw.standard_normal((rows, FEATURES), np.float32)


def equal(is_native: bool):
    """Return the comparison of two arrays: bitwise with native kernels; products of NumPy depend on the batch size."""
    return np.testing.assert_array_equal if is_native else lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6)


class Separate:
    """Stream with a stepper of its own."""

    def __init__(self, layer, output: str):
        self.stepper = layer.stepper(1, output)

    def step(self, x: np.ndarray) -> np.ndarray:
        self.stepper.input[...] = x
        self.stepper()
        return self.stepper.output[0].copy()


EVENTS = st.lists(st.one_of(st.just("open"), st.just("close"), st.integers(1, 6)), min_size=4, max_size=30)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, seed=st.integers(0, 2**16), output=st.sampled_from(["logits", "log_probs"]))
def test_any_order_of_opening_stepping_and_closing_equals_separate_steppers(is_native, name, events, seed, output):
    layer, draw = made(name), np.random.default_rng(seed)
    streams, separate = Streams(layer, capacity=8, batch_size=6, output=output), {}
    closed = set()
    for number, event in enumerate(events):
        if event == "open" and len(separate) < 8:
            slot = streams.open()
            assert slot not in separate.keys() | closed
            separate[slot] = Separate(layer, output)
        elif event == "close" and separate:
            slot = int(draw.choice([*separate]))
            streams.close(slot)
            closed.add(slot)
            del separate[slot]
        elif isinstance(event, int):
            rows = draw.permutation([*separate])[:event].astype(np.int64)
            x = inputs(layer, len(rows), number)
            y = streams.step(rows, x)
            for slot, one, out in zip(rows.tolist(), x, y, strict=True):
                equal(is_native)(out, separate[slot].step(one))
    assert len(streams) == len(separate)
    for slot, one in separate.items():
        for ours, theirs in zip(*map(states.leaves, (streams.state(slot), one.stepper.state)), strict=True):
            equal(is_native)(ours, theirs)


@pytest.mark.parametrize("name", MODELS)
def test_a_stream_moves_as_a_state_and_as_bytes(is_native, name):
    layer = made(name)
    streams, other = (Streams(layer, 10, 3) for _ in range(2))
    first = streams.open()
    for seed in range(3):
        streams.step([first], inputs(layer, 1, seed))
    moved, copied, written = other.from_bytes(streams.to_bytes(first)), other.open(streams.state(first)), other.open()
    other.set_state(written, streams.state(first))
    x = inputs(layer, 1, 9)
    expected = streams.step([first], x)
    for slot in (moved, copied, written):
        np.testing.assert_array_equal(other.step([slot], x), expected)
        for ours, theirs in zip(*map(states.leaves, (other.state(slot), streams.state(first))), strict=True):
            np.testing.assert_array_equal(ours, theirs)


CHILD = """
import sys
import numpy as np
from elman import network
streams = network.Streams(network.read_model(sys.argv[1]).network(), capacity=4)
slot = streams.from_bytes(sys.stdin.buffer.read())
x = np.load(sys.argv[2])
outputs = [streams.step([slot], row[None])[0] for row in x]
assert "torch" not in sys.modules
np.save(sys.argv[3], np.stack(outputs))
"""


@pytest.mark.needs_native
def test_another_process_continues_with_the_same_bits(tmp_path):
    torch.manual_seed(0)
    cell = MODELS["lstm"]().eval()
    cell.save(tmp_path / "model.safetensors")
    layer, x = cell.network(), inputs(made("lstm"), 6)
    np.save(tmp_path / "x.npy", x[3:])
    streams = Streams(layer, 4)
    slot = streams.open()
    for row in x[:3]:
        streams.step([slot], row[None])
    command = [sys.executable, "-c", CHILD, *(str(tmp_path / name) for name in ("model.safetensors", "x.npy", "y.npy"))]
    subprocess.run(command, input=streams.to_bytes(slot), check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), [streams.step([slot], row[None])[0] for row in x[3:]])


def refused(streams: Streams, slots, x, error, message: str) -> None:
    """Check that a step raises, and changes no stream."""
    names = [slot for slot in range(100) if _is_open(streams, slot)]
    before = [streams.to_bytes(slot) for slot in names]
    with pytest.raises(error, match=f"^Streams.step: {message}"):
        streams.step(slots, x)
    assert [streams.to_bytes(slot) for slot in names] == before


def _is_open(streams: Streams, slot: int) -> bool:
    try:
        streams.state(slot)
    except ValueError:
        return False
    return True


def test_a_wrong_row_raises_before_a_stream_changes(is_native):
    layer = made("lstm")
    streams = Streams(layer, 5, 3)
    a, b, c, d = (streams.open() for _ in range(4))
    streams.step([a, b, c], inputs(layer, 3))
    x = inputs(layer, 3, 1)
    for value in (np.nan, np.inf, -np.inf):
        wrong = x.copy()
        wrong[1, 2] = value
        message = rf"expected finite input, got {value} at slot {d}, feature 2; the state is unchanged\."
        refused(streams, [c, d, a], wrong, ValueError, message)
    refused(streams, [a, b, a], x, ValueError, f"expected each slot once, got {a} at rows 0 and 2; step that stream")
    refused(streams, [a, b, c, d], inputs(layer, 4), ValueError, "expected at most 3 rows, its batch_size, got 4; step")
    refused(streams, [a, b], x, ValueError, "expected a row of inputs per slot, 2, got 3")
    refused(streams, [a, b, c], x[:, :4], ValueError, r"expected inputs of shape \[n, D=5\], got \[3, 4\]")
    refused(streams, [a, b, c], x.astype(np.float64), TypeError, "expected inputs of float32, got float64")
    refused(streams, [0.5, 1.0, 2.0], x, TypeError, r"expected slots \[n\], whole numbers, got \[0\.5, 1")
    streams.close(b)
    for slot in (b, -1, 4, 2**62):
        refused(
            streams, [a, slot, c], x, ValueError, f"expected the slot of an open stream, got {slot}, which is closed"
        )
    assert streams.step([], x[:0]).shape == (0, 4)
    assert streams.step([a, c, d], x).shape == (3, 4)


def test_an_id_out_of_range_names_the_slot(is_native):
    layer = made("language model")
    streams = Streams(layer, 5)
    a, b = streams.open(), streams.open()
    streams.step([a, b], np.array([1, 2]))
    for wrong in (-1, IDS, 2**40):
        refused(streams, [b, a], np.array([0, wrong]), ValueError,
                f"expected ids from 0 to 8, got {wrong} at slot {a}; the state is unchanged")  # fmt: skip
    refused(streams, [b, a], np.array([0.0, 1.0]), TypeError, "expected inputs that are integer ids, got float64")


def test_slots_and_states_from_outside_are_checked(is_native):
    layer = made("lstm")
    streams = Streams(layer, 2)
    a, b = streams.open(), streams.open()
    with pytest.raises(ValueError, match=r"^Streams\.open: expected at most 2 open streams, its capacity, got one"):
        streams.open()
    streams.close(b)
    for verb, call in (("state", streams.state), ("close", streams.close), ("state", streams.to_bytes)):
        with pytest.raises(ValueError, match=rf"^Streams\.{verb}: expected the slot of an open stream, got {b}, which"):
            call(b)
    for wrong in (None, "a", 0.0, [a], True):
        with pytest.raises(TypeError, match=r"^Streams\.close: expected a slot, a whole number, got "):
            streams.close(wrong)
        with pytest.raises(TypeError, match=r"^Streams\.step: expected slots \[n\], whole numbers, got "):
            streams.step([[a], a] if wrong is None else [wrong], inputs(layer, 1))
    for wrong in (-1, 2**63, 2**70):
        with pytest.raises(ValueError, match=r"^Streams\.state: expected the slot of an open stream, got "):
            streams.state(wrong)
    state, before = streams.state(a), streams.to_bytes(a)
    lstm, rest = state
    with pytest.raises(ValueError, match=r"^Streams\.set_state: expected a state of 2 leaves, got 1, "):
        streams.set_state(a, (lstm.h, rest))
    with pytest.raises(ValueError, match=r"^Streams\.open: expected a state with a leaf of shape \[B=1, H=19\], got"):
        streams.open((lstm._replace(c=lstm.c[:, :4]), rest))
    with pytest.raises(TypeError, match=r"^Streams\.open: expected a state with a leaf of float32, got float64"):
        streams.open((lstm._replace(c=lstm.c.astype(float)), rest))
    with pytest.raises(ValueError, match=r"^Streams\.set_state: expected finite numbers in the state, got nan"):
        streams.set_state(a, (lstm._replace(c=lstm.c * np.nan), rest))
    with pytest.raises(TypeError, match=r"^Streams\.from_bytes: expected the bytes of a stream, got str"):
        streams.from_bytes("state")
    streams.close(streams.from_bytes(memoryview(before)))
    for place in (0, 20, 30, len(before) - 1):
        damaged = bytearray(before)
        damaged[place] ^= 1
        for wrong in (damaged, before[:place], before + b"0"):
            with pytest.raises(ValueError, match=r"^Streams\.from_bytes: expected the bytes of a stream, .* damaged"):
                streams.from_bytes(wrong)
    twin = Streams(MODELS["lstm"]().eval(), 1)  # the same sizes, other weights
    with pytest.raises(
        ValueError, match=r"^Streams\.from_bytes: expected the bytes of a stream of this model, whose f"
    ):
        twin.from_bytes(before)
    assert len(streams) == 1
    assert streams.to_bytes(a) == before


def test_masked_slots_and_inputs_raise(is_native):
    streams = Streams(made("lstm"), 2)
    slots, x = [streams.open() for _ in range(2)], np.zeros((2, 5), np.float32)
    masked = np.ma.masked_array(x, np.eye(2, 5) > 0)
    refused(streams, slots, masked, ValueError, "expected finite input, got nan at slot 0, feature 0")
    refused(streams, np.ma.masked_array(slots, [False, True]), x, TypeError, r"expected slots \[n\], whole numbers")


def test_a_state_of_the_same_arrays_in_another_structure_is_read(is_native):
    layer = made("lstm")
    streams = Streams(layer, 2)
    first = streams.open()
    streams.step([first], inputs(layer, 1))
    before, state = streams.to_bytes(first), streams.state(first)
    (h, c), rest = state
    second = streams.open((h, (c, rest)))
    streams.set_state(first, states.map(lambda leaf: torch.from_numpy(leaf).requires_grad_(), state))
    assert streams.to_bytes(second) == streams.to_bytes(first) == before
    for wrong in ([h], h.tolist(), None):
        with pytest.raises(TypeError, match=r"^Streams\.set_state: expected a state of arrays, got a leaf of "):
            streams.set_state(first, ((wrong, c), rest))
    with pytest.raises(
        ValueError, match=r"^Streams\.set_state: expected finite numbers in the state, got nan at row 0"
    ):
        streams.set_state(first, ((np.ma.masked_array(h, h < np.inf), c), rest))
    assert streams.to_bytes(first) == before


def test_the_memory_of_another_model_raises(is_native):
    """The attention would read features that the memory lacks."""
    torch.manual_seed(0)
    layer = Stack(LSTM(FEATURES, 6), Attention(6, 4, 6)).network()
    streams, stepper, lstm = Streams(layer, 2), layer.stepper(1), layer.cells[0].initial_state(1)
    before = states.to_bytes(stepper.state)

    def memory(keys, values, kind=np.float32):
        return Memory(Sequences(KeysAndValues(np.zeros((5, keys), kind), np.zeros((5, values), kind)), [5]))

    for wrong in (memory(3, 4), memory(6, 9), memory(6, 4, np.float64), np.zeros(1, np.int64)):
        for call in (streams.open, lambda state: setattr(stepper, "state", state),
                     lambda state: layer.step(np.zeros((1, FEATURES), np.float32), state)):  # fmt: skip
            with pytest.raises(ValueError, match=r": expected a state like .*; it is the state of another model\.$"):
                call((lstm, wrong))
    assert len(streams) == 0
    assert states.to_bytes(stepper.state) == before


def test_arguments_out_of_range_raise():
    layer = made("lstm")
    for arguments, message in (
        ({"capacity": 0}, "expected a capacity from 1 to"),
        ({"capacity": 3, "batch_size": 0}, "expected a batch_size from 1 to 1048576, got 0"),
        ({"capacity": 3, "batch_size": 2**40}, "expected a batch_size from 1 to 1048576, got 1099511627776"),
        ({"capacity": 3, "output": "prob"}, "expected output to be one of logits, probs, log_probs, got 'prob'"),
    ):
        with pytest.raises(ValueError, match=f"^Streams: {message}"):
            Streams(layer, **arguments)
    for arguments, message in (
        ({"capacity": 3.5}, "expected capacity to be a whole number, got 3.5"),
        ({"capacity": None}, "expected capacity to be a whole number, got None"),
        ({"capacity": 3, "batch_size": "4"}, "expected batch_size to be a whole number, got '4'"),
    ):
        with pytest.raises(TypeError, match=f"^Streams: {message}"):
            Streams(layer, **arguments)
    both = Stack(Bidirectional(GRU(FEATURES, 3), GRU(FEATURES, 3)), Linear(6, 2)).network()
    message = r"^Stack\.streams: cells\.0 \(Bidirectional\) reads whole sequences.* train with bidirectional=False"
    with pytest.raises(ValueError, match=message):
        Streams(both, 3)


def test_a_pool_accepts_every_kind_of_model():
    torch.manual_seed(0)
    model = Stack(LSTM(FEATURES, 4), Linear(4, 2)).eval()
    pools = Streams(model, 2), Streams(model.network(), 2)
    x, slots = inputs(model.network(), 2), [[pool.open(), pool.open()] for pool in pools]
    first, second = (pool.step(own, x) for pool, own in zip(pools, slots, strict=True))
    assert np.array_equal(first, second)
    moved = pools[1].from_bytes  # the pools have the same fingerprint
    pools[1].close(slots[1][0])
    assert moved(pools[0].to_bytes(slots[0][0])) >= 0
    for wrong, error, message in (
        (torch.nn.LSTM(3, 4), TypeError, "expected a trained model, a cell or a Stack of elman.*, got torch.*LSTM"),
        ("runs/m", TypeError, r".* got str; load it: elman\.runtime\.load\(path\)"),
        (LSTM, TypeError, "expected a trained model"),
        (model.double(), ValueError, r"lstm: expected .* float32 .*, got float64 .*model\.float\(\)"),
        (Classifier(), ValueError, None),
    ):
        with pytest.raises(error, match=message and f"^Streams: {message}"):
            Streams(wrong, 3)


@pytest.mark.parametrize("hidden", [16, 160])  # rounds that keep the interpreter lock, and rounds that release it
def test_threads_share_a_pool(is_native, hidden):
    torch.manual_seed(0)
    layer = Stack(LSTM(FEATURES, hidden), Linear(hidden, 4)).network()
    streams, x = Streams(layer, 400, 40), inputs(layer, 40)

    def run(_):
        slots = np.array([streams.open() for _ in x])
        outputs = [streams.step(slots, x) for _ in range(10)]
        for slot in slots.tolist():
            streams.close(slot)
        return outputs

    expected = run(0)
    with ThreadPoolExecutor(4) as threads:
        for outputs in threads.map(run, range(8)):
            np.testing.assert_array_equal(outputs, expected)
    assert len(streams) == 0


@pytest.mark.needs_native
def test_calls_steppers_and_pools_of_a_layer_share_its_packed_weights():
    layer = Stack(LSTM(512, 512), Linear(512, 4096)).network()  # of 8 MB each
    x = np.full((1, 512), 0.1, np.float32)
    kept: list = [layer.stepper(), Streams(layer, 10)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    expected, _ = layer.step(x, layer.initial_state(1))
    kept += [layer.stepper() for _ in range(20)] + [Streams(layer, 10, 2) for _ in range(10)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8_000
    for stepper in kept[2:22]:
        stepper.input[...] = x
        stepper()
        np.testing.assert_array_equal(stepper.output, expected)


def test_a_layer_without_a_native_operation_streams_as_its_steps(is_native):
    torch.manual_seed(0)
    layer = Stack(LSTM(FEATURES, 6), Attention(6, 4, 6)).network()
    streams, draw, alone = Streams(layer, 4), np.random.default_rng(0), []
    for words in (3, 1, 4):
        memory = Memory(Sequences(draw.standard_normal((words, 4), np.float32), [words]))
        lstm, attention = (
            cell.initial_state(1, *more) for cell, more in zip(layer.cells, ((), (memory,)), strict=True)
        )
        alone.append([streams.open((lstm, attention)), (lstm, attention)])
    for seed in range(3):
        x = inputs(layer, 3, seed)
        y = streams.step([slot for slot, _ in alone], x)
        for row, stream in enumerate(alone):
            out, stream[1] = layer.step(x[row : row + 1], stream[1])
            np.testing.assert_allclose(y[row : row + 1], out, 1e-5, 1e-6)
    for slot, state in alone:
        moved = streams.from_bytes(streams.to_bytes(slot))
        for ours, theirs in zip(*map(states.leaves, (streams.state(moved), state)), strict=True):
            np.testing.assert_allclose(ours, theirs, 1e-5, 1e-6)
        streams.close(moved)
