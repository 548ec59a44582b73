"""Errors that carry the number of a row."""

import pickle

import pytest

from elman.errors import RowError, RowTypeError, about_row, counted_as, located, named, renumbered


def test_a_row_error_prints_its_row():
    assert str(RowError(3, "expected text, got 5.")) == "row 3: expected text, got 5."
    assert str(RowError(0, "empty.", "validation row")) == "validation row 0: empty."


def test_a_row_type_error_is_a_type_error_and_a_row_error():
    error = RowTypeError(1, "expected text, got int.")
    assert isinstance(error, TypeError)
    assert isinstance(error, RowError)


def test_row_errors_are_pickled_whole():
    error = pickle.loads(pickle.dumps(RowTypeError(1, "empty.", "validation row")))
    assert (type(error), error.row, error.message, error.kind) == (RowTypeError, 1, "empty.", "validation row")


def test_a_batch_renumbers_the_rows_of_its_errors():
    with pytest.raises(RowTypeError, match=r"^row 40: empty\.$"), renumbered([10, 40]):
        raise RowTypeError(1, "empty.")


def test_errors_of_the_validation_set_are_counted_there():
    with pytest.raises(RowError, match=r"^validation row 1: empty\.$"), counted_as("validation row"):
        raise RowError(1, "empty.")


def test_a_row_with_a_name_is_shown_by_it():
    with pytest.raises(RowTypeError, match=r"^machine m17: empty\.$") as caught, named(["machine m3", "machine m17"]):
        raise RowTypeError(1, "empty.")
    assert str(pickle.loads(pickle.dumps(caught.value))) == "machine m17: empty."
    with pytest.raises(RowError, match=r"^validation machine m3: empty"), named(["machine m3"], "validation row"):
        raise RowError(0, "empty.", "validation row")
    for names, kind in ((None, "row"), (["machine m3"], "validation row")):
        with pytest.raises(RowError, match=r"^row 0: empty"), named(names, kind):
            raise RowError(0, "empty.")


def test_a_place_replaces_the_row():
    with pytest.raises(ValueError, match=r"^a\.tsv:7: empty\.$") as caught, located(["a.tsv:3", "a.tsv:7"]):
        raise RowError(1, "empty.")
    assert not isinstance(caught.value, RowError)


def test_a_wrong_type_in_a_file_is_a_value_error():
    with pytest.raises(ValueError, match=r"^a\.png: not a picture\.$") as caught, located(["a.png"]):
        raise RowTypeError(0, "not a picture.")
    assert not isinstance(caught.value, TypeError)


def test_rows_of_another_kind_keep_their_number():
    with pytest.raises(RowError, match=r"^validation row 0: empty"), located(["a.tsv:3"]):
        raise RowError(0, "empty.", "validation row")


def test_other_errors_pass_through():
    with pytest.raises(ValueError, match=r"^row 1: only a text\.$"), located(["a", "b"]), renumbered([4, 5]):
        raise ValueError("row 1: only a text.")


def test_an_integer_beyond_all_floats_is_an_error_of_its_row():
    with pytest.raises(RowError, match=r"^row 2: int too large to convert to float"), about_row(2):
        float(10**400)
