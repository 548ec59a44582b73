"""Detection of the kind of input, and the laws of every kind."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman import Sequences
from elman.data.named_rows import NamedSeries
from elman.errors import RowError
from elman.layers import Stack
from elman.tasks.inputs import INPUTS, InputSettings, make_inputs, restore_inputs
from elman.tasks.inputs.base import without_steps

GENERATOR = np.random.default_rng(0)
ROWS = {
    "text": ["a good film", "", "a bad one"],
    "series": [GENERATOR.normal(5, 3, (4, 2)), np.zeros((0, 2)), GENERATOR.normal(size=(1, 2))],
    "skeletons": [GENERATOR.normal(5, 3, (4, 5, 3)), np.zeros((0, 5, 3)), GENERATOR.normal(size=(1, 5, 3))],
    "frames": [GENERATOR.integers(0, 255, (length, 6, 7)).astype(np.uint8) for length in (4, 0, 1)],
    "pixels": [GENERATOR.integers(0, 255, shape).astype(np.uint8) for shape in ((2, 2), (0, 5), (1, 1))],
}


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
def test_the_first_row_tells_the_kind(row, name):
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
    settings = InputSettings(inputs=name)
    inputs = make_inputs(settings).fit(ROWS[name])
    again = restore_inputs(settings, inputs.to_json())
    assert again.to_json() == inputs.to_json()
    assert (again.width, again.description) == (inputs.width, inputs.description)
    one, other = inputs.encode(ROWS[name]), again.encode(ROWS[name])
    assert np.array_equal(one.values, other.values)
    assert np.array_equal(one.lengths, other.lengths)


@pytest.mark.parametrize("names", [["x"], ["x", "x"], ["x", 1], "xy", [], ["x", "y", "y"]])
def test_wrong_names_of_variables_are_not_restored(names):
    settings = InputSettings(inputs="series")
    written = make_inputs(settings).fit([NamedSeries(np.eye(2), ("x", "y"))]).to_json()
    assert restore_inputs(settings, written).variables == ("x", "y")
    with pytest.raises(ValueError, match="variables"):
        restore_inputs(settings, written | {"variables": names})
    with pytest.raises(ValueError, match="variables"):
        restore_inputs(settings, {name: value for name, value in written.items() if name != "variables"})


@pytest.mark.parametrize("name", INPUTS)
def test_layers_read_encoded_rows(name):
    inputs = make_inputs(InputSettings(inputs=name)).fit(ROWS[name])
    for rows in (ROWS[name], ROWS[name][1:2], []):
        encoded = inputs.encode(rows).map(torch.from_numpy)
        assert len(encoded) == len(rows)
        y, _ = Stack(*inputs.layers()).eval()(encoded)
        assert y.values.shape == (encoded.num_steps, inputs.layers()[-1].output_size)
        assert y.values.dtype == torch.float32
        assert y.values.isfinite().all()


@pytest.mark.parametrize("name", INPUTS)
def test_rows_do_not_see_each_other(name):
    inputs = make_inputs(InputSettings(inputs=name)).fit(ROWS[name])
    together = inputs.encode(ROWS[name]).to_list()
    for row, encoded in zip(ROWS[name], together, strict=True):
        assert np.array_equal(inputs.encode([row]).values, encoded)


@pytest.mark.parametrize("name", INPUTS)
def test_errors_carry_the_number_of_the_row(name):
    inputs = make_inputs(InputSettings(inputs=name)).fit(ROWS[name])
    wrong = {"text": 3.0, "series": np.zeros((2, 9)), "pixels": np.zeros((2, 2, 9))}.get(name, np.zeros((2, 9, 3)))
    with pytest.raises(RowError, match="expected") as caught:
        inputs.encode([ROWS[name][0], wrong])
    assert caught.value.row == 1


@given(lengths=st.lists(st.integers(0, 5), max_size=8), part=st.floats(0, 0.99))
def test_steps_that_are_left_out(lengths, part):
    values = torch.arange(sum(lengths))
    rows = Sequences(values, lengths)
    left = without_steps(rows, part)
    for row, before in zip(left.to_list(), rows.to_list(), strict=True):
        assert set(row.tolist()) <= set(before.tolist())
        assert row.tolist() == sorted(row.tolist())
        assert (len(row) > 0) == (len(before) > 0)


def test_the_part_of_steps_that_is_left_out():
    left = without_steps(Sequences(torch.zeros(10_000), [10_000]), 0.3)
    assert left.num_steps == pytest.approx(7000, abs=200)


@pytest.mark.parametrize("name", ["series", "frames"])
def test_noise_has_its_deviation(name):
    still = [np.ones_like(row) for row in ROWS[name]] * 100
    inputs = make_inputs(InputSettings(inputs=name, noise=0.5)).fit(still)
    rows = inputs.encode(still).map(torch.from_numpy)
    added = inputs.augment(rows).values - rows.values
    assert added.std().item() == pytest.approx(0.5, rel=0.1)
    assert added.mean().item() == pytest.approx(0, abs=0.05)


def test_word_dropout():
    inputs = make_inputs(InputSettings(word_dropout=0.2), ["a"]).fit(["a b c"] * 2)
    rows = inputs.encode(["a b c"] * 2000).map(torch.from_numpy)
    augmented = inputs.augment(rows).values
    assert (augmented == 1).float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(augmented[augmented != 1], rows.values[augmented != 1])
