"""Numbers in text: only spellings with one meaning are read, in every format."""

import json
import re

import numpy as np
import pytest

from elman.data.readers import read_frame, read_labelled


def write(tmp_path, name, field):
    path = tmp_path / name
    quoted = {"csv": f'"{field}"', "tsv": field, "jsonl": json.dumps({"x": field})}[name.split(".")[1]]
    path.write_text(quoted + "\n" if "jsonl" in name else f"x\n{quoted}\n")
    return path


FORMATS = ["a.csv", "a.tsv", "a.jsonl"]
NUMBERS = {"10": 10, " 1e3 ": 1000, "-.5": -0.5, "+1.": 1, "1234.5": 1234.5}
SEPARATED = ["1,234", "1,234.5", "1.234,5", "1,5", "1 234", "1'234", "-1.234.567", "1\u202f234"]
OTHERS = ["1_0", "1_000.5", "1e1_0", "_1", "inf", "-Infinity", "+inf", "1e999", "0x10", "1/2", "5%", "$5", "1-2", "--1"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", NUMBERS)
def test_numbers(tmp_path, name, text):
    assert read_labelled(write(tmp_path, name, text), values="x").inputs[0].tolist() == [[NUMBERS[text]]]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", [*SEPARATED, *OTHERS])
def test_other_texts_are_an_error_that_quotes_them(tmp_path, name, text):
    with pytest.raises(ValueError, match=re.escape(f"got {text!r}")) as raised:
        read_labelled(write(tmp_path, name, text), values="x")
    assert ("thousands separators" in str(raised.value)) == (text in SEPARATED)


@pytest.mark.parametrize("field", ["1_0", "inf", float("inf"), -np.inf, 10**400, object(), [1], 1j])
def test_the_same_in_a_frame(field):
    with pytest.raises(ValueError, match=r"row 1: expected a finite number in 'x'"):
        read_frame({"x": [1.0, field]}, values="x")


@pytest.mark.parametrize("literal", ["1" * 400, "Infinity", '"1_0"', "[1]", "{}"])
def test_the_same_in_json(tmp_path, literal):
    (tmp_path / "a.jsonl").write_text(f'{{"x": {literal}}}\n')
    with pytest.raises(ValueError, match=r"a.jsonl:1: expected a finite number in 'x'"):
        read_labelled(tmp_path / "a.jsonl", values="x")


@pytest.mark.parametrize("field", ["1_0", "inf", "-inf", "1e999", "1_0.5"])
def test_the_same_in_series(tmp_path, field):
    (tmp_path / "a.ts").write_text(f"@classLabel true a b\n@data\n1,{field}:a\n")
    with pytest.raises(ValueError, match=r"a.ts:3: expected (finite )?numbers"):
        read_labelled(tmp_path / "a.ts")
