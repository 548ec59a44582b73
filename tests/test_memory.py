import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman import state as states
from elman.memory import Memory
from elman.sequences import Sequences

SOURCES = Sequences(np.arange(14.0).reshape(7, 2), [3, 0, 4])


def read(memory):
    """Return the sequence that each row reads."""
    return [memory.sequences.to_list()[row].tolist() for row in memory.rows]


@given(st.lists(st.integers(0, 2), max_size=6), st.data())
def test_operations_permute_rows_and_copy_nothing(rows, data):
    memory = Memory(SOURCES, np.array(rows, np.int64))
    if rows:
        order = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5))
        selected = states.select(memory, order)
        assert read(selected) == [read(memory)[place] for place in order]
        assert selected.sequences is SOURCES
    parts = states.split((memory, np.arange(len(rows))), [1] * len(rows))
    assert [read(part) for part, _ in parts] == [[one] for one in read(memory)]
    if parts:
        joined, numbers = states.cat(parts)
        assert joined.sequences is SOURCES
        assert read(joined) == read(memory)
        assert numbers.tolist() == list(range(len(rows)))


def test_cat_and_where_of_separate_memories():
    other = Memory(Sequences(np.arange(4.0).reshape(2, 2) + 100, [2]), [0, 0])
    one = Memory(SOURCES, [2, 0])
    assert read(states.cat([one, other, one])) == read(one) + read(other) + read(one)
    assert read(states.where([True, False], one, other)) == [read(one)[0], read(other)[1]]


def test_memory_of_finished_sessions_is_freed():
    batch = Memory(Sequences(np.zeros((2, 2)), [2]))
    for number in range(5):
        came = Memory(Sequences(np.full((1, 2), float(number)), [1]))
        batch = states.split(states.cat([batch, came]), [1, 1])[1]
    assert read(batch) == [[[4.0, 4.0]]]
    assert len(batch.sequences) == 2


def test_sizes_and_starts():
    memory = Memory(SOURCES, [2, 1, 0])
    assert memory.sizes.tolist() == [4, 0, 3]
    assert memory.starts.tolist() == [3, 3, 0]


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_bytes_contain_only_the_sequences_that_are_read(kind):
    memory = Memory(SOURCES.map(kind), [2, 2])
    data = states.to_bytes(memory)
    again = states.from_bytes(data, memory)
    assert read(again) == read(memory)
    assert type(again.sequences.values) is type(memory.sequences.values)
    assert len(again.sequences) == 1
    assert len(data) < len(states.to_bytes(Memory(SOURCES.map(kind), [0, 1, 2])))


def test_map_and_detach_reach_the_values():
    values = torch.ones(3, 2, requires_grad=True)
    memory = Memory(Sequences(values * 2, [3]), [0, 0])
    assert memory.sequences.values.requires_grad
    assert not states.detach(memory).sequences.values.requires_grad


def test_a_row_number_out_of_range():
    with pytest.raises(ValueError, match=r"Memory: expected rows from 0 to 2, got 0 to 3\."):
        Memory(SOURCES, [0, 3])
