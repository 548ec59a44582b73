"""Transparent pictures are read as a viewer shows them: on white."""

import numpy as np
import pytest

from elman.data.readers import read_labelled

Image = pytest.importorskip("PIL.Image")

SHOWN = np.full((4, 4), 255)
SHOWN[1:3, 1:3] = 0  # a black square on a transparent ground, whose pixels are stored as black


def drawing(mode):
    opaque = np.zeros((4, 4), np.uint8)
    opaque[1:3, 1:3] = 255
    black = np.zeros((4, 4), np.uint8)
    if mode == "P":
        image = Image.fromarray((opaque == 0).astype(np.uint8), "P")
        image.putpalette([0] * 6)
        image.info["transparency"] = 1
        return image
    if mode in ("L", "RGB"):  # one colour is transparent
        dark = np.where(opaque, 0, 3).astype(np.uint8)
        image = Image.fromarray(dark).convert(mode)
        image.info["transparency"] = 3 if mode == "L" else (3, 3, 3)
        return image
    channels = [black] * (len(mode) - 1)
    return Image.fromarray(np.stack([*channels, opaque], -1), mode)


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize(
    ("mode", "name"),
    [("RGBA", "a.png"), ("LA", "a.png"), ("P", "a.png"), ("L", "a.png"), ("RGB", "a.png"), ("RGBA", "a.tiff")],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_black_drawing_is_seen(tmp_path, mode, name, color):
    image = drawing(mode)
    image.save(tmp_path / name)
    read = read_labelled(tmp_path / name, color=color).inputs[0]
    np.testing.assert_array_equal(read, SHOWN[..., None].repeat(3, -1) if color else SHOWN)


def test_webp(tmp_path):
    drawing("RGBA").save(tmp_path / "a.webp", lossless=True)
    np.testing.assert_array_equal(read_labelled(tmp_path / "a.webp").inputs[0], SHOWN)


def test_half_transparent_pixels_are_half_white(tmp_path):
    Image.fromarray(np.array([[[0, 0, 0, 128], [200, 200, 200, 0], [7, 7, 7, 255]]], np.uint8)).save(tmp_path / "a.png")
    assert read_labelled(tmp_path / "a.png").inputs[0].tolist() == [[127, 255, 7]]


def test_transparent_pixels_do_not_darken_a_smaller_picture(tmp_path):
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).save(tmp_path / "a.png")
    assert (read_labelled(tmp_path / "a.png", size=(3, 5)).inputs[0] == 255).all()


def test_an_opaque_picture_is_unchanged(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labelled(tmp_path / "a.png", color=True).inputs[0], pixels)
    Image.fromarray(pixels).convert("RGBA").save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_labelled(tmp_path / "b.png", color=True).inputs[0], pixels)


@pytest.mark.parametrize("color", [False, True])
def test_a_transparent_video(tmp_path, color):
    pytest.importorskip("av")
    frames = [drawing("P"), drawing("P").transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], transparency=1, disposal=2)
    read = read_labelled(tmp_path / "a.gif", color=color).inputs[0]
    for frame in read:
        np.testing.assert_allclose(frame, SHOWN[..., None].repeat(3, -1) if color else SHOWN, atol=2)
