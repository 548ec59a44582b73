"""Public names, and the time of an import."""

import subprocess
import sys
from importlib import import_module

import pytest

import elman


@pytest.mark.parametrize("name", elman.__all__)
def test_public_names_resolve_and_have_docstrings(name):
    thing = getattr(elman, name)
    assert thing.__name__ == name
    assert thing.__doc__


def test_dir_lists_them_without_importing_anything():
    code = "import sys, elman; dir(elman); print({'torch', 'numpy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
    assert {"LSTM", "Sequences", "__version__"} <= set(dir(elman))


@pytest.mark.parametrize("name", ["convert", "doctor", "examples", "pictures", "data.memory_problems", "data.readers"])
def test_dir_of_a_module_lists_its_public_names_only(name):
    module = import_module(f"elman.{name}")
    assert dir(module) == sorted(module.__all__)
    assert all(callable(getattr(module, public)) for public in module.__all__)


@pytest.mark.parametrize("name", ["classical", "convert", "doctor", "pictures", "runtime"])
def test_subpackages_are_attributes(name):
    assert getattr(elman, name).__name__ == f"elman.{name}"
    assert name in dir(elman)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'elman' has no attribute 'LSMT'"):
        elman.LSMT  # noqa: B018


@pytest.mark.parametrize("package", ["elman", "elman.runtime"])
def test_imports_are_quick(package):
    code = f"import time; start = time.process_time(); import {package}; print(time.process_time() - start)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) < 0.3
