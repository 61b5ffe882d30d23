"""The rows of the table: every way of training, for one seed on one split.

All start from the same weights, stop by the same rule on the same development clients, and are scored on the same test
clients, which took part in no training and no selection (their features are standardised by themselves where scaling is
per subject). Local-only: each training client's own model is applied to every test client; it answers what a new person
would get from one other person's model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_affect.client_data import StagedCohort
from tff_affect.cohort import Cohort
from tff_affect.config import StudyConfig
from tff_affect.evaluation.per_client import result_rows
from tff_affect.learning.algorithms import build_federated_averaging
from tff_affect.learning.baselines import Budget, Trainer, training_mean
from tff_affect.learning.checkpoints import Checkpoints
from tff_affect.learning.federated_evaluation import FederatedEvaluation
from tff_affect.learning.program import FederatedProgram, RoundResult, development_score
from tff_affect.learning.sampling import derived_seed
from tff_affect.metrics import SufficientStatistics
from tff_affect.models.registry import Weights, initial_weights
from tff_affect.progress import Progress, Task
from tff_affect.round_tables import DEVELOPMENT, RoundTables
from tff_affect.run_folder import RunFolder
from tff_affect.splits import Split

Row = dict[str, Any]


@dataclass(frozen=True)
class Learners:
    """What is built once per staged cohort and serves every seed and split.

    Attributes:
        staged: The clients' sequences.
        process: Federated training.
        evaluation: Federated evaluation.
        trainer: Training in this process.
    """

    staged: StagedCohort
    process: tff.learning.templates.LearningProcess
    evaluation: FederatedEvaluation
    trainer: Trainer

    @classmethod
    def build(cls, staged: StagedCohort, config: StudyConfig) -> Learners:
        """Builds all of them for one model and training configuration."""
        process = build_federated_averaging(staged, config.model, config.training)
        evaluation = FederatedEvaluation(staged, config.model)
        return cls(staged, process, evaluation, Trainer(staged, config.model, config.training))


@dataclass(frozen=True)
class Run:
    """One seed on one split.

    Attributes:
        name: Shown with progress.
        config: The study's configuration.
        seed: Training seed.
        split: Who trains, develops and tests.
        cohort: The cohort, for the clock of the predictions.
        learners: What trains and evaluates.
        folder: Where tables, weights and predictions go.
        progress: Shows how far it is.
    """

    name: str
    config: StudyConfig
    seed: int
    split: Split
    cohort: Cohort
    learners: Learners
    folder: RunFolder
    progress: Progress

    def rows(self, method: str) -> list[Row]:
        """Trains one way and returns its measured rows of ``results.csv``; weights and predictions go to the folder."""
        work: dict[str, Callable[[], list[Row]]] = {
            "mean predictor": self._mean_predictor,
            "local-only": self._local_only,
            "centralised": self._centralised,
            "federated": self._federated,
        }
        return work[method]()

    def _measured(self, method: str, model: str, statistics: Sequence[SufficientStatistics]) -> list[Row]:
        return [
            row
            for client, s in zip(self.split.test, statistics, strict=True)
            for row in result_rows(method, "measured", model, client, s, self.folder.dimensions)
        ]

    def _task(self, method: str, total: int) -> AbstractContextManager[Task]:
        return self.progress.task(f"{self.name} {method}", total)

    @cached_property
    def _initial_weights(self) -> Weights:
        staged = self.learners.staged
        seed = derived_seed(self.seed, "weights") % 2**31
        return initial_weights(self.config.model, staged.shape, seed)

    def _mean_predictor(self) -> list[Row]:
        staged = self.learners.staged
        mean = training_mean(staged, self.split.train)
        predictions = [np.broadcast_to(mean, staged.gold(client).shape) for client in self.split.test]
        return self._measured("mean predictor", "", self._statistics(predictions))

    def _statistics(self, predictions: Sequence[np.ndarray]) -> list[SufficientStatistics]:
        """Statistics of the test clients' predictions, ``[frames, dimension]`` each."""
        gold = (self.learners.staged.gold(client) for client in self.split.test)
        return [SufficientStatistics.from_series(g, p) for g, p in zip(gold, predictions, strict=True)]

    def _fit(self, clients: Sequence[str], on_pass: Callable[[], None]) -> Weights:
        trainer, development = self.learners.trainer, self.split.development

        def score(weights: Weights) -> float:
            return development_score(trainer.statistics(weights, development))

        return trainer.fit(self._initial_weights, clients, self.seed, self._budget(), score, on_pass)

    def _budget(self) -> Budget:
        return Budget.of(self.config.training, len(self.split.train))

    def _local_only(self) -> list[Row]:
        rows: list[Row] = []
        with self._task("local-only", len(self.split.train)) as task:
            for client in self.split.train:
                weights = self._fit([client], lambda: None)
                rows += self._measured("local-only", client, self.learners.trainer.statistics(weights, self.split.test))
                task.advance()
        return rows

    def _centralised(self) -> list[Row]:
        trainer = self.learners.trainer
        with self._task("centralised", self._budget().passes) as task:
            weights = self._fit(self.split.train, task.advance)
        self.folder.write_weights("centralised", weights)
        predictions = [trainer.predictions(weights, client) for client in self.split.test]
        self._write_predictions("centralised", predictions)
        return self._measured("centralised", "", self._statistics(predictions))

    def _federated(self) -> list[Row]:
        training, learners = self.config.training, self.learners
        program = FederatedProgram(
            learners.process, learners.evaluation, training, self.split.train, self.split.development, self.seed,
            self._initial_weights,
        )  # fmt: skip
        tables = RoundTables(self.folder.path, self.folder.dimensions)
        with self._task("federated", training.rounds) as task:
            weights, best = program.run(Checkpoints(self.folder.checkpoints), _Shown(tables, task))
        self.folder.write_weights("federated", weights)
        final = {
            partition: learners.evaluation.statistics(weights, clients)
            for partition, clients in asdict(self.split).items()
            if partition != DEVELOPMENT
        }
        for partition, statistics in final.items():
            tables.add_clients(best, partition, dict(zip(getattr(self.split, partition), statistics, strict=True)))
        self._write_predictions("federated", learners.evaluation.predictions(weights, self.split.test))
        return self._measured("federated", "", final["test"])

    def _write_predictions(self, method: str, predictions: Sequence[np.ndarray]) -> None:
        """On the clock of the labels: what was predicted from frame t belongs to the label ``delay`` frames later."""
        staged = self.learners.staged
        for client, predicted in zip(self.split.test, predictions, strict=True):
            gold, later = (_later(series, staged.delay) for series in (staged.gold(client), predicted))
            self.folder.write_predictions(method, client, self.cohort.load(client).time, gold, later)


def _later(series: np.ndarray, frames: int) -> np.ndarray:
    """``[frames, dimension]`` moved to later frames; NaN where nothing was."""
    moved = np.full_like(series, np.nan)
    moved[frames:] = series[: len(series) - frames]
    return moved


class _Shown:
    """Round tables, with a step of progress per round."""

    def __init__(self, tables: RoundTables, task: Task) -> None:
        self._tables, self._task = tables, task

    def resume_after(self, round_number: int) -> None:
        self._tables.resume_after(round_number)
        for _ in range(round_number):
            self._task.advance()

    def observe(self, result: RoundResult) -> None:
        self._tables.observe(result)
        self._task.advance(_note(result))


def _note(result: RoundResult) -> str:
    if not result.development:
        return f"loss {result.loss:.3f}"
    return f"loss {result.loss:.3f}, development CCC {development_score(list(result.development.values())):.3f}"
