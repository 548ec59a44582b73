"""Readers of files, folders and data frames: labelled rows, or pairs of texts, each with its place in the file."""

from elman.data.readers.captions import Captioned, PictureFile, read_captions
from elman.data.readers.data_frames import read_frame
from elman.data.readers.files import read_labelled
from elman.data.readers.labelled import Labelled
from elman.data.readers.parallel import Parallel, read_parallel
from elman.data.readers.tagged import read_tagged

__all__ = [
    "Captioned",
    "Labelled",
    "Parallel",
    "PictureFile",
    "read_captions",
    "read_frame",
    "read_labelled",
    "read_parallel",
    "read_tagged",
]


def __dir__() -> list[str]:
    return __all__
