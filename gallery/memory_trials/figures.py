"""Pictures of the trials: success and horizon against lag, gradients by lag, and a counter."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from memory_trials import results
from memory_trials.nets import COLORS, NETS
from memory_trials.results import Outcome, Point
from memory_trials.training import EARLY

COLUMNS = 3
NO_END = 10.0  # times the longest lag: place of an infinite horizon
COUNTERS = "lstm", "gru", "relu, identity"
FAINTEST = 1e-12


def success(points: Sequence[Point], correlation: float) -> Any:
    """Draw success and horizon of each problem, and a last panel with all problems.

    Args:
        correlation: rank correlation, for the title of the last panel.
    """
    from matplotlib.figure import Figure

    problems = list(dict.fromkeys(point.problem for point in points))
    rows = -(-len(problems) // COLUMNS)
    figure = Figure(figsize=(4.4 * COLUMNS, 6.4 * rows + 5), layout="constrained")
    grid = figure.add_gridspec(2 * rows + 1, COLUMNS, height_ratios=(*[1] * 2 * rows, 1.5))
    for number, problem in enumerate(problems):
        row, column = divmod(number, COLUMNS)
        above, below = (figure.add_subplot(grid[2 * row + half, column]) for half in (0, 1))
        _panel(above, below, [point for point in points if point.problem == problem])
        above.set_title(problem)
        if column == 0:
            above.set_ylabel("success: 0 is chance, 1 perfect")
            below.set_ylabel(f"horizon after {EARLY} updates, steps")
    _summed(figure.add_subplot(grid[2 * rows, :2]), points, correlation)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    handles += figure.axes[1].lines[-1:]
    figure.legend(handles, [*labels, "horizon equal to the lag"], loc="lower right", fontsize="large")
    return figure


def _panel(above: Any, below: Any, points: Sequence[Point]) -> None:
    lags = sorted({point.lag for point in points})
    most = NO_END * lags[-1]
    _lines(above, points, lambda point: point.success)
    _lines(below, [point for point in points if point.trained], lambda point: min(point.horizon, most))
    below.plot(lags, lags, color="black", linestyle=":")
    above.set(ylim=(-0.05, 1.05))
    below.set(yscale="log", ylim=(1, 1.3 * most), xlabel="lag, steps")
    beyond = [point.lag for point in points if not point.trained]
    for axis in (above, below):
        axis.set(xscale="log", xlim=(lags[0] / 1.2, lags[-1] * 1.2))
        axis.set_xticks(lags, [str(lag) for lag in lags])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        if beyond:
            axis.axvspan(min(beyond) / 1.2, lags[-1] * 1.2, color="black", alpha=0.06)


def _lines(axis: Any, points: Sequence[Point], value: Callable[[Point], float]) -> None:
    for net in NETS:
        own = [point for point in points if point.net == net]
        axis.plot([point.lag for point in own], [value(point) for point in own], "o-", color=COLORS[net], label=net)


def _summed(axis: Any, points: Sequence[Point], correlation: float) -> None:
    some = [point for point in points if point.trained]
    most = 100 * NO_END
    for problem, mark in zip(dict.fromkeys(point.problem for point in some), "osD^vP", strict=False):
        own = [point for point in some if point.problem == problem]
        ratios = [min(point.horizon / point.lag, most) for point in own]
        axis.scatter(ratios, [point.success for point in own], c=[COLORS[point.net] for point in own], marker=mark,
                     edgecolors="black", linewidths=0.4)  # fmt: skip
        axis.scatter([], [], color="white", edgecolors="black", marker=mark, label=problem)
    axis.set(xscale="log", xlabel=f"horizon after {EARLY} updates / lag", ylabel="success at the end",
             title=f"rank correlation {correlation:.2f}")  # fmt: skip
    axis.grid(alpha=0.3)
    axis.legend()


def gradients(outcomes: Sequence[Outcome]) -> Any:
    """Draw the gradient by lag of each net at each examination."""
    from matplotlib.figure import Figure

    own = {outcome["net"]: outcome for outcome in outcomes
           if (outcome["problem"], outcome["lag"], outcome["seed"]) == (*results.FOLLOWED, 0)}  # fmt: skip
    examinations = list(dict.fromkeys(examination for outcome in own.values() for examination in outcome["curves"]))
    examinations = [examination for examination in examinations if examination != "end"] + ["end"]
    figure = Figure(figsize=(5 * len(examinations), 5), layout="constrained")
    axes = figure.subplots(1, len(examinations), sharey=True, squeeze=False)[0]
    for axis, examination in zip(axes, examinations, strict=True):
        for net in (net for net in NETS if net in own):
            curve = np.array(own[net]["curves"].get(examination, []))
            axis.plot(np.maximum(curve, FAINTEST), color=COLORS[net], label=net)
        axis.axhline(0.01, color="black", linestyle=":", linewidth=1)
        axis.set(
            yscale="log",
            ylim=(FAINTEST, None),
            xlabel="lag, steps",
            title="at the end" if examination == "end" else f"after {examination}",
        )
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("fraction of the gradient at lag 0")
    axes[-1].legend()
    return figure


def counter(outcomes: Sequence[Outcome]) -> Any:
    """Draw the unit that counts in nets that read a^n b^n, from the seed that counts furthest."""
    from matplotlib.figure import Figure

    every = [outcome for outcome in outcomes if outcome["problem"] == "counting"]
    of_net = [[outcome for outcome in every if outcome["net"] == net] for net in COUNTERS]
    best = [max(some, key=lambda one: one["counts_to"]) for some in of_net if some]
    figure = Figure(figsize=(11, 2.6 * len(best)), layout="constrained")
    for row, outcome in zip(figure.subplots(len(best), 2, squeeze=False), best, strict=True):
        for axis, (n, course) in zip(row, outcome["counter"]["courses"].items(), strict=True):
            axis.plot(course, color=COLORS[outcome["net"]])
            axis.axvline(int(n), color="black", linestyle=":", linewidth=1)
            axis.set(title=f"{outcome['net']}: a^{n} b^{n}, counts to {outcome['counts_to']}")
            axis.grid(alpha=0.3)
        row[0].set_ylabel(f"unit {outcome['counter']['unit']} of the state")
    for axis in row:
        axis.set_xlabel("steps")
    return figure
