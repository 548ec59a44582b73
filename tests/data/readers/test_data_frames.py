"""Data frames of every library, and Parquet: the same rows as from a text file."""

import copy
import pickle
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import narwhals
import numpy as np
import pandas
import polars
import pytest

from elman.data.readers import read_frame, read_labelled, read_parallel, read_tagged


class ArrowStream:
    """Data frame of an unknown library with an Arrow C stream."""

    def __init__(self, columns: dict[str, Any]):
        self.__arrow_c_stream__ = polars.DataFrame(columns).__arrow_c_stream__


FRAMES = {"mapping": dict, "pandas": pandas.DataFrame, "polars": polars.DataFrame, "arrow": ArrowStream,
          "narwhals": lambda columns: narwhals.from_native(polars.DataFrame(columns))}  # fmt: skip
frames = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
Make = Callable[[dict[str, Any]], Any]


@frames
def test_texts(frame: Make) -> None:
    given = frame({"other": [0.5, 1], "review": ["good", ""], "stars": [5, 1]})
    assert read_frame(given, text="review", label="stars") == (["good", ""], [5, 1], ["row 0", "row 1"])
    assert read_frame(given, text="review").labels is None


@frames
def test_series(frame: Make) -> None:
    given = frame({"who": [2, 1, 2], "x": [1, 2, 3], "y": [0.5, None, float("nan")], "l": ["u", "v", "u"]})
    read = read_frame(given, values=["x", "y"], group="who", label="l")
    np.testing.assert_array_equal(read.inputs[0], [[1, 0.5], [3, np.nan]])
    np.testing.assert_array_equal(read.inputs[1], [[2, np.nan]])
    assert read[1:] == (["u", "v"], ["who 2", "who 1"])
    assert read.names == [2, 1]


@frames
def test_missing_and_wrong_columns_are_errors(frame: Make) -> None:
    given = frame({"Text": ["a", None], "l": ["u", None], "x": ["1", "one"]})
    with pytest.raises(ValueError, match=r"^frame: no column 'tex'; did you mean Text\? There are: Text, l, x\.$"):
        read_frame(given, text="tex")
    with pytest.raises(ValueError, match=r"^row 1: expected text in 'Text', got none; an empty text is ''\.$"):
        read_frame(given, text="Text")
    with pytest.raises(ValueError, match=r"^row 1: expected a value in 'l', found none\.$"):
        read_frame(given, values="x", group="l")
    with pytest.raises(ValueError, match=r"^row 1: expected a finite number in 'x', or nothing .*, got 'one'\.$"):
        read_frame(given, values="x")
    with pytest.raises(ValueError, match=r"^frame: expected rows, found none\.$"):
        read_frame(frame({"t": []}), text="t")


def test_labels_keep_their_type() -> None:
    labels = [True, 3, 3.0, np.int64(3), np.float32(3), " a "]
    assert read_frame({"t": ["x"] * 6, "l": labels}, text="t", label="l").labels == [True, 3, 3, 3, 3, "a"]
    assert read_frame({"t": ["x"] * 2, "l": [0.5, 1.0]}, text="t", label="l").labels == ["0.5", "1"]
    given = pandas.DataFrame({"t": ["x", "y"], "l": pandas.Categorical(["b", "a"])})
    assert read_frame(given, text="t", label="l").labels == ["b", "a"]


def test_the_missing_values_of_pandas() -> None:
    given = pandas.DataFrame({"x": pandas.array([1, None], "Int64"), "l": pandas.array(["a", None], "string")})
    np.testing.assert_array_equal(read_frame(given, values="x").inputs[0], [[1], [np.nan]])
    with pytest.raises(ValueError, match=r"^row 1: expected a value in 'l', found none"):
        read_frame(given, values="x", group="l")


def test_columns_whose_names_are_numbers() -> None:
    given = pandas.DataFrame([["x", "a"], ["y", "b"]])
    assert read_frame(given, text=0, label=1)[:2] == (["x", "y"], ["a", "b"])
    assert read_frame({0: ["x"]}, text=0).inputs == ["x"]


def test_other_objects_than_data_frames_are_errors() -> None:
    lazy = polars.LazyFrame({"t": ["a"]})
    name = r"the name 't\.csv'; read files with elman\.data\.readers\.read_labelled"
    for given, got in ((["a"], "list"), (None, "NoneType"), (lazy, r"polars\.LazyFrame; give frame\.collect\(\)"),
                       ("t.csv", name), (Path("t.csv"), name)):  # fmt: skip
        with pytest.raises(TypeError, match=rf"^frame: expected a data frame or a mapping of columns, got {got}\.$"):
            read_frame(given, text="t")
    assert read_frame(lazy.collect(), text="t").inputs == ["a"]


def test_data_frames_are_not_files() -> None:
    for given in (pandas.DataFrame({"t": ["a"]}), polars.DataFrame({"t": ["a"]}), polars.LazyFrame({"t": ["a"]}),
                  {"t": ["a"]}, [pandas.DataFrame({"t": ["a"]})]):  # fmt: skip
        for read in (partial(read_labelled, text="t"), read_parallel, read_tagged):
            with pytest.raises(TypeError, match=r"^expected the path of a file, got [\w.]+.*read_frame\("):
                read(given)
    with pytest.raises(TypeError, match=r"^expected the path of a file, got int; .*read_frame"):
        read_labelled([3], text="t")


def test_columns_in_one_text_are_not_a_list() -> None:
    given = {"temp": [1.0], "vib": [2.0], "a,b": [3.0]}
    for values in ("temp,vib", ["vib, temp"]):
        with pytest.raises(ValueError, match=r"no column '[\w, ]+'; several columns are a list: \['\w+', '\w+'\]\."):
            read_frame(given, values=values)
    with pytest.raises(ValueError, match=r"no column 'temp,vub'; did you mean temp\?"):
        read_frame(given, values="temp,vub")
    assert read_frame(given, values="a,b").variables == ["a,b"]


def test_variables_keep_their_names(tmp_path: Path) -> None:
    given = {"m": ["a", "b", "a"], "x": [1.0, 2, 3], "y": [4.0, 5, 6]}
    read = read_frame(given, values=["y", "x"], group="m")
    assert read.variables == ["y", "x"]
    assert read_frame(given, values="x").variables == ["x"]
    assert repr(read).startswith("Labelled(inputs=[float64 [2, 2], float64 [1, 2]], labels=None,")
    assert read_frame({"t": ["a"]}, text="t").variables is None
    file = tmp_path / "a.csv"
    file.write_text("x,y\n1,2\n")
    assert read_labelled(file, values=["y", "x"]).variables == ["y", "x"]
    file.write_text("1,2\n")
    assert read_labelled(file, values=[2, 1]).variables is None
    part, kept = read.inputs[1:], pickle.loads(pickle.dumps(read.inputs))
    assert (part[0].variables, [str(name) for name in part.names]) == (("y", "x"), ["m b"])
    assert (kept[0].variables, [str(name) for name in kept.names]) == (("y", "x"), ["m a", "m b"])


def test_copies_and_steps_keep_the_names_and_other_views_do_not() -> None:
    series = read_frame({"x": [1.0, 2, 3], "y": [4.0, 5, 6]}, values=["y", "x"]).inputs[0]
    copies = (copy.copy(series), copy.deepcopy(series), series.copy(), pickle.loads(pickle.dumps(series)))
    for kept in (series, series[1:], series[::2], series[0], *copies):
        assert kept.variables == ("y", "x")
    for one in copies:
        np.testing.assert_array_equal(one, series)
        assert not np.shares_memory(one, series)
    for other in (series[:, ::-1], series[:, 0], series * 2, series.T, np.asarray(series)):
        assert getattr(other, "variables", None) is None


def test_columns_of_different_lengths() -> None:
    with pytest.raises(ValueError, match=r"^frame: expected columns of one length, got \{'t': 2, 'l': 1\}\.$"):
        read_frame({"t": ["a", "b"], "l": ["c"]}, text="t", label="l")


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a[1].parquet"
    polars.DataFrame({"t": ["a", "", "c"], "x": [1, 2, None], "l": [0, 0, 1]}).write_parquet(path)
    places = [f"{path}:row {number}" for number in range(3)]
    assert read_labelled(path, text="t", label="l") == (["a", "", "c"], ["0", "0", "1"], places)
    read = read_labelled(path, values="x", group="l")
    np.testing.assert_array_equal(np.concatenate(read.inputs), [[1], [2], [np.nan]])
    assert read.places == [f"{path}: l 0", f"{path}: l 1"]
    with pytest.raises(ValueError, match=r"\.parquet: no column 'text'\. There are: t, x, l\.$"):
        read_labelled(path, text="text")
    with pytest.raises(ValueError, match=r"\.parquet:row 2: expected a finite number in 't'|row 0: .*got 'a'"):
        read_labelled(path, values="t")


@pytest.mark.parametrize("data", [b"", b"nonsense", b"PAR1" + bytes(99) + b"PAR1"])
def test_a_malformed_parquet_file_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.parquet: expected a Parquet file: "):
        read_labelled(path, text="t")


def test_columns_of_one_name_are_an_error() -> None:
    for names in (["v", "t", "t"], ["v", "x", "x"]):
        with pytest.raises(ValueError, match=f"a name of its own for each column, got '{names[1]}' 2 times; rename"):
            read_frame(pandas.DataFrame([[1, 2, 3]], columns=names), values="v")


@pytest.mark.parametrize("column", [5, iter([1]), np.array(5), None])
def test_a_column_without_a_length_is_an_error(column: Any) -> None:
    with pytest.raises(ValueError, match=r"^frame: expected columns of one length, got {'v': 1, 't': None}\.$"):
        read_frame({"v": [1], "t": column}, values="v", time="t")


@pytest.mark.parametrize("value", [10**400, np.ones((9, 9)), ["a"] * 900, "a" * 900])
def test_errors_shorten_the_value(value: Any) -> None:
    with pytest.raises(ValueError, match="expected a finite number in 'v'") as error:
        read_frame({"v": [value]}, values="v")
    assert len(str(error.value)) < 250
    assert "\n" not in str(error.value)


def test_packages_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").touch()
    given = pandas.DataFrame({"t": ["a"]})
    for package in ("polars", "narwhals"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=r"a\.parquet needs the package polars; install"):
        read_labelled(tmp_path / "a.parquet", text="t")
    with pytest.raises(ModuleNotFoundError, match=r"^a data frame needs the package narwhals; install"):
        read_frame(given, text="t")
    assert read_frame({"t": ["a"]}, text="t").inputs == ["a"]
