"""What was found, in some twenty lines for a terminal."""

import math
import textwrap

import numpy as np

from elman.doctor.examination import Examination, Layer
from elman.doctor.verdict import Verdict
from elman.pictures.numbers import steps_text

WIDTH = 110  # letters of a line
HEAD = ("layer", "", "gradient to", "a step", "bound", "longest memory", "gates shut, open, %")


def summary(found: Examination) -> str:
    """The verdicts with their remedies, a line for each layer, the loss by context, the training."""
    lines = [f"loss {found.loss:.4g}"]
    for verdict in found.verdicts():
        lines += ["", *_said(verdict)]
    lines += ["", *_columns(table(found))]
    lines += [f"{path}: not examined: {reason}." for path, reason in found.unseen.items()]
    lines += ["", *_rest(found)]
    return "\n".join(lines).rstrip()


def table(found: Examination) -> list[tuple[str, ...]]:
    """The figures of each layer, under a head."""
    return [HEAD, *map(_row, found.layers)]


def _said(verdict: Verdict) -> list[str]:
    name = f"{verdict.level.upper():8}"
    lines = textwrap.wrap(verdict.says, WIDTH, initial_indent=name, subsequent_indent=" " * len(name))
    if verdict.remedy:
        lines += textwrap.wrap(verdict.remedy, WIDTH, initial_indent=" " * len(name) + "-> ",
                               subsequent_indent=" " * len(name) + "   ", break_on_hyphens=False,
                               break_long_words=False)  # fmt: skip
    return lines


def _row(layer: Layer) -> tuple[str, ...]:
    keep = next((gate.half_life for gate in layer.gates.values() if gate.half_life is not None), None)
    factor = layer.bound.factor if layer.bound else math.nan
    return (
        layer.name,
        layer.kind,
        steps_text(layer.reach),
        "-" if math.isnan(layer.growth) else f"x {layer.growth:.3f}",
        "-" if math.isnan(factor) else f"x {factor:.3f}",
        "-" if keep is None or not len(keep) else steps_text(float(np.quantile(keep, 0.9))),
        ", ".join(f"{name} {100 * gate.shut:.0f} {100 * gate.open:.0f}" for name, gate in layer.gates.items()) or "-",
    )


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns of words on the left, of numbers on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = (0, 1, len(widths) - 1)

    def line(row: tuple[str, ...]) -> str:
        cells = zip(row, widths, strict=True)
        aligned = (cell.ljust(width) if place in left else cell.rjust(width)
                   for place, (cell, width) in enumerate(cells))  # fmt: skip
        return "  ".join(aligned).rstrip()

    return list(map(line, rows))


def _rest(found: Examination) -> list[str]:
    lines, past, seen = [], found.facts.history, found.context
    if seen is not None and len(seen.lengths):
        pairs = zip(seen.lengths.tolist(), seen.losses.tolist(), strict=True)
        chosen = [(length, loss) for length, loss in pairs if length & (length - 1) == 0 or length == seen.lengths[-1]]
        lines.append("loss by steps of context: " + ", ".join(f"{length}: {loss:.4g}" for length, loss in chosen))
    if past is not None and len(past.norms):
        clipped = f", clipped in {past.clipped:.0%}" if found.facts.clip_norm is not None else ", not clipped"
        usual = f"a gradient of {float(np.median(past.norms)):.3g} in the median"
        lines.append(f"training: {len(past.updates):,} updates, {usual}{clipped}")
    return [line for told in lines for line in textwrap.wrap(told, WIDTH, subsequent_indent="    ")]
