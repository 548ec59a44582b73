"""Airline passengers, 1949 to 1960: forecasts of the last two years from the first ten, by two models.

    python gallery/air_passengers.py --data DIR

Both models use logarithms: a trend and a season with variances fitted by maximum likelihood (Harvey 1989), and an
autoregression over the last 13 months. The baseline repeats the last observed year. The picture shows the forecast of
the first model, with its intervals.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import receipt

from elman import DelayTaps, pictures
from elman.classical.lds import local_trend, seasonal

NAME = "air_passengers"
MONTHS = 24  # months to forecast
SETTINGS = {"period": 12, "order": 13}


def error(forecast: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean absolute error as a share of the truth; both arguments are logarithms."""
    return round(float(np.mean(np.abs(np.exp(forecast - truth) - 1))), 4)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds timeseries/AirPassengers.csv")
    given = parser.parse_args(arguments)
    path = receipt.data_folder(given.data) / "timeseries" / "AirPassengers.csv"
    series = np.log(np.loadtxt(path, delimiter=",", skiprows=1)[:, 2:])
    seen, truth = series[:-MONTHS], series[-MONTHS:]

    began = time.perf_counter()
    model = (local_trend() + seasonal(SETTINGS["period"])).fit([seen])
    taps = DelayTaps(SETTINGS["order"]).fit([seen])
    minutes = (time.perf_counter() - began) / 60
    structural = model.forecast([seen], MONTHS)
    errors = {
        "the last year again": error(np.tile(seen[-12:], (MONTHS // 12, 1)), truth),
        "DelayTaps": error(taps.forecast([seen], MONTHS).mean[0], truth),
        "LDS": error(structural.mean[0], truth),
    }
    print(errors)
    receipt.write_with_figure(
        NAME,
        {
            "command": f"python gallery/{NAME}.py --data DIR",
            "settings": SETTINGS,
            "result": {
                "measure": "error of 24 months, a part of the truth",
                "published": None,
                "at_most": errors["the last year again"],
                "reached": errors["LDS"],
            },
            "errors": errors,
            "variances": model.variances_,
            "training_minutes": round(minutes, 4),
        },
        pictures.forecast(
            seen,
            structural,
            truth,
            title="Logarithm of passengers of each month from 1949",
        ),
    )


if __name__ == "__main__":
    main()
