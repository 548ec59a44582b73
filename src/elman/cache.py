"""Cache of recomputable arrays, in the user's cache folder."""

import logging
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from elman.arrays import Array
from elman.files import read_tensors, write_tensors

logger = logging.getLogger("elman")


def folder() -> Path:
    """Return `$XDG_CACHE_HOME/elman`, or `~/.cache/elman`."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / "elman"


def load(name: str) -> dict[str, Any] | None:
    """Return the NumPy arrays stored under a name; None if the file is missing or damaged."""
    try:
        return read_tensors(folder() / name)[0]
    except (OSError, ValueError):
        return None


def store(name: str, arrays: Mapping[str, Array]) -> None:
    """Store arrays under a name, a path below the folder. Safe for concurrent processes. Log a failure once."""
    path = folder() / name
    own = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(own, arrays, {})
        os.replace(own, path)
    except OSError as error:
        _warn(folder(), error.strerror or str(error))


@lru_cache(maxsize=8)
def _warn(place: Path, why: str) -> None:
    logger.warning("%s: cannot write to the cache (%s); its contents will be computed again.", place, why)


def load_or_compute(name: str, make: Callable[[], Mapping[str, Array]]) -> dict[str, Any]:
    """Return the arrays stored under a name. If there are none, call `make` and store its result."""
    found = load(name)
    if found is None:
        found = dict(make())
        store(name, found)
    return found
