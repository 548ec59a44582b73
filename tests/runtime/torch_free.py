"""Python code in a process where neither PyTorch nor SciPy can be imported."""

import json
import os
import subprocess
import sys
from typing import Any

BLOCK = """import sys, json
for name in ("torch", "scipy", "sklearn"):
    sys.modules[name] = None
"""


def run(code: str, *arguments: Any, native: bool = True) -> Any:
    """Return the JSON that the code prints.

    Args:
        code: Python, which prints one JSON value; `sys.argv[1:]` are the arguments.
        native: whether the native kernels are available.
    """
    environment = {**os.environ} if native else {**os.environ, "ELMAN_NATIVE": "0"}
    command = [sys.executable, "-c", BLOCK + code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
