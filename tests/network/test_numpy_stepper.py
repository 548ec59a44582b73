"""A stepper in NumPy has the interface, the results and the errors of a native one."""

import numpy as np
import pytest
import torch

from elman import GRU, LSTM, Attention, Dropout, Embedding, Linear, MaxPooling, Stack, WindowNet
from elman import state as states
from elman.kernels import native
from elman.memory import Memory
from elman.network.stepper import NativeStepper, NumPyStepper
from elman.sequences import Sequences

pytestmark = pytest.mark.needs_native  # to compare with

MODELS = {
    "series": lambda: Stack(WindowNet(3, 5, 2), LSTM(5, 6), Dropout(6, 0.1), MaxPooling(6), Linear(6, 4)),
    "language model": lambda: Stack(Embedding(7, 5), GRU(5, 6), Linear(6, 7)),
}


def steppers(name: str, rows: int, output: str = "logits") -> tuple[NativeStepper, NumPyStepper]:
    torch.manual_seed(0)
    layer = MODELS[name]().network()
    with native.disabled():
        plain = layer.stepper(rows, output)
    fast = layer.stepper(rows, output)
    assert (type(fast), type(plain)) == (NativeStepper, NumPyStepper)
    return fast, plain


def near(ours, theirs) -> None:
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_allclose(ours, theirs, 1e-5, 1e-6)


def compare(fast, plain) -> None:
    """Check that both have the same output and state after a call."""
    for stepper in (fast, plain):
        assert stepper() is None
    near(plain.output, fast.output)
    for ours, theirs in zip(*map(states.leaves, (plain.state, fast.state)), strict=True):
        near(ours, theirs)


@pytest.mark.parametrize("output", ["logits", "probs", "log_probs"])
@pytest.mark.parametrize("name", MODELS)
def test_it_steps_resets_and_continues_as_a_native_stepper_does(name, output):
    fast, plain = steppers(name, 4, output)
    draw = np.random.default_rng(0)
    arrays = [array.ctypes.data for array in (plain.input, plain.output, *states.leaves(plain.state))]
    for number in range(6):
        x = draw.integers(0, 7, 4) if fast.input.ndim == 1 else draw.standard_normal((4, 3), np.float32)
        fast.input[...], plain.input[...] = x, x
        compare(fast, plain)
        if number == 2:
            kept = states.to_bytes(plain.state)
            plain.reset()
            fast.reset()
        elif number == 4:
            plain.state, fast.state = (states.from_bytes(kept, one.state) for one in (plain, fast))
    y, state = plain.step(x[:3], states.map(lambda leaf: leaf[:3], plain.state))
    expected, wanted = fast.step(x[:3], states.map(lambda leaf: leaf[:3], fast.state))
    for ours, theirs in zip((y, *states.leaves(state)), (expected, *states.leaves(wanted)), strict=True):
        near(ours, theirs)
    assert [array.ctypes.data for array in (plain.input, plain.output, *states.leaves(plain.state))] == arrays
    with pytest.raises(ValueError, match="read-only"):
        plain.output[...] = 0


def failure(call) -> tuple[type, str]:
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    return caught.type, str(caught.value)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("series", np.nan), ("series", -np.inf), ("language model", -1), ("language model", 7), ("language model", 2**40)],
)
def test_wrong_input_raises_the_same_error_and_changes_nothing(name, wrong):
    both = steppers(name, 3)
    for stepper in both:
        stepper()
        stepper.input[1] = wrong
    before = [(stepper.output.copy(), states.to_bytes(stepper.state)) for stepper in both]
    first, second = (failure(stepper) for stepper in both)
    assert first == second
    for stepper, (output, state) in zip(both, before, strict=True):
        assert np.array_equal(stepper.output, output)
        assert states.to_bytes(stepper.state) == state
    rows = np.array([0, 0, 0, 0, 1])  # more than the stepper has
    x, state = both[0].input[rows], states.select(both[0].state, rows)
    for stepper in both:
        assert failure(lambda stepper=stepper: stepper.step(x, state)) == (
            first[0], first[1].replace("row 1", "row 4"))  # fmt: skip


def test_masked_numbers_and_ids_raise_the_same_error():
    for name, message in (("series", "got nan at row 1"), ("language model", "x that are integer ids, got float64")):
        both = steppers(name, 3)
        x = np.ma.masked_array(both[0].input.copy(), False)
        x[1] = np.ma.masked
        first, second = (failure(lambda one=one, x=x: one.step(x, one.state)) for one in both)
        assert first == second
        assert message in first[1]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda s: s[:2],
        lambda s: states.map(lambda leaf: leaf[:1], s),
        lambda s: states.map(lambda leaf: leaf.astype(np.float64), s),
        lambda s: states.map(lambda leaf: leaf * np.float32(np.nan) if leaf.dtype == np.float32 else leaf, s),
    ],
)
def test_a_wrong_state_raises_the_same_error(wrong):
    both = steppers("series", 2)
    first, second = (failure(lambda one=one: setattr(one, "state", wrong(one.state))) for one in both)
    assert first == second


def test_a_call_with_arguments_and_a_state_of_tensors():
    both = steppers("series", 2)
    assert failure(lambda: both[0](3)) == failure(lambda: both[1](3))
    tensors = states.map(lambda leaf: torch.from_numpy(leaf.copy()), both[0].state)
    for stepper in both:
        stepper.state = (tensors[0], states.map(lambda leaf: leaf.requires_grad_(), tensors[1]), *tensors[2:])


def test_a_layer_without_a_native_operation_steps_in_numpy():
    torch.manual_seed(0)
    layer = Stack(LSTM(3, 6), Attention(6, 4, 5)).network()
    stepper = layer.stepper(2)
    assert isinstance(stepper, NumPyStepper)
    memory = Memory(Sequences(np.random.default_rng(0).standard_normal((5, 4), np.float32), [2, 3]))
    state = layer.cells[0].initial_state(2), layer.cells[1].initial_state(2, memory)
    stepper.state = state
    for number in range(3):
        stepper.input[...] = number
        y, state = layer.step(stepper.input, state)
        stepper()
        near(stepper.output, y)
    with pytest.raises(ValueError, match=r"expected weights='float32', got 'bfloat16', which needs native kernels: "):
        layer.stepper(2, weights="bfloat16")
    with native.disabled(), pytest.raises(ValueError, match=r"got 'bfloat16', .*: native kernels are not installed"):
        layer.cells[0].stepper(weights="bfloat16")
