"""What can be made again is kept in the user's cache folder, so that it is made once."""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from elman.arrays import Array
from elman.files import read_tensors, write_tensors

logger = logging.getLogger("elman")


def folder() -> Path:
    """`$XDG_CACHE_HOME/elman`, or `~/.cache/elman`."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / "elman"


def kept(name: str) -> dict[str, Any] | None:
    """The NumPy arrays that are kept under a name; None where there are none, or the file is damaged."""
    try:
        return read_tensors(folder() / name)[0]
    except (OSError, ValueError):
        return None


def keep(name: str, arrays: Mapping[str, Array]) -> None:
    """Keep arrays under a name, a path below the folder; a folder that cannot be written is a warning, once a file."""
    path = folder() / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, arrays, {})
    except OSError as error:
        logger.warning("%s: not kept (%s); it will be made again.", path, error.strerror)


def once(name: str, make: Callable[[], Mapping[str, Array]]) -> dict[str, Any]:
    """What is kept under a name; what `make` gives, and is kept from now on, where nothing is."""
    found = kept(name)
    if found is None:
        found = dict(make())
        keep(name, found)
    return found
