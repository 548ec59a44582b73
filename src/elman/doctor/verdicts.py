"""What the measurements say in words: all rules over an examination, and `well` where none has anything to say."""

from elman.doctor.examination import Examination
from elman.doctor.facts import Facts
from elman.doctor.rules import RULES
from elman.doctor.rules.common import farthest, many, used
from elman.doctor.verdict import LEVELS, WELL, Verdict
from elman.pictures.numbers import steps_text

__all__ = ["Verdict", "verdicts"]


def verdicts(found: Examination, facts: Facts | None = None) -> list[Verdict]:
    """The ill before the warnings; where there are neither, that all is well.

    Args:
        facts: what else is known; None for what the examination was told.
    """
    facts = found.facts if facts is None else facts
    told = [verdict for rule in RULES if (verdict := rule(found, facts)) is not None]
    return sorted(told, key=lambda verdict: LEVELS.index(verdict.level)) or [_well(found, facts)]


def _well(found: Examination, facts: Facts) -> Verdict:
    layers = farthest(found)
    if not layers:
        return Verdict("well", WELL, "Nothing is wrong, as far as can be seen: no step has others before it.")
    reach = max(layer.reach for layer in layers)
    said = [
        "the gradient does not fade" if reach == float("inf") else f"the gradient reaches {steps_text(reach)} steps"
    ]
    if steps := used(found):
        said.append(f"90 % of what memory is worth lies within {many(steps, 'step')}")
    if (past := facts.history) is not None and facts.clip_norm is not None:
        said.append(f"clipping acted on {past.clipped:.0%} of the updates")
    return Verdict("well", WELL, "All is well: " + "; ".join(said) + ".")
