import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.exceptions import DataConversionWarning

from elman import Sequences
from elman.data.rows_and_labels import as_labels, as_rows


@pytest.mark.parametrize(
    "X",
    [
        ["a", "b"],
        ("a", "b"),
        iter(["a", "b"]),
        np.array(["a", "b"]),
        np.array(["a", "b"], object),
        np.array(["a", "b"], np.dtypes.StringDType()),
        pd.Series(["a", "b"], index=[7, 3]),
        pd.DataFrame({"text": ["a", "b"]}),
        pl.Series(["a", "b"]),
        pl.DataFrame({"text": ["a", "b"]}),
    ],
    ids=lambda X: type(X).__name__,
)
def test_rows_of_text(X):
    assert as_rows("fit", X) == ["a", "b"]


@pytest.mark.parametrize(
    "X",
    [
        [[1.0, 2.0], [3.0, np.nan]],
        np.array([[1.0, 2.0], [3.0, np.nan]]),
        np.array([[1.0, 2.0], [3.0, None]], object),
        torch.tensor([[1.0, 2.0], [3.0, np.nan]]),
        pd.DataFrame([[1.0, 2.0], [3.0, None]]),
        pd.DataFrame([[1.0, 2.0], [3.0, None]]).convert_dtypes(),
        pl.DataFrame([[1.0, 3.0], [2.0, None]]),
        Sequences(np.array([1.0, 2.0, 3.0, np.nan]), [2, 2]),
    ],
    ids=lambda X: type(X).__name__,
)
def test_rows_of_numbers(X):
    rows = [np.asarray(row, float) for row in as_rows("fit", X)]
    np.testing.assert_array_equal(rows, [[1, 2], [3, np.nan]])


def test_ragged_rows():
    assert [row.tolist() for row in as_rows("fit", Sequences(np.arange(3), [1, 0, 2]))] == [[0], [], [1, 2]]
    rows = pd.Series([np.zeros(2), np.zeros(5)])
    assert [len(row) for row in as_rows("fit", rows)] == [2, 5]
    assert as_rows("fit", []) == []


@pytest.mark.parametrize(
    ("X", "error", "line"),
    [
        ("a text", TypeError, "fit: expected a list of rows, got one text; put it in a list"),
        (b"a text", TypeError, "fit: expected a list of rows, got one text"),
        (np.float64(3), ValueError, "fit: expected rows, got single numbers. Reshape your data"),
        (np.array(3), ValueError, "Reshape your data"),
        (np.arange(3.0), ValueError, "Reshape your data"),
        ([1, 2], ValueError, "Reshape your data"),
        ([True], ValueError, "Reshape your data"),
        (None, TypeError, "fit: expected a list of rows, got NoneType"),
        (3, TypeError, "fit: expected a list of rows, got int"),
        (np.zeros((2, 2), complex), ValueError, "expected real numbers, got complex128. Complex data not supported"),
    ],
)
def test_unusable_forms_of_rows(X, error, line):
    with pytest.raises(error, match=line):
        as_rows("fit", X)


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        (["a", "b"], ["a", "b"]),
        ([1, 2], [1, 2]),
        ([True, False], [True, False]),
        ([1.0, 2], [1, 2]),
        (np.array([1.0, -2.0], np.float32), [1, -2]),
        ([np.int8(1), 2], [1, 2]),
        ([np.str_("a"), "b"], ["a", "b"]),
        (np.array(["a", "b"], object), ["a", "b"]),
        (np.array([1, 2], object), [1, 2]),
        (np.array(["a", "b"], np.dtypes.StringDType()), ["a", "b"]),
        (pd.Series(["a", "b"], index=[5, 1]), ["a", "b"]),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        (pd.Series([1, 2], dtype="Int64"), [1, 2]),
        (pl.Series(["a", "b"]), ["a", "b"]),
        (torch.tensor([1, 2]), [1, 2]),
    ],
    ids=repr,
)
def test_labels(y, labels):
    found = as_labels("fit", y, 2)
    assert found.tolist() == labels
    assert found.dtype.kind == {str: "U", int: "i", bool: "b"}[type(labels[0])]


def test_no_labels_for_no_rows():
    for y in ([], np.zeros(0), np.array([], str)):
        assert len(as_labels("fit", y, 0)) == 0


@pytest.mark.parametrize(
    ("y", "line"),
    [
        (None, "fit: requires y to be passed, but the target y is None"),
        (["a"], r"fit: expected a label for each of 2 rows, got labels of shape \[1\]"),
        ([["a", "b"], ["c", "d"]], r"expected a label for each of 2 rows, got labels of shape \[2, 2\]"),
        ([["a"], ["b", "c"]], "expected labels of one kind, got list"),
        (["a", 1], "expected labels of one kind, got int, str"),
        (["a", None], "row 1: expected a label, got None; leave the row out."),
        (["a", np.nan], "row 1: expected a label, got nan"),
        ([True, 2], "expected labels of one kind, got bool, int"),
        (pd.Series(["a", None]), "row 1: expected a label, got "),
        (pd.Series([1, None], dtype="Int64"), "row 1: expected a label, got nan"),
        ([0.5, 1.0], "expected classes, got the number 0.5. Unknown label type: continuous"),
        ([1.0, np.nan], "row 1: expected a label, got nan"),
        ([1.0, np.inf], "expected classes, got the number inf"),
        ([1.0, 1e300], "expected classes, got the number 1e"),
        ([1j, 2], "expected labels of strings or integers, got complex128"),
        (np.array(["2020-01-01", "2021-01-01"], "M8[D]"), "expected labels of strings or integers, got datetime64"),
        (3, r"got labels of shape \[\]"),
    ],
)
def test_unusable_labels(y, line):
    with pytest.raises(ValueError, match=line):
        as_labels("fit", y, 2)


def test_a_column_of_labels_is_read_with_a_warning():
    for y in ([["a"], ["b"]], np.array([["a"], ["b"]]), pd.DataFrame({"label": ["a", "b"]})):
        with pytest.warns(DataConversionWarning, match="A column-vector y was passed when a 1d array was expected"):
            assert as_labels("fit", y, 2).tolist() == ["a", "b"]
