import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from elman.metrics import calibration_error, temperature


def drawn(rows, classes, seed=0, margin=3.0):
    """Return logits, and targets drawn from their distribution."""
    rng = np.random.default_rng(seed)
    logits = margin * rng.normal(size=(rows, classes))
    targets = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    return logits, targets


def nats(logits, targets):
    return -log_softmax(logits, axis=1)[np.arange(len(targets)), targets].sum()


@pytest.mark.parametrize("true", [0.3, 1.0, 2.5, 8.0])
@pytest.mark.parametrize("classes", [2, 12])
def test_a_known_temperature_is_recovered(true, classes):
    logits, targets = drawn(20_000, classes)
    assert temperature(true * logits, targets) == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("rows", [1, 4, 50])
def test_the_temperature_minimises_its_objective(rows):
    logits, targets = drawn(rows, 3, seed=rows)
    logits *= 4

    def objective(log):
        return nats(logits / np.exp(log), targets) + log**2 / 2

    grid = np.linspace(np.log(0.05), np.log(20), 500)
    near = grid[np.argmin([objective(log) for log in grid])]
    best = minimize_scalar(objective, bounds=(near - 0.05, near + 0.05), method="bounded", options={"xatol": 1e-9})
    assert np.log(temperature(logits, targets)) == pytest.approx(best.x, abs=1e-5)


def test_correct_rows_do_not_lead_to_certainty():
    for rows in (1, 10):
        logits = np.tile([5.0, 0.0, 0.0], (rows, 1))
        assert 0.7 < temperature(logits, [0] * rows) < 1
    assert temperature(np.tile([1000.0, 0.0], (9, 1)), [0] * 9) == pytest.approx(1, abs=1e-6)


def test_rows_that_are_all_wrong():
    assert 2 < temperature([[5.0, 0.0]], [1]) < 20
    assert temperature([[1e6, 0.0]] * 5, [1] * 5) == pytest.approx(20, rel=1e-6)


@pytest.mark.parametrize("logits", [np.zeros((5, 1)), np.zeros((5, 3)), np.full((5, 2), 1e30)])
def test_the_temperature_is_one_if_it_has_no_effect(logits):
    assert temperature(logits, [0] * 5) == pytest.approx(1, abs=1e-6)


@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 1000), st.floats(0.01, 300))
def test_calibration_never_increases_the_loss_on_the_held_out_rows(rows, classes, seed, margin):
    rng = np.random.default_rng(seed)
    logits, targets = margin * rng.normal(size=(rows, classes)), rng.integers(0, classes, rows)
    chosen = temperature(logits, targets)
    assert 0.05 <= chosen <= 20.0000001
    assert nats(logits / chosen, targets) <= nats(logits, targets) + 1e-6


def test_float32_and_lists_are_read():
    logits, targets = drawn(100, 3)
    assert temperature(logits.astype(np.float32), targets) == pytest.approx(temperature(logits, targets), rel=1e-5)
    assert temperature(logits.tolist(), targets.tolist()) == temperature(logits, targets)


def binned(probabilities, targets, bins):
    """Compute the definition: |accuracy - mean confidence| of each bin, weighted by its share of the rows."""
    sure, right = probabilities.max(1), probabilities.argmax(1) == targets
    total = 0.0
    for number in range(bins):
        inside = (sure > number / bins) & (sure <= (number + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    return total


@pytest.mark.parametrize("bins", [1, 5, 15])
@pytest.mark.parametrize("classes", [4, 60])  # high and low confidence
def test_calibration_error_is_its_definition(bins, classes):
    rng = np.random.default_rng(bins)
    probabilities, targets = rng.dirichlet(np.ones(classes), 300), rng.integers(-1, classes, 300)
    assert calibration_error(probabilities, targets, bins) == pytest.approx(binned(probabilities, targets, bins))


def test_closed_forms():
    assert calibration_error(np.eye(3), [0, 1, 2]) == 0  # certain and right
    assert calibration_error(np.eye(3), [1, 2, 0]) == 1  # certain and wrong
    assert calibration_error([[0.75, 0.25]] * 4, [0, 0, 0, 1]) == 0
    assert calibration_error([[0.75, 0.25]] * 4, [0, 0, 1, 1]) == pytest.approx(0.25)
    assert calibration_error([[0.9, 0.1], [0.6, 0.4]], [1, 0], bins=1) == pytest.approx(0.25)  # 1 right of 1.5
    assert calibration_error([[0.9, 0.1], [0.6, 0.4]], [1, 0], bins=2) == pytest.approx(0.25)
    assert calibration_error([[0.9, 0.1], [0.6, 0.4]], [1, 0], bins=15) == pytest.approx((0.9 + 0.4) / 2)
    unsure = [[0.05] * 20, [0.1] + [0.9 / 19] * 19]
    assert calibration_error(unsure, [0, 1]) == pytest.approx((0.95 + 0.1) / 2)  # the two lowest bins


def test_a_temperature_corrects_overconfidence():
    logits, targets = drawn(5000, 4)
    sure = calibration_error(softmax(4 * logits, axis=1), targets)
    corrected = calibration_error(softmax(4 * logits / temperature(4 * logits, targets), axis=1), targets)
    assert corrected < 0.02 < 0.1 < sure


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: temperature([1.0, 2.0], [0]), r"temperature: expected logits of shape \[B, C\], got \[2\]"),
        (lambda: temperature([[1.0, 2.0]], [0, 1]), r"temperature: expected targets of shape \[B=1\], got \[2\]"),
        (lambda: temperature(np.zeros((0, 2)), []), "temperature: expected at least one row and one class"),
        (lambda: temperature([[1.0, np.inf]], [0]), "row 0: temperature: expected logits that are finite"),
        (lambda: temperature([[1.0, 2.0]], [2]), "temperature: expected targets that are integers from 0 to 1"),
        (lambda: temperature([[1.0, 2.0]], [-1]), "temperature: expected targets from 0 to 1, got -1"),
        (lambda: temperature([[1.0, 2.0]], [0.0]), "temperature: expected targets that are integers from 0 to 1"),
        (lambda: calibration_error([[0.5, 0.5]], [0], bins=0), "expected at least 1 bin, got 0"),
        (
            lambda: calibration_error([[0.5, 0.5], [2.0, -1.0]], [0, 0]),
            "row 1: calibration_error: expected probabilities that are not",
        ),
        (
            lambda: calibration_error([[0.5, 0.4]], [0]),
            "row 0: calibration_error: expected probabilities that are not negative and sum",
        ),
    ],
)
def test_bad_input_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()
