"""Cache folder of the user: computed once, read later, and harmless if it cannot be written."""

import logging
from pathlib import Path

import numpy as np
import pytest

from elman import cache


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache.folder() == tmp_path / "cache" / "elman"
    monkeypatch.setenv("HOME", str(tmp_path))
    for unusable in ("", "not/absolute"):  # ignored, according to the XDG specification
        monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        assert cache.folder() == tmp_path / ".cache" / "elman"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == tmp_path / ".cache" / "elman"


def test_cached_arrays_are_computed_once() -> None:
    made = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"a": np.arange(3.0)}

    for _ in range(2):
        np.testing.assert_array_equal(cache.load_or_compute("below/a.safetensors", make)["a"], np.arange(3.0))
    assert len(made) == 1
    assert [file.name for file in (cache.folder() / "below").iterdir()] == ["a.safetensors"]


def test_a_damaged_file_is_made_again() -> None:
    cache.store("a.safetensors", {"a": np.arange(3.0)})
    path = cache.folder() / "a.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    assert cache.load("a.safetensors") is None
    cache.load_or_compute("a.safetensors", lambda: {"a": np.ones(2)})
    np.testing.assert_array_equal(cache.load("a.safetensors")["a"], np.ones(2))


def test_a_folder_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("a file")
    with caplog.at_level(logging.WARNING, "elman"):
        for name in ("a", "b"):
            assert cache.load_or_compute(name, lambda: {"a": np.ones(2)})["a"].sum() == 2
    assert caplog.text.count("cannot write to the cache") == 1
