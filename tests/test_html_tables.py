"""HTML tables for notebooks."""

import html.parser

import numpy as np

from elman.html_tables import html_table


class Cells(html.parser.HTMLParser):
    """Texts of the cells of a table; fails if a tag is none of a table."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.caption, self.open = [], "", []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert tag in {"table", "caption", "tr", "th", "td"}, tag
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"th", "td"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] == "caption":
            self.caption += data
        else:
            self.rows[-1][-1] += data


def test_text_is_escaped_wherever_it_stands():
    bad = "<script>alert('&\"')</script>"
    cells = Cells(html_table(bad, [[bad, bad]], [bad, bad]))
    assert cells.caption == bad
    assert cells.rows == [[bad, bad], [bad, bad]]


def test_a_mapping_is_a_row_per_name():
    assert Cells(html_table("report", {"F1": 0.627451, "rows": 12345, "best": None})).rows == [
        ["F1", "0.6275"], ["rows", "12,345"], ["best", ""]]  # fmt: skip


def test_numbers_of_numpy_are_printed_as_those_of_python():
    row = ["x", np.float32(0.5), np.int64(1000), np.nan, np.array(2.5), True, "1000", np.array([1, 2])]
    assert Cells(html_table("", [row])).rows == [["x", "0.5", "1,000", "nan", "2.5", "True", "1000", "[1 2]"]]


def test_a_long_table_ends_with_the_number_of_rows_left_out():
    cells = Cells(html_table("", ([number] for number in range(10**9)), total=10**9))
    assert len(cells.rows) == 51
    assert cells.rows[-1] == ["... 999,999,950 more rows"]
    assert len(Cells(html_table("", [[1]] * 50)).rows) == 50


def test_a_long_cell_is_cut():
    assert len(Cells(html_table("", [["x" * 10**6]])).rows[0][0]) == 120


def test_a_table_without_rows_has_its_caption():
    assert Cells(html_table("nothing", [])).caption == "nothing"
