"""Reader of folders of pictures and videos: one subfolder per class, one size, and errors with the file name."""

import re
import sys
import wave
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from elman.data.readers import read_labelled

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (3, 16, 24), dtype=np.uint8)
COLOR = RANDOM.integers(0, 256, (3, 16, 24, 3), dtype=np.uint8)


def picture(path: Path, pixels: np.ndarray, **how: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, **how)
    return path


def video(path: Path, frames: Iterable[np.ndarray], codec: str = "ffv1", form: str = "gray") -> Path:
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = None
        for pixels in frames:
            if stream is None:
                stream = container.add_stream(codec, rate=10)
                stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], form
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.ndim == 3 else "gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def failing(path: Path, pattern: str, **settings: object) -> None:
    with pytest.raises(ValueError, match=pattern) as raised:
        read_labelled(path, **settings)
    assert "\n" not in str(raised.value)


def test_a_subfolder_is_a_class(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("cat/1.png", "cat/2.PNG", "dog/0.bmp")]
    for file, pixels in zip(files, GREY, strict=True):
        picture(file, pixels)
    for litter in (".DS_Store", "cat/Thumbs.db"):
        (tmp_path / litter).touch()
    read = read_labelled(tmp_path)
    np.testing.assert_array_equal(read.inputs, GREY)
    assert read[1:] == (["cat", "cat", "dog"], [str(file) for file in files])
    alone = read_labelled(tmp_path / "cat")
    np.testing.assert_array_equal(alone.inputs, GREY[:2])
    assert alone.labels is None
    assert read_labelled(files[2:]).places == [str(files[2])]


def test_grey_or_colour(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", COLOR[0])
    np.testing.assert_array_equal(read_labelled(path, color=True).inputs[0], COLOR[0])
    luma = COLOR[0] @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    np.testing.assert_allclose(read_labelled(path).inputs[0], luma, atol=1)
    grey = read_labelled(picture(tmp_path / "b.png", GREY[0]), color=True).inputs[0]
    np.testing.assert_array_equal(grey, np.repeat(GREY[0][:, :, None], 3, 2))


def test_kinds_of_pictures(tmp_path: Path) -> None:
    deep = np.arange(0, 1 << 16, 64, dtype=np.uint16).reshape(32, 32)
    np.testing.assert_array_equal(read_labelled(picture(tmp_path / "16.png", deep)).inputs[0], deep >> 8)
    lying = picture(tmp_path / "a.tiff", GREY[0], exif=exif(orientation=6))  # to be turned by a quarter, clockwise
    np.testing.assert_array_equal(read_labelled(lying).inputs[0], np.rot90(GREY[0], -1))
    Image.fromarray(GREY[0]).convert("P").save(tmp_path / "p.png", transparency=b"\0\1\2")
    on_white = np.where(GREY[0] < 3, 255 - GREY[0], GREY[0])
    np.testing.assert_array_equal(read_labelled(tmp_path / "p.png").inputs[0], on_white)
    flat = picture(tmp_path / "a.jpg", np.full((8, 8), 77, np.uint8))
    np.testing.assert_allclose(read_labelled(flat).inputs[0], 77, atol=1)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def test_sizes_that_differ(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png", GREY[0])
    other = picture(tmp_path / "b" / "1.png", np.full((8, 20), 9, np.uint8))
    message = (
        r"b/1\.png: expected 16 x 24 pixels \(height x width\) as in \S+a/1\.png, got 8 x 20; give size=\(height, "
    )
    failing(tmp_path, message)
    failing([tmp_path / "a", other], message)
    read = read_labelled(tmp_path, size=[4, 6], color=True)
    assert [image.shape for image in read.inputs] == [(4, 6, 3)] * 2
    np.testing.assert_array_equal(read.inputs[1], 9)
    # Resizing by whole factors averages the covered pixels.
    assert abs(read.inputs[0].mean() - GREY[0].mean()) < 5


@pytest.mark.parametrize("size", [(0, 5), (5,), (1, 2, 3), (16385, 2), (2, 2**63), (2.0, 2), ("2", 2)])
def test_a_wrong_size_is_an_error(tmp_path: Path, size: tuple[int, ...]) -> None:
    failing(tmp_path, r"size: expected \(height, width\), each from 1 to 16384, got ", size=size)


def test_videos(tmp_path: Path) -> None:
    video(tmp_path / "in" / "a.mkv", GREY)
    path = video(tmp_path / "out" / "a.avi", GREY[:2])
    read = read_labelled(tmp_path)
    np.testing.assert_array_equal(read.inputs[0], GREY)
    np.testing.assert_array_equal(read.inputs[1], GREY[:2])
    assert read.labels == ["in", "out"]
    assert read.places[1] == str(path)
    assert [frames.shape for frames in read_labelled(tmp_path, size=(8, 4)).inputs] == [(3, 8, 4), (2, 8, 4)]
    colored = video(tmp_path / "c.mkv", COLOR, form="bgr0")
    np.testing.assert_array_equal(read_labelled(colored, color=True).inputs[0], COLOR)
    assert read_labelled(colored).inputs[0].shape == (3, 16, 24)


def test_real_videos(tmp_path: Path) -> None:
    levels = np.arange(0, 256, 50, dtype=np.uint8)
    frames = np.broadcast_to(levels[:, None, None], (len(levels), 16, 24))
    packed = read_labelled(video(tmp_path / "a.mp4", frames, "mpeg4", "yuv420p")).inputs[0]
    np.testing.assert_allclose(packed, frames, atol=4)
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others)
    np.testing.assert_array_equal(read_labelled(tmp_path / "a.gif").inputs[0], frames)


def test_pictures_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "cat" / "a.png"
    message = r"cat/a\.png: expected a picture, but it cannot be read: "
    whole = picture(path, GREY[0]).read_bytes()
    for data, why in (
        (b"nonsense", r"Pillow does not support its format\.$"),
        (b"", r"Pillow does not support its format\.$"),
        (whole[:-200], "image file is truncated"),
    ):
        path.write_bytes(data)
        failing(tmp_path, message + why)
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "f.tif")
    failing(tmp_path / "f.tif", r"f\.tif: expected a picture with 8 or 16 bits a channel, got 32")


def test_videos_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "wave" / "a.mp4"
    whole = video(path, GREY, "mpeg4", "yuv420p").read_bytes()
    for data in (b"nonsense" * 99, b"", whole[:-300]):
        path.write_bytes(data)
        failing(tmp_path, r"wave/a\.mp4: expected a video, but it cannot be read: (Invalid data found|End of file)")
    with wave.open(str(tmp_path / "sound.avi"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    failing(tmp_path / "sound.avi", r"sound\.avi: expected a video, but it cannot be read: it has no video stream\.$")


def test_frames_that_differ_in_size(tmp_path: Path) -> None:
    small = video(tmp_path / "a.mpg", [frame[:, :16] for frame in GREY], "mpeg2video", "yuv420p").read_bytes()
    large = video(tmp_path / "b.mpg", GREY, "mpeg2video", "yuv420p").read_bytes()
    (tmp_path / "c.mpg").write_bytes(small + large)
    failing(
        tmp_path / "c.mpg", r"c\.mpg: expected a video, .* its frames differ in size; give size=\(height, width\)\.$"
    )
    assert read_labelled(tmp_path / "c.mpg", size=(8, 8)).inputs[0].shape[1:] == (8, 8)


def test_pictures_and_videos_do_not_mix(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", GREY[0])
    video(tmp_path / "b.mkv", GREY)
    failing(tmp_path, r"b\.mkv: a picture and a video \(\S+a\.png\) together; read them separately\.$")


def test_folders_that_hold_something_else(tmp_path: Path) -> None:
    failing(tmp_path, re.escape(f"{tmp_path}: expected pictures or videos, found none."))
    (tmp_path / "cat").mkdir()
    failing(tmp_path, r"cat: expected pictures or videos, found none\.$")
    picture(tmp_path / "cat" / "a.png", GREY[0])
    (tmp_path / "notes.txt").touch()
    failing(tmp_path, r"notes\.txt: a file next to folders; expected one folder per class, or only files\.$")
    (tmp_path / "notes.txt").rename(tmp_path / "cat" / "notes.txt")
    failing(tmp_path, r"cat/notes\.txt: expected a picture or a video \(\.png \.jpg .*\); move it elsewhere\.$")
    (tmp_path / "cat" / "notes.txt").unlink()
    (tmp_path / "cat" / "kittens").mkdir()
    failing(tmp_path, r"cat/kittens: a folder in the folder of a class; expected pictures or videos\.$")


@pytest.mark.parametrize(("name", "module", "package"), [("a.png", "PIL", "pillow"), ("a.mp4", "av", "av")])
def test_a_missing_package_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, package: str
) -> None:
    (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ModuleNotFoundError, match=rf"needs the package {package}; install it with: pip install {package}$"
    ) as raised:
        read_labelled(tmp_path / name)
    assert raised.value.name == module
