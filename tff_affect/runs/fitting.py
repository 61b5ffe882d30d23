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

import numpy as np

from tff_affect.atomic import replace_bytes
from tff_affect.config import StudyConfig
from tff_affect.learning.baselines import Budget
from tff_affect.learning.checkpoints import Checkpoints
from tff_affect.learning.program import FederatedProgram, RoundResult, development_score
from tff_affect.learning.sampling import ClientSampling, derived_seed
from tff_affect.models.registry import Weights, initial_weights
from tff_affect.progress import Task
from tff_affect.round_tables import PER_CLIENT, ROUNDS, RoundTables
from tff_affect.run_folder import RunFolder
from tff_affect.runs.learners import Learners
from tff_affect.runs.tuning import BASELINE_RATE, CLIENT_RATE, TuningRecord, choose
from tff_affect.splits import Split


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
        return self.config.training.rounds * len(self.learners.processes)

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
            method: ``centralised`` or ``local-only``.
            model: The training client whose own model this is, else empty.
            clients: Whose windows it sees.
            on_pass: Called after each pass over them.

        Raises:
            DivergedError: If training diverged.
        """
        trainers, development = self.learners.trainers, self.split.development

        def score(weights: Weights) -> float:
            return development_score(self.learners.trainer.statistics(weights, development))

        def train(rate: float) -> Weights:
            return trainers[rate].fit(self._initial_weights, clients, self.seed, self._budget, score, on_pass)

        if not self.config.tuning.baseline_learning_rates:
            return train(next(iter(trainers)))
        choice = choose(tuple(trainers), train, score)
        TuningRecord(self.folder.path).add(method, model, BASELINE_RATE, choice)
        return choice.trained

    def federated(self, task: Task) -> tuple[Weights, int]:
        """The best weights of federated training, and the round that gave them; fills the tables of rounds.

        Raises:
            DivergedError: If training diverged with every candidate.
        """
        if not self.config.tuning.client_learning_rates:
            return self._federated(next(iter(self.learners.processes)), self.folder.path, task)

        def train(rate: float) -> tuple[Weights, int]:
            return self._federated(rate, self.folder.candidate("federated", rate), task, f"rate {rate:g}, ")

        choice = choose(tuple(self.learners.processes), train, lambda trained: self._federated_score(trained[0]))
        TuningRecord(self.folder.path).add("federated", "", CLIENT_RATE, choice)
        _take_tables(self.folder.candidate("federated", choice.chosen), self.folder.path)
        return choice.trained

    def _federated(self, rate: float, folder: Path, task: Task, note: str = "") -> tuple[Weights, int]:
        training = self.config.training
        sampling = ClientSampling(self.split.train, training.clients_per_round, self.seed)
        program = FederatedProgram(
            self.learners.processes[rate], self.learners.evaluation, training, sampling, self.split.development,
            self._initial_weights,
        )  # fmt: skip
        tables = RoundTables(folder, self.folder.dimensions)
        return program.run(Checkpoints(folder / self.folder.checkpoints.name), _Shown(tables, task, note))

    def _federated_score(self, weights: Weights) -> float:
        if not all(np.isfinite(w).all() for w in weights):
            return -np.inf
        return development_score(self.learners.evaluation.statistics(weights, self.split.development))


def _take_tables(source: Path, target: Path) -> None:
    for name in (ROUNDS, PER_CLIENT):
        replace_bytes(target / name, (source / name).read_bytes())


class _Shown:
    """Round tables, with a step of progress per round."""

    def __init__(self, tables: RoundTables, task: Task, note: str) -> None:
        self._tables, self._task, self._prefix = tables, task, note

    def resume_after(self, round_number: int) -> None:
        self._tables.resume_after(round_number)
        if round_number:
            self._task.advance(steps=round_number)

    def observe(self, result: RoundResult) -> None:
        self._tables.observe(result)
        self._task.advance(self._prefix + _note(result))


def _note(result: RoundResult) -> str:
    if not result.development:
        return f"loss {result.loss:.3f}"
    return f"loss {result.loss:.3f}, development CCC {development_score(list(result.development.values())):.3f}"
