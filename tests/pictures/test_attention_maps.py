"""Attention maps over an image."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from elman.pictures import attention_maps

PHOTO = np.full((40, 60, 3), 90, np.uint8)


def drawn(figure):
    FigureCanvasAgg(figure).draw()
    return np.asarray(figure.canvas.buffer_rgba())


def test_each_word_has_its_map():
    weights = np.zeros((2, 4, 4))
    weights[0, 0, 0] = weights[1, 3, 3] = 1
    figure = attention_maps(PHOTO, ["dog", ""], weights, title="a $dog")
    assert [axis.get_title() for axis in figure.axes] == ["", "dog", "(end)"]
    assert figure.get_suptitle() == "a $dog"
    whole, first, last = (axis.get_images() for axis in figure.axes)
    assert len(whole) == 1
    for images, place in ((first, (0, 0)), (last, (3, 3))):
        photo, heat = (image.get_array() for image in images)
        np.testing.assert_array_equal(photo, PHOTO)
        assert np.unravel_index(heat[..., 3].argmax(), (4, 4)) == place
        assert np.count_nonzero(heat[..., 3]) == 1  # transparent where the attention is zero
        assert images[1].get_extent() == list(images[0].get_extent()) == [-0.5, 59.5, 39.5, -0.5]
    assert drawn(figure).std() > 0


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 500, 3), (500, 1, 3), (30, 20)])
def test_pictures_of_any_shape(shape):
    figure = attention_maps(np.zeros(shape, np.uint8), [f"word {number}" for number in range(11)], np.ones((11, 2, 3)))
    assert max(figure.get_size_inches()) < 24
    drawn(figure)


def test_wrong_arguments():
    for words, weights in ((["a"], np.ones((2, 2, 2))), ([], np.ones((0, 2, 2))), (["a"], np.ones((2, 2)))):
        with pytest.raises(ValueError, match=r"pictures.attention_maps: expected weights of shape \[T="):
            attention_maps(PHOTO, words, weights)
    for odd in (-1, np.nan):
        with pytest.raises(ValueError, match="expected weights of at least 0"):
            attention_maps(PHOTO, ["a"], np.full((1, 2, 2), odd))
    with pytest.raises(ValueError, match=r"expected an image \[H, W, 3\] or \[H, W\], got \[3\]"):
        attention_maps(np.zeros(3), ["a"], np.ones((1, 2, 2)))
