"""Numbers as text, for pictures and reports."""

import math


def steps_text(steps: float) -> str:
    """Return a number of steps as short text: `2.1`, `133`, `no end` for infinity, `-` for NaN."""
    if math.isnan(steps):
        return "-"
    if math.isinf(steps):
        return "no end"
    return f"{steps:.1f}" if steps < 9.95 else f"{steps:,.0f}"
