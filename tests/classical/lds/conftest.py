"""Makes lds_problems.py importable from the tests of this folder."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def nile(data_path):
    """Return the flow of the Nile at Aswan, 1871 to 1970, [100, 1]."""
    return np.loadtxt(data_path / "timeseries/Nile.csv", delimiter=",", skiprows=1, usecols=2)[:, None]


@pytest.fixture(scope="session")
def passengers(data_path):
    """Return logarithms of monthly airline passengers, [144, 1]."""
    series = np.loadtxt(data_path / "timeseries/AirPassengers.csv", delimiter=",", skiprows=1, usecols=2)
    return np.log(series)[:, None]
