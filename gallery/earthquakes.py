"""Major earthquakes of each year, 1900 to 2006: a Poisson hidden Markov model of three states.

    python gallery/earthquakes.py --data DIR

This is an example of "Hidden Markov Models for Time Series" by Zucchini, MacDonald and Langrock: the rate of
earthquakes of magnitude 7 or more changes between a few levels. Rows start in the stationary distribution. The picture
shows the most probable state of each year with its rate, and the state probabilities.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import receipt

from elman import pictures
from elman.classical.hmm import HMM, Poisson

NAME = "earthquakes"
PUBLISHED, AT_LEAST = -329.4603, -329.46035  # log-likelihood, three states
SETTINGS = {"num_states": 3, "start": "stationary", "restarts": 10, "seed": 0}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds hmm/earthquakes.csv")
    given = parser.parse_args(arguments)
    path = receipt.data_folder(given.data) / "hmm" / "earthquakes.csv"
    counts = np.loadtxt(path, delimiter=",", skiprows=1, dtype=int)[:, 1:]

    began = time.perf_counter()
    model = HMM(emission=Poisson(), **SETTINGS).fit([counts])
    minutes = (time.perf_counter() - began) / 60
    rates = model.emission_.rates_[:, 0]
    receipt.write_with_figure(
        NAME,
        {
            "command": f"python gallery/{NAME}.py --data DIR",
            "settings": SETTINGS,
            "result": {
                "measure": "log-likelihood",
                "published": PUBLISHED,
                "at_least": AT_LEAST,
                "reached": round(float(model.log_prob([counts])[0]), 5),
            },
            "rates": np.sort(rates).round(3).tolist(),
            "training_minutes": round(minutes, 4),
        },
        pictures.states(
            counts,
            path=model.decode([counts]).states.values,
            probs=model.smooth([counts]).values,
            means=rates,
            names=[f"{rate:.1f} a year" for rate in rates],
            title="Earthquakes of magnitude 7 or more in each year from 1900",
        ),
    )


if __name__ == "__main__":
    main()
