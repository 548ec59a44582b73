"""What every test shares: one thread a worker, laws that repeat in CI, and the real data."""

import os
from pathlib import Path

import hypothesis
import pytest

IN_CI = "CI" in os.environ

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch: the workers are the threads

hypothesis.settings.register_profile("elman", deadline=None, derandomize=IN_CI)
hypothesis.settings.load_profile("elman")


@pytest.fixture(scope="session")
def data_path() -> Path:
    """The folder of real data sets: the environment variable ELMAN_DATA names it."""
    folder = os.environ.get("ELMAN_DATA")
    if folder is None:
        missing = pytest.fail if IN_CI else pytest.skip
        missing("ELMAN_DATA does not name the folder of real data sets")
    return Path(folder)
