"""The ways of personalisation, for one run of a study: chosen on development clients, scored on test clients.

Everybody is scored on the own later part after adapting on the own support part, and ``before`` is the study's
federated model on the same frames. Learning rate and passes are those whose mean CCC over development clients and
dimensions is highest after adaptation; rounds of a training of its own end by the same score. Nothing of a test client
enters a choice. Development clients also ended the training of the study's own model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tff_affect.client_data import StagedCohort, WindowShape
from tff_affect.config import StudyConfig, TrainingConfig
from tff_affect.errors import DivergedError
from tff_affect.learning.algorithms import build_federated_averaging
from tff_affect.learning.clustered import Choice, ClusteredTraining
from tff_affect.learning.federated_evaluation import FederatedEvaluation
from tff_affect.learning.personalization import Adaptation, PersonalScores, shifted_scores
from tff_affect.learning.personalization_config import PersonalizationConfig
from tff_affect.learning.personalization_parts import Parts
from tff_affect.learning.personalization_recon import Reconstruction
from tff_affect.learning.personalization_rounds import best_of_rounds
from tff_affect.learning.program import development_score
from tff_affect.learning.sampling import ClientSampling, derived_seed
from tff_affect.metrics import SufficientStatistics
from tff_affect.models.registry import Weights, initial_weights
from tff_affect.splits import Split

BEFORE = "before"
"""The study's own model, in the place of a way."""
OnRound = Callable[[], None]


@dataclass(frozen=True)
class Scored:
    """What a way gave.

    Attributes:
        statistics: Of each test client's later part, ``[client, dimension, 6]``, as `SufficientStatistics.to_array`.
        chosen: What was chosen on development clients, of JSON's types; with ``development_ccc``, their score.
    """

    statistics: np.ndarray
    chosen: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PersonalRun:
    """One run of a study, as far as personalisation needs it.

    Attributes:
        seed: Training seed.
        split: Who trains, develops and tests, without those whose recordings are too short.
        config: The study's, with the learning rates that this run's tuning chose.
        weights: Of the federated model, in Keras order.
    """

    seed: int
    split: Split
    config: StudyConfig
    weights: Weights


class Personalizer:
    """Carries out ways; what is built for it serves all runs on the same staged sequences.

    Args:
        staged: Whole recordings.
        config: The study's.
        personal: What is tried.
        gap: ``personal.gap`` in frames.
    """

    def __init__(self, staged: StagedCohort, config: StudyConfig, personal: PersonalizationConfig, gap: int) -> None:
        self._staged, self._config, self._personal = staged, config, personal
        self._parts = Parts.of(staged, personal.share, gap)
        self._built: dict[tuple[str, TrainingConfig], PersonalScores] = {}

    @property
    def shape(self) -> WindowShape:
        """Shape of one window."""
        return self._staged.shape

    def scored(self, way: str, run: PersonalRun, on_round: OnRound = lambda: None) -> Scored:
        """Carries out a way, or scores the study's own model for `BEFORE`.

        Args:
            way: One of ``WAYS``, or `BEFORE`.
            run: On what.
            on_round: Called after each round of a training.

        Raises:
            DivergedError: If all candidates, or the one that was chosen at a test client, left the finite numbers.
        """
        ways: dict[str, Callable[[], Scored]] = {
            BEFORE: lambda: Scored(self._statistics(run.weights, run.split.test)),
            "shift": lambda: self._shifted(run),
            "fine-tune": lambda: self._adapted("all", run, run.weights),
            "head": lambda: self._adapted("head", run, run.weights),
            "own-only": lambda: self._adapted("all", run, self._first_weights(run, 0)),
            "fedrecon": lambda: self._reconstructed(run, on_round),
            "clustered": lambda: self._clustered(run, on_round),
        }
        return ways[way]()

    def _shifted(self, run: PersonalRun) -> Scored:
        scores = PersonalScores(self._parts, self._config.model, shifted_scores(self._parts, self._config.model))
        return Scored(scores.of(run.weights, 1.0, run.split.test, run.seed)[:, 0])

    def _adapted(self, trained: str, run: PersonalRun, start: Weights, told: Mapping[str, Any] | None = None) -> Scored:
        """Learning rate and passes that suit development clients best, at test clients."""
        scores, passes = self._adaptation(trained, run.config.training), self._personal.passes
        tried = {
            (rate, number): development_score(_statistics(found[:, place]))
            for rate in self._personal.learning_rates
            for found in [scores.of(start, rate, run.split.development, run.seed)]
            for place, number in enumerate(passes)
            if _all_scored(found[:, place], found[:, 0])
        }
        if not tried:
            raise DivergedError("personalisation diverged with every candidate; offer smaller learning rates")
        rate, number = max(tried, key=lambda candidate: tried[candidate])
        found = scores.of(start, rate, run.split.test, run.seed)[:, passes.index(number)]
        chosen = {"learning_rate": rate, "passes": number, "development_ccc": tried[rate, number]}
        return Scored(found, {**(told or {}), **chosen})

    def _adaptation(self, trained: str, training: TrainingConfig) -> PersonalScores:
        # Candidates take the place of the rate: runs that tuned it differently share one computation.
        neutral = replace(training, client_optimizer=replace(training.client_optimizer, learning_rate=1e-3))
        if (trained, neutral) not in self._built:
            head = trained == "head"
            adaptation = Adaptation(self._parts, self._config.model, neutral, self._personal.passes, head)
            self._built[trained, neutral] = PersonalScores(
                self._parts, self._config.model, lambda *given: adaptation.in_graph(*given)[0]
            )
        return self._built[trained, neutral]

    def _reconstructed(self, run: PersonalRun, on_round: OnRound) -> Scored:
        training, passes = run.config.training, self._personal.reconstruction_passes
        first = self._first_weights(run, 0)
        rounds = Reconstruction(self._parts, self._config.model, training, passes, first)
        adaptation = Adaptation(self._parts, self._config.model, training, (passes,), head_only=True)
        heads = PersonalScores(self._parts, self._config.model, lambda *given: adaptation.in_graph(*given)[0])
        rate = training.client_optimizer.learning_rate

        def score(weights: Weights) -> float:
            return development_score(_statistics(heads.of(weights, rate, run.split.development, run.seed)[:, 0]))

        sampling = self._sampling(run)
        weights, number = best_of_rounds(training, lambda r: rounds.next(sampling, r), score, on_round)
        return self._adapted("head", run, weights, {"round": number})

    def _clustered(self, run: PersonalRun, on_round: OnRound) -> Scored:
        model, training = self._config.model, run.config.training
        process = build_federated_averaging(self._staged, model, training)
        first = [self._first_weights(run, place) for place in range(self._personal.clusters)]
        rounds = ClusteredTraining(process, Choice(self._staged, model, training.loss), first)
        fitting = Choice(self._parts.support, model, training.loss)

        def of(models: Sequence[Weights], clients: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
            chosen = fitting.of(models, clients)
            found = np.stack([self._statistics(weights, clients) for weights in models])
            return found[chosen, np.arange(len(clients))], chosen

        def score(models: Sequence[Weights]) -> float:
            return development_score(_statistics(of(models, run.split.development)[0]))

        sampling = self._sampling(run)
        models, number = best_of_rounds(training, lambda r: rounds.next(sampling, r), score, on_round)
        found, chosen = of(models, run.split.test)
        taken = np.bincount(chosen, minlength=len(models)).tolist()
        told = {"round": number, "test_clients_of_each": taken, "development_ccc": score(models)}
        return Scored(found, told)

    def _sampling(self, run: PersonalRun) -> ClientSampling:
        return ClientSampling(run.split.train, run.config.training.clients_per_round, run.seed)

    def _first_weights(self, run: PersonalRun, place: int) -> Weights:
        """Those that the study began with; of further models, drawn like them."""
        own = () if place == 0 else ("cluster", place)
        return initial_weights(self._config.model, self._staged.shape, derived_seed(run.seed, "weights", *own) % 2**31)

    def _statistics(self, weights: Weights, clients: Sequence[str]) -> np.ndarray:
        """``[client, dimension, 6]`` of the later parts."""
        return np.stack([found.to_array() for found in self._evaluation.statistics(weights, clients)])

    @cached_property
    def _evaluation(self) -> FederatedEvaluation:
        return FederatedEvaluation(self._parts.later, self._config.model)

    def faults(self, clients: Sequence[str]) -> dict[str, str]:
        """Clients whose recordings are too short for two parts -> why."""
        return self._parts.faults(clients)


def _statistics(arrays: np.ndarray) -> list[SufficientStatistics]:
    return [SufficientStatistics.from_array(array) for array in arrays]


def _all_scored(found: np.ndarray, least: np.ndarray) -> bool:
    """Whether no frame was lost to a prediction that is not finite."""
    return bool((found[..., 0] >= least[..., 0]).all() and found[..., 0].all() and np.isfinite(found).all())
