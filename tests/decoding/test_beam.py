"""Beam search against every sequence, against itself with fewer rows, and against greedy."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.decoding import Constraints, beam_search, coverage_penalty, greedy

from .searches import END, Table, constraints, every, repeats, same

penalties = st.sampled_from([0.0, 0.3, 1.0, 1.7, -0.5])
sizes = st.sampled_from([(1, 3), (2, 5), (3, 4), (4, 3), (5, 2)])  # V, max_length
seeds = st.integers(0, 2**32 - 1)


@given(sizes, st.integers(0, 3), seeds, penalties, st.integers(1, 12), st.data())
def test_at_full_width_it_equals_enumeration_of_all_sequences(size, rows, seed, penalty, n_best, data):
    units, max_length = size
    table = Table(rows, max_length + 1, units, seed)
    rules = data.draw(constraints(rows, units, max_length))
    beam = max(units ** (max_length + 1), n_best)
    found = beam_search(
        table.step,
        table.initial_state(),
        rows,
        beam=beam,
        n_best=n_best,
        max_length=max_length,
        length_penalty=penalty,
        constraints=rules,
    )
    assert len(found) == rows
    for row, hypotheses in enumerate(found):
        same(hypotheses, every(table, row, max_length, rules, penalty)[:n_best])


@given(seeds, st.integers(1, 6), st.integers(1, 5), penalties, st.data())
def test_a_row_does_not_see_the_others(seed, rows, beam, penalty, data):
    table = Table(rows, 9, 6, seed)
    lengths = data.draw(st.lists(st.integers(3, 8), min_size=rows, max_size=rows))
    prefixes = data.draw(st.lists(st.lists(st.integers(1, 5), max_size=3), min_size=rows, max_size=rows))
    search = partial(beam_search, beam=beam, n_best=min(beam, 3), length_penalty=penalty)
    together = search(
        table.step,
        table.initial_state(),
        rows,
        max_length=lengths,
        constraints=Constraints(no_repeat_ngram=2, prefixes=prefixes, min_length=1),
    )
    for row in range(rows):
        one = table.alone(row)
        alone = search(
            one.step,
            one.initial_state(),
            1,
            max_length=lengths[row],
            constraints=Constraints(no_repeat_ngram=2, prefixes=[prefixes[row]], min_length=1),
        )
        same(together[row], alone[0])


@given(seeds, penalties, st.data())
def test_a_beam_of_one_is_greedy(seed, penalty, data):
    table = Table(4, 8, 5, seed)
    rules = data.draw(constraints(4, 5, 7))
    search = partial(beam_search, beam=1, length_penalty=penalty)
    ours = search(table.step, table.initial_state(), 4, max_length=7, constraints=rules)
    theirs = greedy(table.step, table.initial_state(), 4, max_length=7, constraints=rules)
    for (hypothesis,), expected in zip(ours, theirs, strict=True):
        same([hypothesis._replace(score=hypothesis.log_prob)], [expected])


@given(seeds, st.integers(2, 6), st.data())
def test_constraints_hold_at_any_width(seed, beam, data):
    table = Table(3, 13, 6, seed)
    rules = data.draw(constraints(3, 6, 12))
    found = beam_search(
        table.step,
        table.initial_state(),
        3,
        beam=beam,
        n_best=beam,
        max_length=12,
        constraints=rules,
        length_penalty=1.0,
    )
    for row, hypotheses in enumerate(found):
        prefix = list(rules.prefixes[row]) if rules.prefixes else []
        assert hypotheses
        assert len({tuple(hypothesis.units) for hypothesis in hypotheses}) == len(hypotheses)
        for units, _, _, finished in hypotheses:
            assert units[: len(prefix)].tolist() == prefix
            assert not set(rules.forbidden) & set(units[len(prefix) :].tolist())
            assert END not in units
            assert not finished or (len(units) >= rules.min_length and END not in rules.forbidden)
            if not repeats(prefix, rules.no_repeat_ngram):
                assert rules.no_repeat_ngram == 0 or not repeats(units.tolist(), rules.no_repeat_ngram)


@given(seeds, st.integers(1, 5), penalties)
def test_log_probs_and_scores_are_those_of_the_units(seed, beam, penalty):
    table = Table(2, 9, 5, seed)
    found = beam_search(
        table.step, table.initial_state(), 2, beam=beam, n_best=beam, max_length=8, length_penalty=penalty
    )
    for row, hypotheses in enumerate(found):
        assert [h.finished for h in hypotheses] == sorted([h.finished for h in hypotheses], reverse=True)
        for part in (True, False):
            scores = [h.score for h in hypotheses if h.finished is part]
            assert scores == sorted(scores, reverse=True)
        for units, log_prob, score, finished in hypotheses:
            path = [END, *units.tolist(), *([END] if finished else [])]
            steps = [table.log_probs[row, t, a, b] for t, (a, b) in enumerate(pairwise(path))]
            assert log_prob == pytest.approx(sum(steps), abs=1e-5)
            assert score == pytest.approx(log_prob / max(len(steps), 1) ** penalty, abs=1e-5)


@given(seeds)
def test_the_coverage_penalty_is_subtracted_and_at_full_width_the_best_are_found(seed):
    table = Table(2, 5, 3, seed)
    costs = np.random.default_rng(seed).random(3)

    def coverage(rows, units):
        assert len(rows) == len(units)
        return np.array([costs[unit].sum() + row for row, unit in zip(rows, units, strict=True)])

    found = beam_search(
        table.step, table.initial_state(), 2, beam=3**5, n_best=4, max_length=4, length_penalty=1.0, coverage=coverage
    )
    for row, hypotheses in enumerate(found):
        scored = [
            hypothesis._replace(score=hypothesis.score - costs[hypothesis.units].sum() - row)
            for hypothesis in every(table, row, 4, length_penalty=1.0)
        ]
        same(hypotheses, sorted(scored, key=lambda hypothesis: -hypothesis.score)[:4])


def test_coverage_penalty_by_hand():
    read = [np.array([[1.0, 0.0], [0.5, 0.25]]), np.array([[0.0, 1.0]]), np.zeros((0, 2))]
    assert coverage_penalty(read, 0.5)[0] == pytest.approx(-0.5 * np.log(0.25))
    assert coverage_penalty(read, 0.5)[1] == pytest.approx(-0.5 * np.log(1e-10))
    assert coverage_penalty(read, 1.0)[2] == pytest.approx(-2 * np.log(1e-10))
    table = Table(1, 4, 3, 0)
    with pytest.raises(ValueError, match="coverage"):
        beam_search(
            table.step, table.initial_state(), 1, max_length=3, coverage=lambda rows, units: -np.ones(len(rows))
        )


@given(seeds, st.integers(1, 4))
def test_scores_and_states_of_torch_and_of_numpy_are_read_alike(seed, beam):
    table = Table(3, 7, 5, seed)
    scores = torch.from_numpy(table.scores).float()

    def step(ids, state):
        row, time = state
        return scores[row, time, torch.from_numpy(ids)], (row, time + 1)

    rules = Constraints(forbidden=[2], no_repeat_ngram=2, prefixes=[[1], [], [3, 4]])
    search = partial(beam_search, beam=beam, n_best=beam, max_length=6, constraints=rules)
    ours = search(step, tuple(map(torch.from_numpy, table.initial_state())), 3)
    for one, other in zip(ours, search(table.step, table.initial_state(), 3), strict=True):
        same(one, other)


def test_a_row_stops_when_no_open_hypothesis_can_exceed_the_finished_ones():
    table = Table(1, 50, 3, 0)
    table.scores[:] = 0
    table.scores[0, :9, :, 1] = 9.0  # writes 1 nine times, then the end
    table.scores[0, 9:, :, END] = 9.0
    for penalty in (0.0, 1.0):  # hypotheses that end earlier, each likelier than the other unit, do not stop the search
        table.steps.clear()
        found = beam_search(table.step, table.initial_state(), 1, beam=2, max_length=49, length_penalty=penalty)
        assert found[0][0].units.tolist() == [1] * 9
        assert found[0][0].finished
        assert len(table.steps) < 13


def test_rows_that_are_done_leave_the_batch():
    table = Table(3, 20, 4, 0)
    table.scores[:] = 0
    table.scores[..., END] = -30.0
    table.scores[0, 0, :, END] = 30.0
    table.scores[1, :5, :, 2] = 30.0
    table.scores[1, 5:, :, END] = 30.0
    table.scores[2, :, :, 3] = 30.0
    found = beam_search(table.step, table.initial_state(), 3, beam=3, max_length=19, length_penalty=0.0)
    assert [len(row[0].units) for row in found] == [0, 5, 19]
    assert [row[0].finished for row in found] == [True, True, False]
    assert table.steps[:2] == [3, 6]
    assert table.steps[-1] == 3


def test_hypotheses_of_probability_zero_are_never_returned():
    table = Table(2, 6, 4, 3)
    table.scores[..., 2] = -np.inf
    for beam in (1, 3, 500):
        for hypotheses in beam_search(table.step, table.initial_state(), 2, beam=beam, n_best=beam, max_length=5):
            assert hypotheses
            assert not any(2 in hypothesis.units for hypothesis in hypotheses)


def test_a_beam_wider_than_the_vocabulary_and_a_vocabulary_of_the_end_alone():
    table = Table(2, 4, 1, 0)
    for row in beam_search(table.step, table.initial_state(), 2, beam=7, n_best=7, max_length=3):
        (only,) = row
        assert only.units.tolist() == []
        assert (only.log_prob, only.finished) == (0.0, True)
    assert beam_search(table.step, (), 0, max_length=3) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_one_clear_error(bad):
    table = Table(3, 6, 4, 3)
    table.scores[1, 2, :, 1] = bad
    with pytest.raises(ValueError, match=r"^row 1: expected finite scores after 2 units"):
        beam_search(table.step, table.initial_state(), 3, max_length=5, constraints=Constraints(min_length=4))
    table.scores[1, 2] = -np.inf
    with pytest.raises(ValueError, match=r"^row 1: expected finite scores after 2 units"):
        greedy(table.step, table.initial_state(), 3, max_length=5, constraints=Constraints(min_length=4))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam": 0}, "n_best <= beam"),
        ({"beam": 2, "n_best": 3}, "n_best=3 and beam=2"),
        ({"length_penalty": float("nan")}, "length_penalty"),
        ({"length_penalty": 1e300}, r"a length_penalty of at most 20, got 1e\+300"),
        ({"max_length": [3, 2, 1]}, "max_length"),
        ({"max_length": [3, -1]}, "row 1: expected a max_length of at least"),
        ({"end": 4}, "the end below V=4"),
        ({"constraints": Constraints(min_length=9)}, "row 0: expected a max_length"),
        ({"constraints": Constraints(forbidden=[7])}, "forbidden unit below V=4, got 7"),
        ({"constraints": Constraints(prefixes=[[1]])}, "a prefix for each of 2 rows, got 1"),
        ({"constraints": Constraints(prefixes=[[1], [2, 0]])}, "row 1: the prefix contains the end \\(unit 0\\)"),
        ({"constraints": Constraints(prefixes=[[1], [2] * 6])}, "row 1: expected a prefix of at most max_length=5"),
        ({"constraints": Constraints(prefixes=[[1], [2, 9]])}, "row 1: expected a prefix of units from 0 to 3, got 9"),
    ],
)
def test_settings_that_contradict_each_other_are_errors(settings, message):
    table = Table(2, 6, 4, 3)
    with pytest.raises(ValueError, match=message):
        beam_search(table.step, table.initial_state(), 2, **{"max_length": 5, **settings})


@pytest.mark.parametrize("bad", [{"min_length": -1}, {"no_repeat_ngram": -2}, {"forbidden": [-1]}])
def test_constraints_out_of_range(bad):
    with pytest.raises(ValueError, match="Constraints"):
        Constraints(**bad)


def test_an_impossible_prefix_and_scores_of_another_shape_are_errors():
    table = Table(2, 6, 4, 3)
    table.scores[1, 1, :, 2] = -np.inf
    rules = Constraints(prefixes=[[], [1, 2]])
    for search in (greedy, beam_search):
        with pytest.raises(ValueError, match=r"^row 1: unit 2 of the prefix has probability 0"):
            search(table.step, table.initial_state(), 2, max_length=5, constraints=rules)
        with pytest.raises(ValueError, match=r"expected scores of shape \[R=2, V"):
            search(lambda ids, state: (np.zeros((1, 4)), state), (), 2, max_length=5)


@pytest.mark.parametrize("beam", [1, 2, 3])
def test_an_exact_tie_goes_to_the_smaller_unit(beam):
    table = Table(1, 3, 4, 0)
    table.scores[:] = 0
    table.scores[..., END] = -50
    found = beam_search(table.step, table.initial_state(), 1, beam=beam, n_best=beam, max_length=2)
    assert found[0][0].units.tolist() == [1, 1]
