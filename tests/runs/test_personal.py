"""What is chosen on whom: ways of personalisation over computations that can be followed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sample_personal import MODEL, staged_in

from tff_affect.config import OptimizerConfig, StudyConfig, TrainingConfig
from tff_affect.errors import DivergedError
from tff_affect.learning.personalization_config import PersonalizationConfig
from tff_affect.metrics import SufficientStatistics
from tff_affect.runs import personal
from tff_affect.runs.personal import Personalizer, PersonalRun
from tff_affect.splits import Split

TRAIN, DEVELOPMENT, TEST = ("a",), ("b",), ("c",)
GOLD = np.array([0.0, 1.0, 2.0, 3.0])[:, None]
RATES, PASSES = (0.1, 0.2, 0.4), (1, 5)


def off_by(distance: float) -> np.ndarray:
    """``[dimension, 6]`` of a prediction that is wrong by a constant: the nearer the better."""
    return np.repeat(SufficientStatistics.from_series(GOLD, GOLD + distance).to_array(), 2, axis=0)


class Told:
    """What was asked of whom."""

    clients: ClassVar[list[tuple[str, ...]]] = []


class Scores:
    """Development clients like rate 0.2 and 5 passes best; test clients would like 0.4 and 1."""

    broken = False

    def __init__(self, *_: Any) -> None:
        pass

    def of(self, weights: Any, rate: float, clients: Sequence[str], seed: int) -> np.ndarray:
        Told.clients.append(tuple(clients))
        rate_liked, passes_liked = (0.2, 5) if tuple(clients) == DEVELOPMENT else (0.4, 1)
        found = np.stack([off_by(abs(rate - rate_liked) * 10 + abs(p - passes_liked)) for p in PASSES])
        if self.broken:
            found[..., 0] = 0
        return np.repeat(found[None], len(clients), axis=0)


class Evaluation:
    """A model is its distance from the truth."""

    def __init__(self, *_: Any) -> None:
        pass

    def statistics(self, weights: Any, clients: Sequence[str]) -> list[SufficientStatistics]:
        Told.clients.append(tuple(clients))
        return [SufficientStatistics.from_array(off_by(float(weights[0][0]))) for _ in clients]


class Rounds:
    """Two models that come nearer to the truth up to round 3, and drift off after it."""

    def __init__(self, process: object, choice: object, first: Sequence[Any]) -> None:
        self.first = len(first)

    def next(self, sampling: Any, number: int) -> list[list[np.ndarray]]:
        assert sampling.clients == TRAIN
        return [[np.array([abs(number - 3) + 0.5 + place])] for place in range(self.first)]


class Choice:
    """Everybody takes the second model."""

    def __init__(self, *_: Any) -> None:
        pass

    def of(self, models: Sequence[Any], clients: Sequence[str]) -> np.ndarray:
        return np.full(len(clients), 1)


@pytest.fixture
def personalizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Personalizer:
    Told.clients = []
    for name, stand_in in (
        ("PersonalScores", Scores), ("FederatedEvaluation", Evaluation), ("ClusteredTraining", Rounds),
        ("Choice", Choice),
    ):  # fmt: skip
        monkeypatch.setattr(personal, name, stand_in)
    monkeypatch.setattr(personal, "build_federated_averaging", lambda *_: None)
    config = PersonalizationConfig(learning_rates=RATES, passes=PASSES)
    return Personalizer(staged_in(tmp_path / "clients"), StudyConfig(model=MODEL), config, gap=0)


@pytest.fixture
def run() -> PersonalRun:
    training = TrainingConfig(rounds=6, patience=2, client_optimizer=OptimizerConfig("sgd", 0.1))
    config = StudyConfig(model=MODEL, training=training)
    return PersonalRun(0, Split(TRAIN, DEVELOPMENT, TEST), config, [np.array([0.25])])


@pytest.mark.parametrize("way", ["fine-tune", "head", "own-only"])
def test_rate_and_passes_are_those_that_development_clients_like(
    way: str, personalizer: Personalizer, run: PersonalRun
) -> None:
    found = personalizer.scored(way, run)
    assert {name: found.chosen[name] for name in ("learning_rate", "passes")} == {"learning_rate": 0.2, "passes": 5}
    assert found.chosen["development_ccc"] == pytest.approx(1)
    np.testing.assert_allclose(found.statistics, [off_by(2 + 4)])
    # Test clients are looked at once, with what was chosen.
    assert Told.clients == [DEVELOPMENT] * len(RATES) + [TEST]


def test_of_several_models_the_best_round_of_development_clients_counts(
    personalizer: Personalizer, run: PersonalRun
) -> None:
    rounds: list[int] = []
    found = personalizer.scored("clustered", run, lambda: rounds.append(1))
    assert (found.chosen["round"], found.chosen["test_clients_of_each"]) == (3, [0, 1])
    np.testing.assert_allclose(found.statistics, [off_by(1.5)])
    assert len(rounds) == 5
    assert Told.clients.index(TEST) > 2 * 4
    assert TRAIN not in Told.clients


def test_before_is_the_model_of_the_study(personalizer: Personalizer, run: PersonalRun) -> None:
    np.testing.assert_allclose(personalizer.scored("before", run).statistics, [off_by(0.25)])


def test_candidates_that_lose_frames_are_none(
    personalizer: Personalizer, run: PersonalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scores, "broken", True)
    with pytest.raises(DivergedError, match="offer smaller learning rates"):
        personalizer.scored("fine-tune", run)
