"""The federated training program: rounds, development scores, early stopping, checkpoints.

It knows nothing of models, files or plots: the learning process, the evaluation, the checkpoints and the observer of
its rounds are given to it. Its state after round r is a function of its arguments and r, so that a run continued from
any checkpoint equals one that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import tensorflow_federated as tff

from tff_affect.config import TrainingConfig
from tff_affect.learning.sampling import ClientSampling
from tff_affect.metrics import SufficientStatistics
from tff_affect.models.registry import Weights


class Scoring(Protocol):
    """Scores weights at clients."""

    def statistics(self, weights: Weights, clients: Sequence[str]) -> list[SufficientStatistics]:
        """Each client's statistics, in the order of ``clients``."""


class Evaluation(Scoring, Protocol):
    """Scores weights while something else is computed."""

    def begin(self, weights: Weights, clients: Sequence[str]) -> Callable[[], list[SufficientStatistics]]:
        """Begins `statistics`, and returns what waits for them; none come where no client could be read."""


class StateStore(Protocol):
    """Keeps numbered states."""

    def save(self, state: Any, version: int) -> None:
        """Saves a structure of arrays."""

    def load_latest(self, structure: Any) -> tuple[Any, int] | None:
        """The newest state and its number."""


@dataclass(frozen=True)
class RoundResult:
    """What a round gave. Under differential privacy nothing of the training clients is told.

    Attributes:
        number: One-based.
        clients: How many clients took part; None where that is withheld.
        windows: Windows they trained on, times local epochs; None where that is withheld.
        loss: Their mean training loss; None where that is withheld.
        development: Statistics of each development client, if the round was evaluated.
    """

    number: int
    clients: int | None
    windows: int | None
    loss: float | None
    development: dict[str, SufficientStatistics] | None = None


@dataclass(frozen=True)
class _Trained:
    """A round whose training is done and whose evaluation, if it has one, is under way."""

    learning: Any
    result: RoundResult
    weights: list[np.ndarray] | None = None
    statistics: Callable[[], list[SufficientStatistics]] | None = None


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
        training: Rounds, early stopping, checkpoint interval.
        sampling: Draws the clients of each round.
        development: Development clients; the best weights are those with the highest `development_score` on them.
        initial_weights: Trainable weights to start from.
        before_round: Told of a round before it is computed; also of one that is computed again, or dropped.
    """

    process: tff.learning.templates.LearningProcess
    evaluation: Evaluation
    training: TrainingConfig
    sampling: ClientSampling
    development: tuple[str, ...]
    initial_weights: Weights
    before_round: Callable[[int], None] = lambda number: None

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
        before: _Trained | None = None
        for number in range(start + 1, self.training.rounds + 1):
            if before is None and self._finished(state):
                break
            # The round before is scored meanwhile. If that ends training, this round came too late and is dropped.
            trained = self._train(before.learning if before else state["learning"], number)
            if before is not None:
                state, before = self._close(state, before, checkpoints, observer), None
                if self._finished(state):
                    break
            before = trained
        if before is not None:
            state = self._close(state, before, checkpoints, observer)
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

    def _train(self, learning: Any, number: int) -> _Trained:
        keys = self.sampling.keys(number, self.sampling.cohort(number))
        self.before_round(number)
        output = self.process.next(learning, keys)
        result = _measured(number, output.metrics["client_work"])
        if number % self.training.evaluate_every and number != self.training.rounds:
            return _Trained(output.state, result)
        weights = [np.asarray(w) for w in self.process.get_model_weights(output.state).trainable]
        return _Trained(output.state, result, weights, self.evaluation.begin(weights, self.development))

    def _close(
        self, state: dict[str, Any], trained: _Trained, checkpoints: StateStore, observer: Observer
    ) -> dict[str, Any]:
        """The state after a round, once its scores are there; they are observed and, where it is time, saved."""
        state, result = {**state, "learning": trained.learning}, trained.result
        if trained.weights is not None and trained.statistics is not None:
            statistics = trained.statistics()
            if statistics:  # else no development client could be read, and the round is as one that is not scored
                result = replace(result, development=dict(zip(self.development, statistics, strict=True)))
                state = _with_score(state, trained.weights, result.number, development_score(statistics))
        observer.observe(result)
        last = result.number == self.training.rounds or self._finished(state)
        if last or result.number % self.training.checkpoint_every == 0:
            checkpoints.save(state, result.number)
        return state


def _measured(number: int, told: Mapping[str, Any]) -> RoundResult:
    """A round from what the process tells of its clients."""
    if "train" not in told:
        return RoundResult(number, None, None, None)
    train = told["train"]
    return RoundResult(number, int(train["num_clients"]), int(train["num_examples"]), float(train["loss"]))


def _with_score(state: dict[str, Any], weights: Weights, number: int, score: float) -> dict[str, Any]:
    if score > float(state["best_score"]):
        best = {"best_weights": list(weights), "best_round": np.int64(number), "best_score": np.float64(score)}
        return {**state, **best, "stale": np.int64(0)}
    return {**state, "stale": np.int64(int(state["stale"]) + 1)}


def development_score(statistics: Sequence[SufficientStatistics]) -> float:
    """Mean CCC over development clients and dimensions; what model selection maximises in every way of training.

    A client of which no frame was scored is left out, unless that is so of all of them.
    """
    scored = [s.ccc for s in statistics if s.n.any()]
    return float(np.mean(scored or [s.ccc for s in statistics]))
