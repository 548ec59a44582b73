"""Readers of tables: CSV, TSV, JSONL, with and without header, and errors with file and line."""

import csv
import gc
import gzip
import io
import json
import os
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data import raw_files
from elman.data.label_text import label_text
from elman.data.readers import Labelled, read_labelled

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, data: str | bytes) -> Path:
        data = data.encode() if isinstance(data, str) else data
        (tmp_path / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
        return tmp_path / name

    return write


def failing(path: Path, pattern: str, **columns: object) -> None:
    """Expect an error of one line that begins with the path, then the pattern."""
    with pytest.raises(ValueError, match="^" + re.escape(str(path)) + pattern) as raised:
        read_labelled(path, **columns)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", 'id,review,stars\n1,"good, ""so"" good",5\n2,,1\n'),
        ("a.csv", '\ufeffid, review ,stars\r\n1,"good, ""so"" good",5\r\n2,,1\r\n'),
        ("a.tsv", 'id\treview\tstars\n1\tgood, "so" good\t5\n2\t\t1\n'),
        ("a.tsv", '\ufeff"id"\t"review"\t"stars"\r\n1\t"good, ""so"" good"\t5\r\n2\t\t1'),
        ("a.jsonl", '{"review": "good, \\"so\\" good", "stars": 5}\n{"stars": "1", "review": ""}\n'),
        ("a.jsonl", '\ufeff{"review": "good, \\"so\\" good", "stars": 5.0}\r\n{"stars": 1, "review": ""}\r\n'),
    ],
)
def test_the_same_from_every_kind_of_table(write: Write, name: str, data: str, ending: str) -> None:
    path = write(name + ending, data)
    first = 1 if name == "a.jsonl" else 2
    places = [f"{path}:{first}", f"{path}:{first + 1}"]
    assert read_labelled(path, text="review", label="stars") == (['good, "so" good', ""], ["5", "1"], places)
    assert read_labelled(str(path), text="review").labels is None


def test_columns_by_number_where_there_is_no_header(write: Write) -> None:
    path = write("a.tsv", "a film\t1\nanother\t0\n")
    assert read_labelled(path, text="1", label="2") == (["a film", "another"], ["1", "0"], [f"{path}:1", f"{path}:2"])
    assert read_labelled(path, text=1, label=2) == read_labelled(path, text="1", label="2")
    assert read_labelled(write("a.csv", "0.5,a\n,b\n"), values=[1], label=None).inputs[0].tolist()[0] == [0.5]
    failing(path, r": no column '3'\. There are: 1, 2 \(numbers are for tables without a header\)\.$", text=1, label=3)


def test_several_files_are_one_after_the_other(write: Write) -> None:
    a, b = write("a.csv", "t\nx\n"), write("b.jsonl", '{"t": "y"}')
    assert read_labelled([b, a], text="t") == (["y", "x"], None, [f"{b}:1", f"{a}:2"])


def test_a_quoted_field_holds_line_breaks_and_places_stay_right(write: Write) -> None:
    path = write("a.csv", 't,l\n"one\ntwo\r\n",a\n\nthree,b\n')
    assert read_labelled(path, text="t", label="l") == (
        ["one\ntwo\r\n", "three"],
        ["a", "b"],
        [f"{path}:2", f"{path}:6"],
    )


def test_lone_quotes_in_a_tsv_swallow_nothing(write: Write) -> None:
    path = write("a.tsv", 't\tl\n"5 stars\t1\n6" tall\t0\n"\t1\n"a\tb"\t0\n"so ""so"""\t1\n')
    read = read_labelled(path, text="t", label="l")
    assert read.inputs == ['"5 stars', '6" tall', '"', "a\tb", 'so "so"']
    assert read.labels == ["1", "0", "1", "0", "1"]


def test_a_text_longer_than_python_allows_in_a_csv(write: Write) -> None:
    text = "long " * 100_000
    assert read_labelled(write("a.csv", f"t\n{text}\n"), text="t").inputs == [text]


def test_a_quote_that_is_never_closed(write: Write) -> None:
    path = write("a.csv", 't,l\nx,1\n"y,2\nz,3\n')
    failing(path, r":3: not CSV from this line on: unexpected end of data; double each quote", text="t", label="l")


def test_a_missing_column_is_an_error(write: Write) -> None:
    message = r": no column 'reveiw'; did you mean review\? There are: id, review"
    failing(write("a.csv", "id,review\n1,x\n"), message + "; without a header, name columns by number", text="reveiw")
    failing(write("a.jsonl", '{"id": 1, "review": "x"}\n'), ":1" + message + r"\.$", text="reveiw")
    failing(
        write("b.jsonl", '{"t": "x", "l": 1}\n{"t": "y"}\n'), r":2: no column 'l'\. There are: t", text="t", label="l"
    )
    wide = ",".join(f"c{i}" for i in range(50)) + "," + "x" * 99
    failing(write("b.csv", wide + "\n"), r": no column 'text'\. There are: c0, .*, c19 and 31 more; ", text="text")
    failing(write("c.csv", "a" * 99 + "\n"), rf": no column 'text'\. There are: {'a' * 40}\.\.\.; ", text="text")
    failing(write("d.csv", "t,t\nx,y\n"), ": expected one column 't', found 2; rename them", text="t")


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t")])
def test_ragged_lines(write: Write, name: str, separator: str) -> None:
    good = separator.join("tl") + "\n" + separator.join("x1") + "\n"
    for line, count in (("y", 1), (separator.join("y22"), 3)):
        failing(
            write(name, good + line + "\n"), f":3: expected 2 fields as in line 1, got {count}; ", text="t", label="l"
        )
    failing(write(name, good + "y\n"), ":3: expected 2 fields as in line 1, got 1; ", text=1, label=2)
    several = good + "y\n" + separator.join("x1") + "\nz\n" + separator.join("y22") + "\n"
    failing(write(name, several), r":3: expected 2 fields .*, got 1 \(the first of 3 such lines\); ", text=1, label=2)
    path = write(name, several.encode() + b"caf\xe9\n")  # counted up to a line that cannot be read
    failing(path, r":3: .* \(the first of 3 such lines\); ", text=1, label=2)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
def test_an_empty_table(write: Write, name: str) -> None:
    failing(write(name, ""), ": empty; expected a table", text="t")
    failing(write(name, "t\n"), ": expected rows, found none", text="t")


def test_an_empty_jsonl(write: Write) -> None:
    failing(write("a.jsonl", "\n"), ": expected rows, found none", text="t")


def test_lines_that_are_not_json_objects_are_errors(write: Write) -> None:
    failing(
        write("a.jsonl", '{"t": "x"}\n\n{"t": \n'),
        ":3: expected a JSON object on a line: Expecting value",
        text="t",
    )
    failing(write("a.jsonl", "[1]\n"), ":1: expected a JSON object on a line, got list", text="t")
    failing(write("a.jsonl", "[" * 100_000 + "\n"), ":1: expected a JSON object on a line: ", text="t")


def test_texts_and_labels_that_are_missing(write: Write) -> None:
    for label in ("", "  ", '""'):
        failing(
            write("a.csv", f"t,l\nx,1\ny,{label}\n"), ":3: expected a value in 'l', found none", text="t", label="l"
        )
    failing(write("a.jsonl", '{"t": "x", "l": null}'), ":1: expected a value in 'l', found none", text="t", label="l")
    failing(write("a.jsonl", '{"t": null}'), ":1: expected text in 't', got none; an empty text is ''", text="t")
    failing(write("a.jsonl", '{"t": 5}'), ":1: expected text in 't', got int", text="t")


def test_an_error_leaves_no_file_open(write: Write) -> None:
    path = write("a.jsonl", '{"t": null}\n{"t": "x"}')
    gc.collect()
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        failing(path, ":1: expected text in 't', got none", text="t")
        next(raw_files.lines(path))
    gc.collect()  # an open stream raises a ResourceWarning here, which fails the test
    assert len(os.listdir("/dev/fd")) == before


def test_bytes_that_are_not_utf8_name_the_line(write: Write) -> None:
    path = write("a.csv", b"t\ngood\ncaf\xe9\n")
    failing(path, r":3: byte 4 of the line is not UTF-8 \(0xe9\); convert the file, e\.g\. iconv", text="t")


def test_a_broken_gzip_file(write: Write) -> None:
    path = write("a.csv.gz", "t\n" + "".join(f"{i}\n" for i in range(9999)))
    path.write_bytes(path.read_bytes()[:-99])
    failing(path, ": expected a whole gzip file: .*; fetch it again", text="t")
    path.write_bytes(b"no gzip")
    failing(path, ": expected a whole gzip file: ", text="t")


SERIES = "who,t,x,y,class\nb,0,1,2,wave\na,0,3,,rest\nb,1,NaN,4e1,wave\nb,2,?,5,wave\na,1,NA, 6 ,rest\n"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_series_in_long_form(write: Write, name: str) -> None:
    data = SERIES.replace(",", "\t") if name == "a.tsv" else SERIES
    if name == "a.jsonl":
        data = "".join(json.dumps(record) + "\n" for record in csv.DictReader(io.StringIO(SERIES)))
    path = write(name, data)
    read = read_labelled(path, values=["x", "y"], group="who", label="class")
    b, a = read.inputs
    np.testing.assert_array_equal(b, [[1, 2], [np.nan, 40], [np.nan, 5]])
    np.testing.assert_array_equal(a, [[3, np.nan], [np.nan, 6]])
    assert b.dtype == np.float64
    assert read[1:] == (["wave", "rest"], [f"{path}: who b", f"{path}: who a"])
    assert read.names == ["b", "a"]


def test_numbers_and_nulls_of_json(write: Write) -> None:
    path = write("a.jsonl", '{"x": 1.5}\n{"x": null}\n{"x": NaN}\n{"x": 2}\n')
    np.testing.assert_array_equal(read_labelled(path, values="x").inputs[0], [[1.5], [np.nan], [np.nan], [2]])


def test_without_group_a_file_is_a_series(write: Write) -> None:
    a, b = write("a.csv", "x,l\n1,u\n2,u\n"), write("b.csv", "x,l\n3,v\n")
    read = read_labelled([a, b], values="x", label="l")
    assert [series.tolist() for series in read.inputs] == [[[1], [2]], [[3]]]
    assert read.labels == ["u", "v"]


def test_the_label_of_a_series_is_one(write: Write) -> None:
    data = "g,x,l\na,1,u\nb,1,v\na,1,v\n"
    message = r":4: expected the label 'u' of \S+a\.csv:2 \(g a\), got 'v'\.$"
    failing(write("a.csv", data), message, values="x", group="g", label="l")
    message = r":3: expected the label 'u' of \S+a\.csv:2 \(a file is one series unless group is set\), got 'v'\.$"
    failing(write("a.csv", data), message, values="x", label="l")


@pytest.mark.parametrize("value", ["one", "inf", "-inf", "1;5", "0x1"])
def test_values_that_are_no_numbers(write: Write, value: str) -> None:
    path = write("a.tsv", f"x\ty\n1\t2\n1\t{value}\n")
    failing(path, rf":3: expected a finite number in 'y', or nothing .*, got '{value}'\.$", values=["x", "y"])


def test_a_series_without_a_name(write: Write) -> None:
    failing(write("a.csv", "g,x\na,1\n,2\n"), ":3: expected a value in 'g', found none", values="x", group="g")


def test_a_long_series_is_in_memory_once(write: Write) -> None:
    path = write("a.csv", "x,y,z\n" + "1.25,2.5,3.75\n" * 20_000)
    tracemalloc.start()
    try:
        (series,) = read_labelled(path, values=["x", "y", "z"]).inputs
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert series.shape == (20_000, 3)
    assert peak < 2 * series.nbytes  # as Python's numbers it would be four times as much


texts = st.text(st.characters(codec="utf-8"))
labels = texts.map(str.strip).filter(bool)


def round_trip(folder: Path, name: str, rows: list[tuple[str, str]], header: bool, **dialect: object) -> Labelled:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, **dialect)
        writer.writerows([("text", "label")] * header + rows)
    columns = {"text": "text", "label": "label"} if header else {"text": "1", "label": "2"}
    return read_labelled(path, **columns)


@given(
    st.lists(st.tuples(texts, labels), min_size=1), st.booleans(), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
)
def test_csv_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], header: bool, quoting: int
) -> None:
    read = round_trip(tmp_path_factory.getbasetemp(), "a.csv", rows, header, quoting=quoting)
    assert list(zip(read.inputs, read.labels, strict=True)) == [(text, label_text(label)) for text, label in rows]


lines = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"))


@given(st.lists(st.tuples(lines, lines.map(str.strip).filter(bool)), min_size=1), st.booleans())
def test_csv_round_trip_with_tabs(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], header: bool
) -> None:
    read = round_trip(tmp_path_factory.getbasetemp(), "a.tsv", rows, header, delimiter="\t")
    assert list(zip(read.inputs, read.labels, strict=True)) == [(text, label_text(label)) for text, label in rows]


@given(st.lists(st.tuples(texts, labels), min_size=1))
def test_json_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.getbasetemp() / "a.jsonl"
    path.write_text("".join(json.dumps({"t": text, "l": label}) + "\n" for text, label in rows))
    read = read_labelled(path, text="t", label="l")
    assert list(zip(read.inputs, read.labels, strict=True)) == [(text, label_text(label)) for text, label in rows]


@pytest.mark.parametrize(("part", "count"), [("train", 6920), ("dev", 872), ("test", 1821)])
def test_sst2(data_path: Path, part: str, count: int) -> None:
    read = read_labelled(data_path / "sst2" / f"{part}.tsv.gz", text="1", label="2")
    assert len(read.inputs) == len(read.places) == count
    assert set(read.labels) == {"0", "1"}


def test_names(data_path: Path) -> None:
    read = read_labelled(data_path / "names" / "train.tsv.gz", text="1", label="2")
    assert len(read.inputs) == 16050
    assert len(set(read.labels)) == 18


def test_aeslc(data_path: Path) -> None:
    read = read_labelled(data_path / "aeslc" / "dev.jsonl.gz", text="body")
    assert (len(read.inputs), read.labels) == (1960, None)


def test_electricity(data_path: Path) -> None:
    (series,) = read_labelled(data_path / "ett" / "ETTh1.csv.gz", values=["HUFL", "OT"]).inputs
    assert series.shape == (17420, 2)
