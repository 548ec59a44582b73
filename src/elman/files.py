"""One model file: tensors under their module path and JSON metadata, in the safetensors format. Never a pickle."""

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

SCHEMA = 1  # of the files this version writes; golden files of every schema are kept in the tests
TEMPORARY = ".partial"  # a file being written has this ending until it is whole
_KEY = "elman"  # safetensors metadata maps strings to strings: ours is one JSON text under this key


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when it is whole and on the disk, and leaves nothing when it fails.

    Raises:
        OSError: `model.safetensors: not saved: No space left on device; ...`; what was at `path` is still there.
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
            kept = "; the file that was there is unchanged" if path.exists() else ""
            told = f"{path}: not saved: {error.strerror}{kept}; free the disk or name another place"
            raise type(error)(error.errno, told) from error
        raise
    _sync_folder(path.parent)


def write_tensors(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Write NumPy arrays or PyTorch tensors and JSON-able metadata, with a digest of both; whole or not at all."""
    example = next((tensor for tensor in tensors.values() if is_tensor(tensor)), None)
    if example is not None:
        from safetensors.torch import save

        # Tied weights are one tensor under two names, which safetensors refuses: each gets memory of its own.
        blob = save({name: tensor.detach().contiguous().clone() if is_tensor(tensor) else like(tensor.copy(), example)
                     for name, tensor in tensors.items()})  # fmt: skip
    else:
        from safetensors.numpy import save as save_numpy

        # Of an array that is not contiguous safetensors writes other numbers than it holds.
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
    """The tensors (NumPy arrays, or PyTorch tensors on request) and the metadata of a file that `write_tensors` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a file, or is truncated or altered, or a later version of elman wrote it.
    """
    path = Path(path)
    try:
        blob = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; name a run folder or a model file that elman wrote.") from None
    try:
        table = _table(blob)
        own = table.pop("__metadata__")
        text, digest = own[_KEY], own["sha256"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path}: not a model file of elman, or cut short at its start ({len(blob)} bytes).") from None
    data = memoryview(blob)[8 + int.from_bytes(blob[:8], "little") :]
    if _digest(table, text, data) != digest:
        raise ValueError(f"{path}: truncated or altered: its {len(data)} bytes of tensors do not match the digest in "
                         "the file; take a copy that is whole, or train again.")  # fmt: skip
    metadata = json.loads(text)
    schema = metadata.get("schema", SCHEMA)
    if schema > SCHEMA:
        raise ValueError(f"{path}: schema {schema}, this version of elman reads up to {SCHEMA}; update elman.")
    try:
        return import_module("safetensors.torch" if torch else "safetensors.numpy").load(blob), metadata
    except KeyError as error:  # safetensors' way to say that NumPy lacks the type
        raise ValueError(f"{path}: holds tensors of {error}, which NumPy lacks; read them with torch=True.") from None


def _table(blob: bytes) -> dict[str, Any]:
    """The header of a safetensors file: where each tensor lies."""
    size = int.from_bytes(blob[:8], "little")
    if len(blob) < 8 or len(blob) < 8 + size:
        raise ValueError("header cut short")
    return json.loads(blob[8 : 8 + size])


def _digest(table: Mapping[str, Any], metadata: str, data: memoryview) -> str:
    digest = hashlib.sha256(json.dumps(table, sort_keys=True).encode())
    digest.update(metadata.encode(errors="surrogatepass"))
    digest.update(data)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the file system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
