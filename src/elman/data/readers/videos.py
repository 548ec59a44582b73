"""Reader of videos in any format of FFmpeg, through PyAV."""

from pathlib import Path

import numpy as np

from elman.data.raw_files import reading
from elman.optional_packages import needed_by

SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".gif")


def read_video(file: Path, size: tuple[int, int] | None, color: bool) -> np.ndarray:
    """Read all frames of a video: uint8 [T, H, W], or [T, H, W, 3] in colour. Where it is transparent, it is on white.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a video, it is damaged, or its frames differ in size and no size is given.
        ModuleNotFoundError: PyAV is not installed.
    """
    with needed_by(f"{file}: a video"):
        import av
    with reading(file):
        file.open("rb").close()
    height, width = size or (None, None)
    form = "rgb24" if color else "gray"
    pixels, shape = bytearray(), None  # the frames grow in place: a long video is in memory once
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise ValueError("it has no video stream")
            for frame in container.decode(video=0):
                if any(part.is_alpha for part in frame.format.components):
                    frame = av.VideoFrame.from_ndarray(_on_white(frame.to_ndarray(format="rgba")), "rgb24")
                picture = frame.reformat(width, height, form, interpolation="BILINEAR").to_ndarray()
                if picture.shape != (shape or picture.shape):
                    raise ValueError("its frames differ in size; give size=(height, width)")
                shape = picture.shape
                pixels += picture.tobytes()
    except (av.FFmpegError, ValueError) as error:
        reason = error.strerror if isinstance(error, av.FFmpegError) else error
        raise ValueError(f"{file}: expected a video, but it cannot be read: {reason}.") from None
    if shape is None:
        raise ValueError(f"{file}: expected a video, but it has no frames.")
    return np.frombuffer(pixels, np.uint8).reshape(-1, *shape)


def _on_white(pixels: np.ndarray) -> np.ndarray:
    """Return colours [H, W, 3] on white of colours with opacity, uint8 [H, W, 4]."""
    color, opacity = pixels[..., :3].astype(np.uint32), pixels[..., 3:].astype(np.uint32)
    return np.ascontiguousarray(((color * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8))
