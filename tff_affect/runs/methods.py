"""The rows of the table: every way of training, for one seed on one split.

All are scored on the same test clients, which took part in no training and no selection (their features are
standardised by themselves where scaling is per subject). Local-only: each training client's own model is applied to
every test client; it answers what a new person would get from one other person's model. Where post-processing is asked
for, each model's chain is fitted on its predictions of the development clients, and its test predictions are scored
once as they are (``measured``) and once more after the chain (``post-processed``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from tff_affect.cohort import Cohort
from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED, StudyConfig
from tff_affect.evaluation.per_client import result_rows
from tff_affect.evaluation.postprocess import CRITERION, PostProcessing, fit_chain
from tff_affect.learning.baselines import training_mean
from tff_affect.metrics import SufficientStatistics
from tff_affect.models.registry import Weights
from tff_affect.progress import Progress, Task
from tff_affect.round_tables import TEST, TRAIN, RoundTables
from tff_affect.run_folder import RunFolder
from tff_affect.runs.closed_form import ClosedForm
from tff_affect.runs.fitting import FederatedWay, Fitting
from tff_affect.runs.learners import SOLVED, Learners
from tff_affect.runs.private import PrivateTraining
from tff_affect.served_data import ServedSequences
from tff_affect.splits import Split

__all__ = ["Learners", "Row", "Run"]

Row = dict[str, Any]
Predictions = Sequence[np.ndarray]
"""``[frames, dimension]`` of each client."""


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
        """Trains one way and returns its rows of ``results.csv``; weights and predictions go to the folder."""
        work: dict[str, Callable[[], list[Row]]] = {
            "mean predictor": self._mean_predictor,
            "local-only": self._local_only,
            "centralised": self._centralised,
            "federated": self._federated,
            PRIVATE_CENTRALISED: self._private_centralised,
            PRIVATE_FEDERATED: self._private_federated,
        }
        return work[method]()

    @cached_property
    def _fitting(self) -> Fitting | ClosedForm:
        if self.config.model.name in SOLVED:
            return ClosedForm(self.split, self.learners, self.folder)
        return self._gradient_descent

    @cached_property
    def _gradient_descent(self) -> Fitting:
        return Fitting(self.config, self.seed, self.split, self.learners, self.folder)

    def _task(self, method: str, total: int) -> AbstractContextManager[Task]:
        return self.progress.task(f"{self.name} {method}", total)

    def _mean_predictor(self) -> list[Row]:
        staged = self.learners.staged
        mean = training_mean(staged, self.split.train)
        predictions = [np.broadcast_to(mean, staged.gold(client).shape) for client in self.split.test]
        return self._rows("mean predictor", "measured", "", self._statistics(predictions))

    def _local_only(self) -> list[Row]:
        rows: list[Row] = []
        chains: dict[str, PostProcessing] = {}
        with self._task("local-only", len(self.split.train)) as task:
            for client in self.split.train:
                weights = self._fitting.baseline("local-only", client, [client])
                tested = self.learners.trainer.predictions(weights, self.split.test)
                rows += self._rows("local-only", "measured", client, self._statistics(tested))
                if self.config.postprocess:
                    chains[client] = self._chain(self.learners.trainer.predictions(weights, self.split.development))
                    rows += self._post_processed("local-only", client, chains[client], tested)
                task.advance()
        self._write_chains("local-only", chains)
        return rows

    def _centralised(self) -> list[Row]:
        with self._task("centralised", self._fitting.baseline_passes) as task:
            weights = self._fitting.baseline("centralised", "", self.split.train, task.advance)
        return self._centralised_rows("centralised", weights)

    def _private_centralised(self) -> list[Row]:
        private = PrivateTraining(self._gradient_descent)
        with self._task(PRIVATE_CENTRALISED, self._fitting.baseline_passes) as task:
            weights, guarantee = private.centralised(task.advance)
        private.write_guarantee(PRIVATE_CENTRALISED, guarantee)
        return self._centralised_rows(PRIVATE_CENTRALISED, weights)

    def _centralised_rows(self, method: str, weights: Weights) -> list[Row]:
        self.folder.write_weights(method, weights)
        tested = self.learners.trainer.predictions(weights, self.split.test)
        self._write_predictions(method, tested)
        rows = self._rows(method, "measured", "", self._statistics(tested))
        if self.config.postprocess:
            developed = self.learners.trainer.predictions(weights, self.split.development)
            rows += self._fitted_and_post_processed(method, developed, tested)
        return rows

    def _federated(self) -> list[Row]:
        fitting = self._fitting
        if isinstance(fitting, ClosedForm):
            return self._federated_rows("federated", fitting.federated, self.folder.path)
        way = FederatedWay.without_privacy(fitting)
        return self._federated_rows(way.method, partial(fitting.federated, way), way.folder)

    def _private_federated(self) -> list[Row]:
        private = PrivateTraining(self._gradient_descent)
        way = private.federated_way()
        rows = self._federated_rows(way.method, partial(self._gradient_descent.federated, way), way.folder)
        private.write_guarantee(way.method, private.federated_guarantee())
        return rows

    def _federated_rows(self, method: str, train: Callable[[Task], tuple[Weights, int]], folder: Path) -> list[Row]:
        """Trains, and fills the tables of rounds in ``folder``. What protects training clients scores none of them.

        Predictions of clients whose data stay elsewhere stay there too.
        """
        evaluation, remote = self.learners.evaluation, isinstance(self.learners.staged, ServedSequences)
        with self._task(method, self._fitting.rounds) as task:
            weights, best = train(task)
        self.folder.write_weights(method, weights)
        final = {TEST: evaluation.statistics(weights, self.split.test)}
        if method != PRIVATE_FEDERATED:
            # Training clients may be lost by now; of a test client there has to be a score.
            scored = evaluation.begin(weights, self.split.train)()
            final |= {TRAIN: scored} if scored else {}
        tables = RoundTables(folder, self.folder.dimensions)
        for partition, statistics in final.items():
            tables.add_clients(best, partition, dict(zip(getattr(self.split, partition), statistics, strict=True)))
        rows = self._rows(method, "measured", "", final[TEST])
        if remote:
            return rows
        tested = evaluation.predictions(weights, self.split.test)
        self._write_predictions(method, tested)
        if self.config.postprocess:
            developed = evaluation.predictions(weights, self.split.development)
            rows += self._fitted_and_post_processed(method, developed, tested)
        return rows

    def _statistics(self, predictions: Predictions) -> list[SufficientStatistics]:
        """Statistics of the test clients' predictions."""
        gold = (self.learners.staged.gold(client) for client in self.split.test)
        return [SufficientStatistics.from_series(g, p) for g, p in zip(gold, predictions, strict=True)]

    def _rows(self, method: str, kind: str, model: str, statistics: Sequence[SufficientStatistics]) -> list[Row]:
        return [
            row
            for client, s in zip(self.split.test, statistics, strict=True)
            for row in result_rows(method, kind, model, client, s, self.folder.dimensions)
        ]

    def _chain(self, developed: Predictions) -> PostProcessing:
        """The chain fitted on the development clients' predictions; nothing of a test client enters."""
        clients = self.split.development
        gold = {client: self.learners.staged.gold(client) for client in clients}
        predicted = dict(zip(clients, developed, strict=True))
        return fit_chain(gold, predicted, self.cohort.manifest.frame_rate, self.config.postprocess)

    def _fitted_and_post_processed(self, method: str, developed: Predictions, tested: Predictions) -> list[Row]:
        chain = self._chain(developed)
        self._write_chains(method, {"": chain})
        return self._post_processed(method, "", chain, tested)

    def _post_processed(self, method: str, model: str, chain: PostProcessing, tested: Predictions) -> list[Row]:
        return self._rows(method, "post-processed", model, self._statistics([chain.apply(p) for p in tested]))

    def _write_chains(self, method: str, chains: dict[str, PostProcessing]) -> None:
        if not chains:
            return
        facts = {
            "method": method,
            "fitted_on": list(self.split.development),
            "criterion": CRITERION,
            "frame_rate": self.cohort.manifest.frame_rate,
            "time_unit": self.cohort.manifest.time_unit,
        }
        models = {model: chain.to_json(self.folder.dimensions) for model, chain in chains.items()}
        self.folder.write_post_processing(method, facts | {"models": models})

    def _write_predictions(self, method: str, predictions: Predictions) -> None:
        """On the clock of the labels: what was predicted from frame t belongs to the label ``delay`` frames later."""
        staged = self.learners.staged
        for client, predicted in zip(self.split.test, predictions, strict=True):
            gold, time = staged.gold(client), self.cohort.load(client).time
            if staged.data.target == "window":
                time = self._window_middles(time, len(gold))
            else:
                gold, predicted = (_later(series, staged.delay) for series in (gold, predicted))
            self.folder.write_predictions(method, client, time, gold, predicted)

    def _window_middles(self, time: np.ndarray, windows: int) -> np.ndarray:
        """``[windows]``: the middle of each whole window's labels, in the cohort's time unit."""
        staged, data = self.learners.staged, self.learners.staged.data
        starts = np.arange(windows) * data.hop
        middles = (time[starts] + time[starts + data.window - 1]) / 2
        return np.asarray(middles + staged.delay / self.cohort.manifest.frame_rate)


def _later(series: np.ndarray, frames: int) -> np.ndarray:
    """``[frames, dimension]`` moved to later frames; NaN where nothing was."""
    moved = np.full_like(series, np.nan)
    moved[frames:] = series[: len(series) - frames]
    return moved
