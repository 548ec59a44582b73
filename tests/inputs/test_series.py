import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from elman.inputs import InputSettings
from elman.inputs.series import Series

RAGGED = [np.array([[1.0, 100.0], [3.0, 300.0]]), np.array([[5.0, 200.0]]), np.zeros((0, 2))]


def fitted(rows):
    return Series().fit(rows, InputSettings())


def test_variables_have_mean_0_and_deviation_1():
    encoded = fitted(RAGGED).encode(RAGGED)
    assert encoded.lengths.tolist() == [2, 1, 0]
    np.testing.assert_allclose(encoded.values.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(encoded.values.std(0), 1, rtol=1e-6)
    np.testing.assert_allclose(encoded.values[:, 0], [-np.sqrt(1.5), 0, np.sqrt(1.5)], atol=1e-6)


@given(arrays(np.float64, (7, 2), elements=st.floats(-1e6, 1e6)), st.floats(0.01, 100), st.floats(-1e3, 1e3))
def test_units_of_measurement_change_nothing(values, scale, shift):
    values[0], values[1] = -1e6, 1e6  # that they differ
    one = fitted([values]).encode([values]).values
    other = fitted([values * scale + shift]).encode([values * scale + shift]).values
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_variable_that_never_changes_is_0():
    rows = [np.full((3, 1), 0.1), np.full((2, 1), 0.1)]  # whose mean is not 0.1 to the last bit
    assert np.abs(fitted(rows).encode(rows).values).max() < 1e-6
    assert fitted(rows).encode([[[1.1]]]).values.item() == pytest.approx(1)


def test_missing_values_are_0_and_flagged():
    rows = [np.array([[1.0, np.nan], [3.0, 8.0]]), np.array([[5.0, 10.0], [np.nan, 9.0]])]
    inputs = fitted(rows)
    assert inputs.missing.tolist() == [0, 1]
    assert inputs.step_shape == (4,)
    values = inputs.encode(rows).values
    assert values[:, 2:].tolist() == [[0, 1], [0, 0], [0, 0], [1, 0]]
    assert values[0, 1] == values[3, 0] == 0
    np.testing.assert_allclose(values[[1, 2, 3], 1], [-np.sqrt(1.5), np.sqrt(1.5), 0], atol=1e-6)
    assert inputs.description == "series of 2 variables, 2 of them with missing values"


def test_only_variables_that_miss_values_get_a_feature():
    rows = [np.array([[1.0, np.nan, 2.0], [3.0, 8.0, 3.0]])]
    inputs = fitted(rows)
    assert (inputs.missing.tolist(), inputs.input_size) == ([1], 4)
    inputs.note_missing([np.array([[np.nan, np.nan, 1.0]])])
    assert (inputs.missing.tolist(), inputs.input_size) == ([0, 1], 5)
    assert inputs.encode([[[np.nan, 8.0, 2.5]]]).values[0, 3:].tolist() == [1, 0]


def test_none_is_missing():
    assert np.isnan(fitted([[1.0, 2.0]]).row([1.0, None])[1, 0])


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.uint8, bool])
def test_numbers_of_every_type(kind):
    rows = [np.array([[0, 1], [1, 1]], kind), np.array([[1, 0]], kind)]
    encoded = fitted(rows).encode(rows)
    assert encoded.values.dtype == np.float32
    assert np.array_equal(encoded.values, fitted([row.astype(float) for row in rows]).encode(rows).values)


def test_a_row_of_one_variable():
    flat, column = [[1.0, 2.0, 4.0], [0.0]], [[[1.0], [2.0], [4.0]], [[0.0]]]
    assert np.array_equal(fitted(flat).encode(flat).values, fitted(column).encode(column).values)
    assert fitted(flat).description == "series of 1 variable"


def test_errors_name_the_row():
    for rows, error in [
        ([[1.0], [[1.0, 2.0]]], r"row 1: expected steps of shape \[D\] = \[1\], as in training, got \[2\]"),
        ([[1.0], [2.0, np.inf]], "row 1: step 1, variable 0 is infinite"),
        ([[1.0], np.zeros((2, 2, 2))], r"row 1: expected numbers of shape \[T, D\] or \[T\], got float64 \[2, 2, 2\]"),
        ([[1.0], 3.0], r"row 1: expected numbers of shape \[T, D\] or \[T\], got float64 \[\]"),
    ]:
        with pytest.raises(ValueError, match=error):
            fitted(rows)
    with pytest.raises(ValueError, match="row 1: step 0, variable 0 is NaN, but had no missing values"):
        fitted([[1.0]]).encode([[1.0], [np.nan]])


def test_numbers_of_any_size():
    rows = [[1e-140, 2e-140], [1e150, -1e150]]
    for row in rows:
        np.testing.assert_allclose(fitted([row]).encode([row]).values[:, 0] ** 2, 1, rtol=1e-6)
    with pytest.raises(ValueError, match="the standard deviation of variable 0 is not finite"):
        fitted([[1e200, -1e200]])
