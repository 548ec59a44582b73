import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.decoding import Sampling

logits = st.lists(st.floats(-20, 20), min_size=1, max_size=12).map(lambda row: np.array([row]))


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


@given(logits, st.floats(0.1, 5), st.one_of(st.none(), st.integers(1, 12)), st.one_of(st.none(), st.floats(0.01, 1)))
def test_filtered_probabilities_are_a_distribution_over_the_likeliest_units(scores, temperature, top_k, top_p):
    probs = Sampling(temperature, top_k, top_p).probabilities(log_softmax(scores))
    assert probs.sum() == pytest.approx(1)
    kept = probs[0] > 0
    assert kept.sum() <= (top_k or 12)
    if not kept.all():
        assert (
            scores[0, kept].min() >= scores[0, ~kept & (scores[0] > scores[0].max() - 20)].max(initial=-np.inf) - 1e-9
        )


def test_temperature_top_k_and_top_p_by_hand():
    log_probs = np.log(np.array([[0.5, 0.3, 0.15, 0.05]]))
    assert np.allclose(Sampling().probabilities(log_probs), np.exp(log_probs))
    squared = np.exp(2 * log_probs)
    assert np.allclose(Sampling(temperature=0.5).probabilities(log_probs), squared / squared.sum())
    assert np.allclose(Sampling(top_k=2).probabilities(log_probs), [[0.625, 0.375, 0, 0]])
    assert np.allclose(Sampling(top_p=0.79).probabilities(log_probs), [[0.625, 0.375, 0, 0]])
    assert np.allclose(Sampling(top_p=0.81).probabilities(log_probs), np.array([[0.5, 0.3, 0.15, 0]]) / 0.95)
    assert np.allclose(Sampling(top_k=3, top_p=0.6).probabilities(log_probs), [[0.625, 0.375, 0, 0]])
    assert np.array_equal(Sampling(temperature=0).probabilities(log_probs), [[1, 0, 0, 0]])


def test_draws_follow_the_distribution():
    probs = np.array([0.5, 0.3, 0.15, 0.05])
    draws = Sampling().draw(np.log(np.tile(probs, (20_000, 1))), np.random.default_rng(0))
    assert np.abs(np.bincount(draws, minlength=4) / 20_000 - probs).max() < 0.02


@pytest.mark.parametrize("cut", [{}, {"top_p": 0.9}, {"top_k": 2}, {"temperature": 0.5}])
def test_a_unit_of_probability_zero_is_never_drawn(cut):
    log_probs = np.tile(np.array([[-np.inf, np.log(1e-8), 0.0, -np.inf]]), (1000, 1))
    assert set(Sampling(**cut).draw(log_probs, np.random.default_rng(1))) <= {1, 2}


@pytest.mark.parametrize(
    "bad", [{"temperature": -1}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 0}, {"top_p": 1.5},
            {"temperature": 0, "top_k": 3}]
)  # fmt: skip
def test_settings_out_of_range(bad):
    with pytest.raises(ValueError, match="Sampling"):
        Sampling(**bad)
