"""Model files: tensors under their module path and JSON metadata, in the safetensors format. Never a pickle."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from elman.arrays import Array, is_tensor, like
from elman.declared_types import field

SCHEMA = 1  # schema of the files that this version writes; the tests have a golden file
TEMPORARY = ".partial"  # suffix of a file until it is complete
NO_SPACE = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}  # no space on the disk, file too large, quota exceeded
_KEY = "elman"  # safetensors metadata maps strings to strings: the metadata is one JSON text under this key


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` once it is complete and on disk; a failure leaves no partial file.

    Raises:
        OSError: the file cannot be written: `model.safetensors: not saved: No space left on device; ...`. An earlier
            file at `path` is unchanged.
    """
    path = Path(path)
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            kept = "; the existing file is unchanged" if path.is_file() else ""
            message = f"{path}: not saved: {error.strerror}{kept}; {_way_out(path, error)}choose another path"
            raise type(error)(error.errno, message) from error
        raise
    _sync_folder(path.parent)


def _way_out(path: Path, error: OSError) -> str:
    """Return what to do about a file that cannot be written, except for another path; empty if nothing else helps."""
    if isinstance(error, FileNotFoundError):
        return f"create the folder {path.parent}, or "
    if isinstance(error, PermissionError):
        return "change the permissions, or "
    return "free disk space, or " if error.errno in NO_SPACE else ""


def write_tensors(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Write NumPy arrays or PyTorch tensors and JSON metadata, with a digest of both, atomically."""
    example = next((tensor for tensor in tensors.values() if is_tensor(tensor)), None)
    if example is not None:
        from safetensors.torch import save

        # safetensors rejects tied weights (one tensor under two names), so each name gets a copy. A copy also has no
        # deferred change of sign, such as that of `z.conj().imag`, which safetensors would not apply.
        blob = save({name: tensor.detach().contiguous().clone() if is_tensor(tensor) else like(tensor.copy(), example)
                     for name, tensor in tensors.items()})  # fmt: skip
    else:
        from safetensors.numpy import save as save_numpy

        # safetensors writes wrong numbers for an array that is not contiguous.
        blob = save_numpy({name: np.asarray(array, order="C") for name, array in tensors.items()})
    table, data = _table(blob), memoryview(blob)[8 + int.from_bytes(blob[:8], "little") :]
    text = json.dumps(dict(metadata), sort_keys=True)
    table["__metadata__"] = {_KEY: text, "sha256": _digest(table, text, data)}
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with replacing(path) as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.write(data)


def read_tensors(path: Path, torch: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the tensors (NumPy arrays, or PyTorch tensors if `torch`) and the metadata that `write_tensors` wrote.

    Raises:
        FileNotFoundError: the file is missing.
        IsADirectoryError: the path is a folder.
        ValueError: the file is not a model file of elman, is truncated or altered, or is of a later version of elman.
    """
    path = Path(path)
    try:
        blob = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; give a run folder or a model file that elman wrote.") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"{path}: expected a model file, got a folder; give the path of the file.") from None
    data = memoryview(blob)[8 + int.from_bytes(blob[:8], "little") :]
    try:
        table = _table(blob)
        stored = table.pop("__metadata__")
        text, expected = field(stored, _KEY, str), field(stored, "sha256", str)
        found = _digest(table, text, data)
    except (ValueError, KeyError, RecursionError):
        raise ValueError(f"{path}: expected a model file of elman, got {len(blob)} bytes of another format, or a "
                         "truncated file.") from None  # fmt: skip
    if found != expected:
        raise ValueError(f"{path}: truncated or altered: its {len(data)} bytes of tensors do not match the digest in "
                         "the file; use an intact copy, or train again.")  # fmt: skip
    with about_file(path):
        metadata = _json(text)
        schema = field({"schema": SCHEMA, **metadata}, "schema", int)
        if schema > SCHEMA:
            raise ValueError(f"expected a schema up to {SCHEMA}, got {schema}; update elman.")
        return _tensors(blob, torch), metadata


@contextmanager
def about_file(path: Path) -> Iterator[None]:
    """Re-raise the errors about the content of a file as one kind of error, which names the file.

    Raises:
        ValueError: a value or a type inside is wrong.
    """
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        text = str(error)
        raise error if text.startswith(f"{path}: ") else ValueError(f"{path}: {text}") from error


def check_finite(tensors: Mapping[str, Array]) -> None:
    """Raise unless all numbers of all tensors are finite.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    for name, array in tensors.items():
        wrong = ~(array.isfinite() if is_tensor(array) else np.isfinite(array))
        if wrong.any():
            raise ValueError(f"{name}: expected finite numbers, got {int(wrong.sum())} that are NaN or infinite; train "
                             "again, or use an earlier copy.")  # fmt: skip


def _tensors(blob: bytes, torch: bool) -> dict[str, Any]:
    from safetensors import SafetensorError

    try:
        return import_module("safetensors.torch" if torch else "safetensors.numpy").load(blob)
    except KeyError as error:  # NumPy lacks the dtype
        raise ValueError(f"contains tensors of {error}, which NumPy does not support; read them with "
                         "torch=True.") from None  # fmt: skip
    except SafetensorError as error:
        raise ValueError(f"not a table of tensors: {error}; write the file again.") from None


def _table(blob: bytes) -> dict[str, Any]:
    """Return the header of a safetensors file: the place of each tensor."""
    size = int.from_bytes(blob[:8], "little")
    if len(blob) < 8 or len(blob) < 8 + size:
        raise ValueError("truncated header")
    return _json(blob[8 : 8 + size])


def _json(text: str | bytes) -> dict[str, Any]:
    """Return a JSON dictionary.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or describes another value.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("expected JSON of a few levels, got a deeply nested text.") from None
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON dictionary, got {type(found).__name__}.")
    return found


def _digest(table: Mapping[str, Any], metadata: str, data: memoryview) -> str:
    digest = hashlib.sha256(json.dumps(table, sort_keys=True).encode())
    digest.update(metadata.encode(errors="surrogatepass"))
    digest.update(data)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power failure, if the file system supports it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
