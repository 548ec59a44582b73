"""Rules over what was measured, one function each: a verdict, or None where there is nothing to say."""

from elman.doctor.rules import gates, gradient, memory, training
from elman.doctor.rules.common import Rule

RULES: tuple[Rule, ...] = (*training.RULES, *gradient.RULES, *memory.RULES, *gates.RULES)

__all__ = ["RULES", "Rule"]
