"""semiring_scan against enumeration of all paths, and the native kernel against the reference."""

from contextlib import contextmanager
from itertools import product

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from elman.kernels import native
from elman.kernels.semiring_scan import best_path, forward, forward_backward, sample_paths, total
from elman.threads import get_num_threads, set_num_threads

HERE = hasattr(native.module, "semiring_sums")
both = pytest.mark.parametrize("native_kernel", [True, False] if HERE else [False])


@contextmanager
def use_native(native_kernel):
    if native_kernel:
        yield
    else:
        with native.disabled():
            yield


def draw(lengths, states, seed=0, models=1, per_step=False, spread=1.0, forbid=0.0):
    """Return log_start, log_transition, scores, lengths, model, per_step, which are not normalised."""
    generator = np.random.default_rng(seed)
    steps, rows = sum(lengths), len(lengths)

    def logs(*shape):
        values = spread * generator.normal(size=shape)
        return np.where(generator.random(shape) < forbid, -np.inf, values)

    transition = logs(steps if per_step else models, states, states)
    model = None if per_step else generator.integers(models, size=rows)
    return logs(rows, states), transition, logs(steps, states), np.array(lengths, np.int64), model, per_step


def rows_of(case):
    """Yield each row: its steps, log_start [K], transitions [T, K, K] and scores [T, K]."""
    log_start, log_transition, scores, lengths, model, per_step = case
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
    for row, length in enumerate(lengths):
        steps = np.arange(offsets[row], offsets[row + 1])
        matrices = log_transition[steps] if per_step else np.repeat(log_transition[model[row]][None], length, axis=0)
        yield steps, log_start[row], matrices, scores[steps]


def weights(start, matrices, scores):
    """Return all paths [K^T, T] of a row, and their log-weights."""
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
    """Return filtered and smoothed probabilities, log_prob of steps and rows, and transitions, by enumeration."""
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
def test_equals_the_sum_over_all_paths(native_kernel, case):
    with use_native(native_kernel):
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
def test_the_best_paths_equal_enumeration(native_kernel, case, k):
    with use_native(native_kernel):
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
def test_frequencies_of_sampled_paths_equal_their_probabilities(native_kernel, per_step):
    case, draws = draw([3, 0, 2], 3, seed=5, per_step=per_step, forbid=0.1), 20_000
    with use_native(native_kernel):
        states = sample_paths(*case[:4], np.random.default_rng(1).random((draws, 5)), *case[4:])
    for steps, start, matrices, own in rows_of(case):
        paths, weight = weights(start, matrices, own)
        share = np.exp(weight - log_sum(weight))
        places = (states[:, steps][:, None] == paths[None]).all(-1)
        assert places.sum() == draws
        np.testing.assert_allclose(places.mean(0), share, atol=5 * 0.5 / draws**0.5)


@both
def test_a_row_without_a_path(native_kernel):
    start, transition = np.zeros((3, 2)), np.log([[[0.5, 0.5], [0.5, 0.5]]])
    scores = np.zeros((6, 2))
    scores[2] = -np.inf  # in the second row, at its second step
    with use_native(native_kernel):
        probs, log_prob, last = forward(start, transition, scores, [1, 3, 2])
        posterior = forward_backward(start, transition, scores, [1, 3, 2])
        states, best = best_path(start, transition, scores, [1, 3, 2], k=2)
        drawn = sample_paths(start, transition, scores, [1, 3, 2], np.zeros((2, 6)))
    assert log_prob.round(3).tolist() == [0.693, 0.693, -np.inf, -np.inf, 0.693, 0]
    np.testing.assert_allclose(probs, [[0.5, 0.5]] * 2 + [[0, 0]] * 2 + [[0.5, 0.5]] * 2)
    np.testing.assert_allclose(last, [[0.5, 0.5], [0, 0], [0.5, 0.5]])
    assert posterior.log_prob.round(3).tolist() == [0.693, -np.inf, 0.693]
    np.testing.assert_allclose(posterior.probs, [[0.5, 0.5], *[[0, 0]] * 3, *[[0.5, 0.5]] * 2])
    np.testing.assert_allclose(posterior.transitions, [[[0.25, 0.25], [0.25, 0.25]]])
    assert (best[:, 1] == -np.inf).all()
    assert (states[:, 1:4] == -1).all()
    assert (drawn[:, 1:4] == -1).all()
    assert (drawn[:, [0, 4, 5]] == 0).all()


@both
@pytest.mark.parametrize("lengths", [[], [0], [0, 0]])
def test_rows_without_steps(native_kernel, lengths):
    case = draw(lengths, 3)
    with use_native(native_kernel):
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


def test_weights_that_underflow_step_by_step():
    """Let state 0 gain a factor e per step for 2000 steps after a start of e^-1000, which underflows: it still wins."""
    steps = 2000
    transition = np.array([[[0.0, -np.inf], [-np.inf, 0.0]]])
    start, scores = np.array([[-1000.0, 0.0]]), np.tile([[0.0, -1.0]], (steps, 1))
    probs, log_prob, _ = forward(start, transition, scores, [steps])
    assert log_prob.sum() == pytest.approx(-1000)
    assert probs[998:1001, 0] == pytest.approx([1 / (1 + np.e), 0.5, np.e / (1 + np.e)])
    posterior = forward_backward(start, transition, scores, [steps])
    np.testing.assert_allclose(posterior.probs[:, 0], 1)
    np.testing.assert_allclose(posterior.transitions, [[[steps - 1, 0], [0, 0]]], atol=1e-9)


LENGTHS = {"one step": [1], "ragged": [33, 0, 1, 64, 7, 31, 32, 40], "many rows": [5] * 15 + [3] * 4, "long": [150]}


def everything(case, k=1):
    """Return all results of the kernels by name, sums over rows last."""
    probs, log_prob, last = forward(*case)
    smoothed = forward_backward(*case)
    paths = best_path(*case, k=k)
    uniforms = np.random.default_rng(1).random((3, len(case[2])))
    drawn = sample_paths(*case[:4], uniforms, *case[4:])
    return {"probs": probs, "log_prob": log_prob, "last": last, "smoothed": smoothed.probs, "total": total(*case),
            "row_log_prob": smoothed.log_prob, "states": paths.states, "best": paths.log_prob, "drawn": drawn,
            "transitions": smoothed.transitions}  # fmt: skip


def cases_of_kernels():
    """Return every size with all lengths, with and without forbidden transitions; the fast suite has one of each."""
    sizes = enumerate([1, 3, 4, 5, 8, 16, 17, 33])
    for (row, lengths), (column, states), forbid in product(enumerate(LENGTHS), sizes, [0.0, 0.3]):
        fast = (row + column) % 2 == (forbid > 0)
        yield pytest.param(lengths, states, forbid, marks=() if fast else pytest.mark.slow)


@pytest.mark.needs_native
@pytest.mark.parametrize(("lengths", "states", "forbid"), [*cases_of_kernels()])
def test_native_equals_the_reference(lengths, states, forbid):
    lengths = LENGTHS[lengths]
    per_step = states <= 9 and max(lengths) < 100
    for case in [
        draw(lengths, states, models=3, forbid=forbid, spread=2.0),
        *([draw(lengths, states, per_step=True, forbid=forbid)] if per_step else []),
    ]:
        for k in (1, 3):
            got = everything(case, k)
            with native.disabled():
                wanted = everything(case, k)
            for name, array in got.items():
                if array.dtype == np.int64:
                    np.testing.assert_array_equal(array, wanted[name], err_msg=name)
                else:
                    np.testing.assert_allclose(array, wanted[name], rtol=1e-9, atol=1e-10, err_msg=name)


def part(case, rows):
    """Return some rows of a case, and their steps."""
    log_start, log_transition, scores, lengths, model, per_step = case
    starts = np.cumsum([0, *lengths])
    steps = np.array([n for row in rows for n in range(starts[row], starts[row + 1])], np.int64)
    transition = log_transition[steps] if per_step else log_transition
    return (
        log_start[rows],
        transition,
        scores[steps],
        lengths[rows],
        None if per_step else model[rows],
        per_step,
    ), steps


@pytest.mark.needs_native
@pytest.mark.parametrize(("forbid", "spread"), [(0.0, 2.0), (0.2, 2.0), (0.2, 400.0)])  # the last one uses logarithms
@pytest.mark.parametrize("states", [4, 7, 20])
@pytest.mark.parametrize("per_step", [False, True])
def test_order_and_number_of_rows_change_no_bit(per_step, states, forbid, spread):
    lengths = [33, 0, 1, 64, 7, 31, 32, 40, 40, 2, 2]
    case = draw(lengths, states, models=2, per_step=per_step, forbid=forbid, spread=spread)
    together = everything(case)
    generator = np.random.default_rng(0)
    for size in (1, 1, 4, len(lengths)):
        rows = generator.permutation(len(lengths))[:size]
        alone, steps = part(case, rows)
        got = everything(alone)
        by_step = {"probs": 0, "log_prob": 0, "smoothed": 0, "states": 1} | ({"transitions": 0} if per_step else {})
        by_row = {"last": 0, "total": 0, "row_log_prob": 0, "best": 1}
        for name, axis in (by_step | by_row).items():
            wanted = together[name].take(steps if name in by_step else rows, axis)
            np.testing.assert_array_equal(got[name], wanted, err_msg=name)


@pytest.mark.needs_native
@pytest.mark.parametrize("spread", [2.0, 400.0])
@pytest.mark.parametrize("states", [4, 20])
def test_the_number_of_threads_changes_no_bit(states, spread):
    case = draw(np.random.default_rng(0).integers(0, 60, 50).tolist(), states, models=2, spread=spread, forbid=0.1)
    before, results = get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            set_num_threads(threads)
            results.append(everything(case))
    finally:
        set_num_threads(before)
    for result in results[1:]:
        for name, array in result.items():
            np.testing.assert_array_equal(array, results[0][name], err_msg=name)


@both
def test_a_cut_anywhere_changes_nothing(native_kernel):
    start, transition, scores, *_ = draw([40], 5)
    with use_native(native_kernel):
        probs, log_prob, last = forward(start, transition, scores, [40])
        for cut in (0, 1, 31, 32, 33, 40):
            first = forward(start, transition, scores[:cut], [cut])
            second = forward(np.log(first.last), transition, scores[cut:], [40 - cut])
            np.testing.assert_allclose(np.concatenate([first.probs, second.probs]), probs, rtol=1e-12)
            np.testing.assert_allclose(np.concatenate([first.log_prob, second.log_prob]), log_prob, rtol=1e-11)
            np.testing.assert_allclose(second.last, last, rtol=1e-11)


@both
def test_arrays_that_are_not_contiguous(native_kernel):
    case = draw([4, 0, 3], 3, models=2)
    strided = [np.asfortranarray(array) for array in case[:3]]
    with use_native(native_kernel):
        got, wanted = everything((*strided, *case[3:])), everything(case)
    for name, array in got.items():
        np.testing.assert_array_equal(array, wanted[name], err_msg=name)


@pytest.mark.needs_native
@pytest.mark.parametrize("per_step", [False, True])
def test_native_writes_all_of_its_outputs(per_step):
    start, transition, scores, lengths, model, _ = draw([33, 1, 70], 5, models=2, per_step=per_step)
    model, offsets = np.zeros(3, np.int64), np.cumsum([0, *lengths])
    arguments = start, transition, scores, offsets, model, per_step
    filtered, smoothed, last = (np.full_like(array, np.nan) for array in (scores, scores, start))
    log_prob, totals, counts = np.full(104, np.nan), np.full((2, 3), np.nan), np.full_like(transition, np.nan)
    lost, states, best = np.zeros(3, np.uint8), np.full((2, 104), -7), np.full((2, 3), np.nan)
    native.module.semiring_sums(*arguments, filtered, log_prob, last, totals[0], None, lost)
    native.module.semiring_sums(*arguments, smoothed, None, None, totals[1], counts, lost)
    for k in (1, 2):
        native.module.semiring_best(*arguments, states[:k], best[:k])
        assert (states[:k] >= 0).all()
        assert np.isfinite(best[:k]).all()
    drawn = np.full((2, 104), -7)
    native.module.semiring_draw(*arguments, filtered, np.random.default_rng(0).random((2, 104)), drawn, lost)
    assert not lost.any()
    assert (drawn >= 0).all()
    for array in (filtered, smoothed, last, log_prob, totals, counts):
        assert np.isfinite(array).all()


@both
def test_rows_that_underflow_do_not_affect_others(native_kernel):
    """Let the second of three rows underflow: the others keep their bits, and all rows are counted."""
    steps, generator = 40, np.random.default_rng(0)
    start, transition = np.zeros((3, 2)), np.array([[[0.0, -np.inf], [-np.inf, 0.0]]])
    scores = generator.normal(size=(3 * steps, 2))
    scores[steps : 2 * steps] = [0.0, -100.0]
    scores[2 * steps - 1] = [-8000.0, 0.0]
    with use_native(native_kernel):
        together = forward_backward(start, transition, scores, [steps] * 3)
        alone = [forward_backward(start[:1], transition, part, [steps]) for part in np.split(scores, 3)]
    np.testing.assert_array_equal(together.probs, np.concatenate([one.probs for one in alone]))
    np.testing.assert_allclose(together.probs[steps : 2 * steps], [[0, 1]] * steps, atol=1e-12)
    np.testing.assert_allclose(together.transitions, sum(one.transitions for one in alone), rtol=1e-9, atol=1e-12)
    assert together.transitions.sum() == pytest.approx(3 * (steps - 1))


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
        ({"lengths": [1, 1]}, ValueError, "expected lengths that sum to 3 steps, got 2"),
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
