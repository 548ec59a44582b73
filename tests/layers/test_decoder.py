import itertools

import numpy as np
import pytest
import torch

from elman import GRU, LSTM
from elman import state as states
from elman.layers import Attention, Decoder, Dropout, Embedding, Linear, OutputFeedback, Stack
from elman.memory import Memory
from elman.sequences import Sequences
from elman.testing import check_cell

SOURCES = Sequences(
    torch.randn(14, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), [3, 0, 5, 2, 4]
)


def make(attends=True, feeds=False, cell=LSTM, summary=7):
    layers = [cell(4 + 4 * feeds, 6), Dropout(6, 0.5), cell(6, 6), Attention(6, 6, 4) if attends else Linear(6, 4)]
    body = OutputFeedback(Stack(*layers)) if feeds else Stack(*layers)
    return Decoder(Stack(Embedding(9, 4), Dropout(4, 0.5)), body, Linear(4, 9), summary)


def start(decoder, rows):
    dtype = decoder.readout.weight.dtype
    sources = Memory(SOURCES.map(lambda values: values.to(dtype)), np.arange(rows) % 5)
    summary = torch.randn(rows, 7, generator=torch.Generator().manual_seed(1)).to(dtype)
    return decoder.initial_state(rows, sources, summary)


def decoders():
    """Yield every decoder; as many are fast as cover every pair of settings."""
    for attends, feeds, cell in itertools.product([True, False], [True, False], [LSTM, GRU]):
        fast = (attends + feeds + (cell is GRU)) % 2 == 0
        yield pytest.param(attends, feeds, cell, marks=() if fast else pytest.mark.slow)


@pytest.mark.parametrize(("attends", "feeds", "cell"), [*decoders()])
def test_laws_hold(attends, feeds, cell):
    torch.manual_seed(0)
    laws = check_cell(make(attends, feeds, cell), torch.arange(9), initial_state=start)
    assert {"scan equals stepping", "state operations", "numeric gradients"} <= {*laws}


def test_the_summary_determines_the_initial_state_of_every_recurrent_layer():
    torch.manual_seed(0)
    decoder = make()
    one, other = (decoder.initial_state(2, None, summary) for summary in (torch.ones(2, 7), -torch.ones(2, 7)))
    for number in (0, 2):
        for a, b in zip(states.leaves(one.body[number]), states.leaves(other.body[number]), strict=True):
            torch.testing.assert_close(a, -b)
            assert (a != 0).all()


def test_without_a_summary_the_initial_state_is_zero():
    assert not any(leaf.any() for leaf in states.leaves(make(summary=0).eval().initial_state(2).body[0]))


@pytest.mark.parametrize("feeds", [False, True])
def test_alignment_equals_the_attention_weights_of_stepping(feeds):
    torch.manual_seed(0)
    decoder = make(feeds=feeds).eval().double()
    ids = Sequences(torch.tensor([0, 3, 5, 0, 2]), [3, 0, 2])
    state = states.select(start(decoder, 3), [0, 1, 2])
    alignments = decoder.alignment(ids, state)
    assert [alignment.shape for alignment in alignments] == [(3, 3), (0, 0), (2, 5)]
    read = decoder.attention._read
    seen = []

    def watch(*arguments):
        y, weights = read(*arguments)
        seen.append(weights.detach().numpy())
        return y, weights

    decoder.attention._read = watch
    for row, units in ((0, [0, 3, 5]), (2, [0, 2])):
        seen.clear()
        one = states.select(state, [row])
        for unit in units:
            _, one = decoder.step(torch.tensor([unit]), one)
        np.testing.assert_allclose(alignments[row], np.array(seen), atol=1e-10)


def test_alignment_without_attention():
    decoder = make(attends=False)
    with pytest.raises(ValueError, match=r"Decoder\.alignment: expected a decoder with an Attention layer"):
        decoder.alignment(Sequences(torch.tensor([0]), [1]), decoder.initial_state(1))
