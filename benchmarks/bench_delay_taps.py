"""DelayTaps: an autoregression, against numpy's least squares on a precomputed design matrix, and statsmodels."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from problems import Result, agree
from report import Claim, Report, claim
from timing import Contestant

from elman.classical import DelayTaps
from elman.sequences import Sequences

MAIN, TENFOLD = "N1000000P10", "N10000000P10"
SHAPES = ["N10000P10", MAIN, TENFOLD, "N200000D4P5"]  # N steps of D series, order P
DESIGN = 1 << 26  # numbers of the largest design matrix that is made as a whole
FIT, SCAN = "fit", "scan"


class Problem:
    """Series drawn from an autoregression."""

    def __init__(self, shape: str):
        found = re.fullmatch(r"N(\d+)(?:D(\d+))?P(\d+)", shape)
        if found is None:
            raise SystemExit(f"shape {shape}: expected one like {', '.join(SHAPES)}.")
        steps, size, self.order = (int(number or 1) for number in found.groups())
        noise = np.random.default_rng(0).standard_normal((steps, size))
        self.series = noise.copy()
        for lag, tap in ((1, 0.6), (2, -0.3), (3, 0.2)):  # a moving average: no loop over ten million steps
            self.series[lag:] += tap * noise[:-lag]
        self.series += 5
        self.rows = Sequences(self.series, [steps])

    @property
    def laid_out(self) -> bool:
        """Return whether the whole design matrix [N, 1 + P D] is made."""
        return self.series.size * self.order <= DESIGN

    def design(self) -> tuple[np.ndarray, np.ndarray]:
        order, series = self.order, self.series
        lags = [series[order - lag : len(series) - lag] for lag in range(1, order + 1)]
        return np.column_stack([np.ones(len(series) - order), *lags]), series[order:]

    def fits(self) -> dict[str, Callable[[], Any]]:
        runs: dict[str, Callable[[], Any]] = {"elman": lambda: DelayTaps(self.order).fit(self.rows)}
        if not self.laid_out:
            return runs
        design, follows = self.design()
        runs["numpy lstsq"] = lambda: np.linalg.lstsq(design, follows, rcond=None)[0]
        runs["statsmodels"] = self.statsmodels
        return runs

    def statsmodels(self) -> Any:
        if self.series.shape[1] == 1:
            from statsmodels.tsa.ar_model import AutoReg

            return AutoReg(self.series[:, 0], self.order).fit().params
        from statsmodels.tsa.api import VAR

        return VAR(self.series).fit(self.order).params

    def result(self, fitted: Any) -> Result:
        """Return the coefficients in the order of the design matrix, [1 + P D, D]."""
        if isinstance(fitted, DelayTaps):
            size = len(fitted.intercept_)
            fitted = np.concatenate([fitted.intercept_[None], fitted.taps_.transpose(0, 2, 1).reshape(-1, size)])
        return {"coefficients": np.asarray(fitted).reshape(1 + self.order * self.series.shape[1], -1)}


def race(report: Report, shape: str) -> None:
    problem = Problem(shape)
    runs = problem.fits()
    apart = agree(f"{shape} {FIT}", {name: problem.result(run()) for name, run in runs.items()}, truth=list(runs)[-1])
    report.race(shape, FIT, [Contestant(name, run) for name, run in runs.items()], apart=apart)
    model = DelayTaps(problem.order).fit(problem.rows)
    report.race(shape, SCAN, [Contestant("elman", lambda: model.scan(problem.rows))])


def claims(report: Report) -> list[Claim]:
    found = claim("AR(10) on a million points, against one numpy least squares", 1,
                  [report.ratio("numpy lstsq", shape=MAIN, what=FIT)])  # fmt: skip
    for what in (FIT, SCAN):
        few, many = (report.find("elman", shape=shape, what=what) for shape in (MAIN, TENFOLD))
        if few and many:
            linear = 1000 * few["milliseconds"]["median"] / many["milliseconds"]["median"]
            found += claim(f"AR(10), {what}: the pace of a million points kept on ten million", 80, [linear], "%")
    return found


def main() -> None:
    report = Report("delay_taps", __doc__, shapes=SHAPES)
    for shape in report.options.shapes:
        race(report, shape)
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
