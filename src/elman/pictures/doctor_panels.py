"""The panels of the picture of an examination: each draws on an axis of its own."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from elman.pictures.numbers import steps_text

FLOOR = 1e-9  # of a logarithmic axis
SMALL = 1e-6  # of that of singular values
POINTS = 300  # of the training, each of neighbours
GATES = {
    "input": "tab:green",
    "forget": "tab:blue",
    "update": "tab:blue",
    "output": "tab:orange",
    "reset": "tab:purple",
}
MARK = "tab:red"


class Panel(NamedTuple):
    kind: str  # `gradient`, `context`, `training`, `reach`, `jacobians`, `gates`, `memory`, `drift`
    title: str
    draw: Callable[[Any], None]


def panels_of_model(found: Any) -> list[Panel]:
    """Those that are of the whole model."""
    panels = []
    if any(np.count_nonzero(~np.isnan(layer.lags.curve)) > 1 for layer in found.layers):
        panels.append(Panel("gradient", "gradient by lag", partial(_gradient, found)))
    if found.context is not None and len(found.context.lengths) > 1:
        panels.append(Panel("context", "loss by context", partial(_context, found)))
    past = found.facts.history
    if past is not None and len(past.updates) > 1:
        panels.append(Panel("training", "gradients of the training", partial(_training, found)))
    if past is not None and len(past.examined) > 1:
        panels.append(Panel("reach", "horizon while training", partial(_reach, found)))
    return panels


def panels_of_layer(found: Any, layer: Any) -> list[Panel]:
    """Those that each layer has."""
    panels, past = [], found.facts.history
    if len(layer.jacobians.lags) > 1:
        panels.append(Panel("jacobians", "singular values by lag", partial(_jacobians, layer)))
    examined = [event for event in past.examined if _histograms(event, layer)] if past is not None else []
    if len(examined) > 1:
        panels.append(Panel("gates", "gates while training", partial(_gates_while_training, layer, examined)))
    elif layer.gates:
        panels.append(Panel("gates", "gates", partial(_gates, layer)))
    if any(gate.half_life is not None for gate in layer.gates.values()):
        panels.append(Panel("memory", "memory of the units", partial(_memory, layer)))
    if len(layer.units.drift) > 1:
        panels.append(Panel("drift", "size of the state", partial(_drift, layer)))
    return panels


def _gradient(found: Any, axis: Any) -> None:
    unrolled, needed = found.facts.unrolled, _needed(found)
    reach = [layer.reach for layer in found.layers if math.isfinite(layer.reach)]
    wanted = max(20.0, 2 * max(reach, default=0.0), 1.1 * (needed or 0), 1.1 * (unrolled or 0))
    last = min(wanted, max(len(layer.lags.curve) - 1 for layer in found.layers))
    lowest = 0.1
    for number, layer in enumerate(found.layers):
        curve = layer.lags.curve[: int(last) + 1]
        lags, color = np.arange(len(curve)), f"C{number % 10}"
        axis.plot(lags, np.maximum(curve, FLOOR), color=color, label=f"{layer.name}: to {steps_text(layer.reach)}")
        if layer.reach <= len(curve) - 1:
            axis.plot(layer.reach, np.interp(layer.reach, lags, np.maximum(curve, FLOOR)), "o", color=color)
        if layer.bound is not None and math.isfinite(layer.bound.factor):
            axis.plot(lags, _powers(layer.bound.factor, lags), "--", color=color, linewidth=1, label="its bound")
        seen = curve[~np.isnan(curve)]
        lowest = min(lowest, float(seen.min(initial=1)))
    for at, name in ((unrolled, "unrolled"), (needed, "context needed")):
        if at is not None and at <= 1.05 * last:
            axis.axvline(at, color=MARK, linestyle=":" if name == "unrolled" else "-.", linewidth=1, label=name)
    highest = max([1.0, *(float(np.nanmax(layer.lags.curve[: int(last) + 1])) for layer in found.layers)])
    axis.set(yscale="log", xlim=(0, last), ylim=(max(FLOOR, lowest / 3), min(2 * highest, 1 / FLOOR)))
    axis.set(xlabel="steps back", ylabel="part of the gradient at lag 0")
    _legend_above(axis)


def _context(found: Any, axis: Any) -> None:
    seen, needed = found.context, _needed(found)
    axis.plot(seen.lengths, seen.losses, marker="o", markersize=4, color="tab:blue")
    axis.axhline(seen.whole, color="tab:gray", linestyle="--", linewidth=1, label=f"all there is: {seen.whole:.4g}")
    if needed is not None:
        axis.axvline(needed, color=MARK, linestyle="-.", linewidth=1, label=f"needed: {needed}")
    _powers_of_two(axis, seen.lengths)
    axis.set(xlabel="steps of context", ylabel="loss")
    axis.legend(fontsize="small")


def _training(found: Any, axis: Any) -> None:
    past, limit = found.facts.history, found.facts.clip_norm
    norms = np.where(np.isfinite(past.norms) & (past.norms > 0), past.norms, np.nan)
    parts = np.array_split(np.arange(len(norms)), min(POINTS, len(norms)))
    places = [float(past.updates[part].mean()) for part in parts]
    low, middle, high = (np.array([_of(function, norms[part]) for part in parts])
                         for function in (np.nanmin, np.nanmedian, np.nanmax))  # fmt: skip
    axis.fill_between(places, low, high, color="tab:blue", alpha=0.25, linewidth=0)
    axis.plot(places, middle, color="tab:blue", linewidth=1, label="gradient norm")
    if limit is not None:
        label = f"clipped at {limit:g}: {past.clipped:.0%} of the updates"
        axis.axhline(limit, color=MARK, linestyle="--", linewidth=1, label=label)
    axis.set(yscale="log", xlabel="update", ylabel="norm of the gradient")
    _plain_ticks(axis)
    _legend_above(axis)


def _reach(found: Any, axis: Any) -> None:
    events = found.facts.history.examined
    for number, layer in enumerate(found.layers):
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
    if products.memory_largest is not None:
        kinds.append(("c", products.memory_largest, products.memory_smallest, "tab:green"))
    for name, largest, smallest, color in kinds:
        axis.plot(products.lags, _positive(largest), marker="o", markersize=3, color=color, label=f"{name}: largest")
        if smallest is not None and np.isfinite(smallest).any():
            label = f"{name}: smallest"
            axis.plot(products.lags, _positive(smallest), "v:", markersize=3, color=color, linewidth=1, label=label)
    if products.direct is not None:
        lags = np.arange(1, len(products.direct))
        axis.plot(lags, _positive(products.direct[1:]), color="black", linewidth=1, label="product of forget gates")
    if layer.bound is not None and math.isfinite(layer.bound.factor):
        bound = _powers(layer.bound.factor, products.lags)
        axis.plot(products.lags, bound, "--", color="tab:gray", linewidth=1, label="bound by the weights")
    axis.axhline(1, color="tab:gray", linewidth=0.5)
    _powers_of_two(axis, products.lags)
    axis.set(yscale="log", xlabel="steps", ylabel="change of the state, times")
    low, high = axis.get_ylim()
    axis.set_ylim(max(low, SMALL), min(high, 1 / FLOOR))
    _legend_above(axis, 2)


def _gates(layer: Any, axis: Any) -> None:
    """A histogram for each gate, one above the other."""
    for place, (name, gate) in enumerate(reversed(layer.gates.items())):
        shares = 0.9 * gate.histogram / max(gate.histogram.max(), 1e-9)
        edges = np.linspace(0, 1, len(shares) + 1)
        color = GATES.get(name, f"C{place}")
        axis.stairs(place + shares, edges, baseline=place, fill=True, color=color, alpha=0.6)
        axis.stairs(place + shares, edges, baseline=place, color=color)
        axis.plot(gate.mean, place, marker="^", color="black", markersize=5, clip_on=False)
    _named(axis, list(reversed(layer.gates)))
    axis.set(xlim=(0, 1), ylim=(0, len(layer.gates)), xlabel="shut 0 … 1 open   (▲ mean)")


def _gates_while_training(layer: Any, events: Sequence[Any], axis: Any) -> None:
    """A strip for each gate, with its histogram from shut below to open above, at one update after another."""
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
    axis.set(ylim=(0, len(names)), xlabel="update   (each strip: shut below, open above)")


def _memory(layer: Any, axis: Any) -> None:
    keep = next(gate.half_life for gate in layer.gates.values() if gate.half_life is not None)
    lives = np.clip(keep, 2.0**-4, 2.0**12)
    axis.hist(lives, bins=2.0 ** np.arange(-4, 12.5, 0.5), color=GATES["forget"], alpha=0.7)
    middle = float(np.median(keep))
    axis.axvline(min(middle, 2.0**12), color=MARK, linewidth=1, label=f"median {steps_text(middle)}")
    axis.set_xscale("log", base=2)
    axis.set(xlabel="half-life of a unit, steps", ylabel="units", xlim=(2.0**-4, 2.0**12))
    axis.set_xticks(
        [1 / 16, 1 / 4, 1, 4, 16, 64, 256, 1024, 4096], ["1/16", "1/4", "1", "4", "16", "64", "256", "1k", "4k"]
    )
    axis.legend(fontsize="small")


def _drift(layer: Any, axis: Any) -> None:
    axis.plot(np.arange(1, len(layer.units.drift) + 1), layer.units.drift, color="tab:brown")
    axis.set(xlabel="steps from the start of the row", ylabel="norm of the state")
    axis.set_ylim(bottom=0)


def _legend_above(axis: Any, columns: int = 1) -> None:
    """A legend with room of its own at the top of a logarithmic axis."""
    lines = -(-len(axis.get_legend_handles_labels()[0]) // columns)
    low, high = axis.get_ylim()
    share = min(0.05 + 0.075 * lines, 0.6)  # of the height
    axis.set_ylim(low, high * (high / low) ** (share / (1 - share)))
    axis.legend(fontsize="x-small", loc="upper right", ncols=columns, borderaxespad=0.3, labelspacing=0.3)


def _plain_ticks(axis: Any) -> None:
    """Numbers like 0.5 and 20 on a logarithmic axis, those between the powers of ten as well where these are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_ylim()
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_major_formatter(plain)
    axis.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axis.yaxis.set_minor_formatter(plain if high / low < 1000 else NullFormatter())


def _needed(found: Any) -> int | None:
    """The context that is needed; None where memory is worth nothing or was not looked at."""
    seen = found.context
    if seen is None or not len(seen.losses) or not np.nanmax(seen.losses) > seen.whole:
        return None
    return int(seen.needed)


def _histograms(event: Any, layer: Any) -> dict[str, Any]:
    """The gates of a layer in an event `Examined`, by name."""
    seen = event["layers"].get(layer.name, {})
    return {name.removesuffix("_histogram"): shares for name, shares in seen.items() if name.endswith("_histogram")}


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
    """factor ** lags, within what can be drawn."""
    return np.exp(np.clip(lags * math.log(max(factor, FLOOR)), math.log(FLOOR) - 5, 5 - math.log(FLOOR)))


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), np.maximum(values, FLOOR / 10), np.nan)


def _of(function: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    return float(function(values)) if np.isfinite(values).any() else math.nan
