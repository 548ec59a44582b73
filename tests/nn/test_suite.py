"""PyTorch's public tests of recurrent modules, with the classes of `elman.nn` in place of `torch.nn`'s.

The environment variable ELMAN_TORCH_TESTS names a checkout of PyTorch, of the release that is installed. `make
test-slow` then runs them, in a separate process, because they replace the classes in `torch.nn`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = ["test_nn.py", "test_modules.py", "nn/test_packed_sequence.py"]
CONCERNED = "rnn or lstm or gru or test_packed_sequence"  # -k ignores case
EXCEPTIONS: dict[str, str] = {}  # tests that fail here, and why: at most five; docs/coming-from-torch.md lists them


def run(folder: Path, plugin: bool) -> dict[str, set[str]]:
    """Return the tests by outcome."""
    files = [name for name in FILES if (folder / name).exists()]
    options = ["-p", "as_elman"] if plugin else []
    command = [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", "-p", "no:xdist", "-rA",
               "--tb=short", "-c", os.devnull, "--rootdir", folder, "-k", CONCERNED, *files]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    outcomes: dict[str, set[str]] = {"PASSED": set(), "FAILED": set(), "ERROR": set()}
    for outcome, name in re.findall(r"^(PASSED|FAILED|ERROR) (\S+)", ran.stdout, re.MULTILINE):
        outcomes[outcome].add(name)
    assert outcomes["PASSED"], ran.stdout + ran.stderr
    return outcomes


@pytest.mark.slow
def test_pytorchs_own_tests():
    checkout = os.environ.get("ELMAN_TORCH_TESTS")
    if checkout is None:
        pytest.skip("ELMAN_TORCH_TESTS does not name a checkout of PyTorch")
    folder = Path(checkout) / "test"
    theirs, ours = run(folder, plugin=False), run(folder, plugin=True)
    print(f"{len(ours['PASSED'])} pass, of {len(theirs['PASSED'])} that pass with torch.nn")
    broken = theirs["PASSED"] - ours["PASSED"]
    assert broken == set(EXCEPTIONS)  # an exception that passes is not one


def test_every_exception_is_on_the_page():
    page = (HERE.parents[1] / "docs" / "coming-from-torch.md").read_text(encoding="utf-8")
    assert len(EXCEPTIONS) <= 5
    assert [name for name in EXCEPTIONS if name.split("::")[-1] not in page] == []
