"""Installing from the source archive, from the wheel, and without a compiler, each in a clean environment."""

import os
import re
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


def run(*command, cwd=None, stdin="", **environment):
    """Run a command that must succeed; return its standard output."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=cwd,
        input=stdin,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheel_of(folder):
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a folder with the source archive, and a wheel with the baseline kernels alone, which compile fast."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, SKBUILD_CMAKE_DEFINE="ELMAN_ISAS=baseline")
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory, built):
    """Return the `bin` folder of an environment with the wheel and what running trained models needs."""
    folder = tmp_path_factory.mktemp("clean") / "env"
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "python", "-m", "pip", "install", f"{wheel_of(built)}[runtime]")
    return folder / "bin"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder with the example data and a run of each task, trained in this environment."""
    folder = tmp_path_factory.mktemp("runs")
    run(sys.executable, "-m", "elman.cli", "examples", folder / "data")
    tiny = "--set hidden_size=8 --set epochs=1"
    for words in ("language-model book.txt --out ../book --set units=bpe --set ngram_order=2",
                  "classifier reviews.tsv --text sentence --label stars --out ../reviews",
                  "tagger train.txt --validation dev.txt --out ../names",
                  "translator train.en train.de --out ../en-de",
                  "captioner captions.tsv --images photos/ --out ../photos"):  # fmt: skip
        run(sys.executable, "-m", "elman.cli", "train", *words.split(), *tiny.split(), cwd=folder / "data")
    return folder


def test_the_source_archive_contains_all_sources(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "CHANGELOG.md", "CMakeLists.txt", "native/layers/linear_scan.hpp", "src/elman/cell.py"} <= names


def test_the_wheel_contains_the_licence_the_types_and_the_extension(built):
    names = zipfile.ZipFile(wheel_of(built)).namelist()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "elman/py.typed" in names
    assert any(name.startswith("elman/_native") for name in names)


def test_a_clean_environment_runs_it_without_pytorch(clean):
    assert run(clean / "python", EXERCISE, PYTHONPATH="") == "native agrees\n"
    code = "import elman, importlib.util as u; print(elman.Sequences.__name__, u.find_spec('torch'))"
    assert run(clean / "python", "-c", code, PYTHONPATH="") == "Sequences None\n"


def test_a_clean_environment_has_the_command(clean):
    assert "train" in run(clean / "elman", "--help", PYTHONPATH="")


def test_the_runtime_adds_at_most_40_megabytes_to_numpy(clean):
    (packages,) = clean.parent.glob("lib/python*/site-packages")
    others = ("numpy", "pip", "setuptools", "pkg_resources", "_distutils", "distutils")
    added = [folder for folder in packages.iterdir() if not folder.name.startswith(others)]
    assert sum(file.stat().st_size for folder in added for file in folder.rglob("*")) < 40e6


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        ("predict reviews", "a film to remember\n"),
        ("predict names", "Ada Lovelace lived in London.\n"),
        ("predict en-de", "The old dog sleeps in the snow.\n"),
        ("predict photos data/photos/07.png", ""),
        ("generate book --length 40", ""),
        ("evaluate book data/another.txt", ""),
        ("evaluate names data/test.txt", ""),
        ("surprisal book data/stimuli.txt", ""),
    ],
)
def test_trained_models_run_without_pytorch_and_print_the_same(clean, runs, words, stdin):
    expected = run(sys.executable, "-m", "elman.cli", *words.split(), cwd=runs, stdin=stdin)
    texts, numbers = parted(run(clean / "elman", *words.split(), cwd=runs, stdin=stdin, PYTHONPATH=""))
    assert texts == parted(expected)[0]
    assert numbers == pytest.approx(parted(expected)[1], abs=2e-5)  # another NumPy may round a sum differently


def parted(output: str) -> tuple[list[str], list[float]]:
    """Return the text between the decimal numbers of an output, and the numbers."""
    parts = re.split(r"(-?\d+\.\d+)", output)
    return parts[::2], [float(part) for part in parts[1::2]]


def test_without_a_compiler_elman_falls_back_to_python(tmp_path):
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
    # -S: without the packages of this environment, which include an elman with the extension
    path = os.pathsep.join([str(wheel), sysconfig.get_path("purelib")])
    assert run(sys.executable, "-S", "-c", code, PYTHONPATH=path) == f"{wheel}/elman/__init__.py False 1.5\n"
