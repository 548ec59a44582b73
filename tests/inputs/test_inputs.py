"""Detection of the kind of input, and the laws of every kind."""

import numpy as np
import pytest
import torch

from elman.data.named_rows import NamedSeries
from elman.errors import RowError
from elman.inputs import INPUTS, InputSettings, make_inputs, restore_inputs

GENERATOR = np.random.default_rng(0)
ROWS = {
    "text": ["a good film", "", "a bad one"],
    "series": [GENERATOR.normal(5, 3, (4, 2)), np.zeros((0, 2)), GENERATOR.normal(size=(1, 2))],
    "skeletons": [GENERATOR.normal(5, 3, (4, 5, 3)), np.zeros((0, 5, 3)), GENERATOR.normal(size=(1, 5, 3))],
    "frames": [GENERATOR.integers(0, 255, (length, 6, 7)).astype(np.uint8) for length in (4, 0, 1)],
    "pixels": [GENERATOR.integers(0, 255, shape).astype(np.uint8) for shape in ((2, 2), (0, 5), (1, 1))],
}


def fitted(name, rows=None):
    settings = InputSettings(inputs=name)
    return make_inputs(settings).fit(ROWS[name] if rows is None else rows, settings)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("a text", "text"),
        (np.str_("a text"), "text"),
        (b"bytes", "text"),
        ([1.0, 2.0], "series"),
        ([[1, 2], [3, 4]], "series"),
        (np.zeros(3, bool), "series"),
        (np.zeros((3, 2)), "series"),
        (np.array([1, None], object), "series"),
        (torch.zeros(4, 2), "series"),
        ([], "series"),
        (np.zeros((9, 25, 3)), "skeletons"),
        (np.zeros((9, 17, 2), np.float32), "skeletons"),
        (np.zeros((9, 24, 24), np.uint8), "frames"),
        (np.zeros((9, 24, 24, 3), np.uint8), "frames"),
        (np.zeros((9, 24, 24, 1)), "frames"),
        (np.zeros((28, 28), np.uint8), "pixels"),
        (np.zeros((28, 28, 3), np.uint8), "pixels"),
    ],
)
def test_the_first_row_decides_the_kind(row, name):
    assert make_inputs(InputSettings(), [row]).name == name


def test_a_kind_can_be_named():
    assert make_inputs(InputSettings(inputs="series"), [np.zeros((28, 28), np.uint8)]).name == "series"


@pytest.mark.parametrize("row", [np.zeros((2, 3, 4, 5, 6)), np.zeros((4, 5, 6)), np.array(["a", "b"]), 3j, None])
def test_rows_of_no_kind(row):
    with pytest.raises(TypeError, match=r"row 0: expected text, or an array \[T\] or \[T, D\] "):
        make_inputs(InputSettings(), [row])


@pytest.mark.parametrize("name", INPUTS)
def test_settings_without_effect(name):
    wrong = {"noise": 0.1, "step_dropout": 0.1, "differences": True} if name == "text" else \
        {"units": "bpe", "lowercase": True, "vocabulary_size": 9, "min_count": 2, "word_dropout": 0.5}  # fmt: skip
    if name in ("series", "skeletons", "pixels"):
        wrong["embedding_size"] = 9
    for setting, value in wrong.items():
        with pytest.raises(ValueError, match=f"{setting}: has no effect on inputs={name}; leave it out"):
            make_inputs(InputSettings(inputs=name, **{setting: value}))
    off = {"noise": 0.0, "differences": False} if name == "text" else {"word_dropout": 0.0, "lowercase": False}
    make_inputs(InputSettings(inputs=name, **off))


@pytest.mark.parametrize("name", INPUTS)
def test_fitted_inputs_are_restored(name):
    inputs = fitted(name)
    again = restore_inputs(inputs.to_json())
    assert again.to_json() == inputs.to_json()
    assert (again.step_shape, again.input_size) == (inputs.step_shape, inputs.input_size)
    assert again.description == inputs.description
    one, other = inputs.encode(ROWS[name]), again.encode(ROWS[name])
    assert np.array_equal(one.values, other.values)
    assert np.array_equal(one.lengths, other.lengths)


@pytest.mark.parametrize("names", [["x"], ["x", "x"], ["x", 1], "xy", [], ["x", "y", "y"]])
def test_wrong_names_of_variables_are_not_restored(names):
    written = fitted("series", [NamedSeries(np.eye(2), ("x", "y"))]).to_json()
    assert restore_inputs(written).variables == ("x", "y")
    with pytest.raises(ValueError, match="variables"):
        restore_inputs(written | {"variables": names})
    with pytest.raises(ValueError, match="variables"):
        restore_inputs({name: value for name, value in written.items() if name != "variables"})


@pytest.mark.parametrize("dimensions", [4, 2, 0])
def test_wrong_dimensions_of_joints_are_not_restored(dimensions):
    written = fitted("skeletons").to_json()
    with pytest.raises(ValueError, match=f"skeletons: expected 15 coordinates in 2 or 3 dimensions, got {dimensions}"):
        restore_inputs(written | {"dimensions": dimensions})


@pytest.mark.parametrize("name", INPUTS)
def test_rows_do_not_affect_each_other(name):
    inputs = fitted(name)
    together = inputs.encode(ROWS[name]).to_list()
    for row, encoded in zip(ROWS[name], together, strict=True):
        assert np.array_equal(inputs.encode([row]).values, encoded)


@pytest.mark.parametrize("name", INPUTS)
def test_errors_carry_the_number_of_the_row(name):
    inputs = fitted(name)
    wrong = {"text": 3.0, "series": np.zeros((2, 9)), "pixels": np.zeros((2, 2, 9))}.get(name, np.zeros((2, 9, 3)))
    with pytest.raises(RowError, match="expected") as caught:
        inputs.encode([ROWS[name][0], wrong])
    assert caught.value.row == 1
