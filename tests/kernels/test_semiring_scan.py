"""semiring_scan against all paths enumerated, and in C++ against its reference."""

from contextlib import contextmanager
from itertools import product

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from elman.kernels import native
from elman.kernels.semiring_scan import best_path, forward, forward_backward, sample_paths, total

needs_native = pytest.mark.skipif(not native.available(), reason="the package was installed without a compiler")
both = pytest.mark.parametrize("native_answers", [True, False] if native.available() else [False])


@contextmanager
def answers(native_answers):
    if native_answers:
        yield
    else:
        with native.aside():
            yield


def draw(lengths, states, seed=0, models=1, per_step=False, spread=1.0, forbid=0.0):
    """log_start, log_transition, scores, lengths, model, per_step: nothing is normalised."""
    generator = np.random.default_rng(seed)
    steps, rows = sum(lengths), len(lengths)

    def logs(*shape):
        values = spread * generator.normal(size=shape)
        return np.where(generator.random(shape) < forbid, -np.inf, values)

    transition = logs(steps if per_step else models, states, states)
    model = None if per_step else generator.integers(models, size=rows)
    return logs(rows, states), transition, logs(steps, states), np.array(lengths, np.int64), model, per_step


def rows_of(case):
    """Each row alone: its steps, log_start [K], its transitions [T, K, K] and scores [T, K]."""
    log_start, log_transition, scores, lengths, model, per_step = case
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
    for row, length in enumerate(lengths):
        steps = np.arange(offsets[row], offsets[row + 1])
        matrices = log_transition[steps] if per_step else np.repeat(log_transition[model[row]][None], length, axis=0)
        yield steps, log_start[row], matrices, scores[steps]


def weights(start, matrices, scores):
    """All paths [K^T, T] of a row, and their log-weights."""
    length, states = scores.shape
    paths = np.array(list(product(range(states), repeat=length)), int).reshape(states**length, length)
    weight = np.zeros(len(paths))
    for t in range(length):
        weight += scores[t, paths[:, t]]
        weight += matrices[t - 1, paths[:, t - 1], paths[:, t]] if t else start[paths[:, 0]]
    return paths, weight


def log_sum(values):
    top = values.max()
    return top if top == -np.inf else top + np.log(np.exp(values - top).sum())


def enumerated(case):
    """Filtered probabilities, log_prob of steps and rows, smoothed probabilities, transitions: by all paths."""
    scores, transition = case[2], case[1]
    filtered, smoothed = np.zeros_like(scores), np.zeros_like(scores)
    log_prob, row_log_prob, transitions = np.zeros(len(scores)), [], np.zeros_like(transition)
    model = case[4]
    for row, (steps, start, matrices, own) in enumerate(rows_of(case)):
        before = 0.0
        for t, step in enumerate(steps):
            paths, weight = weights(start, matrices, own[: t + 1])
            now = log_sum(weight)
            log_prob[step] = now - before if now > -np.inf else -np.inf
            before = now
            if now > -np.inf:
                np.add.at(filtered[step], paths[:, t], np.exp(weight - now))
        row_log_prob.append(before)
        if len(steps) and before > -np.inf:
            share = np.exp(weight - before)
            for t, step in enumerate(steps):
                np.add.at(smoothed[step], paths[:, t], share)
                if t:
                    where = transitions[step - 1] if case[5] else transitions[model[row]]
                    np.add.at(where, (paths[:, t - 1], paths[:, t]), share)
    return filtered, log_prob, np.array(row_log_prob), smoothed, transitions


cases = st.builds(
    draw,
    st.lists(st.integers(0, 4), max_size=5),
    st.integers(1, 4),
    seed=st.integers(0, 10**6),
    models=st.integers(1, 3),
    per_step=st.booleans(),
    spread=st.sampled_from([0.0, 1.0, 30.0, 400.0, 3e4]),
    forbid=st.sampled_from([0.0, 0.0, 0.3, 0.7]),
)


@both
@given(case=cases)
def test_equals_the_sum_over_all_paths(native_answers, case):
    with answers(native_answers):
        probs, log_prob, last = forward(*case)
        posterior = forward_backward(*case)
        totals = total(*case)
    wanted, wanted_log_prob, rows, smoothed, transitions = enumerated(case)
    np.testing.assert_allclose(probs, wanted, atol=1e-9)
    np.testing.assert_allclose(
        log_prob,
        wanted_log_prob,
        rtol=1e-9,
        atol=1e-9 + 1e-14 * np.abs(case[2]).max(initial=0, where=case[2] > -np.inf),
    )
    for got in (posterior.log_prob, totals):
        np.testing.assert_allclose(got, rows, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(posterior.probs, smoothed, atol=1e-9)
    np.testing.assert_allclose(posterior.transitions, transitions, atol=1e-9)
    for row, (steps, start, matrices, own) in enumerate(rows_of(case)):
        paths, weight = weights(start, matrices, own)
        after = start
        if len(steps):
            after = np.array([log_sum(weight + matrices[-1, paths[:, -1], state]) for state in range(len(start))])
            after -= 0.0 if rows[row] == -np.inf else rows[row]
        if after.max() < 700:
            np.testing.assert_allclose(last[row], np.exp(after), rtol=1e-9, atol=1e-9 * np.exp(after.max()))


@both
@given(case=cases, k=st.integers(1, 5))
def test_the_best_paths_are_the_best_of_all(native_answers, case, k):
    with answers(native_answers):
        states, log_prob = best_path(*case, k=k)
    assert states.shape == (k, sum(case[3]))
    for row, (steps, start, matrices, own) in enumerate(rows_of(case)):
        paths, weight = weights(start, matrices, own)
        best = np.sort(weight)[::-1][:k]
        best = np.concatenate([best, np.full(k - len(best), -np.inf)])
        np.testing.assert_allclose(log_prob[:, row], best, rtol=1e-9, atol=1e-9)
        chosen = states[:, steps]
        assert (chosen[best == -np.inf] == -1).all()
        chosen = chosen[best > -np.inf]
        assert len({tuple(path) for path in chosen.tolist()}) == (len(chosen) if len(steps) else min(len(chosen), 1))
        number = {tuple(path): i for i, path in enumerate(paths.tolist())}
        found = [weight[number[tuple(path)]] for path in chosen.tolist()]
        np.testing.assert_allclose(found, best[best > -np.inf], rtol=1e-9, atol=1e-9)


@both
@pytest.mark.parametrize("per_step", [False, True])
def test_paths_are_drawn_as_often_as_they_are_probable(native_answers, per_step):
    case, draws = draw([3, 0, 2], 3, seed=5, per_step=per_step, forbid=0.1), 20_000
    with answers(native_answers):
        states = sample_paths(*case[:4], np.random.default_rng(1).random((draws, 5)), *case[4:])
    for steps, start, matrices, own in rows_of(case):
        paths, weight = weights(start, matrices, own)
        share = np.exp(weight - log_sum(weight))
        places = (states[:, steps][:, None] == paths[None]).all(-1)
        assert places.sum() == draws
        np.testing.assert_allclose(places.mean(0), share, atol=5 * 0.5 / draws**0.5)


@both
def test_a_row_without_a_path(native_answers):
    start, transition = np.zeros((3, 2)), np.log([[[0.5, 0.5], [0.5, 0.5]]])
    scores = np.zeros((6, 2))
    scores[2] = -np.inf  # in the second row, at its second step
    with answers(native_answers):
        probs, log_prob, last = forward(start, transition, scores, [1, 3, 2])
        posterior = forward_backward(start, transition, scores, [1, 3, 2])
        states, best = best_path(start, transition, scores, [1, 3, 2], k=2)
        drawn = sample_paths(start, transition, scores, [1, 3, 2], np.zeros((2, 6)))
    assert log_prob.round(3).tolist() == [0.693, 0.693, -np.inf, -np.inf, 0.693, 0]
    assert probs.tolist() == [[0.5, 0.5]] * 2 + [[0, 0]] * 2 + [[0.5, 0.5]] * 2
    assert last.tolist() == [[0.5, 0.5], [0, 0], [0.5, 0.5]]
    assert posterior.log_prob.round(3).tolist() == [0.693, -np.inf, 0.693]
    np.testing.assert_allclose(posterior.probs, [[0.5, 0.5], *[[0, 0]] * 3, *[[0.5, 0.5]] * 2])
    np.testing.assert_allclose(posterior.transitions, [[[0.25, 0.25], [0.25, 0.25]]])
    assert (best[:, 1] == -np.inf).all()
    assert (states[:, 1:4] == -1).all()
    assert (drawn[:, 1:4] == -1).all()
    assert (drawn[:, [0, 4, 5]] == 0).all()


@both
@pytest.mark.parametrize("lengths", [[], [0], [0, 0]])
def test_rows_without_steps(native_answers, lengths):
    case = draw(lengths, 3)
    with answers(native_answers):
        probs, log_prob, last = forward(*case)
        posterior = forward_backward(*case)
        states, best = best_path(*case, k=2)
        drawn = sample_paths(*case[:4], np.zeros((2, 0)), *case[4:])
    assert probs.shape == (0, 3)
    assert log_prob.shape == (0,)
    np.testing.assert_array_equal(last, np.exp(case[0]))
    assert posterior.log_prob.tolist() == [0] * len(lengths)
    assert not posterior.transitions.any()
    assert states.shape == (2, 0)
    assert best.tolist() == [[0.0] * len(lengths), [-np.inf] * len(lengths)]
    assert drawn.shape == (2, 0)


def test_a_model_of_weights_that_underflow_one_by_one():
    """State 0 is better by e^-1 at each of 2000 steps, but enters with e^-1000: too small for a float, yet it wins."""
    steps = 2000
    transition = np.array([[[0.0, -np.inf], [-np.inf, 0.0]]])
    start, scores = np.array([[-1000.0, 0.0]]), np.tile([[0.0, -1.0]], (steps, 1))
    probs, log_prob, _ = forward(start, transition, scores, [steps])
    assert log_prob.sum() == pytest.approx(-1000)
    assert probs[998:1001, 0] == pytest.approx([1 / (1 + np.e), 0.5, np.e / (1 + np.e)])
    posterior = forward_backward(start, transition, scores, [steps])
    np.testing.assert_allclose(posterior.probs[:, 0], 1)
    np.testing.assert_allclose(posterior.transitions, [[[steps - 1, 0], [0, 0]]], atol=1e-9)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scores": np.zeros(3)}, ValueError, r"forward: expected scores of shape \[N, K\], got \[3\]"),
        ({"scores": np.zeros((3, 0))}, ValueError, "expected scores of at least one state"),
        ({"scores": np.zeros((3, 2), np.float32)}, TypeError, r"scores of float64, got float32; convert it with"),
        ({"scores": [[0.0, 0.0]] * 3}, TypeError, "expected scores of float64, got list"),
        ({"log_start": np.zeros((1, 2))}, ValueError, r"log_start of shape \[B=2, K=2\], got \[1, 2\]"),
        ({"log_transition": np.zeros((2, 2))}, ValueError, r"log_transition of shape \[M, K=2, K=2\], got \[2, 2\]"),
        ({"per_step": True}, ValueError, r"log_transition of shape \[N=3, K=2, K=2\], got \[1, 2, 2\]"),
        ({"lengths": [1, 1]}, ValueError, "expected values of 2 steps"),
        ({"model": [0]}, ValueError, r"model of shape \[B=2\], got \[1\]"),
        ({"model": [0, 1]}, ValueError, "model from 0 to 0, one of log_transition's, got 0 to 1"),
        ({"model": [-1, 0]}, ValueError, "model from 0 to 0, one of log_transition's, got -1 to 0"),
        ({"model": [0.0, 0.5]}, TypeError, "model of integers, got float64"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(change, error, message):
    arguments = {
        "log_start": np.zeros((2, 2)),
        "log_transition": np.zeros((1, 2, 2)),
        "scores": np.zeros((3, 2)),
        "lengths": [1, 2],
    }
    with pytest.raises(error, match=message):
        forward(**arguments | change)


def test_a_wrong_number_of_paths_is_one_clear_line():
    with pytest.raises(ValueError, match="best_path: expected k of at least 1, got 0"):
        best_path(*draw([2], 2), k=0)


def test_uniforms_of_another_shape_are_one_clear_line():
    with pytest.raises(ValueError, match=r"sample_paths: expected uniforms of shape \[S, N=2\], got \[1, 3\]"):
        sample_paths(*draw([2], 2)[:4], np.zeros((1, 3)))
