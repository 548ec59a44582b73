"""Model files: round trips, detection of damage, and failures that leave nothing behind."""

import errno
import json
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from elman import LSTM, Linear, Stack, convert, files
from elman.files import SCHEMA, read_tensors, replacing, write_tensors
from elman.state import from_bytes, to_bytes
from elman.training import model_tensors

GOLDEN = Path(__file__).parent / "golden"
TENSORS = {
    "cell.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "counts": np.array([1, -2, 3], dtype=np.int64),
    "nothing": np.zeros((0, 4), np.float64),
    "scale": np.array(0.5, np.float16),
}
METADATA = {
    "schema": SCHEMA,
    "task": "language-model",
    "settings": {"hidden_size": 3},
    "labels": ["é", "😀", '"', "\n", "\ud83d"],
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def same(read, written):
    return read.keys() == written.keys() and all(
        read[name].dtype == written[name].dtype and np.array_equal(read[name], written[name]) for name in written
    )


def test_round_trip(path):
    write_tensors(path, TENSORS, METADATA)
    tensors, metadata = read_tensors(path)
    assert same(tensors, TENSORS)
    assert metadata == METADATA
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_arrays_that_are_not_contiguous(path):
    array = np.arange(12.0).reshape(3, 4)
    write_tensors(path, {"turned": array.T, "part": array[:, 1:3]}, {})
    tensors, _ = read_tensors(path)
    assert (tensors["turned"] == array.T).all()
    assert (tensors["part"] == array[:, 1:3]).all()


def test_tensors_come_back_as_tensors(path):
    written = {"a": torch.randn(3, 2).T, "b": torch.tensor([True, False]), "c": torch.tensor(1.5, dtype=torch.bfloat16)}
    write_tensors(path, written, {})
    read, _ = read_tensors(path, torch=True)
    assert all(torch.equal(read[name], written[name]) and read[name].dtype == written[name].dtype for name in written)


def test_a_deferred_change_of_sign_is_applied(path):
    whole = torch.complex(torch.ones(2, 3), torch.full((2, 3), 2.0))
    written = {"imag": whole.conj().imag, "view": torch._neg_view(torch.ones(3)), "turned": whole.conj().imag.T}
    assert all(tensor.is_neg() for tensor in written.values())
    write_tensors(path, written, {})
    read, _ = read_tensors(path, torch=True)
    assert {name: tensor.unique().tolist() for name, tensor in read.items()} == {
        "imag": [-2.0],
        "view": [-1.0],
        "turned": [-2.0],
    }
    restored = from_bytes(to_bytes(written["view"]), torch.zeros(3))
    assert restored.tolist() == [-1.0] * 3


@pytest.mark.parametrize("write", ["save", "stepper", "to_keras", "to_onnx"])
def test_weights_with_a_deferred_change_of_sign(path, write):
    model = Stack(LSTM(2, 3), Linear(3, 2)).eval()
    for weight in model.parameters():
        weight.data = torch._neg_view(-weight.data)
    if write == "save":
        write_tensors(path, model_tensors(model), {})
        read, _ = read_tensors(path, torch=True)
        assert all(torch.equal(read[name], weight) for name, weight in model_tensors(model).items())
    elif write == "stepper":
        x, stepper = torch.ones(1, 2), model.stepper()
        stepper.input[...] = 1.0
        stepper()
        np.testing.assert_allclose(stepper.output, model.step(x, model.initial_state(1))[0].detach(), rtol=1e-5)
    else:
        pytest.importorskip("h5py" if write == "to_keras" else "onnx")
        file = path.with_suffix(".keras" if write == "to_keras" else ".onnx")
        getattr(convert, write)(model, file)
        again = getattr(convert, write.replace("to_", "from_"))(file)
        for mine, theirs in zip(model.parameters(), again.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs)


def test_tied_weights_and_arrays_with_tensors(path):
    weight = torch.randn(2, 3, requires_grad=True)
    write_tensors(path, {"in": weight, "out": weight, "counts": np.arange(4).reshape(2, 2).T}, {})
    read, _ = read_tensors(path)
    assert same(
        read, {"in": weight.detach().numpy(), "out": weight.detach().numpy(), "counts": np.array([[0, 2], [1, 3]])}
    )


def test_numpy_lacks_bfloat16(path):
    write_tensors(path, {"a": torch.zeros(2, dtype=torch.bfloat16)}, {})
    with pytest.raises(
        ValueError, match=r"model\.safetensors: contains tensors of 'BF16', which NumPy does not support; .*torch=True"
    ):
        read_tensors(path)


def test_safetensors_reads_it_too(path):
    from safetensors.numpy import load_file

    write_tensors(path, TENSORS, METADATA)
    assert same(load_file(path), TENSORS)


def test_the_same_content_is_the_same_bytes(path):
    write_tensors(path, TENSORS, METADATA)
    once = path.read_bytes()
    write_tensors(path, dict(reversed(TENSORS.items())), dict(reversed(METADATA.items())))
    assert path.read_bytes() == once


@pytest.mark.parametrize("tensors", [TENSORS, {}], ids=["tensors", "none"])
def test_a_truncated_file_raises(path, tensors):
    write_tensors(path, tensors, METADATA)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"model\.safetensors: (expected a model file of elman|truncated or alt)"):
            read_tensors(path)


def test_an_altered_byte_is_detected_or_harmless(path):
    write_tensors(path, TENSORS, METADATA)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    header = int.from_bytes(whole[:8], "little")
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= int(random.integers(1, 256))
        path.write_bytes(altered)
        try:
            tensors, metadata = read_tensors(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017
        else:  # a blank for a blank between the words of the header
            assert place < 8 + header
            assert same(tensors, TENSORS)
            assert metadata == METADATA


@pytest.mark.parametrize("place", ["start", "end"])
def test_extra_bytes_raise(path, place):
    write_tensors(path, TENSORS, METADATA)
    path.write_bytes(b"\0" + path.read_bytes() if place == "start" else path.read_bytes() + b"\0")
    with pytest.raises(ValueError, match=r"model\.safetensors: (expected a model file|truncated or altered)"):
        read_tensors(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 100, b"\x80\x04\x95pickle", b"\x02" + b"\0" * 7 + b"[]", b"\x02" + b"\0" * 7 + b"{}", b"text " * 40],
    ids=["empty", "zeros", "pickle", "list", "no metadata", "text"],
)
def test_files_of_other_formats_raise(path, content):
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"model\.safetensors: expected a model file of elman, got {len(content)} bytes"
    ):
        read_tensors(path)


def test_safetensors_of_other_programs_raise(path):
    from safetensors.numpy import save_file

    save_file(TENSORS, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="expected a model file of elman"):
        read_tensors(path)


def test_a_later_schema_is_an_error(path):
    write_tensors(path, TENSORS, {"schema": SCHEMA + 1})
    with pytest.raises(ValueError, match=rf"expected a schema up to {SCHEMA}, got {SCHEMA + 1}; update elman"):
        read_tensors(path)


def test_a_missing_file_is_one_clear_line(path):
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: no such file; give a run folder or a model file"):
        read_tensors(path)


def old_file(path):
    """Write a valid file to `path`, and return its bytes."""
    write_tensors(path, {"a": np.zeros(2)}, {})
    return path.read_bytes()


@pytest.fixture
def no_room():
    """Limit files to 4,096 bytes, so that a write fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_the_old_file(path, no_room):
    before = old_file(path)
    with pytest.raises(OSError, match=r"model\.safetensors: not saved: File too large; the existing file is unchanged"):
        write_tensors(path, {"a": np.zeros(10_000)}, {})
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_no_space_left_while_the_file_is_synced(path, monkeypatch, call):
    before = old_file(path)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, call, full)
    with pytest.raises(OSError, match=r"not saved: No space left on device; the existing file is unchanged") as caught:
        write_tensors(path, TENSORS, METADATA)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_failed_first_write_leaves_no_file(path, no_room):
    with pytest.raises(OSError, match=r"not saved: File too large; free disk space, or choose another path"):
        write_tensors(path, {"a": np.zeros(10_000)}, {})
    assert list(path.parent.iterdir()) == []


def test_an_unwritable_path_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    for place, error, way_out in (
        ("missing/m", FileNotFoundError, f"create the folder {tmp_path / 'missing'}, or choose another path"),
        ("file/m", NotADirectoryError, "choose another path"),
        ("folder", IsADirectoryError, "choose another path"),
    ):
        with pytest.raises(error, match=rf"{place}: not saved: [\w ]+; {way_out}$"):
            write_tensors(tmp_path / place, TENSORS, METADATA)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_clear_line(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(
        PermissionError, match=r"model: not saved: Permission denied; change the permissions, or choose"
    ):
        write_tensors(folder / "model", TENSORS, METADATA)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interruption_leaves_the_old_file(path, error):
    before = old_file(path)

    def interrupted():
        with replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_metadata_must_be_json(path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_tensors(path, TENSORS, {"model": object()})
    assert list(path.parent.iterdir()) == []


def golden(schema):
    """Return the contents of the golden file. Run this file to write it for a new schema."""
    return TENSORS, {**METADATA, "schema": schema}


@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_files_of_every_schema_are_read(schema):
    tensors, metadata = golden(schema)
    read, found = read_tensors(GOLDEN / f"schema-{schema}.safetensors")
    assert same(read, tensors)
    assert json.dumps(found, sort_keys=True) == json.dumps(metadata, sort_keys=True)


if __name__ == "__main__":
    write_tensors(GOLDEN / f"schema-{SCHEMA}.safetensors", *golden(SCHEMA))
