"""Classical models, emissions and results are printed in one useful line, and as tables in notebooks."""

import re

import numpy as np
import pytest

from elman.classical import CRF, BagOfWords, DelayTaps, NGram
from elman.classical.hmm import HMM, Categorical, Gaussian, GaussianMixture, HMMTagger, Poisson, Words
from elman.classical.lds import LDS, Observed, Variance, local_level
from elman.html_tables import heat_table

DRAW = np.random.default_rng(0)
X, IDS = DRAW.normal(size=(1200, 2)), DRAW.integers(1, 4, 40)
HMM_FITTED = HMM(4, Gaussian(), max_iterations=3).fit([X])
LEVEL = local_level().fit([X[:50, 0]], restarts=1)
DICE = Categorical.from_parameters([[1, 0, 0], [0, 0.5, 0.5]])
LABELLED = BagOfWords(4).fit([IDS[:20], IDS[20:]], ["<b>", "c"])

LINES = {
    "HMM(4 states, Gaussian, not fitted)": HMM(4, Gaussian()),
    "HMM(4 states, Gaussian of 2 features, fitted on 1,200 steps, log-likelihood "
    f"{HMM_FITTED.log_prob([X])[0] / 1200:.4g} per step)": HMM_FITTED,
    "HMM(2 states, Categorical of 3 symbols)": HMM.from_parameters([1, 0], [[0.5, 0.5], [0, 1]], DICE),
    "HMM(2 states, Gaussian, 1 driving input, not fitted)": HMM(2, Gaussian(), drive_size=1),
    "HMMTagger(Words, order 2, not fitted)": HMMTagger(),
    "HMMTagger(2 tags, Words of 2 distinct words, order 2)": HMMTagger(Words()).fit([["a", "b"]], [["N", "V"]]),
    "LDS(2 states, 2 outputs, diffuse start)": LDS(np.eye(2), np.eye(2)),
    "LDS(1 state, 1 output, diffuse start, level unknown, noise unknown)": local_level(),
    f"LDS(1 state, 1 output, diffuse start, level {LEVEL.variances_['level']:.4g}, noise "
    f"{LEVEL.variances_['noise']:.4g}, fitted, log-likelihood {LEVEL.log_prob([X[:50, 0]])[0]:.4g}"[:-1]: LEVEL,
    "CRF(3 tags, weights of zero)": CRF(3),
    "CRF(2 tags, 1 forbidden transition)": CRF.from_parameters([[0, 1], [-np.inf, 0]]),
    "DelayTaps(order 3, not fitted)": DelayTaps(3),
    "DelayTaps(order 2, 2 coordinates, fitted on 1,198 windows)": DelayTaps(2).fit([X]),
    "DelayTaps(order 1, ridge, 1 coordinate, fitted on 1,199 windows, noise deviation ": DelayTaps(
        1, method="ridge"
    ).fit([X[:, 0]]),
    "BagOfWords(vocabulary of 9, up to 2 ids per gram, not fitted)": BagOfWords(9),
    "BagOfWords(vocabulary of 4, up to 2 ids per gram, ": LABELLED,
    "NGram(order 3, 5 units, not fitted)": NGram(5, 3),
    "NGram(order 3, 5 units, ": NGram(5, 3).fit([IDS]),
    "Gaussian()": Gaussian(),
    "Gaussian(2 states, 1 feature)": Gaussian.from_parameters([[0], [1]], [[1], [1]]),
    "Gaussian(covariance='full', mean_prior=[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, ...], mean_weight=1.0)": Gaussian(
        "full", mean_prior=list(range(50)), mean_weight=1.0
    ),
    "Poisson(2 states, 1 feature)": Poisson.from_parameters([[1], [2]]),
    "GaussianMixture(num_components=3)": GaussianMixture(3),
    "Categorical(num_symbols=3, 2 states, 3 symbols)": DICE,
    "Words()": Words(),
    "Forecast(mean=float64 [1, 3, 1], cov=float64 [1, 3, 1, 1])": LEVEL.forecast([X[:50, 0]], 3),
    "Prediction(mean=float64 [2, 1], cov=float64 [2, 1, 1], diffuse=float64 [2, 1, 1])": LEVEL.initial_state(2),
    "Decoded(states=Sequences(1 rows, 1,200 steps, int64 [1200]), log_prob=float64 [1])": HMM_FITTED.decode([X]),
    "Variance(name='a', of='Q', pattern=float64 [2, 2], value=None)": Variance("a", "Q", np.eye(2)),
    "Observed(x=float64 [1200, 2], u=(), F=(), H=(), Q=(), R=())": Observed(X),
    "BagState(counts=int32 [1, ": LABELLED.initial_state(1),
}


@pytest.mark.parametrize("line", LINES)
def test_a_representation_is_one_line_with_sizes(line):
    text = repr(LINES[line])
    assert text.startswith(line)
    assert len(text) <= 200
    assert "\n" not in text


@pytest.mark.parametrize("line", [line for line, thing in LINES.items() if hasattr(thing, "_repr_html_")])
def test_tables_for_notebooks(line):
    html = LINES[line]._repr_html_()
    assert html.count("<table>") == html.count("</table>") >= 1
    assert "<b>" not in html
    assert len(html) < 50_000


def test_every_model_and_emission_has_tables():
    assert {type(thing) for thing in LINES.values() if hasattr(thing, "_repr_html_")} >= {
        HMM, HMMTagger, LDS, CRF, DelayTaps, BagOfWords, NGram, Gaussian, GaussianMixture, Poisson, Categorical, Words
    }  # fmt: skip


def test_tables_show_the_parameters():
    html = HMM_FITTED._repr_html_()
    assert re.findall("<caption>(.*?)</caption>", html)[1:] == ["start", "transition", "means", "covs"]
    assert f">{HMM_FITTED.transition_[1, 2]:.4g}</td>" in html
    assert "<caption>transitions</caption>" in CRF.from_parameters([[0, 1], [-np.inf, 0]])._repr_html_()
    assert HMM(4, Gaussian())._repr_html_().count("<table>") == 1
    forecast = LEVEL.forecast([X[:50, 0]], 3)
    assert f"<td>{forecast.mean[0, 2, 0]:.4g}</td><td>{forecast.deviation[0, 2, 0]:.4g}</td>" in forecast._repr_html_()


def test_cells_are_shaded_by_size_and_sign():
    html = heat_table("<a>", np.array([[2.0, -1.0], [0.0, -np.inf]]), rows=["<r>", "s"])
    assert [float(part) for part in re.findall(r"rgba\(70, 130, 180, (.*?)\)", html)] == [0.6, 0.0]
    assert re.findall(r"rgba\(205, 92, 92, (.*?)\)", html) == ["0.30"]
    assert "background: none" in html
    assert "&lt;a&gt;" in html
    assert "&lt;r&gt;" in html


def test_a_large_matrix_is_cut():
    html = heat_table("weights", np.ones((1000, 3)))
    assert "weights, the first 20 x 3 of 1,000 x 3" in html
    assert html.count("<tr>") == 21


@pytest.mark.parametrize("kind", [HMM, CRF, LDS, NGram, BagOfWords, DelayTaps, HMMTagger])
def test_a_model_without_attributes_is_printed(kind):
    model = kind.__new__(kind)
    assert repr(model) == f"<{kind.__name__}, incomplete>"
    assert "incomplete" in model._repr_html_()
    assert "<HMM," not in model._repr_html_()


@pytest.mark.parametrize("model", [NGram("x"), BagOfWords("x"), NGram(None), DelayTaps("<script>")])
def test_a_model_with_arguments_of_wrong_types_is_printed(model):
    assert type(model).__name__ in repr(model)
    assert "<script" not in model._repr_html_()
