"""hmmlearn's own public tests, with `elman.hmm` instead of `hmmlearn.hmm` and `hmmlearn.base`.

They run in a separate process, because they replace modules and change NumPy's error state.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import hmmlearn
import pytest

HERE = Path(__file__).parent
SUITE = Path(hmmlearn.__file__).parent / "tests"
# docs/coming-from-hmmlearn.md has the same two tables.
LEFT_OUT = {  # files, and tests in a file, of modules other than hmmlearn.hmm and hmmlearn.base
    "test_variational_categorical.py": "hmmlearn.vhmm",
    "test_variational_gaussian.py": "hmmlearn.vhmm",
    "test_kl_divergence.py": "hmmlearn._kl_divergence",
    "test_utils.py": "hmmlearn.utils",
    "test_base.py::TestBaseAgainstWikipedia::test_do_": "hmmlearn._hmmc",
}
EXCEPTIONS = {  # tests that fail here, and why
    "test_gaussian_hmm.py::TestGaussianHMMWithSphericalCovars::test_underflow_from_scaling[scaling]":
        "expects scaled arithmetic to fail on an outlier; elman falls back to logarithms and fits it",
}  # fmt: skip
QUICK = [
    "test_base.py", "test_categorical_hmm.py", "test_gaussian_hmm.py", "test_multinomial_hmm.py", "test_poisson_hmm.py",
]  # fmt: skip


def run(files: list[str], *options: str) -> dict[str, set[str]]:
    """Return the names of the tests by outcome: passed, failed, xfailed, xpassed, error."""
    left_out = [f"tests/{name}" for name in LEFT_OUT if "::" in name]
    command = [sys.executable, "-m", "pytest", "-p", "as_elman", "-p", "no:cacheprovider", "-p", "no:xdist", "-rA",
               "--tb=short", "-W", "ignore::RuntimeWarning", "--rootdir", SUITE.parent, "-c", os.devnull, *options,
               *(SUITE / name for name in files), *(f"--deselect={name}" for name in left_out)]  # fmt: skip
    path = os.pathsep.join([str(HERE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]).rstrip(os.pathsep)
    environment = os.environ | {"PYTHONPATH": path, "HMMLEARN_SEED": "0", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=SUITE.parent)
    outcomes: dict[str, set[str]] = {"PASSED": set(), "FAILED": set(), "ERROR": set(), "XFAIL": set(), "XPASS": set()}
    for outcome, name in re.findall(r"^(PASSED|FAILED|ERROR|XFAIL|XPASS) (?:tests/)?(\S+)", ran.stdout, re.MULTILINE):
        outcomes[outcome].add(name)
    assert outcomes["PASSED"], ran.stdout + ran.stderr
    assert outcomes["FAILED"] | outcomes["ERROR"] <= set(EXCEPTIONS), ran.stdout
    return outcomes


def test_a_quick_part_of_the_suite_passes():
    left_out = "scaling or criterion or n_features or (test_gaussian_hmm and test_fit)"
    assert len(run(QUICK, "-k", f"not ({left_out})")["PASSED"]) > 40


@pytest.mark.slow
def test_the_whole_suite_passes():
    files = sorted(path.name for path in SUITE.glob("test_*.py") if path.name not in LEFT_OUT)
    outcomes = run(files)
    assert outcomes["FAILED"] == set(EXCEPTIONS)  # every exception still fails
    assert len(outcomes["PASSED"]) > 200
    # hmmlearn marks this whole file as failing, because it sets gmms_, an obsolete attribute. Here too, the tests that
    # use it fail; the one test that does not, and all other marked tests, pass.
    assert outcomes["XFAIL"] == {
        f"test_gmm_hmm.py::TestGMMHMMWith{kind}Covars::test_{test}"
        for kind in ("Diag", "Full", "Tied")
        for test in ("score_samples_and_decode", "sample", "fit[stmwc]", "fit[wt]", "fit[m]")
    }


def test_every_exception_is_on_the_page():
    page = (HERE.parent.parent / "docs" / "coming-from-hmmlearn.md").read_text(encoding="utf-8")
    assert [name for name in EXCEPTIONS if name.split("::")[-1] not in page] == []
    assert [module for module in LEFT_OUT.values() if module not in page] == []
