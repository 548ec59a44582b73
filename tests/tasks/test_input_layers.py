"""Layers that read encoded rows, and random changes of rows in training."""

import numpy as np
import pytest
import torch
from hypothesis import given as drawn
from hypothesis import strategies as st

from elman import Sequences
from elman.data.units import UNKNOWN
from elman.inputs import INPUTS, InputSettings, make_inputs, restore_inputs
from elman.layers import Deviations, Differences, Stack
from elman.tasks.input_layers import augmented, input_layers, without_steps

GENERATOR = np.random.default_rng(0)
GREY = [GENERATOR.integers(0, 256, (length, 6, 7)).astype(np.uint8) for length in (3, 0, 2)]
WALK = GENERATOR.normal(size=(6, 5, 3))
ROWS = {
    "text": ["a good film", "", "a bad one"],
    "series": [GENERATOR.normal(5, 3, (4, 2)), np.zeros((0, 2)), GENERATOR.normal(size=(1, 2))],
    "skeletons": [GENERATOR.normal(5, 3, (4, 5, 3)), np.zeros((0, 5, 3)), GENERATOR.normal(size=(1, 5, 3))],
    "frames": [GENERATOR.integers(0, 255, (length, 6, 7)).astype(np.uint8) for length in (4, 0, 1)],
    "pixels": [GENERATOR.integers(0, 255, shape).astype(np.uint8) for shape in ((2, 2), (0, 5), (1, 1))],
}


def made(rows, **settings):
    """Return fitted inputs, their settings and their layers."""
    settings = InputSettings(**settings)
    inputs = make_inputs(settings, rows).fit(rows, settings)
    return inputs, settings, input_layers(inputs, settings)


@pytest.mark.parametrize("differences", [None, True, False])
def test_differences_of_frames(differences):
    _, _, layers = made(GREY, differences=differences, embedding_size=5, input_dropout=0)
    assert any(isinstance(layer, Differences) for layer in layers) == (differences is not False)
    assert layers[-1].output_size == 5


def test_a_row_is_shifted_as_a_whole_and_its_edge_is_repeated():
    inputs, settings, _ = made(GREY, shift=2)
    given = inputs.encode(GREY).map(torch.from_numpy)
    padded = np.pad(given.values.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), "edge")
    moves = [(down, across) for down in range(5) for across in range(5)]
    seen = set()
    torch.manual_seed(0)
    for _ in range(40):
        shifted = augmented(inputs, settings, given).values.numpy()
        found = [[move for move in moves if (padded[row, :, move[0] :, move[1] :][..., :6, :7] == shifted[row]).all()]
                 for row in (slice(0, 3), slice(3, 5))]  # fmt: skip
        assert [len(own) for own in found] == [1, 1]
        seen.update(found[0] + found[1])
    assert len(seen) > 20
    assert np.array_equal(augmented(inputs, InputSettings(shift=0), given).values, given.values)


def test_deviations_remove_what_does_not_move():
    assert isinstance(made(GREY, deviations=True)[2][0], Deviations)
    assert not any(isinstance(layer, Deviations) for layer in made(GREY)[2])


def test_differences_of_skeletons():
    inputs, _, layers = made([WALK, WALK[:2]], input_dropout=0)
    assert inputs.step_shape == (15,)
    assert [layer.output_size for layer in layers] == [30]
    assert made([WALK], input_dropout=0, differences=False)[2] == []


def test_small_movements_stay_small():
    walk = WALK * 0.01
    walk[:, :4] += [[1, 2, 3], [4, 5, 6], [7, 8, 9], [-3, 2, 1]]
    walk[:, 4] += WALK[:, 4]  # this joint swings
    inputs, _, layers = made([walk], input_dropout=0)
    deviations = inputs.encode([walk]).values.std(0).reshape(5, 3)
    assert (deviations[4] > 3 * deviations[:4].max(0)).all()
    assert np.sqrt((deviations**2).mean()) == pytest.approx(1)
    [scale] = [layer.scale.numpy() for layer in layers if isinstance(layer, Differences)]
    assert (scale == scale[0]).all()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_body_that_is_turned_keeps_its_shape(dimensions):
    rows = [GENERATOR.normal(size=(length, 5, dimensions)) for length in (6, 0, 4)]
    inputs, settings, _ = made(rows, turn=30)
    torch.manual_seed(0)
    given = inputs.encode(rows).map(torch.from_numpy)
    changed = augmented(inputs, settings, given)
    before, after = (
        (some.values.numpy() * inputs.scale + inputs.mean).reshape(10, 5, dimensions) for some in (given, changed)
    )
    assert np.abs(after - before).max() > 0.1
    for first in (0, 6):  # one turn a row, which keeps every angle between joints of any two frames
        row = slice(first, first + 4)
        products = [np.einsum("tjd,ukd->tjuk", joints[row], joints[row]) for joints in (before, after)]
        np.testing.assert_allclose(*products, atol=1e-4)
    assert (
        np.abs(np.einsum("jd,kd->jk", after[0], after[6]) - np.einsum("jd,kd->jk", before[0], before[6])).max() > 0.01
    )


def test_a_body_is_turned_by_the_given_angle():
    rows = [WALK[:1]] * 4000
    inputs, settings, _ = made([WALK, *rows], turn=5)
    torch.manual_seed(0)
    given = inputs.encode(rows).map(torch.from_numpy)
    changed = augmented(inputs, settings, given).values.numpy() * inputs.scale + inputs.mean
    joints = inputs.row(WALK[:1]).reshape(5, 3)
    change = np.sqrt(((changed.reshape(-1, 5, 3) - joints) ** 2).mean())
    radians = np.radians(5)
    assert change == pytest.approx(radians * np.sqrt(2 / 3 * (joints**2).sum(1).mean()), rel=0.05)


def test_differences_have_deviation_1():
    generator = np.random.default_rng(0)
    rows = [generator.normal(size=(50, 2)).cumsum(0) * [1, 1000] for _ in range(4)]
    inputs, _, [layer] = made(rows, differences=True, input_dropout=0)
    change = np.concatenate([np.diff(row, axis=0) for row in inputs.encode(rows).to_list()])
    np.testing.assert_allclose(layer.scale.numpy(), change.std(0), rtol=1e-5)
    assert made(rows, input_dropout=0)[2] == []


@pytest.mark.parametrize("name", INPUTS)
def test_layers_read_encoded_rows(name):
    inputs, _, layers = made(ROWS[name], inputs=name)
    for rows in (ROWS[name], ROWS[name][1:2], []):
        encoded = inputs.encode(rows).map(torch.from_numpy)
        assert len(encoded) == len(rows)
        y, _ = Stack(*layers).eval()(encoded)
        assert y.values.shape == (encoded.num_steps, layers[-1].output_size)
        assert y.values.dtype == torch.float32
        assert y.values.isfinite().all()


@pytest.mark.parametrize("name", INPUTS)
def test_restored_inputs_have_the_same_layers_and_changes(name):
    """A training that starts from a trained model continues with its inputs."""
    inputs, settings, layers = made(ROWS[name], inputs=name)
    again = restore_inputs(inputs.to_json())
    assert repr(Stack(*input_layers(again, settings))) == repr(Stack(*layers))
    rows = inputs.encode(ROWS[name]).map(torch.from_numpy)
    changed = []
    for one in (inputs, again):
        torch.manual_seed(0)
        changed.append(augmented(one, settings, rows).values)
    assert torch.equal(*changed)


@drawn(lengths=st.lists(st.integers(0, 5), max_size=8), part=st.floats(0, 0.99))
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
    inputs, settings, _ = made(still, inputs=name, noise=0.5)
    rows = inputs.encode(still).map(torch.from_numpy)
    added = augmented(inputs, settings, rows).values - rows.values
    assert added.std().item() == pytest.approx(0.5, rel=0.1)
    assert added.mean().item() == pytest.approx(0, abs=0.05)


def test_word_dropout():
    inputs, settings, _ = made(["a b c"] * 2, word_dropout=0.2)
    rows = inputs.encode(["a b c"] * 2000).map(torch.from_numpy)
    changed = augmented(inputs, settings, rows).values
    assert (changed == UNKNOWN).float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(changed[changed != UNKNOWN], rows.values[changed != UNKNOWN])
