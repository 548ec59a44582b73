import subprocess
import sys


def test_the_environment_can_leave_the_extension_aside():
    code = "from elman.kernels import native; print(native.available())"
    run = subprocess.run([sys.executable, "-c", code], env={"ELMAN_NATIVE": "0"}, capture_output=True, text=True)
    assert run.stdout == "False\n", run.stderr
