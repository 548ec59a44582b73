"""Selection of the reader of a file, and arguments without effect on it."""

import sys
from pathlib import Path

import numpy as np
import pytest

from elman.data.readers import read_labelled


def test_the_end_of_the_name_decides(tmp_path: Path) -> None:
    folder = tmp_path / "v1.0"  # a dot in the name of a folder is not a suffix
    folder.mkdir()
    (folder / "a.b.CSV").write_text("t\nx\n")
    assert read_labelled(folder / "a.b.CSV", text="t").inputs == ["x"]


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.gz", "a.npz.gz", "a.txt"])
def test_an_unknown_kind_of_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=rf"{name}: expected a folder of pictures or .* ends in \.csv .*\.ts .*\.mp4"):
        read_labelled(tmp_path / name, text="t")


def test_a_missing_path(tmp_path: Path) -> None:
    for name in ("a.csv", "a.npz", "a.png", "folder"):
        with pytest.raises(FileNotFoundError, match=rf"{name}: cannot be read: No such file or directory\.$"):
            read_labelled(tmp_path / name)


def test_a_table_without_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,l\nx,y\n")
    for label in (None, "l"):
        with pytest.raises(ValueError, match=r"a\.csv: expected text=COLUMN or values=COLUMNS for a table; name"):
            read_labelled(tmp_path / "a.csv", label=label)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": "t", "values": "v"}, r"expected text .* or values .*, got both\.$"),
        ({"text": "t", "group": "g"}, r"group='g': has no effect on texts"),
        ({"text": "t", "label": "t"}, r"expected different columns, got 't' twice"),
        ({"values": ["a", "b", "a"]}, r"expected different columns, got 'a' twice"),
    ],
)
def test_columns_that_do_not_go_together(columns: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_labelled("a.csv", **columns)


@pytest.mark.parametrize(
    ("name", "given", "of"),
    [
        ("a.npz", {"label": "l"}, "tables"),
        ("a.ts", {"text": "t"}, "tables"),
        ("a.csv", {"text": "t", "size": (2, 3)}, "pictures and videos"),
        ("a.npz", {"color": True}, "pictures and videos"),
        ("a.png", {"values": ["v"]}, "tables"),
        (".", {"group": "g"}, "tables"),
    ],
)
def test_arguments_without_effect_are_errors(tmp_path: Path, name: str, given: dict[str, object], of: str) -> None:
    if name != ".":
        (tmp_path / name).touch()
    message = rf": {list(given)[-1]}: has no effect on this file, only on {of}; leave it out\.$"
    with pytest.raises(ValueError, match=message):
        read_labelled(tmp_path / name, **given)


def test_files_of_different_kinds_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t\nx\n")
    np.savez(tmp_path / "a.npz", values=np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match="has no effect on this file"):
        read_labelled([tmp_path / "a.csv", tmp_path / "a.npz"], text="t")


def test_readers_import_no_heavy_package() -> None:
    import subprocess

    code = "import sys, elman.data.readers; print({'torch', 'polars', 'narwhals', 'PIL', 'av'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
