"""Rows that agree with each other."""

import numpy as np
import pytest

from elman.data.readers.labelled import Row, at_least_one, gather


def test_rows_without_labels_have_none() -> None:
    assert gather([Row("a", None, "x:1"), Row("b", None, "x:2")]) == (["a", "b"], None, ["x:1", "x:2"])
    assert gather([]) == ([], [], [])


@pytest.mark.parametrize("labels", [("yes", None), (None, "yes")])
def test_some_with_labels_and_some_without(labels: tuple[str | None, str | None]) -> None:
    rows = [Row("a", label, f"{label or 'no'}.csv:2") for label in labels]
    with pytest.raises(ValueError, match=r"^no\.csv:2: has no label, but yes\.csv:2 has one; read them separately\.$"):
        gather(rows)


def test_steps_of_another_shape() -> None:
    rows = [
        Row(np.zeros((5, 2)), "a", "x.ts:9"),
        Row(np.zeros((1, 2)), "a", "x.ts:10"),
        Row(np.zeros((5, 3)), "a", "y"),
    ]
    with pytest.raises(ValueError, match=r"^y: expected an array \[T, 2\] as in x\.ts:9, got an array \[T, 3\]; read"):
        gather(rows)
    with pytest.raises(ValueError, match=r"^b: expected text as in a, got an array \[T, 2\]"):
        gather([Row("text", "a", "a"), Row(np.zeros((5, 2)), "a", "b")])


def test_a_file_without_rows() -> None:
    assert list(at_least_one("x.csv", [Row("a", None, "x.csv:1")])) == [Row("a", None, "x.csv:1")]
    with pytest.raises(ValueError, match=r"^x\.csv: expected rows, found none\.$"):
        list(at_least_one("x.csv", []))
