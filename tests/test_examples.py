"""Copies of the example data: all of them, or none and an error that names the path."""

import errno
import shutil

import pytest

from elman import examples


def test_every_file_is_copied(tmp_path):
    copied = examples.copy(tmp_path / "a" / "b")
    assert sorted(path.name for path in copied) == examples.names()
    assert (tmp_path / "a" / "b" / "photos" / "00.png").exists()
    with pytest.raises(FileExistsError, match=r"agreement\.jsonl: exists already; name another folder"):
        examples.copy(tmp_path / "a" / "b")


@pytest.mark.parametrize(("name", "cause"), [("file", "File exists"), ("file/a", "Not a directory"),
                                             ("x" * 300, "File name too long")])  # fmt: skip
def test_a_folder_that_cannot_be_made(tmp_path, name, cause):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=f"{name}: cannot be made: {cause}; name another folder"):
        examples.copy(tmp_path / name)


def test_a_copy_that_fails_leaves_nothing(tmp_path, monkeypatch):
    copyfile = shutil.copyfile

    def full(source, target, **options):
        copyfile(source, target)
        if str(target).endswith("10.png"):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(OSError, match="No space left"):
        examples.copy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
