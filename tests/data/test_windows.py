"""Windows hold every target once, in rows that can be followed from window to window."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.cell import Cell
from elman.data.units import BOUNDARY
from elman.data.windows import Windows, resume
from elman.sequences import Sequences

documents = st.lists(st.lists(st.integers(1, 9), max_size=12).map(np.array), min_size=1, max_size=6)
sizes = st.integers(1, 7)


@st.composite
def windows(draw: st.DrawFn) -> tuple[list[np.ndarray], Windows]:
    texts = draw(documents)
    whole = Windows(texts, draw(sizes), draw(sizes), seed=draw(st.none() | st.integers(0, 9)))
    return texts, draw(st.sampled_from([whole, whole.epoch(draw(st.integers(0, 9)))]))


def followed(windows: Windows) -> list[list[tuple[int, int]]]:
    """Return the (input, target) pairs of each row, joined to those of the rows that it continues."""
    chains: list[list[tuple[int, int]]] = []
    ends: list[int] = []  # the chain that each row of the window before belongs to
    for window in windows:
        now = []
        targets = window.inputs.map(lambda _, window=window: window.targets).to_list()
        for inputs, follow, source in zip(window.inputs.to_list(), targets, window.source, strict=True):
            if source < 0:
                chains.append([])
            now.append(len(chains) - 1 if source < 0 else ends[source])
            chains[now[-1]] += zip(inputs.tolist(), follow.tolist(), strict=True)
        ends = now
    return chains


@given(windows())
def test_every_target_is_in_exactly_one_window(case: tuple[list[np.ndarray], Windows]) -> None:
    texts, windows = case
    targets = np.concatenate([window.targets for window in windows])
    assert sorted(targets) == sorted([*np.concatenate(texts), *[BOUNDARY] * len(texts)])
    assert windows.num_steps == len(targets)


@given(windows())
def test_following_the_sources_gives_the_documents_back(case: tuple[list[np.ndarray], Windows]) -> None:
    texts, windows = case
    chains = followed(windows)
    for chain in chains:
        assert all(target == read for (_, target), (read, _) in pairwise(chain)), "a target is the next input"
        assert all(read != BOUNDARY for read, _ in chain[1:]), "a document starts a row"
    starts = [chain for chain in chains if chain[0][0] == BOUNDARY]
    cuts = [chain for chain in chains if chain[0][0] != BOUNDARY]  # continue a document of another stream
    assert len(starts) == len(texts)
    assert len(cuts) < windows.streams
    if windows.streams == 1:
        assert not cuts
        assert sorted([t for _, t in chain] for chain in chains) == sorted([*text, BOUNDARY] for text in texts)


@given(documents, sizes, sizes)
def test_in_order_the_streams_are_the_text(texts: list[np.ndarray], streams: int, steps: int) -> None:
    windows = Windows(texts, streams, steps)
    whole = [BOUNDARY, *(unit for text in texts for unit in [*text, BOUNDARY])]
    lengths = [len(part) for part in np.array_split(whole[1:], windows.streams)]
    text: list[list[int]] = [[] for _ in lengths]
    for window in windows:
        rows = iter(window.inputs.to_list())
        for stream, length in zip(text, lengths, strict=True):
            wanted = min(steps, length - len(stream))
            while wanted:
                row = next(rows)
                stream += row.tolist()
                wanted -= len(row)
        assert next(rows, None) is None
    assert [unit for stream in text for unit in stream] == whole[:-1]


@given(windows())
def test_windows_are_as_long_as_asked_and_never_empty(case: tuple[list[np.ndarray], Windows]) -> None:
    _, windows = case
    for i, window in enumerate(windows):
        assert isinstance(window.inputs, Sequences)
        assert window.inputs.values.dtype == window.targets.dtype == window.source.dtype == np.int64
        assert window.inputs.lengths.min() > 0
        assert window.inputs.num_steps <= windows.streams * windows.steps
        if 0 < i < len(windows) - 2:
            assert window.inputs.num_steps == windows.streams * windows.steps
        going_on = window.source[window.source >= 0]
        assert (np.diff(going_on) > 0).all()
        assert i > 0 or not len(going_on)


def test_a_window_by_hand() -> None:
    windows = Windows([np.array([5, 6, 7, 8, 9]), np.array([3])], streams=2, steps=2)
    assert [[row.tolist() for row in window.inputs.to_list()] for window in windows] == [
        [[0, 5], [8, 9]],
        [[6, 7], [0, 3]],
    ]
    assert [window.targets.tolist() for window in windows] == [[5, 6, 9, 0], [7, 8, 3, 0]]
    assert [window.source.tolist() for window in windows] == [[-1, -1], [0, -1]]


def test_a_row_continues_the_last_row_of_its_stream() -> None:
    windows = Windows([np.array([2]), np.array([3, 4, 5, 6, 7])], streams=1, steps=4)
    assert [window.source.tolist() for window in windows] == [[-1, -1], [1]]


def test_epochs_differ_and_repeat() -> None:
    texts = [np.full(20, i) for i in range(1, 30)]
    windows = Windows(texts, streams=3, steps=16, seed=0)
    other = Windows(texts, streams=3, steps=16, seed=1)
    epochs = [
        [window.targets.tolist() for window in epoch] for epoch in (windows.epoch(0), windows.epoch(1), other.epoch(0))
    ]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert epochs[0] == [window.targets.tolist() for window in windows.epoch(0)]
    assert len({len(windows.epoch(number)[0].targets) for number in range(20)}) > 5


def test_without_a_seed_all_epochs_are_the_same() -> None:
    windows = Windows([np.full(20, i) for i in range(1, 30)], streams=3, steps=16)
    for number in (1, 2):
        for window, first in zip(windows.epoch(number), windows, strict=True):
            np.testing.assert_array_equal(window.targets, first.targets)


def test_documents_come_in_another_order_each_epoch() -> None:
    windows = Windows([np.array([unit]) for unit in range(1, 30)], streams=1, steps=1000, seed=0)
    orders = []
    for number in range(3):
        targets = np.concatenate([window.targets for window in windows.epoch(number)])
        orders.append(targets[targets > 0].tolist())
        assert sorted(orders[-1]) == list(range(1, 30))
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_the_cuts_of_one_document_move() -> None:
    windows = Windows([np.arange(1, 100)], streams=2, steps=10, seed=7)
    first = [windows.epoch(number)[1].inputs.values[0] for number in range(10)]
    assert len(set(first)) > 3


def test_fewer_targets_than_streams() -> None:
    windows = Windows([np.array([5])], streams=8, steps=3)
    assert len(windows) == 1
    assert windows[0].inputs.lengths.tolist() == [1, 1]


def test_an_index_outside() -> None:
    windows = Windows([np.array([5])], 1, 1)
    np.testing.assert_array_equal(windows[-1].targets, windows[1].targets)
    with pytest.raises(IndexError):
        windows[2]


@pytest.mark.parametrize(
    ("texts", "streams", "steps", "message"),
    [
        ([], 1, 1, "Windows: expected at least one document, got none"),
        (
            [np.array([1]), np.array([2, 0])],
            1,
            1,
            "Windows: expected ids above 0 \\(the boundary\\), got 0 in document 1",
        ),
        ([np.array([1])], 0, 1, "Windows: expected streams and steps of at least 1, got 0 and 1"),
        ([np.array([1])], 1, 0, "Windows: expected streams and steps of at least 1, got 1 and 0"),
    ],
)
def test_bad_input(texts: list[np.ndarray], streams: int, steps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Windows(texts, streams, steps)


class Sum(Cell):
    """Cell that adds its inputs to 100, so that the state shows the steps that a row has read."""

    def initial_state(self, batch_size: int) -> tuple[np.ndarray, tuple[()]]:
        return np.full((batch_size, 1), 100), ()

    def step(self, x: np.ndarray, state: tuple[np.ndarray, tuple[()]]):
        total = state[0] + x[:, None]
        return total, (total, ())


@given(documents, sizes)
def test_carrying_the_state_through_windows_is_reading_whole_documents(texts: list[np.ndarray], steps: int) -> None:
    cell, state, outputs = Sum(), None, []
    for window in Windows(texts, 1, steps):
        y, state = cell.scan(window.inputs, resume(window.source, state, cell))
        outputs.append(y.values)
    whole, _ = cell.scan(Sequences.from_list([np.array([BOUNDARY, *text]) for text in texts]))
    np.testing.assert_array_equal(np.concatenate(outputs), whole.values)


def test_resume_with_tensors() -> None:
    torch = pytest.importorskip("torch")

    class Start(Cell):
        def initial_state(self, batch_size: int):
            return torch.zeros(batch_size, 2)

    state = resume(np.array([-1, 1, -1]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]), Start())
    assert state.tolist() == [[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]
