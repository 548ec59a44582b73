"""The native kernels under the address and undefined-behaviour sanitizers, through their Python bindings."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from elman.kernels import native

ROOT = Path(__file__).parents[2]
EXERCISE = Path(__file__).with_name("exercise_native.py")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exercise(tmp_path_factory):
    """Return a function that runs exercise_native.py on an extension built with sanitizers."""
    folder = tmp_path_factory.mktemp("sanitized")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", folder, ROOT]
    here = ";".join(isa for isa in native.ISAS if isa != "baseline" and native.module.supported(isa))
    settings = [f"cmake.define.{setting}" for setting in ("ELMAN_SANITIZE=ON", f"ELMAN_ISAS={here}")]
    subprocess.run([*install, *(f"--config-settings={setting}" for setting in settings)], check=True, timeout=1800)
    compiler = os.environ.get("CXX", "c++")
    runtimes = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so", "libstdc++.so")
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), sysconfig.get_path("purelib")]),
        "LD_PRELOAD": " ".join(runtimes),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python does not free all memory at exit
    }

    def run(*arguments, **more):
        # -S: without the packages of this environment, which include an elman without sanitizers
        command = [sys.executable, "-S", EXERCISE, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment | more)

    return run


@pytest.mark.parametrize("isa", native.ISAS)
def test_the_kernels_stay_inside_their_arrays(exercise, isa):
    if not native.available() or not native.module.supported(isa):
        pytest.skip(f"this processor has no {isa}")
    done = exercise(ELMAN_ISA=isa, ELMAN_NUM_THREADS="3")
    assert done.stdout == "native agrees\n", done.stderr


@pytest.mark.parametrize(
    "kernel",
    [
        "attention",
        "best",
        "linear_scan",
        "semiring_scan",
        "kalman",
        "linear",
        "masks",
        "softmax",
        "rnn",
        "lstm",
        "gru_after",
    ],
)
def test_the_sanitizers_detect_an_overrun(exercise, kernel):
    done = exercise("--overrun", kernel)
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
