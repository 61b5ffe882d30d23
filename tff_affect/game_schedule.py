"""When what plays against each other in an adversarial game begins to."""

from __future__ import annotations


def is_past(step: int, steps: int, share: float) -> bool:
    """Whether a share of all steps is over at a step, from 0."""
    return step >= share * steps


def risen(step: int, steps: int, head_start: float, ramp: float) -> float:
    """Share of its full weight, from 0 to 1, that the game has in a loss.

    Args:
        step: From 0.
        steps: Of all the training.
        head_start: Share of the steps before the weight leaves 0.
        ramp: Share of the steps in which it rises evenly.
    """
    if not ramp:
        return float(is_past(step, steps, head_start))
    return min(1.0, max(0.0, (step / steps - head_start) / ramp))
