from io import BytesIO

import numpy as np
import pytest

import elman
from elman import pictures
from elman.classical.forecast import Forecast
from elman.classical.hmm import Gaussian
from elman.classical.lds import local_level

RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=(30, 2)).cumsum(0)


def drawn(figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def test_states_over_a_series():
    path = np.repeat([0, 1, 0], 10)
    probs = np.eye(2)[path]
    figure = pictures.states(SERIES, path, probs, means=[[0.0, 0.0], [1.0, 2.0]], names=["calm", "storm"])
    assert len(figure.axes) == 3  # two coordinates, and the probabilities below them
    assert {text.get_text() for text in figure.axes[0].get_legend().get_texts()} == {"calm", "storm"}
    assert drawn(figure).startswith(b"\x89PNG")


def test_the_default_path_is_the_most_probable_one():
    probs = np.eye(3)[np.repeat([2, 0, 1], 10)]
    patches = [pictures.states(SERIES[:, 0], path, probs).axes[0].patches for path in (None, probs.argmax(1))]
    colors = [[patch.get_facecolor() for patch in each] for each in patches]
    assert colors[0] == colors[1]
    assert len(set(colors[0])) == 3


ROW = SERIES[:, :1]
REGIMES = elman.HMM(2, Gaussian(), seed=1).fit([ROW])


def picture(figure):
    patches = [(patch.get_xy()[0], patch.get_facecolor()) for patch in figure.axes[0].patches]
    probs = [path.vertices.tolist() for part in figure.axes[-1].collections for path in part.get_paths()]
    return patches, probs


@pytest.mark.parametrize(
    "path",
    [
        REGIMES.decode([ROW]),
        REGIMES.decode([ROW])[0],
        REGIMES.decode([ROW], "posterior"),
        REGIMES.decode([ROW])[0].values.tolist(),
        [REGIMES.decode([ROW])[0].values],
    ],
    ids=["Decoded", "Sequences", "posterior", "list", "row"],
)
def test_states_accepts_what_decode_returns(path):
    decoded = REGIMES.decode([ROW], "posterior" if path is not None and hasattr(path, "log_prob") else "viterbi")
    wanted = path.states.values if hasattr(path, "states") else decoded.states.values
    assert picture(pictures.states(ROW, path)) == picture(pictures.states([ROW], wanted))


def test_states_accepts_what_filter_and_smooth_return():
    filtered, smoothed = REGIMES.filter([ROW]), REGIMES.smooth([ROW])
    wanted = filtered.values.probs
    for probs in (filtered, filtered.values, wanted):
        assert picture(pictures.states(ROW, probs=probs)) == picture(pictures.states(ROW, wanted.argmax(1), wanted))
    assert picture(pictures.states(ROW, probs=smoothed)) == picture(pictures.states(ROW, probs=smoothed.values))


NOT_SERIES = [
    (lambda: pictures.states(REGIMES, SERIES), "pictures.states: expected series as numbers .*, got HMM"),
    (lambda: pictures.states(SERIES, REGIMES), "pictures.states: expected path as numbers .*, got HMM"),
    (lambda: pictures.states(SERIES, probs=REGIMES), "expected probs as numbers .*, got HMM"),
    (lambda: pictures.states(SERIES, [0] * 30, means=REGIMES), "expected means as numbers .*, got HMM"),
    (lambda: pictures.states("abc", [0]), "expected series as numbers .*, got str"),
    (lambda: pictures.states([[1.0], [1.0, 2.0]], [0]), "expected series as numbers .*, got list"),
    (lambda: pictures.bands(SERIES, smoothed=(REGIMES, SERIES)), "expected smoothed as numbers .*, got HMM"),
    (lambda: pictures.forecast(REGIMES, SERIES), "pictures.forecast: expected series as numbers .*, got HMM"),
    (lambda: pictures.forecast((SERIES, SERIES), SERIES), "expected series as numbers .*, got tuple"),
    (lambda: pictures.forecast(SERIES, REGIMES), "expected the mean as numbers .*, got HMM"),
    (
        lambda: pictures.forecast(Forecast(np.zeros((1, 2, 2)), np.ones((1, 2, 2, 2))), SERIES),
        r"expected the series first, got a forecast; give forecast\(series, forecast\)",
    ),
]


@pytest.mark.parametrize(("call", "message"), NOT_SERIES)
def test_a_value_that_is_no_series_is_one_clear_line(call, message):
    with pytest.raises(TypeError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_bands_cover_their_level():
    deviation = np.full_like(SERIES, 2.0)
    figure = pictures.bands(SERIES, filtered=(SERIES, deviation), smoothed=(SERIES, deviation / 2), level=0.95)
    assert len(figure.axes) == 2
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(SERIES[:, 0].max() + 1.959964 * 2, rel=1e-6)
    assert drawn(figure).startswith(b"\x89PNG")


def test_an_infinite_deviation_has_no_band():
    deviation = np.where(np.arange(30) < 1, np.inf, 1.0)
    assert drawn(pictures.bands(SERIES[:, 0], smoothed=(SERIES[:, 0], deviation))).startswith(b"\x89PNG")


def test_a_forecast_begins_where_the_series_ends():
    figure = pictures.forecast(SERIES[:20], (SERIES[20:], np.ones((10, 2))), truth=SERIES[20:])
    times = [line.get_xdata() for line in figure.axes[1].lines]
    assert (times[0][-1], times[1][0], times[2][0]) == (19, 20, 20)
    assert drawn(figure).startswith(b"\x89PNG")


def bounds(figure):
    """Return mean, low and high of the forecast of the first coordinate."""
    mean = np.array(figure.axes[0].lines[1].get_ydata())
    if not figure.axes[0].collections:
        return mean, None, None
    vertices, steps = figure.axes[0].collections[0].get_paths()[0].vertices[1:], len(mean)
    low, high = vertices[:steps, 1], vertices[steps + 1 : 2 * steps + 1, 1][::-1]
    return mean, np.minimum(low, high), np.maximum(low, high)


@pytest.mark.parametrize("model", [elman.DelayTaps(order=2), local_level()])
@pytest.mark.parametrize("kind", ["array", "row", "list", "column", "Sequences", "pandas"])
def test_a_forecast_of_a_model_is_drawn_for_a_series_of_any_kind(model, kind):
    series = SERIES[:, 0]
    found = model.fit([series[:, None]]).forecast([series[:, None]], steps=4)
    given = {
        "array": series,
        "row": [series],
        "list": series.tolist(),
        "column": series[:, None],
        "Sequences": elman.Sequences.from_list([series[:, None]]),
        "pandas": pytest.importorskip("pandas").Series(series, name="level"),
    }[kind]
    figure = pictures.forecast(given, found, level=0.8)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), series)
    low, high = found.interval(0.8)
    for part, wanted in zip(bounds(figure), (found.mean, low, high), strict=True):
        np.testing.assert_allclose(part, wanted[0, :, 0])


def test_a_forecast_of_statsmodels_has_its_own_intervals():
    models = pytest.importorskip("statsmodels.tsa.api")
    found = models.SARIMAX(SERIES[:, 0], order=(1, 1, 0)).fit(disp=False).get_forecast(4)
    _, low, high = bounds(pictures.forecast(SERIES[:, 0], found, level=0.8))
    np.testing.assert_allclose(np.stack([low, high], 1), found.conf_int(alpha=0.2), rtol=1e-6)


def test_a_mean_alone_has_no_interval_and_bounds_are_drawn_as_they_are():
    assert bounds(pictures.forecast([1.0, 2.0], [2.5, 3.0]))[1] is None
    assert pictures.forecast([1, 2], [2, 3]).axes[0].get_legend().get_texts()[1].get_text() == "forecast"
    mean, low, high = bounds(pictures.forecast([1.0, 2.0], ([2.5, 3.0], [2.0, 1.0], [3.0, 6.0])))
    assert (mean.tolist(), low.tolist(), high.tolist()) == ([2.5, 3.0], [2.0, 1.0], [3.0, 6.0])
    masked = np.ma.masked_array([1.0, 9.0, 2.0], mask=[False, True, False])
    assert np.isnan(pictures.forecast(masked, [2.5]).axes[0].lines[0].get_ydata()[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pictures.states(SERIES), "pictures.states: expected path or probs, got neither"),
        (lambda: pictures.states(SERIES, path=[0, 1]), r"expected path of T=30 steps, got 2"),
        (lambda: pictures.states(SERIES, path=[0] * 30, names=[]), "expected 1 names, got 0"),
        (lambda: pictures.states(np.zeros((2, 3, 4)), path=[0]), r"expected series of shape \[T\] or \[T, D\]"),
        (lambda: pictures.states(SERIES, path=[0.5] * 30), "expected path of states from 0, as decode"),
        (lambda: pictures.states(ROW, REGIMES.smooth([ROW])), r"got numbers of shape \[30, 2\]; .* are probs="),
        (lambda: pictures.states(ROW, REGIMES.decode([ROW], k=2)), r"choose one of several paths: path\[:, 0\]"),
        (lambda: pictures.states(ROW, REGIMES.decode([ROW, ROW])), "expected path of a single row, got 2"),
        (lambda: pictures.bands(SERIES, SERIES), r"the series comes first: bands\(series, smoothed=\(mean, deviation"),
        (lambda: pictures.bands(SERIES, smoothed=SERIES), r"expected smoothed=\(mean, deviation\), got ndarray"),
        (lambda: pictures.forecast(SERIES, (SERIES, SERIES), level=90), "expected a level between 0 and 1, got 90"),
        (lambda: pictures.bands(SERIES), "expected filtered or smoothed, got neither"),
        (
            lambda: pictures.bands(SERIES, smoothed=(SERIES, SERIES[:3])),
            r"expected smoothed of the shape .* got \[3, 2\]",
        ),
        (
            lambda: pictures.forecast(SERIES, (SERIES[:2], SERIES[:3])),
            r"expected the deviation of shape \[2, 2\], like the mean, got \[3, 2\]",
        ),
        (lambda: pictures.forecast(SERIES, SERIES[:2, 0]), r"expected the mean of shape \[2, 2\], got \[2, 1\]"),
        (lambda: pictures.forecast(SERIES, SERIES[:2], truth=SERIES[:3]), r"expected truth of shape \[2, 2\], got \[3"),
        (
            lambda: pictures.forecast(SERIES, (SERIES,)),
            r"expected \(mean, deviation\) or \(mean, low, high\), got 1 parts",
        ),
        (
            lambda: pictures.forecast(SERIES, Forecast(np.zeros((3, 2, 2)), np.ones((3, 2, 2, 2)))),
            "expected the forecast of a single row, got 3",
        ),
        (
            lambda: pictures.forecast(elman.Sequences.from_list([SERIES, SERIES]), SERIES),
            "expected series of a single row, got 2",
        ),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
