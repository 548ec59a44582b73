"""Numbers as pictures and reports say them."""

import math


def steps_text(steps: float) -> str:
    """So many steps in few letters: `2.1`, `133`, `no end` of what does not fade, `-` of what is not known."""
    if math.isnan(steps):
        return "-"
    if math.isinf(steps):
        return "no end"
    return f"{steps:.1f}" if steps < 9.95 else f"{steps:,.0f}"
