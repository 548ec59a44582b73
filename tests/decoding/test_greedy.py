"""Greedy and drawn hypotheses against the tables that they come from."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.decoding import Constraints, Sampling, greedy, sample

from .searches import END, Table, constraints, every, repeats, same

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(0, 5))
def test_greedy_takes_the_likeliest_unit_at_every_step(seed, rows):
    table = Table(rows, 9, 5, seed)
    found = greedy(table.step, table.initial_state(), rows, max_length=8)
    assert len(found) == rows
    assert table.steps == sorted(table.steps, reverse=True)  # rows that are done leave the batch
    for row, (units, log_prob, score, finished) in enumerate(found):
        path, total = [END], 0.0
        while len(path) < 10 and (path == [END] or path[-1] != END):
            choices = table.log_probs[row, len(path) - 1, path[-1]]
            path.append(int(choices.argmax()))
            total += choices.max() if len(path) < 10 or path[-1] == END else 0
        assert finished == (path[-1] == END)
        assert units.tolist() == path[1:-1]
        assert log_prob == score == pytest.approx(total, abs=1e-5)


@given(seeds, st.integers(1, 5), st.booleans(), st.data())
def test_constraints_hold_and_a_row_does_not_see_the_others(seed, rows, drawn, data):
    table = Table(rows, 11, 5, seed)
    rules = data.draw(constraints(rows, 5, 10))
    generator = np.random.default_rng(seed)

    def write(table, rows, rules):
        if drawn:
            sampling = Sampling(temperature=1.5)
            return sample(
                table.step, table.initial_state(), rows, sampling, generator, max_length=10, constraints=rules
            )
        return greedy(table.step, table.initial_state(), rows, max_length=10, constraints=rules)

    for row, hypothesis in enumerate(write(table, rows, rules)):
        units, log_prob, _, finished = hypothesis
        prefix = list(rules.prefixes[row]) if rules.prefixes else []
        assert units[: len(prefix)].tolist() == prefix
        assert not set(rules.forbidden) & set(units[len(prefix) :].tolist())
        assert END not in units
        assert not finished or (len(units) >= rules.min_length and END not in rules.forbidden)
        if rules.no_repeat_ngram and not repeats(prefix, rules.no_repeat_ngram):
            assert not repeats(units.tolist(), rules.no_repeat_ngram)
        path = [END, *units.tolist(), *([END] if finished else [])]
        steps = [table.log_probs[row, t, a, b] for t, (a, b) in enumerate(pairwise(path))]
        assert log_prob == pytest.approx(sum(steps), abs=1e-5)
        if not drawn:
            own = Constraints(rules.forbidden, rules.no_repeat_ngram, [prefix], rules.min_length)
            same([hypothesis], write(table.alone(row), 1, own))


def test_drawn_sequences_come_as_often_as_they_are_likely():
    table = Table(1, 4, 3, 5, spread=1.0)
    rows = 20_000
    state = (np.zeros(rows, np.int64), np.zeros(rows, np.int64))
    found = sample(table.step, state, rows, Sampling(), np.random.default_rng(1), max_length=3)
    drawn = {}
    for hypothesis in found:
        key = (tuple(hypothesis.units.tolist()), hypothesis.finished)
        drawn[key] = drawn.get(key, 0) + 1
    likely = {(tuple(h.units.tolist()), True): np.exp(h.log_prob) for h in every(table, 0, 3)}
    for key, prob in likely.items():
        assert abs(drawn.get(key, 0) / rows - prob) < 5 * np.sqrt(prob * (1 - prob) / rows) + 1e-4
    assert sum(n for (_, finished), n in drawn.items() if not finished) / rows == pytest.approx(
        1 - sum(likely.values()), abs=0.02
    )


def test_the_same_seed_draws_the_same_and_temperature_zero_is_greedy():
    table = Table(6, 13, 5, 2)

    def draw(seed, **settings):
        return sample(
            table.step, table.initial_state(), 6, Sampling(**settings), np.random.default_rng(seed), max_length=12
        )

    same(draw(3), draw(3))
    assert any(not np.array_equal(a.units, b.units) for a, b in zip(draw(3), draw(4), strict=True))
    same(draw(0, temperature=0), greedy(table.step, table.initial_state(), 6, max_length=12))


@pytest.mark.parametrize("max_length", [0, 1, [0, 3, 1]])
def test_after_the_last_unit_the_end_may_still_follow(max_length):
    table = Table(3, 5, 4, 0)
    table.scores[:, :, :, 1] = 9
    found = greedy(table.step, table.initial_state(), 3, max_length=max_length)
    assert [len(h.units) for h in found] == np.broadcast_to(max_length, 3).tolist()
    assert not any(h.finished for h in found)
    table.scores[:, :, 1, END] = table.scores[:, 0, END, END] = 20
    assert all(h.finished for h in greedy(table.step, table.initial_state(), 3, max_length=max_length))


def test_start_and_end_may_be_two_units():
    scores = np.full((4, 4), -9.0)
    scores[2, 0] = scores[0, 1] = scores[1, 3] = 9.0
    (found,) = greedy(lambda ids, state: (scores[ids], state), (), 1, max_length=9, start=2, end=3)
    assert (found.units.tolist(), found.finished) == ([0, 1], True)


def test_a_row_without_an_allowed_unit_ends_unfinished():
    table = Table(2, 5, 3, 0)
    rules = Constraints(no_repeat_ngram=1, min_length=4)
    for found in (
        greedy(table.step, table.initial_state(), 2, max_length=4, constraints=rules),
        sample(
            table.step,
            table.initial_state(),
            2,
            Sampling(),
            np.random.default_rng(0),
            max_length=4,
            constraints=rules,
        ),
    ):
        assert [(sorted(h.units.tolist()), h.finished) for h in found] == [([1, 2], False)] * 2
        assert all(np.isfinite(h.log_prob) for h in found)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_scores_that_are_not_finite_are_one_clear_error(bad, kind):
    scores = np.zeros((3, 4), np.float32)
    scores[2] = bad
    for search in (greedy, lambda *args, **more: sample(*args, Sampling(), np.random.default_rng(0), **more)):
        with pytest.raises(ValueError, match=r"^row 2: expected finite scores after 0 units"):
            search(lambda ids, state: (kind(scores), state), (), 3, max_length=5)
