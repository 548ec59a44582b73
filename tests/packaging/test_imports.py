import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["elman", "elman.runtime", "elman.classical", "elman.metrics"])
def test_running_needs_neither_pytorch_nor_sklearn(package):
    code = f"import sys, {package}; print(sorted({{'torch', 'sklearn'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr
