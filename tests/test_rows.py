"""Layouts: every way to give lengths is checked, and nothing changes a layout after the check."""

import copy
import pickle

import numpy as np
import pytest
import torch

from elman import HMM, LDS, LSTM, Dropout, MaxPooling, MeanPooling, MinGRU, WindowNet, hmm
from elman.classical.hmm import Gaussian
from elman.kernels import kalman, semiring_scan
from elman.kernels.linear_scan import linear_scan
from elman.kernels.windows import window_linear
from elman.losses import crf_loss
from elman.rows import Rows, one_step_each
from elman.sequences import Sequences

MOST = 2**63 - 1
WRAPPING = [MOST, MOST, 82]  # their int64 sum is 80
ARRAYS = ("lengths", "offsets", "rows", "times")
N = 80


@pytest.mark.parametrize("lengths", [[2, 0, 1], (2, 0, 1), np.array([2, 0, 1], np.uint8), np.array([2, 0, 1], ">i4"),
                                     torch.tensor([2, 0, 1]), torch.tensor([2, 0, 1], dtype=torch.int32),
                                     Rows([2, 0, 1])], ids=lambda given: type(given).__name__)  # fmt: skip
def test_lengths_of_any_integer_kind(lengths):
    rows = Rows(lengths)
    assert rows.lengths.dtype == np.int64
    assert rows.lengths.tolist() == [2, 0, 1]
    assert (len(rows), rows.num_steps) == (3, 3)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (WRAPPING, r"lengths that sum to less than 2\*\*62 steps, got 1.84e\+19"),
        ([MOST, MOST, 2], r"lengths that sum to less than 2\*\*62 steps"),
        ([2**62], r"lengths that sum to less than 2\*\*62 steps"),
        (np.array([2**63, 2**63], np.uint64), r"lengths that sum to less than 2\*\*62 steps"),
        (np.array([2**64 - 1, 2], np.uint64), r"lengths that sum to less than 2\*\*62 steps"),
        (torch.tensor([MOST, MOST, 82]), r"lengths that sum to less than 2\*\*62 steps"),
        ([2**64, 1], r"integer lengths of shape \[B\], got object \[2\]"),
        ([3, -1], "lengths of at least 0, got -1"),
        (torch.tensor([3, -1]), "lengths of at least 0, got -1"),
        ([2.0, 1.0], r"integer lengths of shape \[B\], got float64 \[2\]"),
        (torch.tensor([2.0]), r"integer lengths of shape \[B\], got float32 \[1\]"),
        ([True, False], r"integer lengths of shape \[B\], got bool \[2\]"),
        (["2"], r"integer lengths of shape \[B\], got <U1 \[1\]"),
        (None, r"integer lengths of shape \[B\], got object \[\]"),
        (3, r"integer lengths of shape \[B\], got int64 \[\]"),
        ([[1, 2]], r"integer lengths of shape \[B\], got int64 \[1, 2\]"),
        ([[1], [2, 3]], r"integer lengths of shape \[B\], got list"),
        ([torch.tensor([1, 2])], r"integer lengths of shape \[B\], got int64 \[1, 2\]"),
        (torch.tensor([1, 2]).to_sparse(), r"integer lengths of shape \[B\], got Tensor"),
        (torch.zeros(2, dtype=torch.int64, device="meta"), r"integer lengths of shape \[B\], got Tensor"),
        (np.array([], str), r"integer lengths of shape \[B\], got <U1 \[0\]"),
        (np.array([], bool), r"integer lengths of shape \[B\], got bool \[0\]"),
    ],
    ids=str,
)
def test_wrong_lengths_are_one_clear_line(lengths, message):
    with pytest.raises(ValueError, match=f"^Rows: expected {message}.*\\.$"):
        Rows(lengths)


def test_an_error_names_the_call_and_both_sums():
    with pytest.raises(ValueError, match=r"^linear_scan: expected lengths that sum to 12 steps, got 13\.$"):
        Rows([6, 7], 12, "linear_scan")
    with pytest.raises(ValueError, match=r"^Sequences: expected lengths that sum to 12 steps, got 13\.$"):
        Sequences(np.zeros(12), [6, 7])


ENTRIES = {
    "Sequences": lambda x: Sequences(x, WRAPPING),
    "from_padded": lambda x: Sequences.from_padded(x[None].expand(3, -1, -1), WRAPPING),
    "LSTM": lambda x: LSTM(2, 4).scan(Sequences(x, WRAPPING)),
    "MinGRU": lambda x: MinGRU(2, 4).scan(Sequences(x, WRAPPING)),
    "WindowNet": lambda x: WindowNet(2, 4, 3).scan(Sequences(x, WRAPPING)),
    "MeanPooling": lambda x: MeanPooling(2).scan(Sequences(x, WRAPPING)),
    "MaxPooling": lambda x: MaxPooling(2).scan(Sequences(x, WRAPPING)),
    "Dropout": lambda x: Dropout(2, 0.5).scan(Sequences(x, WRAPPING)),
    "linear_scan": lambda x: linear_scan(x, x, WRAPPING, torch.zeros(3, 2)),
    "window_linear": lambda x: window_linear(x, WRAPPING, torch.zeros(3, 1, 2), torch.zeros(4, 4)),
    "crf_loss": lambda x: crf_loss(x, torch.zeros(N, dtype=torch.int64), WRAPPING, *ZEROS),
    "semiring_scan": lambda x: semiring_scan.forward(np.zeros((3, 2)), np.zeros((1, 2, 2)), double(x), WRAPPING),
    "kalman": lambda x: kalman.log_likelihood(
        SYSTEM, double(x), WRAPPING, np.zeros((3, 2)), *[np.zeros((3, 2, 2))] * 2
    ),
    "HMM.sample": lambda x: HMM(2, Gaussian()).fit([double(x)]).sample(WRAPPING),
    "LDS.sample": lambda x: LDS(*[np.eye(1)] * 4, start=(np.zeros(1), np.eye(1))).sample(WRAPPING),
    "hmm.fit": lambda x: hmm.GaussianHMM(2, random_state=0).fit(double(x), WRAPPING),
    "hmm.score": lambda x: hmm.GaussianHMM(2, random_state=0).fit(double(x)).score(double(x), WRAPPING),
    "hmm.decode": lambda x: hmm.GaussianHMM(2, random_state=0).fit(double(x)).decode(double(x), WRAPPING),
}
ZEROS = torch.zeros(2, 2), torch.zeros(2), torch.zeros(2)
SYSTEM = kalman.System(*[np.eye(2)[None]] * 4)


def double(x):
    return x.double().numpy()


@pytest.mark.parametrize("entry", ENTRIES)
def test_lengths_whose_sum_overflows_raise_at_every_entry(entry):
    with pytest.raises(ValueError, match=r"expected lengths that sum to less than 2\*\*62 steps, got"):
        ENTRIES[entry](torch.randn(N, 2))


def batch():
    return Sequences(torch.randn(9, 3), [4, 5])


LAYOUTS = {
    "rows": lambda: Rows([4, 5]),
    "a batch": batch,
    "scan": lambda: LSTM(3, 2).scan(batch())[0],
    "map": lambda: batch().map(torch.neg),
    "select": lambda: Sequences(torch.randn(9, 3), [5, 4]).select([1, 0]),
    "copy": lambda: copy.copy(batch()),
    "deepcopy": lambda: copy.deepcopy(batch()),
    "pickle": lambda: pickle.loads(pickle.dumps(batch())),
    "deepcopy of rows": lambda: copy.deepcopy(Rows([4, 5])),
    "pickle of rows": lambda: pickle.loads(pickle.dumps(Rows([4, 5]))),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_changes_a_layout(layout):
    layout = LAYOUTS[layout]()
    for name in ARRAYS:
        array = getattr(layout, name)
        for change in (lambda a: a.__setitem__(0, 4_000_000), lambda a: a.__iadd__(1), lambda a: a.view().fill(9)):
            with pytest.raises(ValueError, match="read-only"):
                change(array)
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
        with pytest.raises(AttributeError):
            setattr(layout, name, np.array([10**9, 1]))
    for array in layout.plan[:-1]:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert layout.lengths.tolist() == [4, 5]
    assert layout.offsets.tolist() == [0, 4, 9]


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("name", [*ARRAYS, "plan"])
def test_kernels_ignore_writes_through_a_tensor_that_shares_memory(name):
    x, h0 = Sequences(torch.randn(9, 3), [4, 5]), torch.zeros(2, 3)
    expected = linear_scan(x.values, x.values, Rows([4, 5]), h0)[0]
    array = x.plan.by_time if name == "plan" else getattr(x.layout, name)
    torch.from_numpy(array)[1] = 4_000_000
    assert torch.equal(linear_scan(x.values, x.values, x.layout, h0)[0], expected)


def test_values_are_not_replaced():
    x = batch()
    with pytest.raises(AttributeError):
        x.values = torch.randn(3, 3)
    with pytest.raises(AttributeError):
        x.layout = Rows([10**9, 1])
    with pytest.raises(ValueError, match="expected lengths that sum to 3 steps, got 9"):
        x.with_values(torch.randn(3, 3))


def test_values_that_shrink_in_place_raise():
    x = batch()
    x.values.resize_(3, 3)
    with pytest.raises(ValueError, match="expected lengths that sum to 3 steps, got 9"):
        LSTM(3, 2).scan(x)


@pytest.mark.parametrize("own", [np.array([4, 5]), np.array([4, 5], np.int32), torch.tensor([4, 5])], ids=str)
def test_the_array_of_the_caller_is_copied(own):
    rows, x = Rows(own), Sequences(torch.randn(9, 3), own)
    own[0] = 4_000_000
    assert rows.lengths.tolist() == x.lengths.tolist() == [4, 5]
    assert rows.num_steps == 9


def test_a_pickle_with_wrong_lengths_raises():
    with pytest.raises(ValueError, match="sum to less than"):
        copy.copy(Rows([1])).__reduce__()[0](WRAPPING)


def test_batches_of_the_same_rows_share_one_layout():
    x = Sequences(np.arange(9), [4, 5])
    y = x.with_values(np.zeros(9)).map(np.negative).reverse()
    assert y.layout is x.layout
    assert y.plan is x.plan
    assert Sequences(np.zeros(9), x.layout).layout is x.layout


def test_reversed_steps():
    assert Rows([3, 0, 2]).reversed.tolist() == [2, 1, 0, 4, 3]


def test_rows_are_selected():
    rows = Rows([3, 0, 2])
    assert rows.select([2, 0, 2]).lengths.tolist() == [2, 3, 2]
    assert rows.steps_of([2, 0, 2]).tolist() == [3, 4, 0, 1, 2, 3, 4]
    assert rows.steps_of([]).tolist() == []


def test_a_native_plan_is_made_once_for_each_number_of_threads():
    made = []
    rows = Rows([3, 2])
    for threads in (1, 1, 2, 1):
        rows.native_plan(made.append, threads)
    assert [offsets.tolist() for offsets in made] == [[0, 3, 5]] * 2


def test_layouts_of_single_steps_are_kept():
    assert one_step_each(3) is one_step_each(3)
    assert one_step_each(3).lengths.tolist() == [1, 1, 1]
