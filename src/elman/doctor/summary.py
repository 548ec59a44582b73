"""Summary of an examination for a terminal, in some twenty lines."""

import math
import textwrap

import numpy as np

from elman.doctor.findings import Findings, Layer, Verdict
from elman.doctor.rules import verdicts
from elman.pictures.numbers import steps_text

WIDTH = 110  # characters per line
LABEL = 10  # characters of `FAILING`, `WARNING` or `HEALTHY` before a verdict
HEAD = ("layer", "", "gradient reach", "per step back", "bound", "longest half-life", "gates closed, open, %")


def summary(findings: Findings) -> str:
    """Return the verdicts with their remedies, a line per layer, the loss by context, and the training."""
    lines = [f"loss {findings.loss:.4g}"]
    for verdict in verdicts(findings):
        lines += ["", *_verdict(verdict)]
    lines += ["", *_columns(table(findings))]
    lines += [f"{path}: not examined: {reason}." for path, reason in findings.skipped.items()]
    lines += ["", *_rest(findings)]
    return "\n".join(lines).rstrip()


def table(findings: Findings) -> list[tuple[str, ...]]:
    """Return the figures of each layer, below a row of headings."""
    return [HEAD, *map(_row, findings.layers)]


def _verdict(verdict: Verdict) -> list[str]:
    indent = " " * LABEL
    lines = textwrap.wrap(verdict.message, WIDTH, initial_indent=f"{verdict.level.upper():{LABEL}}",
                          subsequent_indent=indent)  # fmt: skip
    if verdict.remedy:
        lines += textwrap.wrap(verdict.remedy, WIDTH, initial_indent=f"{indent}-> ", subsequent_indent=f"{indent}   ",
                               break_on_hyphens=False, break_long_words=False)  # fmt: skip
    return lines


def _row(layer: Layer) -> tuple[str, ...]:
    half_life = layer.memory_gate.half_life if layer.memory_gate else None
    factor = layer.bound.factor if layer.bound else math.nan
    return (
        layer.name,
        str(layer.cell),
        f"{steps_text(layer.reach)} steps" if math.isfinite(layer.reach) else steps_text(layer.reach),
        "-" if math.isnan(layer.growth) else f"x {layer.growth:.3f}",
        "-" if math.isnan(factor) else f"x {factor:.3f}",
        "-" if half_life is None or not len(half_life) else steps_text(float(np.quantile(half_life, 0.9))),
        ", ".join(f"{name} {100 * gate.closed:.0f} {100 * gate.open:.0f}" for name, gate in layer.gates.items()) or "-",
    )


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Align columns: text on the left, numbers on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = (0, 1, len(widths) - 1)

    def line(row: tuple[str, ...]) -> str:
        cells = zip(row, widths, strict=True)
        aligned = (cell.ljust(width) if place in left else cell.rjust(width)
                   for place, (cell, width) in enumerate(cells))  # fmt: skip
        return "  ".join(aligned).rstrip()

    return list(map(line, rows))


def _rest(findings: Findings) -> list[str]:
    lines, history, context = [], findings.facts.history, findings.context
    if context is not None and len(context.lengths):
        pairs = zip(context.lengths.tolist(), context.losses.tolist(), strict=True)
        chosen = [
            (length, loss) for length, loss in pairs if length & (length - 1) == 0 or length == context.lengths[-1]
        ]
        lines.append("loss by steps of context: " + ", ".join(f"{length}: {loss:.4g}" for length, loss in chosen))
    if history is not None and len(history.norms):
        clipped = f"clipped in {history.clipped:.0%}" if findings.facts.clip_norm is not None else "not clipped"
        usual = f"median gradient norm {float(np.median(history.norms)):.3g}"
        lines.append(f"training: {len(history.updates):,} updates, {usual}, {clipped}")
    return [line for text in lines for line in textwrap.wrap(text, WIDTH, subsequent_indent="    ")]
