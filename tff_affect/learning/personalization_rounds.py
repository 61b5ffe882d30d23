"""Rounds of a training made for personalisation, up to the one that suits development clients best."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from tff_affect.config import TrainingConfig
from tff_affect.errors import DivergedError

Model = TypeVar("Model")


def best_of_rounds(
    training: TrainingConfig,
    next_round: Callable[[int], Model],
    score: Callable[[Model], float],
    on_round: Callable[[], None] = lambda: None,
) -> tuple[Model, int]:
    """Rounds as `tff_affect.learning.program.FederatedProgram` counts, scores and stops them.

    Args:
        training: Rounds, and when to look and to stop.
        next_round: Carries out a round, one-based, and returns what it gave.
        score: Of development clients after personalisation; higher is better.
        on_round: Called after each round.

    Returns:
        What the best round gave, and its number.

    Raises:
        DivergedError: If no score was finite.
    """
    best: tuple[float, Model, int] | None = None
    stale = 0
    for number in range(1, training.rounds + 1):
        found = next_round(number)
        on_round()
        if number % training.evaluate_every and number != training.rounds:
            continue
        value = score(found)
        if np.isfinite(value) and (best is None or value > best[0]):
            best, stale = (value, found, number), 0
            continue
        stale += 1
        if training.patience and stale >= training.patience:
            break
    if best is None:
        raise DivergedError("a training for personalisation diverged; lower training.client_optimizer.learning_rate")
    return best[1], best[2]
