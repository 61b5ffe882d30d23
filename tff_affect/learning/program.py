"""The federated training program: rounds, development scores, early stopping, checkpoints.

It knows nothing of models, files or plots: the learning process, the evaluation, the checkpoints and the observer of
its rounds are given to it. Its state after round r is a function of its arguments and r, so that a run continued from
any checkpoint equals one that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import tensorflow_federated as tff

from tff_affect.client_data import training_key
from tff_affect.config import TrainingConfig
from tff_affect.learning.sampling import derived_seed, round_cohort
from tff_affect.metrics import SufficientStatistics
from tff_affect.models.registry import Weights


class Evaluation(Protocol):
    """Scores weights at clients."""

    def statistics(self, weights: Weights, clients: Sequence[str]) -> list[SufficientStatistics]:
        """Each client's statistics, in the order of ``clients``."""


class StateStore(Protocol):
    """Keeps numbered states."""

    def save(self, state: Any, version: int) -> None:
        """Saves a structure of arrays."""

    def load_latest(self, structure: Any) -> tuple[Any, int] | None:
        """The newest state and its number."""


@dataclass(frozen=True)
class RoundResult:
    """What a round gave.

    Attributes:
        number: One-based.
        clients: Clients that took part.
        windows: Windows they trained on, times local epochs.
        loss: Their mean training loss.
        development: Statistics of each development client, if the round was evaluated.
    """

    number: int
    clients: tuple[str, ...]
    windows: int
    loss: float
    development: dict[str, SufficientStatistics] | None = None


class Observer(Protocol):
    """Is told of each round."""

    def resume_after(self, round_number: int) -> None:
        """Training starts after this round (0: at the beginning); what was observed of later ones is void."""

    def observe(self, result: RoundResult) -> None:
        """A round is done."""


@dataclass(frozen=True)
class FederatedProgram:
    """One federated training, ready to run.

    Attributes:
        process: Learning process over `training_key` strings.
        evaluation: Scores development clients.
        training: Rounds, sampling, early stopping, checkpoint interval.
        clients: Training clients.
        development: Development clients; the best weights are those with the highest `development_score` on them.
        seed: Seed of client sampling and window order.
        initial_weights: Trainable weights to start from.
    """

    process: tff.learning.templates.LearningProcess
    evaluation: Evaluation
    training: TrainingConfig
    clients: tuple[str, ...]
    development: tuple[str, ...]
    seed: int
    initial_weights: Weights

    def run(self, checkpoints: StateStore, observer: Observer) -> tuple[Weights, int]:
        """Trains to the end, from the newest checkpoint if there is one.

        Returns:
            The best weights by development score, and the round that gave them.
        """
        state, start = self._initial_state(), 0
        loaded = checkpoints.load_latest(state)
        if loaded is not None:
            state, start = loaded
        observer.resume_after(start)
        for number in range(start + 1, self.training.rounds + 1):
            if self._finished(state):
                break
            state, result = self._round(state, number)
            observer.observe(result)
            last = number == self.training.rounds or self._finished(state)
            if last or number % self.training.checkpoint_every == 0:
                checkpoints.save(state, number)
        return [np.asarray(w) for w in state["best_weights"]], int(state["best_round"])

    def _initial_state(self) -> dict[str, Any]:
        weights = [np.asarray(w, np.float32) for w in self.initial_weights]
        learning = self.process.set_model_weights(
            self.process.initialize(), tff.learning.models.ModelWeights(weights, [])
        )
        return {
            "learning": learning,
            "best_weights": weights,
            "best_round": np.int64(0),
            "best_score": np.float64(-np.inf),
            "stale": np.int64(0),
        }

    def _finished(self, state: dict[str, Any]) -> bool:
        return bool(self.training.patience) and int(state["stale"]) >= self.training.patience

    def _round(self, state: dict[str, Any], number: int) -> tuple[dict[str, Any], RoundResult]:
        cohort = round_cohort(self.clients, self.training.clients_per_round, self.seed, number)
        keys = [training_key(c, derived_seed(self.seed, "window order", number, c)) for c in cohort]
        output = self.process.next(state["learning"], keys)
        metrics = output.metrics["client_work"]["train"]
        result = RoundResult(number, cohort, int(metrics["num_examples"]), float(metrics["loss"]))
        state = {**state, "learning": output.state}
        if number % self.training.evaluate_every == 0 or number == self.training.rounds:
            weights = [np.asarray(w) for w in self.process.get_model_weights(output.state).trainable]
            statistics = self.evaluation.statistics(weights, self.development)
            result = replace(result, development=dict(zip(self.development, statistics, strict=True)))
            state = _with_score(state, weights, number, development_score(statistics))
        return state, result


def _with_score(state: dict[str, Any], weights: Weights, number: int, score: float) -> dict[str, Any]:
    if score > float(state["best_score"]):
        best = {"best_weights": list(weights), "best_round": np.int64(number), "best_score": np.float64(score)}
        return {**state, **best, "stale": np.int64(0)}
    return {**state, "stale": np.int64(int(state["stale"]) + 1)}


def development_score(statistics: Sequence[SufficientStatistics]) -> float:
    """Mean CCC over development clients and dimensions; what model selection maximises in every way of training."""
    return float(np.mean([s.ccc for s in statistics]))
