"""What is built once per staged cohort and serves all runs on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow_federated as tff

from tff_affect.client_data import StagedCohort
from tff_affect.config import StudyConfig
from tff_affect.learning.algorithms import bare_client_update, build_federated_averaging, build_private_averaging
from tff_affect.learning.baselines import Trainer
from tff_affect.learning.distributed_privacy import DistributedAveraging
from tff_affect.learning.federated_evaluation import FederatedEvaluation
from tff_affect.learning.private_baseline import PrivateTrainer
from tff_affect.learning.sampling import ClientSampling
from tff_affect.privacy.distributed import build_distributed_mean
from tff_affect.privacy.mechanisms import build_aggregation

SOLVED = ("ridge",)
"""Models whose weights come in closed form."""


@dataclass(frozen=True)
class Learners:
    """What is built once per staged cohort and serves every seed and split.

    Attributes:
        staged: The clients' sequences.
        config: The study's configuration.
        processes: Learning rate of the clients -> federated training without privacy; one, or one per candidate; none
            where that is not asked for, or for a model that is solved.
        evaluation: Federated evaluation.
        trainers: Learning rate of the baselines -> training in this process; one, or one per candidate.
    """

    staged: StagedCohort
    config: StudyConfig
    processes: Mapping[float, tff.learning.templates.LearningProcess]
    evaluation: FederatedEvaluation
    trainers: Mapping[float, Trainer]

    @classmethod
    def build(cls, staged: StagedCohort, config: StudyConfig) -> Learners:
        """Builds all of them for one model and training configuration."""
        model, solved = config.model, config.model.name in SOLVED
        processes = {}
        if not solved and "federated" in config.rows:
            for rate in config.client_rates:
                processes[rate] = build_federated_averaging(staged, model, config.training_at(rate))
        evaluation = FederatedEvaluation(staged, model)
        # Last: a model that Keras builds inside a graph, as the others do, would spoil one that it built before.
        trainers = {rate: Trainer(staged, model, config.baseline_at(rate)) for rate in _baseline_rates(config)}
        return cls(staged, config, processes, evaluation, trainers)

    @property
    def trainer(self) -> Trainer:
        """One of the trainers, to predict with: they differ in the learning rate alone."""
        return next(iter(self.trainers.values()))

    def private_trainers(self) -> dict[float, Trainer]:
        """As ``trainers``, with differential privacy of single windows; built for one run."""
        config, staged = self.config, self.staged
        return {
            rate: PrivateTrainer(staged, config.model, config.baseline_at(rate), config.privacy)
            for rate in _baseline_rates(config)
        }

    def private_process(
        self, rate: float, sampling: ClientSampling, seed: int | None
    ) -> tff.learning.templates.LearningProcess | DistributedAveraging:
        """Federated training with differential privacy, built for one run.

        Args:
            rate: Learning rate of the clients.
            sampling: Tells the number of clients expected in a round, which is the denominator.
            seed: Of noise that is to be reproducible; None for the system's entropy.
        """
        training, privacy = self.config.training_at(rate), self.config.privacy
        staged, model = self.staged, self.config.model
        if privacy.mechanism == "distributed":
            update = bare_client_update(staged, model, training)
            mean = build_distributed_mean(privacy, sampling.expected, update.type_signature.result)
            return DistributedAveraging(update, mean, training)
        mechanism = None
        if privacy.level == "user":
            mechanism = build_aggregation(privacy, sampling.expected, seed, sampling.rounds_of_a_pass)
        return build_private_averaging(staged, model, training, privacy, mechanism)


def _baseline_rates(config: StudyConfig) -> list[float]:
    rates = [] if config.model.name in SOLVED else config.tuning.baseline_learning_rates
    return list(rates) or [config.baseline_optimizer.learning_rate]
