"""The flow of the Nile, 1871 to 1970: a local level, fitted by maximum likelihood from an exact diffuse start.

    python gallery/nile.py --data DIR

This is the first example of "Time Series Analysis by State Space Methods" by Durbin and Koopman. The picture shows the
filtered level of each year, given the years so far, and the smoothed level, given all years: it fell when the dam at
Aswan was built.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import receipt

from elman import pictures
from elman.classical.lds import deviation, local_level

NAME = "nile"
PUBLISHED, AT_LEAST = -632.5456, -632.54565  # log-likelihood of the 99 innovations
SETTINGS: dict[str, float] = {}  # the defaults


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds timeseries/Nile.csv")
    given = parser.parse_args(arguments)
    path = receipt.data_folder(given.data) / "timeseries" / "Nile.csv"
    flow = np.loadtxt(path, delimiter=",", skiprows=1)[:, 2:]

    began = time.perf_counter()
    model = local_level(**SETTINGS).fit([flow])
    minutes = (time.perf_counter() - began) / 60
    filtered, smoothed = model.filter([flow]).values, model.smooth([flow]).values
    receipt.write_with_figure(
        NAME,
        {
            "command": f"python gallery/{NAME}.py --data DIR",
            "settings": SETTINGS,
            "result": {
                "measure": "log-likelihood",
                "published": PUBLISHED,
                "at_least": AT_LEAST,
                "reached": round(float(model.log_prob([flow])[0]), 5),
            },
            "variances": model.variances_,
            "training_minutes": round(minutes, 4),
        },
        pictures.bands(
            flow,
            filtered=(filtered.mean, deviation(filtered.cov)),
            smoothed=(smoothed.mean, deviation(smoothed.cov)),
            title="The Nile at Aswan: the level behind the flow of each year from 1871",
        ),
    )


if __name__ == "__main__":
    main()
