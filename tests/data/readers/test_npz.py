"""Arrays of NumPy: ragged series, frames and images; never a pickle."""

import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from elman.data.readers import read_labelled
from elman.data.readers.npz import read_npz


def write(folder: Path, **arrays: object) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


@pytest.mark.parametrize("shape", [(), (2,), (20, 3)])
def test_steps_of_rows_one_after_the_other(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(-9, 9, (6, *shape), dtype=np.int16)
    path = write(tmp_path, values=values, lengths=np.array([2, 0, 4], np.int32), labels=["a", "b", "a"])
    read = read_labelled(path)
    for row, expected in zip(read.inputs, (values[:2], values[2:2], values[2:]), strict=True):
        np.testing.assert_array_equal(row, expected)
        assert row.dtype == np.int16
    assert read[1:] == (["a", "b", "a"], [f"{path}:case 0", f"{path}:case 1", f"{path}:case 2"])


def test_rows_of_one_length(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    read = read_labelled(write(tmp_path, values=values, labels=[1, 0], label_names=["no", "yes"], other=[1]))
    np.testing.assert_array_equal(read.inputs, values)
    assert read.labels == ["yes", "no"]
    assert read_labelled(write(tmp_path, values=values)).labels is None
    assert read_labelled(write(tmp_path, values=values, labels=[7, 8])).labels == ["7", "8"]


def test_rows_are_views_of_what_was_read(tmp_path: Path) -> None:
    rows = [row.input for row in read_npz(write(tmp_path, values=np.zeros((6, 2)), lengths=[1, 2, 3]))]
    assert all(row.base is not None and row.base is rows[0].base for row in rows)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"value": [1.0], "lengths": [1]}, "expected an array 'values', got value, lengths."),
        ({"values": np.zeros((4, 2))}, "expected lengths [B] with values [4, 2], or values [B, T, D]."),
        (
            {"values": np.zeros((4, 2)), "lengths": [1, 2]},
            "expected values of 3 steps, the sum of lengths, got [4, 2].",
        ),
        ({"values": np.zeros((1, 2)), "lengths": [2, -1]}, "expected lengths [B] of whole numbers, got int64 [2]."),
        ({"values": np.zeros((1, 2)), "lengths": [1.0]}, "expected lengths [B] of whole numbers, got float64 [1]."),
        ({"values": ["x"], "lengths": [1]}, "expected values of numbers, got <U1."),
        (
            {"values": [None], "lengths": [1]},
            "expected an .npz file of np.savez, without objects: values.npy holds Python objects.",
        ),
        (
            {"values": np.zeros((2, 3, 1)), "labels": ["a"]},
            "expected labels [2] of strings or whole numbers, one a row",
        ),
        (
            {"values": np.zeros((1, 3, 1)), "labels": [0.5]},
            "expected labels [1] of strings or whole numbers, one a row",
        ),
        (
            {"values": np.zeros((1, 3, 1)), "labels": [2], "label_names": ["a", "b"]},
            "expected labels from 0 to 1, got 2",
        ),
        ({"values": np.zeros((1, 3, 1)), "labels": ["a"], "label_names": ["a"]}, "expected label_names [C] of strings"),
        ({"values": np.zeros((0, 3, 1))}, "expected rows, found none."),
    ],
)
def test_arrays_that_do_not_agree(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    path = write(tmp_path, **{name: np.array(array) for name, array in arrays.items()})
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}: {message}")):
        read_labelled(path)


@pytest.mark.parametrize("data", [b"", b"nonsense", b"PK\x05\x06"])
def test_a_malformed_file_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    with pytest.raises(
        ValueError, match=r"a\.npz: expected an \.npz file of np\.savez, without objects: it is not a zip archive"
    ):
        read_labelled(path)


def test_a_broken_file(tmp_path: Path) -> None:
    path = write(tmp_path, values=np.ones((99, 2, 2)))
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.npz: expected an \.npz file of np\.savez, without objects: Bad CRC"):
        read_labelled(path)


def test_a_header_is_compared_with_the_file_before_memory_is_allocated(tmp_path: Path) -> None:
    def member(header: str, data: bytes = b"\0" * 64, magic: bytes = b"\x93NUMPY\x01\x00") -> bytes:
        text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
        return magic + struct.pack("<H", len(text)) + text + data

    good = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2, 2), }"
    damaged = {
        "values.npy has no header of NumPy (": [
            member("{'descr': '<f8', 'fortran_order': False"),
            member("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), 'more': 1}"),
            member("{'descr': '<f8', 'fortran_order': False, 'shape': (2.5, 2), }"),
            member("{'descr': '<x9', 'fortran_order': False, 'shape': (2, 2), }"),
            member("[" * 300),
            member(good)[:40],
            member(good, magic=b"\x93NUMPX\x01\x00"),
            member(good, magic=b"\x93NUMPY\x09\x00"),
            b"",
        ],
        "values.npy has a header of float64 [": [
            member("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 2), }"),
            member("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }"),
            member("{'descr': '<f8', 'fortran_order': False, 'shape': (-8,), }"),
            member(good)[:-1],
            member(good, b"\0" * 65),
        ],
    }
    path = tmp_path / "a.npz"
    for message, members in {"": [member(good)], **damaged}.items():
        for content in members:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("values.npy", content)
            if not message:
                assert read_labelled(path).inputs[0].shape == (2, 2)
                continue
            with pytest.raises(ValueError, match=re.escape(f"{path}: expected an .npz file of np.savez, ")) as error:
                read_labelled(path)
            assert message in str(error.value)
            assert "\n" not in str(error.value)


def test_compressed_arrays_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", values=np.zeros((100, 100, 10)))
    assert len(read_labelled(tmp_path / "a.npz").inputs) == 100
