"""The round that development clients like best, and when to stop."""

from __future__ import annotations

import pytest

from tff_affect.config import TrainingConfig
from tff_affect.errors import DivergedError
from tff_affect.learning.personalization_rounds import best_of_rounds

SCORES = [0.1, 0.3, float("nan"), 0.3, 0.2, 0.9]


def score(number: int) -> float:
    return SCORES[number - 1]


@pytest.mark.parametrize(
    ("training", "best", "rounds"),
    [
        (TrainingConfig(rounds=6, patience=0), 6, 6),
        (TrainingConfig(rounds=6, patience=3), 2, 5),
        (TrainingConfig(rounds=5, evaluate_every=4, patience=0), 4, 5),
        (TrainingConfig(rounds=1), 1, 1),
    ],
)
def test_the_best_round_counts(training: TrainingConfig, best: int, rounds: int) -> None:
    seen: list[int] = []

    def next_round(number: int) -> int:
        seen.append(number)
        return number

    assert best_of_rounds(training, next_round, score) == (best, best)
    assert seen == list(range(1, rounds + 1))


def test_no_finite_score_is_divergence() -> None:
    with pytest.raises(DivergedError, match=r"client_optimizer\.learning_rate"):
        best_of_rounds(TrainingConfig(rounds=2), lambda number: number, lambda number: float("nan"))
