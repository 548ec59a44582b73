"""Values that a container marks as missing: they count as NaN, or are refused, but never as data."""

import math

import numpy as np
import pytest

from elman import (
    BagOfWords,
    Captioner,
    Classifier,
    DelayTaps,
    LanguageModel,
    NGram,
    Sequences,
    Tagger,
    Translator,
)
from elman import state as states
from elman.arrays import as_array, is_missing
from elman.classical.hmm import HMM, Gaussian, Poisson, Words
from elman.classical.lds import local_level
from elman.data.rows_and_labels import as_labels, as_rows
from elman.hmm import GaussianHMM
from elman.metrics import calibration_error, class_report, edit_distances, temperature

SERIES = np.array([[1.0], [-999.0], [2.0], [3.0], [2.0], [1.0], [2.0], [3.0]])
MISSING = np.where(SERIES == -999.0, np.nan, SERIES)
MASKED = np.ma.masked_values(SERIES, -999.0)


def captioner():
    return Captioner(encoder="convolutional", image_size=32, min_count=1)


def level():
    return local_level(level=1.0, noise=1.0)


def step(model, x):
    return model.step(x[1:2], model.initial_state(1))[1]


USES = {
    "LDS.log_prob of a list": lambda x: level().log_prob([x]),
    "LDS.log_prob of Sequences": lambda x: level().log_prob(Sequences(x, [3, 5])),
    "LDS.smooth": lambda x: level().smooth([x]).values.mean,
    "LDS.step": lambda x: step(level(), x)[0],
    "HMM.fit": lambda x: HMM(1, Gaussian()).fit([x]).emission_.means_,
    "HMM of counts": lambda x: HMM(1, Poisson()).fit([x]).emission_.rates_,
    "DelayTaps.fit": lambda x: DelayTaps(1).fit([x]).taps_,
    "from_list of columns": lambda x: Sequences.from_list([(x, x)]).values[1],
    "from_padded": lambda x: Sequences.from_padded(x[None], [8]).values,
    "with_values": lambda x: Sequences(SERIES, [8]).with_values(x).values,
    "rows of a table": lambda x: np.stack(as_rows("here", x)),
    "a list of steps": lambda x: as_array(list(x)),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_masked_numbers_are_missing(use):
    np.testing.assert_array_equal(use(MASKED), use(MISSING))


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.float32, object])
def test_masked_steps_of_a_classifier_are_missing(dtype):
    other = np.array([[0.0], [5.0]])
    model = Classifier(hidden_size=4, epochs=1, validation=0).fit([MISSING, other] * 4, ["a", "b"] * 4)
    np.testing.assert_array_equal(model.predict_proba([MASKED.astype(dtype)]), model.predict_proba([MISSING]))


REFUSALS = {
    "ids of an n-gram": lambda: NGram(4, 2).fit([np.ma.array([1, 2, 3], mask=[0, 1, 0])]),
    "ids of a bag": lambda: BagOfWords(4).fit([np.ma.array([1, 2], mask=[0, 1]), [1]], [0, 1]),
    "words": lambda: HMM(2, Words()).fit([np.ma.array(["a", "b"], mask=[0, 1])]),
    "lengths": lambda: Sequences(np.zeros(3), np.ma.array([1, 2], mask=[0, 1])),
    "row numbers": lambda: Sequences(np.zeros(3), [1, 2]).select(np.ma.array([1, 0], mask=[0, 1])),
    "labels": lambda: as_labels("here", np.ma.array([1, 2], mask=[0, 1]), 2),
    "None as a label": lambda: as_labels("here", ["a", None], 2),
    "NaN as a label": lambda: as_labels("here", ["a", math.nan], 2),
    "NaN as a number": lambda: as_labels("here", np.array([1.0, math.nan]), 2),
    "a null of pandas as a label": lambda: as_labels("here", pytest.importorskip("pandas").Series(["a", None]), 2),
    "a null of polars as a label": lambda: as_labels("here", pytest.importorskip("polars").Series(["a", None]), 2),
    "labels of text": lambda: as_labels("here", np.ma.array(["a", "b"], mask=[0, 1]), 2),
    "probabilities": lambda: calibration_error(np.ma.array([[0.5, 0.5]], mask=[[0, 1]]), [0]),
    "targets of probabilities": lambda: calibration_error([[0.5, 0.5]], np.ma.array([0], mask=True)),
    "logits": lambda: temperature(np.ma.array([[0.5, 0.5]], mask=True), [0]),
    "probabilities of a report": lambda: class_report([0], [0], [0, 1], np.ma.array([[1.0, 0.0]], mask=True)),
    "labels of a report": lambda: class_report(np.ma.array([0, 1], mask=[0, 1]), [0, 1], [0, 1]),
    "missing labels of a report": lambda: class_report(["a", None], ["a", "b"], ["a", "b"]),
    "NaN as a label of a report": lambda: class_report([0.0, math.nan], [0, 1], [0, 1]),
    "units": lambda: edit_distances([np.ma.array([1, 2], mask=[0, 1])], [[1]]),
    "conditions": lambda: states.where(np.ma.array([True, False], mask=[0, 1]), np.ones(2), np.zeros(2)),
    "documents": lambda: LanguageModel().fit(["text", None]),
    "masked documents": lambda: LanguageModel().fit(np.ma.array(["text", "more"], mask=[0, 1])),
    "NaN as a document": lambda: LanguageModel().fit(["text", math.nan]),
    "words to tag": lambda: Tagger().fit([["a", None], ["b"]] * 2, [["B-X", "O"], ["O"]] * 2),
    "tags": lambda: Tagger().fit([["a", "b"]] * 2, [["B-X", None]] * 2),
    "pixels": lambda: captioner().fit([np.ma.masked_all((32, 32, 3), np.uint8)] * 4, ["a b"] * 4),
    "captions": lambda: captioner().fit([np.zeros((32, 32, 3), np.uint8)] * 2, ["a", None]),
    "sources": lambda: Translator().fit(["a", None], ["b", "c"]),
    "observations of hmmlearn": lambda: GaussianHMM(1).fit(MASKED),
}


@pytest.mark.parametrize("use", REFUSALS.values(), ids=REFUSALS)
def test_masked_values_are_refused_where_none_may_be_missing(use):
    with pytest.raises((TypeError, ValueError), match=r"expected|finite"):
        use()


def test_an_array_without_masked_values_is_plain_data():
    x = Sequences(np.ma.array([1, 2]), [2]).values
    assert type(x) is np.ndarray
    assert x.dtype == np.int64


def test_nulls_of_pandas_are_missing():
    pd = pytest.importorskip("pandas")
    wanted = [[1.0, 0.5], [np.nan, 1.0], [3.0, np.nan]]
    table = pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": [0.5, 1.0, None]})
    for given in (table, table.astype(object), table.to_numpy(), table.astype("Float64")):
        np.testing.assert_array_equal(as_array(given), wanted)
    np.testing.assert_array_equal(as_array(pd.Series([True, None], dtype="boolean")), [1, np.nan])
    np.testing.assert_array_equal(level().log_prob([table[["a"]]]), level().log_prob([np.array(wanted)[:, :1]]))


def test_nulls_of_polars_are_missing():
    pl = pytest.importorskip("polars")
    table = pl.DataFrame({"a": [1, None, 3], "b": [True, None, False]})
    np.testing.assert_array_equal(as_array(table), [[1, 1], [np.nan, np.nan], [3, 0]])
    np.testing.assert_array_equal(as_array(table["b"]), [1, np.nan, 0])
    np.testing.assert_array_equal(as_array([1, None]), [1, np.nan])


def test_text_and_dates_stay_what_they_are():
    assert as_array(["a", None]).tolist() == ["a", None]
    assert as_array(np.array(["2020-01-01", "NaT"], "M8[D]")).dtype.kind == "M"


@pytest.mark.parametrize("value", [None, np.ma.masked, math.nan, np.float32("nan"), np.datetime64("NaT"),
                                   np.timedelta64("NaT")])  # fmt: skip
def test_a_single_missing_value(value):
    assert is_missing(value)


@pytest.mark.parametrize("value", [0, "", "nan", False, math.inf, np.datetime64("2020-01-01"), np.zeros(2)])
def test_a_single_value_that_is_data(value):
    assert not is_missing(value)


def test_nulls_of_pandas_are_single_missing_values():
    pd = pytest.importorskip("pandas")
    assert [is_missing(value) for value in (pd.NA, pd.NaT, pd.Timestamp(0))] == [True, True, False]
