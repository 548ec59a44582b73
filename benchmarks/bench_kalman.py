"""Kalman filter and smoother against statsmodels, pykalman and simdkalman, and the time of ten million steps."""

import re
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from problems import Result, agree
from report import Claim, Report, claim
from timing import Contestant

from elman.kernels import kalman, native
from elman.kernels.kalman import System

SHAPES = ["T100n1", "T1000n1", "T1000n4", "T1000n16", "T1000n4 missing", "T1000n16 missing"]  # one series
MANY = "T100B200n4"
LONG = ["N1e6", "N1e7"]
FILTER, SMOOTHER, LIKELIHOOD = PASSES = ["filter", "smoother", "log-likelihood"]
SETTINGS = {"statsmodels": {}, "statsmodels univariate": {"univariate": True}}
TOLERANCE = 1e-8  # relative to the largest value; statsmodels stops updating a converged covariance


class Problem:
    """Series of B rows, and a system: local level, trend with quarters, or 16 states that depend on each other."""

    def __init__(self, shape: str):
        found = re.fullmatch(r"T(\d+)(?:B(\d+))?n(\d+)( missing)?", shape)
        if found is None:
            raise SystemExit(f"shape {shape}: expected one like {', '.join(SHAPES[:2])}.")
        self.steps, self.rows, self.n = (int(number or 1) for number in found.groups()[:3])
        random = np.random.default_rng(0)
        self.x = random.normal(size=(self.rows, self.steps)).cumsum(1)
        if found[4]:
            self.x[:, ::3] = np.nan
        F, H = np.eye(self.n), np.ones((1, self.n))
        if self.n == 4:
            F = np.array([[1.0, 0, 0, 0], [0, -1, -1, -1], [0, 1, 0, 0], [0, 0, 1, 0]])
            H = np.array([[1.0, 1, 0, 0]])
        elif self.n > 1:
            F = 0.95 * np.linalg.qr(random.normal(size=(self.n, self.n)))[0]
        self.system = System(*(leaf[None] for leaf in (F, H, 0.1 * np.eye(self.n), np.eye(1))))
        self.mean, self.cov = np.zeros(self.n), 10 * np.eye(self.n)

    def elman(self) -> dict[str, Callable[[], Any]]:
        tiled = (self.rows, *[1] * 2)
        start = {"mean": np.tile(self.mean, (self.rows, 1)), "cov": np.tile(self.cov, tiled),
                 "diffuse": np.tile(0 * self.cov, tiled)}  # fmt: skip
        lengths = np.full(self.rows, self.steps)
        given = {"system": self.system, "x": self.x.reshape(-1, 1), "lengths": lengths, **start}
        functions = kalman.filter, kalman.smooth, kalman.log_likelihood
        return {what: partial(function, **given) for what, function in zip(PASSES, functions, strict=True)}

    def statsmodels(self, univariate: bool = False) -> dict[str, Callable[[], Any]]:
        """Return the calls of statsmodels: its Cython filter with and without stored results, and its smoother."""
        from statsmodels.tsa.statespace import kalman_smoother as peer
        from statsmodels.tsa.statespace.kalman_filter import MEMORY_CONSERVE

        def make() -> Any:
            model = peer.KalmanSmoother(k_endog=1, k_states=self.n, k_posdef=self.n)
            model.bind(self.x[0][:, None].copy())
            for name, leaf in zip(("transition", "design", "state_cov", "obs_cov"), self.system, strict=True):
                model[name] = leaf[0]
            model["selection"] = np.eye(self.n)
            model.initialize_known(self.mean, self.cov)
            model.filter_univariate = univariate
            return model

        light, full = make(), make()
        light.set_conserve_memory(MEMORY_CONSERVE)
        states = peer.SMOOTHER_STATE | peer.SMOOTHER_STATE_COV
        return {FILTER: full.filter, SMOOTHER: partial(full.smooth, smoother_output=states), LIKELIHOOD: light.loglike}

    def pykalman(self) -> dict[str, Callable[[], Any]]:
        from pykalman import KalmanFilter

        F, H, Q, R = (leaf[0] for leaf in self.system)
        model = KalmanFilter(F, H, Q, R, initial_state_mean=self.mean, initial_state_covariance=self.cov)
        x = np.ma.masked_invalid(self.x[0])
        return {
            FILTER: lambda: model.filter(x),
            SMOOTHER: lambda: model.smooth(x),
            LIKELIHOOD: lambda: model.loglikelihood(x),
        }

    def simdkalman(self) -> dict[str, Callable[[], Any]]:
        from simdkalman import KalmanFilter

        F, H, Q, R = (leaf[0] for leaf in self.system)
        model = KalmanFilter(F, Q, H, R)
        run = partial(
            model.compute, self.x, 0, initial_value=self.mean, initial_covariance=self.cov, observations=False
        )
        return {
            FILTER: partial(run, smoothed=False, filtered=True, log_likelihood=True),
            SMOOTHER: partial(run, smoothed=True),
            LIKELIHOOD: partial(run, smoothed=False, states=False, covariances=False, log_likelihood=True),
        }

    def result(self, name: str, what: str, outputs: Any) -> Result:
        """Return the results to compare in the layout of elman: means [N, n], covariances [N, n, n]."""
        if what == LIKELIHOOD:
            total = outputs.log_likelihood if name == "simdkalman" else outputs
            return {"log_prob": np.ravel(total)}
        if name == "elman":
            leaves = outputs[0] if what == FILTER else outputs
            return {"mean": leaves.mean, "cov": leaves.cov}
        if name == "pykalman":
            return {"mean": np.asarray(outputs[0]), "cov": np.asarray(outputs[1])}
        if name == "simdkalman":
            states = getattr(outputs, "filtered" if what == FILTER else "smoothed").states
            return {"mean": states.mean.reshape(-1, self.n), "cov": states.cov.reshape(-1, self.n, self.n)}
        word = "filtered" if what == FILTER else "smoothed"
        mean, cov = getattr(outputs, f"{word}_state"), getattr(outputs, f"{word}_state_cov")
        return {"mean": mean.T, "cov": cov.transpose(2, 0, 1)}


def race(report: Report, shape: str) -> None:
    problem = Problem(shape)
    runs = {"elman": problem.elman()}
    if problem.rows > 1:
        runs["simdkalman"] = problem.simdkalman()
    else:
        runs |= {name: problem.statsmodels(**settings) for name, settings in SETTINGS.items()}
        runs |= {"pykalman": problem.pykalman(), "reference": problem.elman()}
    for what in report.options.passes:
        results = {name: problem.result("elman" if name == "reference" else name, what, of(name, run[what])())
                   for name, run in runs.items()}  # fmt: skip
        if what == LIKELIHOOD and "simdkalman" in results:
            results["simdkalman"]["log_prob"] -= (
                0.5 * problem.steps * np.log(2 * np.pi)
            )  # simdkalman leaves this constant out
        apart = agree(f"{shape} {what}", results, truth="elman", tolerance=TOLERANCE)
        contestants = [Contestant(name, of(name, run[what])) for name, run in runs.items()]
        report.race(shape, what, contestants, apart=apart, threads={name: 1 for name in runs if name != "elman"}
                    | {"elman": report.options.threads})  # fmt: skip


def of(name: str, run: Callable[[], Any]) -> Callable[[], Any]:
    """Return the call; for the reference, without the native extension."""
    if name != "reference":
        return run

    def apart() -> Any:
        with native.disabled():
            return run()

    return apart


def race_long(report: Report) -> None:
    """Time the local level on one row, with lengths that grow tenfold."""
    runs = {shape: Problem(f"T{int(float(shape[1:]))}n1").elman() for shape in LONG}
    for what in report.options.passes:
        report.race("one row", what, [Contestant(shape, run[what]) for shape, run in runs.items()])


def claims(report: Report) -> list[Claim]:
    def ratios(names: Iterable[str], n: int, *passes: str) -> list[float | None]:
        shapes = [shape for shape in SHAPES if shape.endswith(f"n{n}")]  # without missing values, which pykalman skips
        return [report.ratio(name, shape=shape, what=what) for shape in shapes for what in passes for name in names]

    found = []
    for n, target in ((1, 1.5), (4, 1.5), (16, 1.0)):
        states = f"one series, {n} states" if n > 1 else "one series, 1 state"
        found += claim(f"Kalman filter, {states}, against statsmodels", target, ratios(SETTINGS, n, FILTER, LIKELIHOOD))
        found += claim(f"Kalman smoother, {states}, against statsmodels", 2, ratios(SETTINGS, n, SMOOTHER))
        found += claim(f"both, {states}, against pykalman", 100, ratios(["pykalman"], n, FILTER, SMOOTHER))
    found += claim("Kalman filter, 200 series of 100, against simdkalman", 5,
                   [report.ratio("simdkalman", shape=MANY, what=FILTER)])  # fmt: skip
    ratio = report.ratio(LONG[-1], shape="one row", what=LIKELIHOOD)
    cost = ratio and float(LONG[-1][1:]) / float(LONG[0][1:]) / ratio
    return found + claim(f"a step of {LONG[0]} in times of a step of {LONG[-1]}", 0.7, [cost])


def main() -> None:
    warnings.filterwarnings("ignore", category=UserWarning, module="statsmodels")
    report = Report("kalman", __doc__, shapes=[*SHAPES, MANY, "one row"], passes=PASSES)
    for shape in report.options.shapes:
        race_long(report) if shape == "one row" else race(report, shape)
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
