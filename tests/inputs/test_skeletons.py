import numpy as np
import pytest

from elman.inputs import InputSettings
from elman.inputs.skeletons import Skeletons

GENERATOR = np.random.default_rng(0)
WALK = GENERATOR.normal(size=(6, 5, 3))
KIND = Skeletons()


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


@pytest.mark.parametrize("row", [np.zeros((4, 15)), np.zeros((4, 5, 4)), np.zeros((4, 5, 3), bool)])
def test_unusable_skeletons(row):
    with pytest.raises(ValueError, match=r"row 1: expected joints of shape \[T, J, 2\] or \[T, J, 3\], got"):
        Skeletons().fit([WALK, row], InputSettings())
