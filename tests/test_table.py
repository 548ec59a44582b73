import numpy as np
import pytest

from elman.table import Table


def test_columns_and_rows():
    table = Table({"word": ["a", "bb"], "bits": np.array([1.5, 2.0])})
    assert len(table) == 2
    assert table["bits"].tolist() == [1.5, 2.0]
    assert list(table) == [{"word": "a", "bits": 1.5}, {"word": "bb", "bits": 2.0}]
    assert [type(value) for value in next(iter(table)).values()] == [str, float]
    assert repr(table) == "Table(2 rows of word, bits)"
    with pytest.raises(KeyError):
        table["missing"]


def test_the_columns_of_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = Table({"word": ["a", "bb"], "bits": [1.5, 2.0], "units": [1, 2]}).to_pandas()
    pandas.testing.assert_frame_equal(
        frame, pandas.DataFrame({"word": ["a", "bb"], "bits": [1.5, 2.0], "units": [1, 2]})
    )


def test_one_long_text_does_not_make_the_others_large():
    table = Table({"word": ["a" * 100_000] + ["b"] * 1000})
    assert table["word"].nbytes < 20_000


def test_a_notebook_shows_escaped_text_and_the_number_of_rows_left_out():
    html = Table({"word": ["<b>", "\n", *["x"] * 70]})._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<td>\\n</td>" in html
    assert "... 22 more rows" in html
