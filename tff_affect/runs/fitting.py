"""How the models of one run come about: by gradient descent, each tuned on development clients where that is asked for.

All start from the same weights and stop by the same rule on the same development clients. Candidates of federated
training have folders of their own, so that their checkpoints do not meet and each is resumed by itself; the tables of
the chosen one become those of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tff_affect.atomic import replace_bytes
from tff_affect.config import PRIVATE_CENTRALISED, StudyConfig
from tff_affect.learning.baselines import Budget
from tff_affect.learning.checkpoints import Checkpoints
from tff_affect.learning.program import FederatedProgram, RoundResult, development_score
from tff_affect.learning.sampling import ClientSampling, derived_seed
from tff_affect.models.registry import Weights, initial_weights
from tff_affect.progress import Task
from tff_affect.round_tables import PER_CLIENT, ROUNDS, RoundTables
from tff_affect.round_timing import RoundTimes
from tff_affect.run_folder import CHECKPOINTS, RunFolder
from tff_affect.runs.learners import Learners
from tff_affect.runs.tuning import BASELINE_RATE, CLIENT_RATE, TuningRecord, choose
from tff_affect.splits import Split
from tff_affect.tensorboard_logs import TensorBoardLogs


@dataclass(frozen=True)
class FederatedWay:
    """One way of federated training.

    Attributes:
        method: Its row of the table.
        folder: Where its checkpoints and tables of rounds go; it is there.
        sampling: Draws the clients of each round.
        process: From a learning rate of the clients to the learning process.
        before_round: From the folder of a training to what is told of each of its rounds before that is computed.
    """

    method: str
    folder: Path
    sampling: ClientSampling
    process: Callable[[float], Any]
    before_round: Callable[[Path], Callable[[int], None]] = lambda folder: lambda number: None

    @classmethod
    def without_privacy(cls, run: Fitting) -> FederatedWay:
        """Federated averaging as it is."""
        sampling = ClientSampling(run.split.train, run.config.training.clients_per_round, run.seed)
        return cls("federated", run.folder.path, sampling, run.learners.processes.__getitem__)


@dataclass(frozen=True)
class Fitting:
    """Trains the models of one seed on one split.

    Attributes:
        config: The study's configuration.
        seed: Training seed.
        split: Who trains and develops.
        learners: What trains and evaluates.
        folder: Where checkpoints, tables of rounds and the record of tuning go.
    """

    config: StudyConfig
    seed: int
    split: Split
    learners: Learners
    folder: RunFolder

    @property
    def baseline_passes(self) -> int:
        """Passes over the training windows at most, those of all candidates together."""
        return self._budget.passes * len(self.learners.trainers)

    @property
    def rounds(self) -> int:
        """Rounds at most, those of all candidates together."""
        return self.config.training.rounds * len(self.config.client_rates)

    @cached_property
    def _budget(self) -> Budget:
        return Budget.of(self.config.training, len(self.split.train))

    @cached_property
    def _initial_weights(self) -> Weights:
        seed = derived_seed(self.seed, "weights") % 2**31
        return initial_weights(self.config.model, self.learners.staged.shape, seed)

    def baseline(
        self, method: str, model: str, clients: Sequence[str], on_pass: Callable[[], None] = lambda: None
    ) -> Weights:
        """The weights of a model trained without federation.

        Args:
            method: ``centralised``, with or without privacy, or ``local-only``.
            model: The training client whose own model this is, else empty.
            clients: Whose windows it sees.
            on_pass: Called after each pass over them.

        Raises:
            DivergedError: If training diverged.
        """
        development = self.split.development
        trainers = self.learners.private_trainers() if method == PRIVATE_CENTRALISED else self.learners.trainers

        def score(weights: Weights) -> float:
            return development_score(self.learners.trainer.statistics(weights, development))

        def train(rate: float) -> Weights:
            return trainers[rate].fit(self._initial_weights, clients, self.seed, self._budget, score, on_pass)

        if not self.config.tuning.baseline_learning_rates:
            return train(next(iter(trainers)))
        choice = choose(tuple(trainers), train, score)
        TuningRecord(self.folder.path).add(method, model, BASELINE_RATE, choice)
        return choice.trained

    def federated(self, way: FederatedWay, task: Task) -> tuple[Weights, int]:
        """The best weights of federated training, and the round that gave them; fills the tables of rounds.

        Raises:
            DivergedError: If training diverged with every candidate.
        """
        rates = self.config.client_rates
        if not self.config.tuning.client_learning_rates:
            return self._federated(way, rates[0], way.folder, task)

        def train(rate: float) -> tuple[Weights, int]:
            return self._federated(way, rate, self.folder.candidate(way.method, rate), task, f"rate {rate:g}, ")

        choice = choose(rates, train, lambda trained: self._federated_score(trained[0]))
        TuningRecord(self.folder.path).add(way.method, "", CLIENT_RATE, choice)
        _take_tables(self.folder.candidate(way.method, choice.chosen), way.folder)
        return choice.trained

    def _federated(
        self, way: FederatedWay, rate: float, folder: Path, task: Task, note: str = ""
    ) -> tuple[Weights, int]:
        program = FederatedProgram(
            way.process(rate), self.learners.evaluation, self.config.training, way.sampling, self.split.development,
            self._initial_weights, way.before_round(folder),
        )  # fmt: skip
        logs = TensorBoardLogs(folder) if self.folder.tensorboard else None
        shown = _Shown(RoundTables(folder, self.folder.dimensions), RoundTimes(folder), logs, task, note)
        return program.run(Checkpoints(folder / CHECKPOINTS), shown)

    def _federated_score(self, weights: Weights) -> float:
        if not all(np.isfinite(w).all() for w in weights):
            return -np.inf
        return development_score(self.learners.evaluation.statistics(weights, self.split.development))


def _take_tables(source: Path, target: Path) -> None:
    for name in (ROUNDS, PER_CLIENT):
        replace_bytes(target / name, (source / name).read_bytes())


class _Shown:
    """Round tables, times and, where wanted, logs, with a step of progress per round."""

    def __init__(
        self, tables: RoundTables, times: RoundTimes, logs: TensorBoardLogs | None, task: Task, note: str
    ) -> None:
        self._tables, self._times, self._logs, self._task, self._prefix = tables, times, logs, task, note

    def resume_after(self, round_number: int) -> None:
        self._tables.resume_after(round_number)
        self._times.begin()
        if self._logs is not None:
            self._logs.begin()
        if round_number:
            self._task.advance(steps=round_number)

    def observe(self, result: RoundResult) -> None:
        self._tables.observe(result)
        self._times.add(result.number)
        if self._logs is not None:
            self._logs.follow()
        self._task.advance(self._prefix + _note(result))


def _note(result: RoundResult) -> str:
    told = [] if result.loss is None else [f"loss {result.loss:.3f}"]
    if result.development:
        told.append(f"development CCC {development_score(list(result.development.values())):.3f}")
    return ", ".join(told)
