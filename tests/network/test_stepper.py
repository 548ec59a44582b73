"""A stepper equals a scan, to the bit where both are native; its errors; its state as a value and as bytes."""

import copy
import gc
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
import torch

from elman import (
    GRU,
    LSTM,
    RNN,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    MinGRU,
    OutputFeedback,
    Residual,
    Stack,
    WindowNet,
)
from elman import state as states
from elman.cells import CellModule
from elman.kernels import native
from elman.layers import VariationalDropout
from elman.network import Stepper
from elman.sequences import Sequences

pytestmark = pytest.mark.needs_native

IDS = 11
NATIVE = {  # values of H: models that equal their scan bitwise
    **{f"rnn {name}": lambda h, name=name: RNN(7, h, name) for name in ("tanh", "sigmoid", "relu", "identity")},
    "lstm": lambda h: LSTM(7, h),
    "lstm without forget": lambda h: LSTM(7, h, forget_gate=False),
    "gru after": lambda h: GRU(7, h),
    "gru before": lambda h: GRU(7, h, reset="before"),
    "linear": lambda h: Linear(7, h),
    "deep": lambda h: Stack(LSTM(7, h), Dropout(h, 0.2), Residual(GRU(h, h)), RNN(h, 3), Linear(3, h)),
    "language model": lambda h: Stack(Embedding(IDS, 7), LSTM(7, h), VariationalDropout(h, 0.2), Linear(h, IDS)),
    "feedback": lambda h: Stack(OutputFeedback(Stack(LSTM(9, h), Linear(h, 2))), GRU(2, 3)),
    "nothing": lambda h: Stack(Dropout(h, 0.5)),
}
THROUGH_PYTORCH = {
    "min_gru": lambda h: MinGRU(7, h),
    "layer_norm": lambda h: LayerNorm(h),
    **{
        f"window_net {name}": lambda h, name=name: WindowNet(7, h, 5, name)
        for name in ("tanh", "sigmoid", "relu", "identity")
    },
    "windows of one": lambda h: Stack(WindowNet(7, h, window=1), WindowNet(h, 3, window=2), Linear(3, h)),
    "both": lambda h: Residual(Stack(LayerNorm(h), MinGRU(h, h))),
}


@pytest.fixture(autouse=True)
def same_weights():
    torch.manual_seed(0)


def made(recipe, hidden: int) -> CellModule:
    """Return a cell in evaluation mode whose weights and biases are not zero."""
    cell = recipe(hidden)
    with torch.no_grad():
        for weight in cell.parameters():
            weight.add_(torch.randn_like(weight) / 4)
    return cell.eval()


def drawn(cell: CellModule, rows: int, steps: int) -> torch.Tensor:
    """Return inputs [rows, steps, ...]."""
    if cell.spec()["kind"] == "stack" and isinstance(cell.cells[0], Embedding):
        return torch.randint(IDS, (rows, steps))
    return torch.randn(rows, steps, cell.input_size)


def stepped(stepper: Stepper, x: torch.Tensor) -> np.ndarray:
    outputs = []
    for step in x.unbind(1):
        stepper.input[...] = step.numpy()
        assert stepper() is None
        outputs.append(stepper.output.copy())
    return np.stack(outputs, 1)


def compare(cell: CellModule, rows: int, steps: int, equal) -> None:
    x = drawn(cell, rows, steps)
    stepper = cell.stepper(rows)
    with torch.no_grad():
        y, final = cell.scan(Sequences(x.flatten(0, 1), [steps] * rows))
    equal(stepped(stepper, x), y.values.numpy().reshape(rows, steps, -1))
    for own, scanned in zip(states.leaves(stepper.state), states.leaves(final), strict=True):
        equal(own, scanned.numpy())


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("rows", [1, 3, 25, 50])
@pytest.mark.parametrize("hidden", [1, 16, 37])
def test_steps_are_the_same_bits_as_a_scan(name, rows, hidden):
    compare(made(NATIVE[name], hidden), rows, 5, np.testing.assert_array_equal)


@pytest.mark.parametrize("name", THROUGH_PYTORCH)
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("hidden", [1, 16, 37, 512])
def test_steps_are_close_to_a_scan_in_pytorch(name, rows, hidden):
    compare(
        made(THROUGH_PYTORCH[name], hidden),
        rows,
        5,
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    )


INSTRUCTION_SETS = [
    "avx2",
    "baseline",
    *(pytest.param(isa, marks=pytest.mark.slow) for isa in ("avx512bf16", "avx512")),
]


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_every_instruction_set_gives_the_bits_of_its_own_scan(isa):
    if isa == native.module.isa or not native.module.supported(isa):
        pytest.skip("the tests above cover it" if isa == native.module.isa else f"this processor has no {isa}")
    tests = "(same_bits or close) and 37"  # a fraction of the cases above
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", tests]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(command, env=environment | {"ELMAN_ISA": isa}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_long_row_has_the_bits_of_its_scan():
    compare(made(NATIVE["lstm"], 64), 1, 1000, np.testing.assert_array_equal)


def test_a_stepper_continues_from_any_state():
    cell = made(NATIVE["deep"], 16)
    x = drawn(cell, 3, 6)
    with torch.no_grad():
        _, middle = cell.scan(Sequences(x[:, :3].flatten(0, 1), [3] * 3))
        y, _ = cell.scan(Sequences(x[:, 3:].flatten(0, 1), [3] * 3), middle)
    stepper = cell.stepper(3)
    stepper.state = middle
    np.testing.assert_array_equal(stepped(stepper, x[:, 3:]).reshape(9, -1), y.values.numpy())


def test_a_state_as_bytes_continues_in_another_stepper_and_in_pytorch():
    cell = made(NATIVE["deep"], 16)
    x, stepper = drawn(cell, 2, 4), cell.stepper(2)
    stepped(stepper, x)
    sent = states.to_bytes(stepper.state)
    other = cell.stepper(2)
    other.state = states.from_bytes(sent, other.state)
    trained = states.from_bytes(sent, cell.initial_state(1))
    expected = stepped(stepper, x)
    np.testing.assert_array_equal(stepped(other, x), expected)
    with torch.no_grad():
        y, _ = cell.scan(Sequences(x.flatten(0, 1), [4, 4]), trained)
    np.testing.assert_array_equal(y.values.numpy().reshape(expected.shape), expected)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_state_that_is_not_finite_raises_and_changes_nothing(number):
    for cell in (LSTM(3, 4), GRU(3, 4), Stack(WindowNet(3, 4, 3), LSTM(4, 4, zoneout_c=0.1))):
        stepper = cell.stepper(3)
        before, wrong = states.to_bytes(stepper.state), states.map(np.copy, stepper.state)
        [*(leaf for leaf in states.leaves(wrong) if leaf.dtype == np.float32)][-1][2, -1] = number
        with pytest.raises(
            ValueError, match=rf"^Stepper\.state: expected finite numbers in the state, got {number} at row 2"
        ):
            stepper.state = wrong
        assert states.to_bytes(stepper.state) == before
        stepper.reset()


def test_reset_restores_the_initial_state():
    cell = made(NATIVE["deep"], 5)
    x, stepper = drawn(cell, 2, 4), cell.stepper(2)
    first = stepped(stepper, x)
    assert not np.array_equal(stepped(stepper, x), first)
    stepper.reset()
    np.testing.assert_array_equal(stepped(stepper, x), first)


def test_the_state_has_the_structure_of_the_cells_state():
    state = made(NATIVE["deep"], 5).stepper(2).state
    assert (state[0].h.shape, state[0].c.dtype) == ((2, 5), np.float32)
    assert state[1].row.tolist() == [0, 1]
    assert state[-1] == ()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda s: s.h, r"expected a state of 2 leaves, got 1, .*; it is the state of another model"),
        (lambda s: (s.h, s.c[:1]), r"expected a state with a leaf of shape \[B=2, H=3\], got \[1, 3\]"),
        (lambda s: (s.h + 1, s.c.astype(np.float64)), r"expected a state with a leaf of float32, got float64"),
    ],
)
def test_a_state_of_another_model_raises_and_changes_nothing(wrong, message):
    stepper = LSTM(4, 3).stepper(2)
    with pytest.raises((ValueError, TypeError), match=rf"^Stepper\.state: {message}"):
        stepper.state = wrong(states.map(np.copy, stepper.state))
    assert not np.any(stepper.state.h)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_input_that_is_not_finite_raises_and_changes_nothing(value):
    cell = made(NATIVE["deep"], 8)
    stepper = cell.stepper(3)
    stepped(stepper, drawn(cell, 3, 2))
    output, state = stepper.output.copy(), states.to_bytes(stepper.state)
    stepper.input[1, 4] = value
    message = rf"^Stepper: expected finite input, got {value} at row 1, feature 4; the state is unchanged"
    with pytest.raises(ValueError, match=message):
        stepper()
    assert np.array_equal(stepper.output, output)
    assert states.to_bytes(stepper.state) == state
    stepper.input[1, 4] = 0
    stepper()


@pytest.mark.parametrize("unit", [-1, IDS, 2**62])
def test_an_id_out_of_range_raises_and_changes_nothing(unit):
    stepper = made(NATIVE["language model"], 8).stepper(2)
    stepper.input[...] = 3
    stepper()
    output, state = stepper.output.copy(), states.to_bytes(stepper.state)
    stepper.input[1] = unit
    with pytest.raises(ValueError, match=rf"^Stepper: expected ids from 0 to 10, got {unit} at row 1; the state"):
        stepper()
    assert np.array_equal(stepper.output, output)
    assert states.to_bytes(stepper.state) == state


@pytest.mark.parametrize("call", [lambda s: s(1), lambda s: s(x=1)])
def test_a_call_takes_no_arguments(call):
    with pytest.raises(TypeError, match=r"^Stepper: a call takes no arguments; write them into stepper\.input"):
        call(Linear(2, 2).stepper())


def test_arrays_stay_in_place_and_cannot_be_replaced():
    stepper = made(NATIVE["lstm"], 4).stepper()
    before = [array.ctypes.data for array in (stepper.input, stepper.output, *states.leaves(stepper.state))]
    stepper()
    stepper.reset()
    assert [array.ctypes.data for array in (stepper.input, stepper.output, *states.leaves(stepper.state))] == before
    for name in ("input", "output"):
        with pytest.raises(AttributeError):
            setattr(stepper, name, np.zeros((1, 7), np.float32))
    with pytest.raises(ValueError, match="read-only"):
        stepper.output[...] = 0


def test_the_output_is_not_the_input():
    stepper = made(NATIVE["nothing"], 4).stepper()
    stepper.input[...] = 1
    stepper()
    stepper.input[...] = 2
    assert stepper.output.tolist() == [[1] * 4]


def test_arrays_outlive_the_stepper_and_memory_is_released():
    stepper = made(NATIVE["lstm"], 4).stepper()
    stepper.input[...] = 1
    stepper()
    y, kept = stepper.output, stepper.output.copy()
    del stepper
    gc.collect()
    assert np.array_equal(y, kept)
    cell = LSTM(256, 256)
    for _ in range(10):
        cell.stepper()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):  # of 2 MB each
        cell.stepper()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_weights_are_copied():
    cell = made(NATIVE["language model"], 8)
    stepper, x = cell.stepper(), drawn(cell, 1, 3)
    first = stepped(stepper, x)
    with torch.no_grad():
        for weight in cell.parameters():
            weight.zero_()
    stepper.reset()
    np.testing.assert_array_equal(stepped(stepper, x), first)


@pytest.mark.parametrize(("output", "law"), [("probs", torch.softmax), ("log_probs", torch.log_softmax)])
def test_distributions(output, law):
    cell = made(NATIVE["language model"], 8)
    x = drawn(cell, 3, 4)
    logits, own = stepped(cell.stepper(3), x), stepped(cell.stepper(3, output=output), x)
    assert own.dtype == np.float64
    np.testing.assert_allclose(own, law(torch.from_numpy(logits).double(), -1).numpy(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("rows", [1, 2, 5, 30])
@pytest.mark.parametrize("name", ["lstm", "gru after", "gru before", "rnn tanh", "linear", "deep", "large"])
def test_bfloat16_weights_are_those_that_pytorch_rounds(name, rows):
    torch.manual_seed(0)
    large = Stack(LSTM(7, 300), LSTM(300, 40, projection_size=21), LSTM(21, 20, layer_norm=True), Linear(20, 5))
    cell = large if name == "large" else NATIVE[name](19)
    rounded = copy.deepcopy(cell)
    with torch.no_grad():
        for weight in rounded.parameters():
            if weight.dim() == 2:
                weight.copy_(weight.bfloat16().float())
    halves, exact = cell.stepper(rows, weights="bfloat16"), rounded.stepper(rows)
    generator = np.random.default_rng(0)
    for _ in range(3):
        halves.input[...] = exact.input[...] = generator.standard_normal(exact.input.shape)
        halves()
        exact()
        assert np.array_equal(halves.output, exact.output)
    whole = cell.stepper(rows)
    whole.input[...] = halves.input
    whole()
    assert not np.array_equal(whole.output, halves.output)


def test_settings_out_of_range_raise():
    with pytest.raises(ValueError, match="Stepper: expected a batch_size from 1 to 1048576, got 0"):
        Linear(2, 2).stepper(0)
    with pytest.raises(ValueError, match="expected output to be one of logits, probs, log_probs, got 'prob'"):
        Linear(2, 2).stepper(output="prob")
    with pytest.raises(ValueError, match="expected weights to be one of float32, bfloat16, got 'float16'"):
        Linear(2, 2).stepper(weights="float16")


def test_a_second_thread_in_a_long_call_raises():
    stepper, done = LSTM(512, 512).stepper(64), Event()  # a call of milliseconds, which releases the interpreter lock

    def run(_: int) -> str:
        while not done.is_set():
            try:
                stepper()
            except ValueError as error:
                done.set()
                return str(error)
        return ""

    with ThreadPoolExecutor(2) as threads:
        messages = "".join(threads.map(run, range(2)))
    assert messages.startswith("Stepper: expected one call at a time, got two threads; make a stepper for each")
    stepper()
