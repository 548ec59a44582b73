import numpy as np
import pytest
import torch

from elman.layers import Differences
from elman.tasks.inputs import InputSettings
from elman.tasks.inputs.skeletons import Skeletons

GENERATOR = np.random.default_rng(0)
WALK = GENERATOR.normal(size=(6, 5, 3))
KIND = Skeletons(InputSettings())


def test_place_and_size_of_a_body_change_nothing():
    np.testing.assert_allclose(KIND.row(3 * WALK + [5, -70, 200]), KIND.row(WALK), atol=1e-12)


def test_the_middle_is_the_origin_and_the_size_is_1():
    joints = KIND.row(WALK).reshape(6, 5, 3)
    np.testing.assert_allclose(joints.mean(1), 0, atol=1e-12)
    sizes = np.sqrt((joints**2).sum(2).mean(1))
    assert np.median(sizes) == pytest.approx(1)
    assert sizes.std() > 0.01  # one size per row: a body that crouches is smaller


@pytest.mark.parametrize("lost", [0.0, np.nan, np.inf])
def test_a_lost_skeleton_is_the_one_before_it(lost):
    walk = WALK.copy()
    walk[[0, 3, 4]] = lost
    expected = WALK[[1, 1, 2, 2, 2, 5]]
    np.testing.assert_allclose(KIND.row(walk), KIND.row(expected), atol=1e-12)


def test_a_joint_that_is_missing_loses_the_skeleton():
    walk = WALK.copy()
    walk[3, 2, 1] = np.nan
    np.testing.assert_allclose(KIND.row(walk), KIND.row(WALK[[0, 1, 2, 2, 4, 5]]), atol=1e-12)


def test_a_row_without_any_skeleton_is_0():
    assert KIND.row(np.zeros((4, 5, 3))).tolist() == np.zeros((4, 15)).tolist()
    assert KIND.row(np.zeros((0, 5, 3))).shape == (0, 1)


def test_joints_that_lie_in_one_point():
    assert np.abs(KIND.row(np.full((2, 5, 2), 3.0))).max() == 0


def test_whole_numbers_and_two_dimensions():
    walk = GENERATOR.integers(0, 640, (6, 5, 2))
    np.testing.assert_allclose(KIND.row(walk), KIND.row(walk.astype(float)))


def test_differences_of_skeletons():
    inputs = Skeletons(InputSettings(input_dropout=0)).fit([WALK, WALK[:2]])
    assert inputs.width == 15
    assert [layer.output_size for layer in inputs.layers()] == [30]
    still = Skeletons(InputSettings(input_dropout=0, differences=False)).fit([WALK])
    assert still.layers() == []


def test_small_movements_stay_small():
    walk = WALK * 0.01
    walk[:, :4] += [[1, 2, 3], [4, 5, 6], [7, 8, 9], [-3, 2, 1]]
    walk[:, 4] += WALK[:, 4]  # this joint swings
    inputs = Skeletons(InputSettings(input_dropout=0)).fit([walk])
    deviations = inputs.encode([walk]).values.std(0).reshape(5, 3)
    assert (deviations[4] > 3 * deviations[:4].max(0)).all()
    assert np.sqrt((deviations**2).mean()) == pytest.approx(1)
    [scale] = [layer.scale.numpy() for layer in inputs.layers() if isinstance(layer, Differences)]
    assert (scale == scale[0]).all()


@pytest.mark.parametrize("row", [np.zeros((4, 15)), np.zeros((4, 5, 4)), np.zeros((4, 5, 3), bool)])
def test_unusable_skeletons(row):
    with pytest.raises(ValueError, match=r"row 1: expected joints of shape \[T, J, 2\] or \[T, J, 3\], got"):
        Skeletons(InputSettings()).fit([WALK, row])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_body_that_is_turned_keeps_its_shape(dimensions):
    rows = [GENERATOR.normal(size=(length, 5, dimensions)) for length in (6, 0, 4)]
    inputs = Skeletons(InputSettings(turn=30)).fit(rows)
    torch.manual_seed(0)
    given = inputs.encode(rows).map(torch.from_numpy)
    turned = inputs.augment(given)
    before, after = (
        (some.values.numpy() * inputs.scale + inputs.mean).reshape(10, 5, dimensions) for some in (given, turned)
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
    inputs = Skeletons(InputSettings(turn=5)).fit([WALK, *rows])
    torch.manual_seed(0)
    turned = inputs.augment(inputs.encode(rows).map(torch.from_numpy)).values.numpy() * inputs.scale + inputs.mean
    joints = inputs.row(WALK[:1]).reshape(5, 3)
    change = np.sqrt(((turned.reshape(-1, 5, 3) - joints) ** 2).mean())
    radians = np.radians(5)
    assert change == pytest.approx(radians * np.sqrt(2 / 3 * (joints**2).sum(1).mean()), rel=0.05)
