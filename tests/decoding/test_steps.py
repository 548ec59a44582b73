"""Searches with the models of the library: an n-gram, a language model, a stepper."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch

from elman import LanguageModel
from elman import state as states
from elman.classical import NGram
from elman.decoding import Constraints, Sampling, beam_search, by_stepper, greedy, sample
from elman.memory import Memory
from elman.sequences import Sequences

from .searches import Table, same

TEXT = "the cat sat on the mat and the dog sat on the log; " * 20


@pytest.fixture(scope="module")
def ngram() -> NGram:
    draw = np.random.default_rng(0)
    return NGram(vocabulary_size=6, order=3).fit([draw.integers(1, 6, size) for size in (9, 4, 0, 14, 6)])


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    settings = {"hidden_size": 12, "embedding_size": 8, "epochs": 2, "steps": 20, "streams": 4, "learning_rate": 1e-2}
    return LanguageModel(**settings, ngram_order=0, validation=0).fit(TEXT)


def log_prob(ngram: NGram, units: np.ndarray) -> float:
    inputs, targets = np.insert(units, 0, 0), np.append(units, 0)
    return float(ngram.log_prob(Sequences.from_list([inputs]), targets).sum())


def test_an_ngram(ngram):
    state = ngram.initial_state(3)
    found = beam_search(ngram.step, state, 3, beam=4, n_best=4, max_length=12, length_penalty=0.5)
    for row in found:
        same(row, found[0])
        for hypothesis in row:
            assert hypothesis.finished
            assert hypothesis.log_prob == pytest.approx(log_prob(ngram, hypothesis.units), abs=1e-5)
    drawn = sample(ngram.step, state, 3, Sampling(), np.random.default_rng(0), max_length=200)
    assert all(h.log_prob == pytest.approx(log_prob(ngram, h.units), abs=1e-4) for h in drawn if h.finished)


def test_the_memory_shared_by_hypotheses_of_a_row_is_not_copied():
    table = Table(3, 7, 5, 0)
    memory = Memory(Sequences(np.arange(3.0), [1, 1, 1]))

    def step(ids, state):
        memory_now, time = state
        assert memory_now.sequences is memory.sequences
        rows = memory_now.sequences.values[memory_now.starts].astype(np.int64)
        return table.scores[rows, time, ids], (memory_now, time + 1)

    search = partial(beam_search, beam=4, n_best=4, max_length=6)
    found = search(step, (memory, np.zeros(3, np.int64)), 3)
    for ours, theirs in zip(found, search(table.step, table.initial_state(), 3), strict=True):
        same(ours, theirs)


def torch_step(net):
    def step(ids, state):
        with torch.no_grad():
            return net.step(torch.from_numpy(ids), state)

    return step


def test_a_language_model(model):
    net, units = model.net_.eval(), model.units_
    prefixes = [units.encode(text).tolist() for text in ("the ", "", "cat")]
    search = partial(
        beam_search,
        beam=4,
        n_best=2,
        max_length=25,
        constraints=Constraints(forbidden=[1] if units.has_unknown else [], no_repeat_ngram=4, prefixes=prefixes),
    )
    found = search(torch_step(net), net.initial_state(3), 3)
    for prefix, hypotheses in zip(prefixes, found, strict=True):
        for written, total, _, finished in hypotheses:
            assert written[: len(prefix)].tolist() == prefix
            stream, expected = model.stream(), 0.0
            for unit in [*written.tolist(), *([0] if finished else [])]:
                expected += stream.log_probs[unit]
                stream.read_unit(unit)
            assert total == pytest.approx(expected, abs=1e-4)


@pytest.mark.needs_native
@pytest.mark.parametrize("size", [1, 4, 64])
@pytest.mark.parametrize("output", ["logits", "log_probs"])
def test_a_stepper_of_any_size_finds_what_the_model_finds(model, size, output):
    net = model.net_.eval()
    step = by_stepper(net.stepper(size, output=output))
    state = net.initial_state(3)
    arrays = states.map(lambda leaf: leaf.numpy(), state)
    for ours, theirs in zip(
        beam_search(step, arrays, 3, beam=3, n_best=3, max_length=15),
        beam_search(torch_step(net), state, 3, beam=3, n_best=3, max_length=15),
        strict=True,
    ):
        same(ours, theirs)
    expected = greedy(step, arrays, 3, max_length=15)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: greedy(step, arrays, 3, max_length=15), range(4)):
            same(found, expected)
