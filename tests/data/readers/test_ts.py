"""Series of the UEA archive, and files that only look like them."""

import re
from pathlib import Path

import numpy as np
import pytest

from elman.data.readers import read_labelled

HEADER = "# about\n@problemName x\n@timeStamps false\n@dimensions 2\n@classLabel true up down\n@data\n"


def write(folder: Path, data: str) -> Path:
    (folder / "a.ts").write_text(data)
    return folder / "a.ts"


def test_cases_dimensions_and_missing_values(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "1,2,3:4,?,6:up\n\n 1.5E1 , NaN:0,-1: down\n")
    read = read_labelled(path)
    np.testing.assert_array_equal(read.inputs[0], [[1, 4], [2, np.nan], [3, 6]])
    np.testing.assert_array_equal(read.inputs[1], [[15, 0], [np.nan, -1]])
    assert all(series.flags.c_contiguous for series in read.inputs)
    assert read[1:] == (["up", "down"], [f"{path}:7", f"{path}:9"])


@pytest.mark.parametrize("header", ["@classlabel false\n@univariate true\n@DATA\n", "@data\n"])
def test_cases_without_classes(tmp_path: Path, header: str) -> None:
    read = read_labelled(write(tmp_path, header + "1,2\n3\n"))
    assert [series.tolist() for series in read.inputs] == [[[1], [2]], [[3]]]
    assert read.labels is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2:3,4:left", "expected one of the classes up down last, got 'left'"),
        ("1,2:3,4", "expected one of the classes up down last, got '3,4'"),
        ("1,2:up", "expected 2 dimensions between colons, got 1"),
        ("1,2:3:up", "expected 2 values in dimension 2 as in dimension 1, got 1"),
        ("1,2:3,x:up", "expected numbers or ? in dimension 2, got 'x'"),
        ("1,:3,4:up", "expected numbers or ? in dimension 1, got ''"),
        ("1,inf:3,4:up", "expected finite numbers, or ? where one is missing, got infinity"),
    ],
)
def test_a_malformed_case_is_an_error(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path, HEADER + "1,2:3,4:up\n" + line + "\n")
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}:8: {message}") + r"\.$"):
        read_labelled(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", ": expected a line @data and cases after it, found none."),
        ("@classLabel true a\n", ": expected a line @data and cases after it, found none."),
        ("@data\n", ": expected rows, found none."),
        ("@classLabel true a\n1,2:a\n", ":2: expected @data before the first case, got '1,2:a'."),
        ("@timeStamps true\n@data\n", ":1: time stamps are not supported; remove them, or use a table."),
        (
            "@targetLabel true\n@data\n",
            ":1: targets that are not classes are not supported; remove them, or use a table.",
        ),
    ],
)
def test_a_malformed_file_is_an_error(tmp_path: Path, data: str, message: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}{message}") + "$"):
        read_labelled(path)


@pytest.mark.parametrize(
    ("name", "cases", "size", "lengths", "classes"),
    [
        ("JapaneseVowels_TRAIN", 270, 12, (7, 26), 9),
        ("JapaneseVowels_TEST", 370, 12, (7, 29), 9),
        ("BasicMotions_TRAIN", 40, 6, (100, 100), 4),
        ("BasicMotions_TEST", 40, 6, (100, 100), 4),
    ],
)
def test_the_uea_archive(
    data_path: Path, name: str, cases: int, size: int, lengths: tuple[int, int], classes: int
) -> None:
    read = read_labelled(data_path / "uea" / f"{name}.ts.gz")
    assert len(read.inputs) == cases
    assert {series.shape[1] for series in read.inputs} == {size}
    assert (min(map(len, read.inputs)), max(map(len, read.inputs))) == lengths
    assert len(set(read.labels)) == classes
