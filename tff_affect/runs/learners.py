"""What is built once per staged cohort and serves all runs on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import tensorflow_federated as tff

from tff_affect.client_data import StagedCohort
from tff_affect.config import StudyConfig
from tff_affect.learning.algorithms import build_federated_averaging
from tff_affect.learning.baselines import Trainer
from tff_affect.learning.federated_evaluation import FederatedEvaluation

SOLVED = ("ridge",)
"""Models whose weights come in closed form."""


@dataclass(frozen=True)
class Learners:
    """What is built once per staged cohort and serves every seed and split.

    Attributes:
        staged: The clients' sequences.
        processes: Learning rate of the clients -> federated training; one, or one per candidate; none for a model that
            is solved.
        evaluation: Federated evaluation.
        trainers: Learning rate of the baselines -> training in this process; one, or one per candidate.
    """

    staged: StagedCohort
    processes: Mapping[float, tff.learning.templates.LearningProcess]
    evaluation: FederatedEvaluation
    trainers: Mapping[float, Trainer]

    @classmethod
    def build(cls, staged: StagedCohort, config: StudyConfig) -> Learners:
        """Builds all of them for one model and training configuration."""
        model, training = config.model, config.training
        client, baseline = training.client_optimizer, config.baseline_optimizer
        processes, trainers = {}, {}
        solved = config.model.name in SOLVED
        for rate in [] if solved else config.tuning.client_learning_rates or [client.learning_rate]:
            tuned = replace(training, client_optimizer=replace(client, learning_rate=rate))
            processes[rate] = build_federated_averaging(staged, model, tuned)
        evaluation = FederatedEvaluation(staged, model)
        # Last: a model that Keras builds inside a graph, as the others do, would spoil one that it built before.
        for rate in ([] if solved else config.tuning.baseline_learning_rates) or [baseline.learning_rate]:
            tuned = replace(training, baseline_optimizer=replace(baseline, learning_rate=rate))
            trainers[rate] = Trainer(staged, model, tuned)
        return cls(staged, processes, evaluation, trainers)

    @property
    def trainer(self) -> Trainer:
        """One of the trainers, to predict with: they differ in the learning rate alone."""
        return next(iter(self.trainers.values()))
