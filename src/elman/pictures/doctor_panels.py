"""Panels of the picture of an examination; each draws on its own axis."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from elman.pictures.numbers import steps_text

FLOOR = 1e-9  # lower end of a logarithmic axis
SMALL = 1e-6  # lower end of the axis of singular values
POINTS = 300  # points of the training curve; each summarises consecutive updates
GATES = {
    "input": "tab:green",
    "forget": "tab:blue",
    "update": "tab:blue",
    "output": "tab:orange",
    "reset": "tab:purple",
}
MARK = "tab:red"


class Panel(NamedTuple):
    kind: str  # `gradient`, `context`, `training`, `reach`, `jacobians`, `gates`, `memory`, `state`
    title: str
    draw: Callable[[Any], None]


def panels_of_model(findings: Any) -> list[Panel]:
    """Return the panels of the whole model."""
    panels = []
    if any(np.count_nonzero(~np.isnan(layer.lags.curve)) > 1 for layer in findings.layers):
        panels.append(Panel("gradient", "gradient by lag", partial(_gradient, findings)))
    if findings.context is not None and len(findings.context.lengths) > 1:
        panels.append(Panel("context", "loss by context", partial(_context, findings)))
    history = findings.facts.history
    if history is not None and len(history.updates) > 1:
        panels.append(Panel("training", "gradient norm in training", partial(_training, findings)))
    if history is not None and len(history.examined) > 1:
        panels.append(Panel("reach", "horizon in training", partial(_reach, findings)))
    return panels


def panels_of_layer(findings: Any, layer: Any) -> list[Panel]:
    """Return the panels of one layer."""
    panels, history = [], findings.facts.history
    if len(layer.jacobians.lags) > 1:
        panels.append(Panel("jacobians", "singular values by lag", partial(_jacobians, layer)))
    examined = [event for event in history.examined if _histograms(event, layer)] if history is not None else []
    if len(examined) > 1:
        panels.append(Panel("gates", "gates in training", partial(_gates_while_training, layer, examined)))
    elif layer.gates:
        panels.append(Panel("gates", "gates", partial(_gates, layer)))
    if layer.memory_gate is not None:
        panels.append(Panel("memory", "memory of the units", partial(_memory, layer)))
    if len(layer.units.state_norm) > 1:
        panels.append(Panel("state", "norm of the state", partial(_state, layer)))
    return panels


def _gradient(findings: Any, axis: Any) -> None:
    unrolled, needed = findings.facts.unrolled, _needed(findings)
    reach = [layer.reach for layer in findings.layers if math.isfinite(layer.reach)]
    wanted = max(20.0, 2 * max(reach, default=0.0), 1.1 * (needed or 0), 1.1 * (unrolled or 0))
    last = min(wanted, max(len(layer.lags.curve) - 1 for layer in findings.layers))
    lowest = 0.1
    for number, layer in enumerate(findings.layers):
        curve = layer.lags.curve[: int(last) + 1]
        lags, color = np.arange(len(curve)), f"C{number % 10}"
        axis.plot(lags, np.maximum(curve, FLOOR), color=color, label=f"{layer.name}: to {steps_text(layer.reach)}")
        if layer.reach <= len(curve) - 1:
            axis.plot(layer.reach, np.interp(layer.reach, lags, np.maximum(curve, FLOOR)), "o", color=color)
        if layer.bound is not None and math.isfinite(layer.bound.factor):
            axis.plot(lags, _powers(layer.bound.factor, lags), "--", color=color, linewidth=1, label="bound")
        measured = curve[~np.isnan(curve)]
        lowest = min(lowest, float(measured.min(initial=1)))
    for at, name in ((unrolled, "unrolled"), (needed, "context needed")):
        if at is not None and at <= 1.05 * last:
            axis.axvline(at, color=MARK, linestyle=":" if name == "unrolled" else "-.", linewidth=1, label=name)
    highest = max([1.0, *(float(np.nanmax(layer.lags.curve[: int(last) + 1])) for layer in findings.layers)])
    axis.set(yscale="log", xlim=(0, last), ylim=(max(FLOOR, lowest / 3), min(2 * highest, 1 / FLOOR)))
    axis.set(xlabel="steps back", ylabel="fraction of the gradient at lag 0")
    _legend_above(axis)


def _context(findings: Any, axis: Any) -> None:
    context, needed = findings.context, _needed(findings)
    axis.plot(context.lengths, context.losses, marker="o", markersize=4, color="tab:blue")
    axis.axhline(context.full, color="tab:gray", linestyle="--", linewidth=1, label=f"full context: {context.full:.4g}")
    if needed is not None:
        axis.axvline(needed, color=MARK, linestyle="-.", linewidth=1, label=f"needed: {needed}")
    _powers_of_two(axis, context.lengths)
    axis.set(xlabel="steps of context", ylabel="loss")
    axis.legend(fontsize="small")


def _training(findings: Any, axis: Any) -> None:
    history, limit = findings.facts.history, findings.facts.clip_norm
    norms = np.where(np.isfinite(history.norms) & (history.norms > 0), history.norms, np.nan)
    parts = np.array_split(np.arange(len(norms)), min(POINTS, len(norms)))
    places = [float(history.updates[part].mean()) for part in parts]
    low, middle, high = (np.array([_of(function, norms[part]) for part in parts])
                         for function in (np.nanmin, np.nanmedian, np.nanmax))  # fmt: skip
    axis.fill_between(places, low, high, color="tab:blue", alpha=0.25, linewidth=0)
    axis.plot(places, middle, color="tab:blue", linewidth=1, label="gradient norm")
    if limit is not None:
        label = f"clipped at {limit:g}: {history.clipped:.0%} of the updates"
        axis.axhline(limit, color=MARK, linestyle="--", linewidth=1, label=label)
    axis.set(yscale="log", xlabel="update", ylabel="gradient norm")
    _plain_ticks(axis)
    _legend_above(axis)


def _reach(findings: Any, axis: Any) -> None:
    events = findings.facts.history.examined
    for number, layer in enumerate(findings.layers):
        points = [(event["update"], event["layers"][layer.name]["horizon"]) for event in events
                  if layer.name in event["layers"]]  # fmt: skip
        points = [(update, lag) for update, lag in points if lag is not None and math.isfinite(lag)]
        if points:
            axis.plot(*zip(*points, strict=True), color=f"C{number % 10}", marker=".", label=layer.name)
    axis.set(xlabel="update", ylabel="steps")
    if axis.lines:
        axis.set_yscale("log")
        _plain_ticks(axis)
        _legend_above(axis)


def _jacobians(layer: Any, axis: Any) -> None:
    products, kinds = layer.jacobians, [("h", layer.jacobians.largest, layer.jacobians.smallest, "tab:blue")]
    if products.cell_largest is not None:
        kinds.append(("c", products.cell_largest, products.cell_smallest, "tab:green"))
    for name, largest, smallest, color in kinds:
        axis.plot(products.lags, _positive(largest), marker="o", markersize=3, color=color, label=f"{name}: largest")
        if smallest is not None and np.isfinite(smallest).any():
            label = f"{name}: smallest"
            axis.plot(products.lags, _positive(smallest), "v:", markersize=3, color=color, linewidth=1, label=label)
    if products.forget_product is not None:
        lags, label = np.arange(1, len(products.forget_product)), f"product of {layer.cell.memory_gate} gates"
        axis.plot(lags, _positive(products.forget_product[1:]), color="black", linewidth=1, label=label)
    if layer.bound is not None and math.isfinite(layer.bound.factor):
        bound = _powers(layer.bound.factor, products.lags)
        axis.plot(products.lags, bound, "--", color="tab:gray", linewidth=1, label="bound from the weights")
    axis.axhline(1, color="tab:gray", linewidth=0.5)
    _powers_of_two(axis, products.lags)
    axis.set(yscale="log", xlabel="steps", ylabel="factor on a change of the state")
    low, high = axis.get_ylim()
    axis.set_ylim(max(low, SMALL), min(high, 1 / FLOOR))
    _legend_above(axis, 2)


def _gates(layer: Any, axis: Any) -> None:
    """Draw one histogram per gate, in a column."""
    for place, (name, gate) in enumerate(reversed(layer.gates.items())):
        shares = 0.9 * gate.histogram / max(gate.histogram.max(), 1e-9)
        edges = np.linspace(0, 1, len(shares) + 1)
        color = GATES.get(name, f"C{place}")
        axis.stairs(place + shares, edges, baseline=place, fill=True, color=color, alpha=0.6)
        axis.stairs(place + shares, edges, baseline=place, color=color)
        axis.plot(gate.mean, place, marker="^", color="black", markersize=5, clip_on=False)
    _named(axis, list(reversed(layer.gates)))
    axis.set(xlim=(0, 1), ylim=(0, len(layer.gates)), xlabel="activation: closed 0 … 1 open   (▲ mean)")


def _gates_while_training(layer: Any, events: Sequence[Any], axis: Any) -> None:
    """Draw a strip for each gate with its histogram over the updates, from closed (bottom) to open (top)."""
    updates = np.array([event["update"] for event in events], float)
    middles = (updates[1:] + updates[:-1]) / 2
    edges = np.concatenate([updates[:1], middles, updates[-1:]])
    names = list(reversed(_histograms(events[0], layer)))
    for place, name in enumerate(names):
        shares = np.array([_histograms(event, layer)[name] for event in events]).T
        heights = place + np.linspace(0.03, 0.97, len(shares) + 1)
        axis.pcolormesh(edges, heights, np.sqrt(shares), cmap="magma_r", vmin=0, vmax=1, rasterized=True)
    _named(axis, names)
    axis.grid(False)
    axis.set(ylim=(0, len(names)), xlabel="update   (each strip: closed below, open above)")


def _memory(layer: Any, axis: Any) -> None:
    half_lives = layer.memory_gate.half_life
    axis.hist(
        np.clip(half_lives, 2.0**-4, 2.0**12), bins=2.0 ** np.arange(-4, 12.5, 0.5), color=GATES["forget"], alpha=0.7
    )
    middle = float(np.median(half_lives))
    axis.axvline(min(middle, 2.0**12), color=MARK, linewidth=1, label=f"median {steps_text(middle)}")
    axis.set_xscale("log", base=2)
    axis.set(xlabel="half-life of a unit, steps", ylabel="units", xlim=(2.0**-4, 2.0**12))
    axis.set_xticks(
        [1 / 16, 1 / 4, 1, 4, 16, 64, 256, 1024, 4096], ["1/16", "1/4", "1", "4", "16", "64", "256", "1k", "4k"]
    )
    axis.legend(fontsize="small")


def _state(layer: Any, axis: Any) -> None:
    axis.plot(np.arange(1, len(layer.units.state_norm) + 1), layer.units.state_norm, color="tab:brown")
    axis.set(xlabel="steps from the start of the row", ylabel="norm of the state")
    axis.set_ylim(bottom=0)


def _legend_above(axis: Any, columns: int = 1) -> None:
    """Add a legend, with room for it at the top of a logarithmic axis."""
    lines = -(-len(axis.get_legend_handles_labels()[0]) // columns)
    low, high = axis.get_ylim()
    share = min(0.05 + 0.075 * lines, 0.6)  # fraction of the height
    axis.set_ylim(low, high * (high / low) ** (share / (1 - share)))
    axis.legend(fontsize="x-small", loc="upper right", ncols=columns, borderaxespad=0.3, labelspacing=0.3)


def _plain_ticks(axis: Any) -> None:
    """Label a logarithmic axis with numbers like 0.5 and 20; within few powers of ten, between them too."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_ylim()
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_major_formatter(plain)
    axis.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axis.yaxis.set_minor_formatter(plain if high / low < 1000 else NullFormatter())


def _needed(findings: Any) -> int | None:
    """Return the context that is needed; None if it does not lower the loss, or was not measured."""
    context = findings.context
    if context is None or not len(context.losses) or not np.nanmax(context.losses) > context.full:
        return None
    return int(context.needed)


def _histograms(event: Any, layer: Any) -> dict[str, Any]:
    """Return the histograms of a layer's gates in an event `Examined`, by name."""
    statistics = event["layers"].get(layer.name, {})
    return {gate: statistics[f"{gate}_histogram"] for gate in layer.gates if f"{gate}_histogram" in statistics}


def _named(axis: Any, names: Sequence[str]) -> None:
    axis.set_yticks(np.arange(len(names)) + 0.5, names)
    axis.tick_params(axis="y", length=0)
    for place in range(1, len(names)):
        axis.axhline(place, color="black", linewidth=0.6)


def _powers_of_two(axis: Any, lengths: np.ndarray) -> None:
    axis.set_xscale("log", base=2)
    ticks = 2 ** np.arange(0, int(math.log2(max(int(lengths[-1]), 2))) + 1, 1 if lengths[-1] < 600 else 2)
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()


def _powers(factor: float, lags: np.ndarray) -> np.ndarray:
    """Return factor ** lags, within the limits of the axis."""
    return np.exp(np.clip(lags * math.log(max(factor, FLOOR)), math.log(FLOOR) - 5, 5 - math.log(FLOOR)))


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), np.maximum(values, FLOOR / 10), np.nan)


def _of(function: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    return float(function(values)) if np.isfinite(values).any() else math.nan
