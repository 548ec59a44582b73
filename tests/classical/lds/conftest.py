"""Series of textbooks."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def nile(data_path):
    """Return the flow of the Nile at Aswan, 1871 to 1970, [100, 1]."""
    return np.loadtxt(data_path / "timeseries/Nile.csv", delimiter=",", skiprows=1, usecols=2)[:, None]


@pytest.fixture(scope="session")
def passengers(data_path):
    """Return logarithms of monthly airline passengers, [144, 1]."""
    series = np.loadtxt(data_path / "timeseries/AirPassengers.csv", delimiter=",", skiprows=1, usecols=2)
    return np.log(series)[:, None]
