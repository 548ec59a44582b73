"""What a user installs: the sdist, the wheel, and the package without a compiler, each in a clean place."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXERCISE = Path(__file__).with_name("exercise_native.py")

pytestmark = pytest.mark.slow


def run(*command, **environment):
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=600, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheel_of(folder):
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the sdist, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory, built):
    """The programs of an environment that holds the wheel and what it depends on, and nothing else."""
    folder = tmp_path_factory.mktemp("clean") / "env"
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "python", "-m", "pip", "install", wheel_of(built))
    return folder / "bin"


def test_the_sdist_holds_what_a_build_needs(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "CHANGELOG.md", "CMakeLists.txt", "native/layers/linear_scan.hpp", "src/elman/cell.py"} <= names


def test_the_wheel_holds_the_licence_the_types_and_the_extension(built):
    names = zipfile.ZipFile(wheel_of(built)).namelist()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "elman/py.typed" in names
    assert any(name.startswith("elman/_native") for name in names)


def test_a_clean_environment_runs_it_without_pytorch(clean):
    assert run(clean / "python", EXERCISE) == "native agrees\n"
    code = "import elman, importlib.util as u; print(elman.Sequences.__name__, u.find_spec('torch'))"
    assert run(clean / "python", "-c", code) == "Sequences None\n"


def test_a_clean_environment_has_the_command(clean):
    assert "train" in run(clean / "elman", "--help")


def test_without_a_compiler_the_reference_answers(tmp_path):
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--wheel-dir",
        tmp_path,
        ROOT,
        CC="/bin/false",
        CXX="/bin/false",
    )
    wheel = wheel_of(tmp_path)
    assert wheel.name.endswith("py3-none-any.whl")
    code = """
import torch
import elman
from elman.kernels import native
from elman.kernels.linear_scan import linear_scan
h, last = linear_scan(torch.full((2, 1), 0.5), torch.ones(2, 1), [2], torch.zeros(1, 1))
print(elman.__file__, native.available(), last.item())
"""
    # -S: without what the environment itself installs, the elman with the extension among it
    path = os.pathsep.join([str(wheel), sysconfig.get_path("purelib")])
    assert run(sys.executable, "-S", "-c", code, PYTHONPATH=path) == f"{wheel}/elman/__init__.py False 1.5\n"
