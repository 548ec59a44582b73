"""Settings and fixtures of all tests: one thread per worker, the same random examples in each CI run, and real data."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest

IN_CI = "CI" in os.environ

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("ELMAN_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch: the workers are the threads

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell starts background jobs so; tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("elman", deadline=None, derandomize=IN_CI)
hypothesis.settings.load_profile("elman")


def pytest_runtest_setup(item):
    if item.get_closest_marker("needs_native"):
        from elman.kernels import native

        if not native.available():
            pytest.skip("there are no native kernels: the package was installed without a compiler")


@pytest.fixture(scope="session")
def data_path() -> Path:
    """Return the folder of real data sets, from the environment variable ELMAN_DATA."""
    folder = os.environ.get("ELMAN_DATA")
    if folder is None:
        missing = pytest.fail if IN_CI else pytest.skip
        missing("ELMAN_DATA does not name the folder of real data sets")
    return Path(folder)


@pytest.fixture
def largest_tensor():
    """Return a context manager that stores the size of the largest tensor created inside it in `.elements`."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class LargestTensor(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            made = result if isinstance(result, tuple | list) else [result]
            self.elements = max([self.elements, *(leaf.numel() for leaf in made if torch.is_tensor(leaf))])
            return result

    return LargestTensor()
