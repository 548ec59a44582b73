"""Results of all trials: success by net and lag, and whether the early horizon predicts it."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from elman.doctor.gradient_by_lag import Lags, horizon
from memory_trials.nets import NETS
from memory_trials.training import EARLY

Outcome = dict[str, Any]
FOLLOWED = "temporal order", 100  # problem and lag of the drawn gradients
STEP = 0.05  # of success: its standard deviation over 500 test rows


class Point(NamedTuple):
    """A net at one lag of a problem, over all seeds."""

    problem: str
    net: str
    lag: int
    trained: bool  # whether training has rows of this lag
    success: float  # mean; 0 is chance, 1 all right
    horizon: float  # median; steps, after the first updates
    usual_horizon: float  # as the doctor reports it
    reach: float  # from the first step back
    end_horizon: float  # at the end of training


def points(outcomes: Iterable[Outcome]) -> list[Point]:
    """Return a point for every problem, net and lag."""
    found = dict[tuple[str, str, int], list[Outcome]]()
    for outcome in outcomes:
        for lag in outcome["success"]:
            found.setdefault((outcome["problem"], outcome["net"], int(lag)), []).append(outcome)
    return [
        Point(
            problem,
            net,
            lag,
            lag <= some[0]["lag"],
            fmean(outcome["success"][str(lag)] for outcome in some),
            *(median(early(outcome, kind) for outcome in some) for kind in ("horizons", "usual_horizons")),
            median(map(reach, some)),
            median(outcome["horizons"].get("end", math.nan) for outcome in some),
        )
        for (problem, net, lag), some in sorted(
            found.items(), key=lambda item: (item[0][0], [*NETS].index(item[0][1]), item[0][2])
        )
    ]


def early(outcome: Outcome, kind: str = "horizons") -> float:
    """Return the horizon after the first updates; NaN if the training failed before."""
    return outcome[kind].get(f"update {EARLY}", math.nan)


def reach(outcome: Outcome) -> float:
    """Return the lag at which 1 % is left of the gradient at the first step back, after the first updates."""
    curve = np.array(outcome["curves"].get(f"update {EARLY}", []))[None, 1:]
    return 1 + horizon(Lags(np.zeros(1, np.int64), curve, curve))


def rank_correlation(some: Sequence[Point], kind: str = "horizon") -> float:
    """Return Spearman's correlation of horizon / lag with success; NaN if all values of one are equal.

    Success is rounded to `STEP`, its sampling error. Points without a horizon are left out, and infinite horizons tie
    as the longest.
    """
    pairs = [(getattr(point, kind) / point.lag, round(point.success / STEP)) for point in some]
    pairs = [pair for pair in pairs if not math.isnan(pair[0])]
    if len({ratio for ratio, _ in pairs}) < 2 or len({success for _, success in pairs}) < 2:
        return math.nan
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


def correlations(some: Sequence[Point]) -> dict[str, Any]:
    """Return the rank correlation over all problems, at the lags of training, and over parts of them."""
    trained = [point for point in some if point.trained]
    alone = [point for point in trained if point.problem in ("temporal order", "copying")]
    problems = sorted({point.problem for point in trained})
    return {
        "all": rank_correlation(trained),
        "points": len(trained),
        "horizon as the doctor reports it": rank_correlation(trained, "usual_horizon"),
        "reach": rank_correlation(trained, "reach"),
        "horizon at the end": rank_correlation(trained, "end_horizon"),
        "problems without shorter cues": rank_correlation(alone),
        "lags beyond training included": rank_correlation(some),
        "by problem": {
            name: rank_correlation([point for point in trained if point.problem == name]) for name in problems
        },
    }


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the outcomes for the receipt, by problem and net.

    They are the success by lag, as the mean over seeds; and by training lag the horizon after the first updates, as the
    median over seeds, the updates of each seed, and the number of seeds that solved it.
    """
    problems: dict[str, Any] = {}
    for point in points(outcomes):
        own = problems.setdefault(point.problem, {}).setdefault(point.net, {"success": {}})
        own["success"][str(point.lag)] = round(point.success, 3)
    for problem, nets in problems.items():
        for net, own in nets.items():
            some = [outcome for outcome in outcomes if (outcome["problem"], outcome["net"]) == (problem, net)]
            lags = {str(lag): [outcome for outcome in some if outcome["lag"] == lag]
                    for lag in sorted({outcome["lag"] for outcome in some})}  # fmt: skip
            own["horizon"] = finite({lag: median(map(early, same)) for lag, same in lags.items()})
            own["updates"] = {lag: [outcome["updates"] for outcome in same] for lag, same in lags.items()}
            own["solved"] = {lag: sum(outcome["solved"] for outcome in same) for lag, same in lags.items()}
            for measure in ("mean_squared_error", "accuracy", "exact", "counts_to"):
                if measure in some[0]:
                    own[measure] = finite({lag: [one[measure] for one in same] for lag, same in lags.items()})
            if failed := {f"{one['lag']}, seed {one['seed']}": one["failed"] for one in some if one["failed"]}:
                own["failed"] = failed
    return {"horizons": finite(followed(outcomes)), "problems": problems}


def followed(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Return the horizon of each net at each examination, in the drawn trials of the first seed."""
    return {outcome["net"]: outcome["horizons"] for outcome in outcomes
            if (outcome["problem"], outcome["lag"], outcome["seed"]) == (*FOLLOWED, 0)}  # fmt: skip


def finite(value: Any) -> Any:
    """Return numbers for JSON, with four decimals: `no end` for infinity, None for NaN; dicts and lists recursively."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    if math.isnan(value):
        return None
    return "no end" if math.isinf(value) else round(value, 4)
