"""HMM with Gaussian emissions against hmmlearn (scaling and logarithms), and the time of ten million steps."""

import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from problems import Result, agree
from report import Claim, Report, claim
from timing import Contestant

from elman.classical.hmm import HMM, Gaussian, em
from elman.kernels import native, semiring_scan

SHAPES = ["K4B100T200", "K16B100T200", "K64B20T500"]  # states, rows, steps per row
LONG = ["N1e5", "N1e6", "N1e7"]
EM, LIKELIHOOD, VITERBI = PASSES = ["EM iteration", "log-likelihood", "Viterbi"]
IMPLEMENTATIONS = ["scaling", "log"]  # options of hmmlearn; the second is its default
KERNELS = {"forward-backward": semiring_scan.forward_backward, "total": semiring_scan.total,
           "best_path": semiring_scan.best_path}  # fmt: skip
FEATURES = 4
TOLERANCE = 1e-8  # relative to the largest value


class Problem:
    """Rows drawn from a Gaussian HMM with overlapping states, and initial parameters of another."""

    def __init__(self, shape: str):
        found = re.fullmatch(r"K(\d+)B(\d+)T(\d+)", shape)
        if found is None:
            raise SystemExit(f"shape {shape}: expected one like {SHAPES[0]}.")
        self.states, rows, steps = map(int, found.groups())
        self.model = self.draw(0)
        self.x = self.model.sample([steps] * rows, seed=0).observations
        self.model = self.draw(1)

    def draw(self, seed: int) -> HMM:
        random = np.random.default_rng(seed)
        means = 3 * np.random.default_rng(0).normal(size=(self.states, FEATURES)) + seed * random.normal(
            size=(self.states, FEATURES)
        )
        start = random.dirichlet(np.ones(self.states))
        transition = random.dirichlet(np.ones(self.states), self.states) / 2 + np.eye(self.states) / 2
        emission = Gaussian.from_parameters(means, random.uniform(0.5, 2, means.shape))
        return HMM.from_parameters(start, transition, emission, max_iterations=1)

    def elman(self) -> dict[str, Callable[[], Any]]:
        emission = self.model.emission_.resume("bench", self.model.emission_.read("bench", self.x))
        problem = em.Problem(self.x, emission.read("bench", self.x), None, em.ChainPrior(
            np.zeros(self.states), np.zeros((self.states, self.states))), False)  # fmt: skip
        model = em.Model(em.Chain(self.model.start_, self.model.transition_), emission)
        scores = np.empty((self.x.num_steps, self.states))

        def iteration() -> em.Model:
            return em.m_step(problem, model, em.e_step("bench", problem, [model], scores)[0])

        return {EM: iteration, LIKELIHOOD: partial(self.model.log_prob, self.x),
                VITERBI: partial(self.model.decode, self.x)}  # fmt: skip

    def hmmlearn(self, implementation: str) -> dict[str, Callable[[], Any]]:
        from hmmlearn.hmm import GaussianHMM

        x, lengths = np.ascontiguousarray(self.x.values), self.x.lengths

        def make() -> Any:
            # No prior. The initial parameters are restored before the next call, outside the clock.
            model = GaussianHMM(self.states, "diag", n_iter=1, tol=0, init_params="", covars_prior=0,
                                implementation=implementation)  # fmt: skip
            model.startprob_, model.transmat_ = self.model.start_.copy(), self.model.transition_.copy()
            model.means_, model.covars_ = self.model.emission_.means_.copy(), self.model.emission_.covs_.copy()
            model.n_features = FEATURES
            return model

        fixed = make()
        return {EM: lambda: make().fit(x, lengths), LIKELIHOOD: partial(fixed.score, x, lengths),
                VITERBI: partial(fixed.decode, x, lengths)}  # fmt: skip


def result(what: str, outputs: Any) -> Result:
    """Return the results to compare: parameters after an iteration, likelihoods or paths of rows."""
    if what == LIKELIHOOD:
        return {"log_prob": np.array([np.sum(outputs)])}
    if what == VITERBI:
        ours = hasattr(outputs, "states")
        states = outputs.states.values if ours else outputs[1]
        log_prob = outputs.log_prob.sum() if ours else outputs[0]
        return {"states": states.astype(float), "log_prob": np.array([log_prob])}
    if isinstance(outputs, em.Model):
        chain, emission = outputs
        return {"start": chain.start, "transition": chain.transition, "means": emission.means_, "covs": emission.covs_}
    covs = np.diagonal(outputs.covars_, axis1=1, axis2=2)
    return {"start": outputs.startprob_, "transition": outputs.transmat_, "means": outputs.means_, "covs": covs}


def race(report: Report, shape: str) -> None:
    problem = Problem(shape)
    runs = {"elman": problem.elman()} | {f"hmmlearn {name}": problem.hmmlearn(name) for name in IMPLEMENTATIONS}
    for what in report.options.passes:
        results = {name: result(what, run[what]()) for name, run in runs.items()}
        apart = agree(f"{shape} {what}", results, truth="elman", tolerance=TOLERANCE)
        report.race(shape, what, [Contestant(name, run[what]) for name, run in runs.items()], apart=apart,
                    threads=dict.fromkeys(runs, 1) | {"elman": report.options.threads})  # fmt: skip


def race_long(report: Report) -> None:
    """Time the kernel on one row of four states, with lengths that grow tenfold."""
    random = np.random.default_rng(0)
    start = np.zeros((1, 4))
    transition = np.log(random.dirichlet(np.ones(4), 4))[None]
    scores = {shape: random.normal(size=(int(float(shape[1:])), 4)) for shape in LONG}
    for what, function in KERNELS.items():
        runs = [Contestant(shape, partial(function, start, transition, each, [len(each)]))
                for shape, each in scores.items()]  # fmt: skip
        report.race("one row", what, runs)


def claims(report: Report) -> list[Claim]:
    def faster(shape: str, what: str) -> list[float | None]:
        """Return the relative time of the faster implementation of hmmlearn."""
        both = [report.ratio(f"hmmlearn {name}", shape=shape, what=what) for name in IMPLEMENTATIONS]
        return [None if None in both else min(filter(None, both))]

    small, middle, large = SHAPES
    found = []
    for shape, states, target in ((middle, 16, 30), (large, 64, 40)):
        found += claim(f"HMM EM iteration, {states} states, against hmmlearn's faster one", 12, faster(shape, EM))
        ratio = report.ratio("hmmlearn log", shape=shape, what=EM)
        found += claim(f"HMM EM iteration, {states} states, against hmmlearn's default", target, [ratio])
    for shape, states in ((small, 4), (middle, 16), (large, 64)):
        found += claim(f"HMM log-likelihood, {states} states, against hmmlearn's faster one", 8,
                       faster(shape, LIKELIHOOD))  # fmt: skip
    for shape, states, target in ((small, 4, 2), (middle, 16, 8), (large, 64, 8)):
        found += claim(f"HMM Viterbi, {states} states, against hmmlearn's faster one", target, faster(shape, VITERBI))
    for what in KERNELS:
        ratio = report.ratio(LONG[-1], shape="one row", what=what)
        found += claim(f"{what}: a step of {LONG[0]} in times of one of {LONG[-1]}", 0.7, [ratio and 100 / ratio])
    return found


def main() -> None:
    logging.getLogger("hmmlearn").setLevel(logging.ERROR)
    if not hasattr(native.module, "semiring_sums"):
        raise SystemExit("bench_hmm: the package was installed without its kernels.")
    report = Report("hmm", __doc__, shapes=[*SHAPES, "one row"], passes=PASSES)
    for shape in report.options.shapes:
        race_long(report) if shape == "one row" else race(report, shape)
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
