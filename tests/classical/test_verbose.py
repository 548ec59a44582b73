"""Progress of the classical models: `fit(verbose=...)`."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from elman.classical import CRF, BagOfWords, NGram
from elman.classical.hmm import HMM, Gaussian
from elman.classical.lds import LDS, local_level
from elman.sequences import Sequences

SERIES = [np.sin(np.arange(30.0))[:, None]]
IDS = [np.array([1, 2, 1, 3]), np.array([2, 1, 2, 3])] * 3
SCORES = Sequences.from_list([np.eye(2)[[0, 1, 0]], np.eye(2)[[1, 1, 0]]])
FITS: dict[str, Callable[..., Any]] = {
    "HMM": lambda **verbose: HMM(2, Gaussian(), restarts=2, max_iterations=5).fit(SERIES, **verbose),
    "LDS by EM": lambda **verbose: LDS(*4 * [np.ones((1, 1))]).fit(SERIES, "QR", "em", max_iterations=5, **verbose),
    "LDS": lambda **verbose: local_level().fit(SERIES, restarts=2, max_iterations=5, **verbose),
    "CRF": lambda **verbose: CRF(2).fit(SCORES, np.array([0, 1, 0, 1, 0, 0]), **verbose),
    "BagOfWords": lambda **verbose: BagOfWords(4).fit(IDS, [0, 1] * 3, **verbose),
    "NGram": lambda **verbose: NGram(4, 3).fit(IDS, **verbose),
}


@pytest.mark.parametrize("name", FITS)
def test_one_line_per_iteration_with_a_falling_time_left(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    FITS[name](verbose=2)
    lines = capsys.readouterr().err.splitlines()
    where = rf"{name.partition(' ')[0]}\.fit: "
    if name == "NGram":
        assert [re.sub("  .* left", "", line) for line in lines] == [
            f"NGram.fit: counting grams of {length} of 3 units" for length in (1, 2, 3)
        ]
        return
    assert len(lines) > 1
    pattern = where + r"iteration (\d+) of at most \d+  log-probability -?\d+\.\d{6}(  at most \d:\d\d:\d\d left)?"
    numbers = [int(re.fullmatch(pattern, line)[1]) for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("name", FITS)
def test_progress_changes_no_bit(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    models = [FITS[name](verbose=verbose) for verbose in (None, False, True)]
    if name.startswith("LDS"):
        arrays = [{"history": model.history_} for model in models]
    else:
        arrays = [model.to_arrays() for model in models]
    for other in arrays[1:]:
        assert all(np.array_equal(other[key], array) for key, array in arrays[0].items())
    assert len(capsys.readouterr().err.splitlines()) <= 1  # of verbose=True: the last line


@pytest.mark.parametrize("name", FITS)
def test_another_verbosity_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="verbose: expected None, False, True or 2"):
        FITS[name](verbose=3)
