"""HMM against enumeration of all paths, and the laws of a cell."""

from itertools import product

import numpy as np
import pytest

from elman.classical.hmm import HMM, Categorical, Driven, Gaussian, Poisson
from elman.sequences import Sequences
from elman.testing import check_cell

from .examples import DRIVEN, KINDS, example, moves, rows, scores, values


def enumerated(model, x):
    """Return joint log-probabilities [K^T] and paths [K^T, T]."""
    emitted, moved = scores(model, x), np.log(moves(model, x))
    paths = np.array(list(product(range(model.num_states), repeat=len(emitted))))
    joint = np.log(model.start_)[paths[:, 0]] + sum(emitted[t, paths[:, t]] for t in range(len(emitted)))
    joint += sum(moved[t, paths[:, t], paths[:, t + 1]] for t in range(len(emitted) - 1))
    return joint, paths


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_equals_enumeration_of_all_paths(kind, missing):
    model, x = example(kind), rows(kind, [5, 1, 0, 4], missing=missing)
    log_prob, smoothed = model.log_prob(x), model.smooth(x).to_list()
    filtered = model.filter(x)
    best, marginal = model.decode(x, k=4), model.decode(x, method="posterior")
    assert log_prob[2] == 0
    for row, length in enumerate(x.lengths):
        if not length:
            continue
        joint, paths = enumerated(model, x.to_list()[row])
        total = np.logaddexp.reduce(joint)
        np.testing.assert_allclose(log_prob[row], total, rtol=1e-12, atol=1e-13)
        posterior = np.exp(joint - total)
        expected = np.stack([posterior @ (paths == k) for k in range(model.num_states)], axis=1)
        np.testing.assert_allclose(smoothed[row], expected, atol=1e-12)
        last = x.offsets[row + 1] - 1
        np.testing.assert_allclose(filtered.values.probs[last], expected[-1], atol=1e-12)
        np.testing.assert_allclose(
            filtered.values.log_prob[x.offsets[row] : last + 1].sum(), total, rtol=1e-12, atol=1e-13
        )
        order = np.argsort(-joint)[:4]
        np.testing.assert_allclose(best.log_prob[row, : len(order)], joint[order], rtol=1e-12, atol=1e-13)
        found = best.states.to_list()[row].T[: len(order)]
        lookup = {tuple(path): value for path, value in zip(paths.tolist(), joint, strict=True)}
        np.testing.assert_allclose(
            [lookup[tuple(path)] for path in found.tolist()], joint[order], rtol=1e-12, atol=1e-13
        )
        path = marginal.states.to_list()[row]
        np.testing.assert_array_equal(path, expected.argmax(1))
        np.testing.assert_allclose(marginal.log_prob[row], lookup[tuple(path.tolist())], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_contract(kind, missing):
    assert "saving" in check_cell(example(kind), values(kind, 40, missing=missing))


def test_the_state_of_a_driven_model_depends_on_its_input():
    model = example("driven transitions")
    x = values("driven transitions", 1)
    filtered, state = model.step(x, model.initial_state(1))
    np.testing.assert_allclose(state, filtered.probs @ moves(model, x)[0], atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_is_the_same(kind, tmp_path):
    model, x = example(kind), rows(kind, [7, 4], missing=0.2)
    model.max_iterations = 3
    model.fit(x, refine=True)
    model.save(tmp_path / "hmm.safetensors")
    other = HMM.load(tmp_path / "hmm.safetensors")
    np.testing.assert_array_equal(other.log_prob(x), model.log_prob(x))
    assert other.settings == model.settings
    fitted = model.fit(x, refine=True).log_prob(x)
    np.testing.assert_array_equal(other.fit(x, refine=True).log_prob(x), fitted)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_moments_of_the_model(kind):
    """Check frequencies of transitions and means of observations, by state."""
    model = example(kind)
    steps = 4000
    u = np.tile(np.array([[0.5, -1.0]]), (steps, 1)) if kind in DRIVEN else None
    drawn = model.sample([steps // 2] * 2, seed=3, u=u)
    x = drawn.observations.values[0] if kind in DRIVEN else drawn.observations.values
    again = model.sample([steps // 2] * 2, seed=3, u=u)
    np.testing.assert_array_equal(again.states, drawn.states)
    moved = moves(model, Driven(x, u) if u is not None else x)[0]
    for k in range(model.num_states):
        now = np.flatnonzero((drawn.states == k) & (drawn.observations.times < steps // 2 - 1))
        if len(now) < 300:
            continue
        after = np.bincount(drawn.states[now + 1], minlength=model.num_states) / len(now)
        np.testing.assert_allclose(after, moved[k], atol=4 / np.sqrt(len(now)))
        own = x[drawn.states == k]
        if kind == "categorical":
            expected = model.emission_.probs_[k]
            np.testing.assert_allclose(np.bincount(own, minlength=4) / len(own), expected, atol=4 / np.sqrt(len(own)))
        else:
            expected = expected_mean(model.emission_, k, None if u is None else u[0])
            error = own.std(0) / np.sqrt(len(own))
            assert (np.abs(own.mean(0) - expected) < 5 * error).all()
    assert np.isfinite(model.log_prob(drawn.observations)).all()


def expected_mean(emission, k, u):
    if isinstance(emission, Poisson):
        return emission.rates_[k]
    if hasattr(emission, "weights_"):
        return emission.weights_[k] @ emission.means_[k]
    return emission.means_[k] + (0 if emission.slopes_ is None else emission.slopes_[k] @ u)


def test_stationary():
    emission = Poisson.from_parameters([[1.0], [2.0]])
    model = HMM.from_parameters("stationary", np.array([[0.9, 0.1], [0.3, 0.7]]), emission)
    np.testing.assert_allclose(model.stationary(), [0.75, 0.25], atol=1e-14)
    np.testing.assert_array_equal(model.initial_state(2), np.tile(model.stationary(), (2, 1)))
    apart = HMM.from_parameters([0.5, 0.5], np.eye(2), emission)
    with pytest.raises(ValueError, match="expected one stationary distribution, got several"):
        apart.stationary()


def test_restarts_equal_single_runs():
    x = example("full").sample([60, 40, 0, 30], seed=1).observations
    settings = {"max_iterations": 15, "tolerance": 1e-5}
    together = HMM(3, Gaussian("full"), restarts=4, seed=5, **settings).fit(x)
    alone = [HMM(3, Gaussian("full"), seed=5 + r, **settings).fit(x) for r in range(4)]
    best = max(alone, key=lambda model: model.history_[-1])
    np.testing.assert_allclose(together.history_, best.history_, rtol=1e-10)
    np.testing.assert_allclose(together.emission_.means_, best.emission_.means_, rtol=1e-8)
    assert len({round(model.history_[-1], 3) for model in alone}) > 1
    np.testing.assert_allclose(together.counts_.sum(), 130)


def test_fit_accepts_lists_and_logs_progress():
    x = [np.array([0, 1, 1, 0, 2]), np.array([2, 2, 1])]
    model = HMM(2, Categorical(), max_iterations=7, tolerance=0.0)
    assert model.fit(x) is model
    assert len(model.history_) <= 8
    assert model.log_prob(x).sum() == pytest.approx(model.history_[-1], abs=1e-9)
    assert HMM(2, Categorical(), tolerance=1.0).fit(x).converged_
    again = HMM(2, Categorical(), max_iterations=7, tolerance=0.0).fit(Sequences.from_list(x))
    np.testing.assert_array_equal(again.history_, model.history_)


def test_refining_continues_and_keeps_zeros():
    x = example("diag").sample([80], seed=2).observations
    moved = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
    model = HMM.from_parameters([1.0, 0.0, 0.0], moved, example("diag").emission_, tolerance=0.0, max_iterations=3)
    before = model.log_prob(x).sum()
    first = model.fit(x, refine=True).history_
    assert first[0] == pytest.approx(before)
    second = model.fit(x, refine=True).history_
    assert second[0] == pytest.approx(first[-1])
    assert (model.transition_[moved == 0] == 0).all()
    assert (model.start_ == [1, 0, 0]).all()


def test_an_empty_state_keeps_its_parameters(caplog):
    emission = Gaussian.from_parameters(np.array([[0.0], [1000.0]]), np.array([[1.0], [2.0]]))
    x = [np.random.default_rng(0).standard_normal((30, 1))]
    model = HMM.from_parameters([0.5, 0.5], [[0.9, 0.1], [0.4, 0.6]], emission)
    with caplog.at_level("INFO", logger="elman"):
        model.fit(x, refine=True)
    assert "state 1 is empty" in caplog.text
    assert model.counts_[1] < 1e-6
    assert model.emission_.means_[1] == 1000
    assert model.emission_.covs_[1] == 2
    np.testing.assert_allclose(model.transition_[1], [0.4, 0.6])
    np.testing.assert_allclose(model.emission_.means_[0], x[0].mean(0))
