"""Cells with deliberate faults: `check_cell` must catch each, and name the broken law."""

import copy
import re
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from elman import GRU, LSTM
from elman import state as states
from elman.cell import Cell, unroll
from elman.cells.module import CellModule
from elman.classical import NGram
from elman.sequences import Sequences
from elman.testing import check_cell


class Leaky(CellModule):
    """Correct cell: h = tanh(W [x, h])."""

    def __init__(self):
        super().__init__()
        self.input_size, self.output_size = 3, 4
        self.mix = nn.Linear(7, 4)

    def initial_state(self, batch_size):
        return self.zeros(batch_size, 4)

    def step(self, x, state):
        h = self.mix(torch.cat([x, state], -1)).tanh()
        return h, h

    def correct_scan(self, sequences, state):
        state = self.initial_state(len(sequences)) if state is None else state
        return unroll(lambda x, h: Leaky.step(self, x, h), sequences, state)


class NotCarried(Leaky):
    def step(self, x, state):
        return super().step(x, state)[0], state

    def scan(self, sequences, state=None):
        return self.correct_scan(sequences, state)


class StateIgnored(Leaky):
    def scan(self, sequences, state=None):
        fresh = self.initial_state(len(sequences))
        y, final = self.correct_scan(sequences, fresh)
        return y, states.where(sequences.lengths > 0, final, fresh if state is None else state)


class Counter(Leaky):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def step(self, x, state):
        self.calls += 1
        return super().step(x, state)


class CounterInUse(Leaky):
    calls = 0

    def step(self, x, state):
        self.calls += 1
        y, state = super().step(x, state)
        return y / self.calls, state


class CounterInAnObject(Leaky):
    def __init__(self):
        super().__init__()
        self.memo = {"seen": [0]}

    def step(self, x, state):
        self.memo["seen"][0] += 1
        return super().step(x, state)


class HiddenState(Leaky):
    hidden = None

    def step(self, x, state):
        if self.hidden is not None and len(self.hidden) == len(x):
            state = self.hidden
        y, self.hidden = super().step(x, state)
        return y, self.hidden


class GlobalNoise(Leaky):
    def step(self, x, state):
        return super().step(x + torch.randn_like(x), state)


class UnusedNoise(Leaky):
    def step(self, x, state):
        torch.rand(1)
        return super().step(x, state)


class BatchNorm(Leaky):
    def step(self, x, state):
        y, h = super().step(x, state)
        return y - y.mean(0), h


class Padded(Leaky):
    """Cell that reads the padding, so that the state of a short row is not that after its last step."""

    def scan(self, sequences, state=None):
        state = self.initial_state(len(sequences)) if state is None else state
        if not sequences.lengths.all():
            return self.correct_scan(sequences, state)
        padded = sequences.to_padded()
        full = Sequences.from_padded(padded, [padded.shape[1]] * len(sequences))
        return self.correct_scan(sequences, state)[0], self.correct_scan(full, state)[1]


class LongestFirst(Leaky):
    def scan(self, sequences, state=None):
        state = self.initial_state(len(sequences)) if state is None else state
        order = sequences.plan.longest_first
        y, final = self.correct_scan(sequences.select(order), states.select(state, order))
        return Sequences(y.values, sequences.lengths), final


class StatesLongestFirst(Leaky):
    def scan(self, sequences, state=None):
        y, final = self.correct_scan(sequences, state)
        return y, states.select(final, sequences.plan.longest_first)


class EmptyRowForgets(Leaky):
    def scan(self, sequences, state=None):
        y, final = self.correct_scan(sequences, state)
        return y, states.where(sequences.lengths > 0, final, torch.zeros_like(final))


class NoRows(Leaky):
    def scan(self, sequences, state=None):
        if not len(sequences):
            raise RuntimeError("max(): expected at least one row")
        return self.correct_scan(sequences, state)


class FinalOfTheStepBefore(Leaky):
    def scan(self, sequences, state=None):
        y, final = self.correct_scan(sequences, state)
        last = sequences.offsets[1:] - 1
        before = states.select(y.values, np.maximum(last - 1, 0)) if len(y.values) else final
        return y, states.where(sequences.lengths > 2, before, final)


class SlightlyOther(Leaky):
    def scan(self, sequences, state=None):
        y, final = self.correct_scan(sequences, state)
        return y.map(lambda values: values * 1.0001), final


class OtherAtFive(Leaky):
    """Fast path for some lengths that ignores the given state."""

    def scan(self, sequences, state=None):
        return self.correct_scan(sequences, None if sequences.lengths.max(initial=0) == 5 else state)


class DetachInStep(Leaky):
    def step(self, x, state):
        return super().step(x, state.detach())


class DetachInStepOnly(DetachInStep):
    def scan(self, sequences, state=None):
        return self.correct_scan(sequences, state)


class DetachInScan(Leaky):
    def scan(self, sequences, state=None):
        state = self.initial_state(len(sequences)) if state is None else state
        return unroll(lambda x, h: Leaky.step(self, x, h.detach()), sequences, state)


class DetachedFinal(Leaky):
    def scan(self, sequences, state=None):
        y, final = self.correct_scan(sequences, state)
        return y, final.detach()


class DetachedStart(Leaky):
    def scan(self, sequences, state=None):
        return self.correct_scan(sequences, None if state is None else state.detach())


class WrongBackward(Leaky):
    def scan(self, sequences, state=None):
        y, final = self.correct_scan(sequences, state)
        return y.map(lambda values: values + 0.01 * (values - values.detach())), final


class ListState(Leaky):
    def initial_state(self, batch_size):
        return [self.zeros(batch_size, 4)]

    def step(self, x, state):
        y, h = super().step(x, state[0])
        return y, [h]


class LayersFirst(Leaky):
    def initial_state(self, batch_size):
        return self.zeros(1, batch_size, 4)


class OtherType(Leaky):
    def step(self, x, state):
        y, h = super().step(x, state.float())
        return y, h.double()


class OtherSize(Leaky):
    def __init__(self):
        super().__init__()
        self.output_size = 5

    def initial_state(self, batch_size):
        return self.zeros(batch_size, 4)


class UnlistedWeight(Leaky):
    def __init__(self):
        super().__init__()
        self.gains = [nn.Parameter(torch.ones(4))]

    def step(self, x, state):
        y, h = super().step(x, state)
        return y * self.gains[0], h


class Unsaved(Leaky):
    def load_state_dict(self, state_dict, *args, **kwargs):
        return super().load_state_dict({**state_dict, "mix.bias": self.mix.bias}, *args, **kwargs)


class Pretender(Leaky):
    streams = False


class MuteStep(Leaky):
    streams = False

    def step(self, x, state):
        raise ValueError("no.")

    def scan(self, sequences, state=None):
        return self.correct_scan(sequences, state)


class RunningMean(Cell):
    """Correct cell in NumPy, with a state of two leaves and named outputs."""

    input_size = 2

    def initial_state(self, batch_size):
        return np.zeros((batch_size, 2)), np.zeros(batch_size, np.int64)

    def step(self, x, state):
        total, count = state[0] + x, state[1] + 1
        return Mean(total / count[:, None], count), (total, count)


class Mean(NamedTuple):
    mean: np.ndarray
    count: np.ndarray


class NumpyCounter(RunningMean):
    calls = 0

    def step(self, x, state):
        self.calls += 1
        return super().step(x, state)


class InPlace(RunningMean):
    def step(self, x, state):
        state[0][...] += x
        return super().step(np.zeros_like(x), state)


class ExtendedPrecision(RunningMean):
    """Cell with a dtype that safetensors does not support."""

    def initial_state(self, batch_size):
        return np.zeros((batch_size, 2), np.longdouble), np.zeros(batch_size, np.int64)


CUT = "the gradient of {} in {} is .* where finite differences give .*; likely cause: detach"
FAULTS = {
    NotCarried: "scan equals stepping: scanning instead of stepping changes the values by .* at row .*not carried",
    StateIgnored: "scan equals stepping: scanning instead of stepping changes the values by .* at row [0-5], step 0;",
    Counter: "purity: a call changes calls in the cell;",
    CounterInUse: "purity: scanning the same rows again changes the values by .*a counter in the module",
    CounterInAnObject: r"purity: a call changes memo\['seen'\]\[0\] in the cell;",
    HiddenState: "purity: a call changes hidden in the cell; keep it in the state",
    InPlace: "purity: a call changes its input or its state in place",
    GlobalNoise: "purity: scanning the same rows again changes .*random numbers from a global generator",
    UnusedNoise: "purity: a call draws from a global random generator",
    BatchNorm: "independent rows: scanning a row in a batch changes the values by .* rows that depend on each other",
    Padded: "independent rows: scanning a row in a batch changes the final state by .* padding of a short row",
    LongestFirst: "order of rows: giving the rows in another order changes the values by .* the caller's order",
    StatesLongestFirst: "order of rows: giving the rows in another order changes the final state by",
    EmptyRowForgets: r"empty rows: scanning a row without steps, in a batch of rows of \[3, 0, 1, 0\], changes",
    NoRows: r"empty rows: RuntimeError: max\(\): expected at least one row\.",
    FinalOfTheStepBefore: "scan equals stepping: scanning instead of stepping changes the final state by .* at row",
    SlightlyOther: "scan equals stepping: scanning instead of stepping changes the values by .*e-05 at row",
    OtherAtFive: "cutting rows: cutting the rows after 2 steps and carrying the state changes the values by",
    DetachInStep: "numeric gradients: " + CUT.format("the values", "the input"),
    DetachInStepOnly: "gradients of stepping: the gradient of the values in the input differs by .* detach",
    DetachInScan: "numeric gradients: " + CUT.format("the values", "the input"),
    DetachedFinal: "numeric gradients: " + CUT.format("the final state", "the input"),
    DetachedStart: "numeric gradients: " + CUT.format("the values", "the initial state"),
    WrongBackward: "numeric gradients: " + CUT.format("the values", "the input"),
    ListState: r"shapes: initial_state\(3\) is a list, expected an array or a tuple of them",
    LayersFirst: r"shapes: initial_state\(3\) is of shape \[1, 3, 4\], expected \[3, ...\]",
    OtherType: "shapes: the state after scan is torch.float64 .*, the initial state torch.float32",
    OtherSize: r"shapes: scan returns torch.float32 \[7, 4\], but output_size is 5",
    UnlistedWeight: r"saving: gains\[0\] is not in parameters\(\)",
    Unsaved: "saving: saving and loading changes the values by .* load_state_dict omits",
    Pretender: "no step: streams is False, but step does not raise an error about that, got none",
    MuteStep: r"no step: streams is False, but step does not raise an error about that, got no\.",
    NumpyCounter: "purity: a call changes calls in the cell;",
    ExtendedPrecision: "state operations: SafetensorError: Unknown dtype",
}  # fmt: skip


@pytest.fixture(autouse=True)
def same_weights():
    torch.manual_seed(0)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_fault_is_caught_by_its_law(fault):
    with pytest.raises(AssertionError) as caught:
        check_cell(fault())
    message = str(caught.value)
    assert re.match(f"check_cell: {fault.__name__}: {FAULTS[fault]}", message), message
    assert "\n" not in message
    assert message.endswith(".")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_fault_is_caught_for_any_seed(fault, seed):
    torch.manual_seed(seed)
    with pytest.raises(AssertionError, match=f"check_cell: {fault.__name__}: "):
        check_cell(fault(), seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_correct_cells_pass(seed):
    assert "gradients of stepping" in check_cell(Leaky(), seed=seed)
    assert check_cell(RunningMean(), seed=seed)[-1] == "state operations"


@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_n_gram_passes(order):
    documents = [np.random.default_rng(row).integers(1, 6, 30) for row in range(4)]
    assert check_cell(NGram(6, order).fit(documents), np.arange(6))[-1] == "saving"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_each_dtype_has_its_tolerance(dtype):
    check_cell(Leaky().to(dtype))


def test_the_tolerance_may_be_given():
    with pytest.raises(AssertionError, match="scan equals stepping"):
        check_cell(SlightlyOther(), tolerance=1e-6)
    assert check_cell(SlightlyOther(), tolerance=1e-3)


class Caching(Leaky):
    """Cell with a cache that a call fills once, which is not a state."""

    table = None

    def step(self, x, state):
        if self.table is None:
            self.table = torch.arange(4.0)
        y, h = super().step(x, state)
        return y + self.table.to(y.dtype), h


class Impossible(Leaky):
    """Cell whose log-probabilities may be minus infinity."""

    def step(self, x, state):
        y, h = super().step(x, state)
        return torch.where(y > 0, y, -torch.inf), h


class WrongSpec(GRU):
    def spec(self, names=None):
        return self.spec_of(names, reset="before")


class InheritedSpec(LSTM):
    """Cell that overrides the step, but inherits the spec."""

    def recurrence(self):
        return None

    def advance(self, x, state):
        y, state = super().advance(x, state)
        return y + 1, state


@pytest.mark.needs_native
@pytest.mark.parametrize("fault", [WrongSpec, InheritedSpec])
def test_a_spec_that_differs_from_the_step_is_caught(fault):
    torch.manual_seed(0)
    message = (
        rf"check_cell: {fault.__name__}: runtime equals scan: scanning without PyTorch changes the values by .* a spec"
    )
    with pytest.raises(AssertionError, match=message):
        check_cell(fault(3, 4))


class Frozen(Leaky):
    def __init__(self):
        super().__init__()
        self.mix.weight.requires_grad_(False)


class Ids(Leaky):
    """Cell that reads ids; an integer in its state counts steps."""

    def initial_state(self, batch_size):
        return super().initial_state(batch_size), torch.zeros(batch_size, dtype=torch.int64)

    def scan(self, sequences, state=None):
        return Cell.scan(self, sequences, state)

    def step(self, x, state):
        y, h = super().step(torch.eye(3, dtype=state[0].dtype)[x], state[0])
        return y, (h, state[1] + 1)


class WholeSequences(Leaky):
    streams = False

    def step(self, x, state):
        raise NotImplementedError("WholeSequences.step: it reads whole sequences.")

    def scan(self, sequences, state=None):
        return self.correct_scan(sequences, state)


@pytest.mark.parametrize("cell", [Caching, Impossible, Frozen])
def test_legal_unusual_cells_pass(cell):
    check_cell(cell())


def test_inputs_of_other_kinds():
    check_cell(Ids(), torch.arange(3))
    check_cell(RunningMean(), np.arange(12.0).reshape(6, 2))


def test_a_cell_without_a_step_skips_the_laws_of_steps():
    laws = check_cell(WholeSequences())
    assert "no step" in laws
    assert not {"scan equals stepping", "cutting rows", "gradients of stepping"} & set(laws)


def test_the_cell_itself_is_unchanged():
    cell = Leaky().train()
    before = copy.deepcopy(cell.state_dict())
    generator = torch.get_rng_state()
    check_cell(cell)
    assert cell.training
    assert all(torch.equal(before[name], tensor) for name, tensor in cell.state_dict().items())
    assert all(weight.grad is None and weight.dtype == torch.float32 for weight in cell.parameters())
    assert torch.equal(generator, torch.get_rng_state())


def test_a_state_in_the_module_is_caught():
    cell = HiddenState()
    cell.scan(Sequences(torch.randn(3, 3), [3]))
    with pytest.raises(AssertionError, match=r"cannot be copied: RuntimeError: .*likely cause: a state in the module"):
        check_cell(cell)


@pytest.mark.parametrize("wrong", [Leaky, nn.Linear(2, 3), None], ids=["class", "module", "none"])
def test_an_argument_that_is_not_a_cell_raises(wrong):
    with pytest.raises(TypeError, match=r"check_cell: expected an elman\.Cell, got "):
        check_cell(wrong)


def test_a_cell_without_input_size_needs_inputs():
    class Sized(RunningMean):
        @property
        def input_size(self):
            raise AttributeError

    with pytest.raises(
        TypeError, match=r"check_cell: Sized has no input_size; set self\.input_size and .*, or give inputs"
    ):
        check_cell(Sized())
    check_cell(Sized(), np.ones((1, 2)))


class OutputOnly(Leaky):
    def step(self, x, state):
        return super().step(x, state)[0]


class Triple(Leaky):
    def step(self, x, state):
        return (*super().step(x, state), state)


class AdvanceOutputOnly(CellModule):
    """Cell of `advance` without a `step`."""

    def __init__(self):
        super().__init__()
        self.input_size = self.output_size = 3

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 3)

    def advance(self, x, state):
        return x + state


class StateInATuple(Leaky):
    def step(self, x, state):
        y, h = super().step(x, state)
        return y, (h,)


class NarrowState(Leaky):
    def step(self, x, state):
        y, h = super().step(x, state)
        return y, h[:, :2]


class NoInputSize(Leaky):
    def __init__(self):
        super().__init__()
        del self.input_size


class NoOutputSize(Leaky):
    def __init__(self):
        super().__init__()
        del self.output_size


BEGINNERS = {  # cell -> the error of a call with two rows, and of `check_cell`
    OutputOnly: r"OutputOnly\.step: expected a step that returns a pair, got float32 \[\d, 4\]; return y, state\.",
    Triple: r"Triple\.step: expected a step that returns a pair, got \(float32 .*\); return y, state\.",
    AdvanceOutputOnly: r"AdvanceOutputOnly\.advance: expected a step that returns a pair, got float32 \[\d, 3\]",
    StateInATuple: r"StateInATuple\.step: expected a step that returns a state like the one before it, "
    r"float32 \[\d, 4\], got \(float32 \[\d, 4\],\); return y and the state in the structure of initial_state\.",
    NarrowState: r"NarrowState\.step: expected .*, float32 \[\d, 4\], got float32 \[\d, 2\]; return y and the state",
    NoInputSize: r"NoInputSize has no input_size; set self\.input_size and self\.output_size in __init__\.",
    NoOutputSize: r"NoOutputSize has no output_size; set self\.input_size and self\.output_size in __init__\.",
}


@pytest.mark.parametrize("kind", BEGINNERS)
def test_a_wrong_signature_names_what_to_write(kind):
    with pytest.raises((TypeError, ValueError), match=BEGINNERS[kind]):
        kind()(torch.zeros(2, 2, 3))
    with pytest.raises((AssertionError, TypeError), match=f"^check_cell: .*{BEGINNERS[kind]}"):
        check_cell(kind())


def test_a_state_in_a_list_is_refused():
    with pytest.raises(TypeError, match=r"ListState\.step: expected a state of an array or a tuple of them, got \["):
        ListState()(torch.zeros(2, 2, 3))
    with pytest.raises(AssertionError, match=r"initial_state\(3\) is a list, expected an array or a tuple of them"):
        check_cell(ListState())


def test_a_step_of_numpy_that_returns_the_output_only():
    class Smoother(Cell):
        input_size = output_size = 2

        def initial_state(self, batch_size):
            return np.zeros((batch_size, 2))

        def step(self, x, state):
            return 0.8 * state + 0.2 * x

    rows = Sequences(np.zeros((3, 2)), [2, 1])
    for run in (lambda: Smoother().scan(rows), lambda: check_cell(Smoother())):
        with pytest.raises((TypeError, AssertionError), match=r"Smoother\.step: expected a step that returns a pair"):
            run()
