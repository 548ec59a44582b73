import numpy as np
import pytest

from elman.inputs import InputSettings
from elman.inputs.pixels import Pixels

KIND = Pixels()


def test_rows_of_pixels_one_after_another():
    assert KIND.row(np.arange(6, dtype=np.uint8).reshape(2, 3)).tolist() == [[0], [1], [2], [3], [4], [5]]


def test_a_step_is_a_colour():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert KIND.row(image).tolist() == image.reshape(8, 3).tolist()
    assert Pixels().fit([image], InputSettings()).description == "pixels of 3 variables"


def test_images_of_any_size():
    rows = [np.ones((2, 3), np.uint8), np.zeros((4, 1), np.uint8), np.zeros((0, 3), np.uint8)]
    encoded = Pixels().fit(rows, InputSettings()).encode(rows)
    assert encoded.lengths.tolist() == [6, 4, 0]
    assert encoded.values.mean() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("row", [np.zeros(4), np.zeros((2, 2, 2, 2)), np.array([["a"]])])
def test_unusable_images(row):
    with pytest.raises(ValueError, match=r"row 0: expected an image of shape \[H, W\] or \[H, W, C\], got"):
        Pixels().fit([row], InputSettings())
