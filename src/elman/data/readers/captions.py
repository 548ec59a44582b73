"""Reader of captioned pictures: tables of captions, and folders or .zip files of pictures."""

import csv
import logging
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from elman.data.raw_files import Paths, as_paths, check_exists, lines, reading
from elman.data.readers.columns import Column
from elman.data.readers.files import suffix_of
from elman.data.readers.images import SUFFIXES
from elman.data.readers.parallel import text_pairs
from elman.representation import brief_fields

HEADER = "image", "caption"  # default columns of a table with a header
TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz")

logger = logging.getLogger("elman")


class PictureFile(NamedTuple):
    """Path of a picture, in a folder or in a .zip file."""

    path: Path
    member: str | None = None  # name in the .zip at `path`

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"

    def read(self) -> bytes:
        """Return the content of the file.

        Raises:
            OSError: the file cannot be read.
            ValueError: the .zip is damaged.
        """
        if self.member is None:
            with reading(self.path):
                return self.path.read_bytes()
        try:
            return _archive(self.path).read(self.member)
        except (zipfile.BadZipFile, RuntimeError, EOFError) as error:  # a .zip with a password raises RuntimeError
            raise ValueError(f"{self}: cannot be unpacked: {error}.") from None


@brief_fields
class Captioned(NamedTuple):
    """B different pictures, in the order in which the tables first name them."""

    pictures: list[PictureFile]
    captions: list[list[str]]  # at least one per picture
    places: list[str]  # file and line of the first caption of each picture: `captions.tsv:12`


def read_captions(
    paths: Paths, images: Paths, *, image: Column | None = None, caption: Column | None = None
) -> Captioned:
    """Read tables of captions and find the pictures that they name.

    A line of a table names a picture and gives one caption of it. Pictures that no table names are ignored. The
    pictures themselves are not opened yet.

    Args:
        paths: tables (`.csv .tsv .jsonl`, each also `.gz`).
        images: folders or .zip files that hold the pictures.
        image, caption: columns: names in the header, or numbers (from 1) for tables without one. By default, `image`
            and `caption` if the header has them, otherwise the first and the last column of a table without a header.
    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: a caption is empty, a picture or a column is missing, or a line is not UTF-8 (with file and line);
            a .zip is damaged; or an argument has no effect.
    """
    if (image is None) != (caption is None):
        raise ValueError(f"expected a column of images and one of captions, got only {image or caption!r}; name both.")
    files = [_Pictures(path) for path in as_paths(images)]
    if not files:
        raise ValueError("expected a folder or a .zip of pictures, got none.")
    found: dict[str, PictureFile] = {}
    missing: dict[str, str] = {}  # name of a missing picture -> place in the table
    captions: dict[str, list[str]] = {}
    places: dict[str, str] = {}
    for name, text, place in (row for path in as_paths(paths) for row in _rows(path, image, caption)):
        if not text.strip():
            raise ValueError(f"{place}: the caption of {name!r} is empty; write one, or remove the line.")
        if name not in captions:
            picture = next((file for pictures in files if (file := pictures.find(name))), None)
            if picture is None:
                missing.setdefault(name, place)
                continue
            found[name], captions[name], places[name] = picture, [], place
        captions[name].append(text)
    if missing:
        name, place = next(iter(missing.items()))
        more = f" (and {len(missing) - 1} more are missing)" if len(missing) > 1 else ""
        where = ", ".join(map(str, as_paths(images)))
        raise ValueError(f"{place}: the picture {name!r} is not in {where}{more}; add it, or name the folder "
                         "or .zip that holds it.")  # fmt: skip
    if unused := {file for pictures in files for file in pictures.all()} - {*found.values()}:
        logger.info("%s pictures without a caption are ignored", f"{len(unused):,}")
    return Captioned(list(found.values()), list(captions.values()), list(places.values()))


def pictures_in(path: Path) -> list[PictureFile]:
    """Return one picture, or all pictures of a folder or a .zip, sorted by name.

    Raises:
        OSError: the path cannot be read.
        ValueError: there are no pictures, or the path is a file of another kind.
    """
    check_exists(path)
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        return [PictureFile(path)]
    if not path.is_dir() and path.suffix.lower() != ".zip":
        kinds = " ".join(SUFFIXES)
        raise ValueError(f"{path}: expected a picture ({kinds}), a folder of pictures, or a .zip.")
    found = _Pictures(path).all()
    if not found:
        raise ValueError(f"{path}: expected pictures ({' '.join(SUFFIXES)}), found none.")
    return found


def _rows(file: Path, image: Column | None, caption: Column | None) -> Iterator[tuple[str, str, str]]:
    """Yield the name of a picture, a caption, and their place in the file."""
    if suffix_of(file) not in TABLES:
        raise ValueError(f"{file}: expected a table of captions, a file named {' '.join('*' + end for end in TABLES)}.")
    if image is None or caption is None:
        image, caption = _usual_columns(file)
    for row in text_pairs(file, image, caption):
        yield row.input.strip(), row.label, row.place


def _usual_columns(file: Path) -> tuple[Column, Column]:
    suffix = suffix_of(file)
    if suffix.startswith(".jsonl"):
        return HEADER
    first = next((line for line in lines(file) if line.strip()), "")
    fields = next(csv.reader([first], delimiter="," if suffix.startswith(".csv") else "\t"), [])
    names = {field.strip().lower(): field.strip() for field in fields}
    if names.keys() >= set(HEADER):
        return names[HEADER[0]], names[HEADER[1]]
    if not fields:
        raise ValueError(f"{file}: expected rows, found none.")
    if len(fields) < 2:
        raise ValueError(f"{file}: expected a column of picture names and one of captions, got one column.")
    return 1, len(fields)


class _Pictures:
    """Pictures of a folder or a .zip."""

    def __init__(self, path: Path):
        self.path = path
        check_exists(path)
        self.names: list[str] | None = None  # in a .zip
        if path.is_dir():
            return
        if path.suffix.lower() != ".zip":
            raise ValueError(f"{path}: expected a folder of pictures, or a .zip.")
        self.names = sorted(name for name in _archive(path).namelist() if name.lower().endswith(SUFFIXES))
        # Archives often contain a folder whose name the tables leave out.
        self.members = {PurePosixPath(name).name: name for name in self.names} | {name: name for name in self.names}

    def all(self) -> list[PictureFile]:
        """Return every picture, sorted by name."""
        if self.names is not None:
            return [PictureFile(self.path, name) for name in self.names]
        with reading(self.path):
            return [PictureFile(file) for file in sorted(self.path.iterdir()) if file.suffix.lower() in SUFFIXES]

    def find(self, name: str) -> PictureFile | None:
        if self.names is None:
            path = self.path / name
            return PictureFile(path) if name and path.is_file() else None
        return PictureFile(self.path, self.members[name]) if name in self.members else None


def _archive(path: Path) -> zipfile.ZipFile:
    """Open an archive. It is kept open until the file changes, so its directory is read once."""
    with reading(path):
        status = path.stat()
    return _opened(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _opened(path: Path, _changed: int, _size: int) -> zipfile.ZipFile:
    try:
        with reading(path):
            return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: expected a whole .zip: {error}; fetch it again, or unpack it.") from None
