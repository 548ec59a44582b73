"""Rules over the measurements, one function each: a verdict, or None."""

from elman.doctor.findings import HEALTHY, LEVELS, Findings, Verdict
from elman.doctor.rules import gates, gradient, memory, training
from elman.doctor.rules.common import Rule, count_of, farthest, used_context
from elman.pictures.numbers import steps_text

RULES: tuple[Rule, ...] = (*training.RULES, *gradient.RULES, *memory.RULES, *gates.RULES)

__all__ = ["RULES", "Rule", "verdicts"]


def verdicts(findings: Findings) -> list[Verdict]:
    """Apply all rules: `failing` first, then `warning`; one `healthy` verdict if no rule applies."""
    problems = [verdict for rule in RULES if (verdict := rule(findings)) is not None]
    return sorted(problems, key=lambda verdict: LEVELS.index(verdict.level)) or [_healthy(findings)]


def _healthy(findings: Findings) -> Verdict:
    layers = farthest(findings)
    if not layers:
        message = "No problem found, but the loss reaches no step that has a predecessor: use longer rows."
        return Verdict("healthy", HEALTHY, message)
    reach = max(layer.reach for layer in layers)
    parts = [
        "the gradient does not decay" if reach == float("inf") else f"the gradient reaches {steps_text(reach)} steps"
    ]
    if steps := used_context(findings):
        parts.append(f"90 % of the benefit of context comes from the last {count_of(steps, 'step')}")
    if (history := findings.facts.history) is not None and findings.facts.clip_norm is not None:
        parts.append(f"clipping affected {history.clipped:.0%} of the updates")
    return Verdict("healthy", HEALTHY, f"No problem found: {'; '.join(parts)}.")
