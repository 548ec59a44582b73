"""Reader of captions: tables with folders and archives of pictures, and their errors."""

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from elman.data.readers.captions import PictureFile, read_captions

NAMES = "a.png", "b.jpg", "c.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for shade, name in enumerate(NAMES):
        Image.fromarray(np.full((4, 6, 3), 80 * shade, np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def archive(folder: Path) -> Path:
    path = folder.with_name("photos.zip")
    with zipfile.ZipFile(path, "w") as file:
        for name in NAMES:
            file.write(folder / name, f"Dataset/{name}")
        file.writestr("README.txt", "no picture")
    return path


def table(folder: Path, text: str, name: str = "captions.tsv") -> Path:
    path = folder.parent / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


FLICKR = "b.jpg\t0\tA dog .\na.png\t0\tA man .\nb.jpg\t1\tA black dog\n"


@pytest.mark.parametrize("name", ["captions.tsv", "captions.tsv.gz"])
def test_several_captions_of_a_picture(folder: Path, name: str) -> None:
    path = table(folder, FLICKR, name)
    read = read_captions(path, folder)
    assert read.pictures == [PictureFile(folder / "b.jpg"), PictureFile(folder / "a.png")]
    assert read.captions == [["A dog .", "A black dog"], ["A man ."]]
    assert read.places == [f"{path}:1", f"{path}:2"]
    assert read == read_captions(path, [folder], image=1, caption=3)
    assert read_captions(path, folder, image="1", caption="2").captions == [["0", "1"], ["0"]]


def test_tables_with_a_header(folder: Path) -> None:
    texts = {
        "a.csv": "image,caption\na.png,\"A man, a dog\"\n",
        "b.tsv": "id\tCaption\tImage\n7\tA man, a dog\ta.png\n",
        "c.jsonl": json.dumps({"image": "a.png", "caption": "A man, a dog"}),
        "d.tsv": "file\tsaid\na.png\tA man, a dog\n",
    }  # fmt: skip
    for name, text in texts.items():
        columns = {"image": "file", "caption": "said"} if name == "d.tsv" else {}
        read = read_captions(table(folder, text, name), folder, **columns)
        assert (read.captions, read.pictures) == ([["A man, a dog"]], [PictureFile(folder / "a.png")])


def test_an_archive(folder: Path, archive: Path) -> None:
    read = read_captions(table(folder, FLICKR), archive)
    assert [str(picture) for picture in read.pictures] == [f"{archive}/Dataset/{name}" for name in ("b.jpg", "a.png")]
    assert read.pictures[0].read() == PictureFile(folder / "b.jpg").read() == (folder / "b.jpg").read_bytes()
    assert read.pictures == read_captions(table(folder, FLICKR.replace("b.", "Dataset/b.")), archive).pictures


def test_several_folders(folder: Path, archive: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (folder / "a.png").rename(other / "a.png")
    read = read_captions([table(folder, FLICKR)], [folder, other])
    assert [picture.path.parent for picture in read.pictures] == [folder, other]


def failing(message: str, *arguments: object, **columns: object) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        read_captions(*arguments, **columns)
    assert "\n" not in str(raised.value)


def test_missing_pictures_are_errors(folder: Path, archive: Path) -> None:
    path = table(folder, FLICKR + "x.png\t0\tA cat\nx.png\t1\tThe cat\n")
    failing(rf"captions\.tsv:4: the picture 'x\.png' is not in {folder}; add it", path, folder)
    path = table(folder, FLICKR + "x.png\t0\tA cat\nz.png\t1\tThe cat\n\t1\tA cow\n")
    failing(r"captions\.tsv:4: the picture 'x\.png' is not in \S+\.zip \(and 2 more are missing\);", path, archive)


def test_empty_captions_and_wrong_columns_are_errors(folder: Path) -> None:
    failing(r"captions\.tsv:2: the caption of 'a\.png' is empty;", table(folder, "b.jpg\tA dog\na.png\t \n"), folder)
    failing(r"captions\.tsv: expected rows, found none\.", table(folder, ""), folder)
    failing(
        r"one\.tsv: expected a column of picture names and one of captions",
        table(folder, "a.png\n", "one.tsv"),
        folder,
    )
    failing(
        r"captions\.tsv:3: expected 3 fields as in line 1, got 2;", table(folder, FLICKR.replace("\t1", "")), folder
    )
    failing(
        r"captions\.txt: expected a table of captions, a file named \*\.csv",
        table(folder, FLICKR, "captions.txt"),
        folder,
    )
    failing(
        "expected a column of images and one of captions, got only 'image'; name both",
        table(folder, FLICKR),
        folder,
        image="image",
    )
    failing(r"captions\.tsv: no column 'photo'", table(folder, FLICKR), folder, image="photo", caption="said")


def test_paths_without_pictures_are_errors(folder: Path, archive: Path) -> None:
    path = table(folder, FLICKR)
    failing(r"captions\.tsv: expected a folder of pictures, or a \.zip", path, path)
    failing(r"expected a folder or a \.zip of pictures, got none", path, [])
    archive.write_bytes(archive.read_bytes()[:-40])
    failing(r"photos\.zip: expected a whole \.zip: ", path, archive)
    with pytest.raises(FileNotFoundError, match=r"nowhere: cannot be read"):
        read_captions(path, folder / "nowhere")


def test_a_damaged_member(folder: Path, archive: Path) -> None:
    read = read_captions(table(folder, FLICKR), archive)
    content = bytearray(archive.read_bytes())
    content[45:60] = bytes(15)
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png: cannot be unpacked: "):
        read.pictures[1].read()


def test_pictures_without_a_caption_are_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="elman")
    (folder / "more").mkdir()
    for name in ("d.png", "e.png"):
        (folder / "more" / name).write_bytes((folder / "a.png").read_bytes())
    read_captions(table(folder, "a.png\tA dog\nmore/d.png\tA cat\nmore/e.png\tA cow\n"), folder)
    assert "2 pictures without a caption are ignored" in caplog.text
