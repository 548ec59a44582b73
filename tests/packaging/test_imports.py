import subprocess
import sys

import pytest

RUNNING = ("classical", "data", "decoding", "hmm", "inputs", "metrics", "network", "runtime")


@pytest.fixture(scope="module")
def loaded():
    """Return the optional packages that are loaded with elman, then with each of the packages that run models."""
    code = f"""
import importlib, pkgutil, sys, elman
optional = ["torch", "sklearn", "scipy", "tokenizers", "PIL", "polars", "narwhals", "matplotlib"]
print("elman", *[name for name in optional if name in sys.modules])
for name in {RUNNING}:
    package = importlib.import_module("elman." + name)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    print(name, *[name for name in optional if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {name: found for name, *found in map(str.split, run.stdout.splitlines())}


@pytest.mark.parametrize("package", ["elman", *RUNNING])
def test_running_loads_no_optional_package(loaded, package):
    assert loaded[package] == []
