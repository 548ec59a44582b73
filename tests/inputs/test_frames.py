import numpy as np
import pytest

from elman.inputs import InputSettings
from elman.inputs.frames import Frames

GENERATOR = np.random.default_rng(0)
GREY = [GENERATOR.integers(0, 256, (length, 6, 7)).astype(np.uint8) for length in (3, 0, 2)]


def fitted(rows):
    return Frames().fit(rows, InputSettings())


def test_grey_frames_have_mean_0_and_deviation_1():
    encoded = fitted(GREY).encode(GREY)
    assert encoded.values.shape == (5, 1, 6, 7)
    assert encoded.values.dtype == np.float32
    assert encoded.lengths.tolist() == [3, 0, 2]
    assert encoded.values.mean() == pytest.approx(0, abs=1e-5)
    assert encoded.values.std() == pytest.approx(1, rel=1e-5)


def test_colours_are_channels():
    colour = GENERATOR.integers(0, 256, (4, 6, 7, 3)).astype(np.uint8)
    inputs = fitted([colour])
    values = inputs.encode([colour]).values
    assert inputs.description == "frames of 6 x 7 x 3"
    back = np.moveaxis(values, 1, 3) * inputs.scale + inputs.mean
    np.testing.assert_allclose(back, colour, atol=1e-3)


def test_grey_with_and_without_a_channel_is_the_same():
    inputs = fitted(GREY)
    assert np.array_equal(inputs.encode([GREY[0][..., None]]).values, inputs.encode(GREY[:1]).values)


def test_frames_of_floats():
    rows = [row / 255 for row in GREY]
    np.testing.assert_allclose(fitted(rows).encode(rows).values, fitted(GREY).encode(GREY).values, atol=1e-5)


def test_constant_frames_are_0():
    rows = [np.full((3, 4, 4), 7, np.uint8)]
    assert np.abs(fitted(rows).encode(rows).values).max() == 0


def test_empty_rows_have_no_size():
    rows = [np.zeros((0, 1, 1), np.uint8), *GREY]
    assert fitted(rows).encode(rows).lengths.tolist() == [0, 3, 0, 2]


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (
            np.zeros((2, 6, 8), np.uint8),
            r"row 1: expected steps of shape \[C, H, W\] = \[1, 6, 7\], as in training, got \[1, 6, 8\]",
        ),
        (
            np.zeros((2, 6, 7, 3), np.uint8),
            r"row 1: expected steps of shape \[C, H, W\] = \[1, 6, 7\], as in training, got \[3, 6, 7\]",
        ),
        (np.zeros((6, 7), np.uint8), r"row 1: expected frames of shape \[T, H, W\] or \[T, H, W, C\], got uint8"),
        (np.full((2, 6, 7), np.nan), "row 1: a frame holds NaN or infinity"),
        (np.full((2, 6, 7), 1e300), "row 1: a frame holds NaN or infinity"),
    ],
)
def test_unusable_frames(row, error):
    with pytest.raises(ValueError, match=error):
        fitted([GREY[0], row])
    with pytest.raises(ValueError, match=error):
        fitted(GREY).encode([GREY[0], row])


def test_rows_without_frames():
    with pytest.raises(ValueError, match="frames: expected rows with frames, got 2 that are all empty"):
        fitted([GREY[1], GREY[1]])
