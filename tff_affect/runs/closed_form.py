"""How the models of one run come about where they are solved rather than trained: ridge regression.

Nothing of ``training`` and of the learning rates to tune applies. The penalty is always chosen on development clients,
by each model for itself as in `tff_affect.runs.tuning`, and recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from tff_affect.learning.program import RoundResult, Scoring, development_score
from tff_affect.learning.ridge import GramSums, choose_penalty, federated_gram_sums, gram_sums
from tff_affect.models.registry import Weights
from tff_affect.progress import Task
from tff_affect.round_tables import RoundTables
from tff_affect.run_folder import RunFolder
from tff_affect.runs.learners import Learners
from tff_affect.runs.tuning import Choice, TuningRecord
from tff_affect.splits import Split

PENALTY = "penalty"


@dataclass(frozen=True)
class ClosedForm:
    """Solves the models of one split; no seed enters.

    Attributes:
        split: Who trains and develops.
        learners: What evaluates.
        folder: Where the table of rounds and the record of tuning go.
        baseline_passes: Passes over the training windows.
        rounds: Rounds of federated training: sums travel once.
    """

    split: Split
    learners: Learners
    folder: RunFolder
    baseline_passes: int = 1
    rounds: int = 1

    def baseline(
        self, method: str, model: str, clients: Sequence[str], on_pass: Callable[[], None] = lambda: None
    ) -> Weights:
        """The weights of a model solved without federation; arguments as of `Fitting.baseline`."""
        sums = reduce(add, gram_sums(self.learners.staged, clients))
        weights = self._solved(method, model, sums, self.learners.trainer)
        on_pass()
        return weights

    def federated(self, task: Task) -> tuple[Weights, int]:
        """The weights solved from the clients' sums, and 1, the only round; fills the tables of rounds."""
        staged, development = self.learners.staged, self.split.development
        sums = federated_gram_sums(staged, self.split.train)
        weights = self._solved("federated", "", sums, self.learners.evaluation)
        statistics = self.learners.evaluation.statistics(weights, development)
        windows = sum(staged.count_windows(self.split.train).values())
        # Sums hold no squares of labels, so that there is no loss to tell.
        result = RoundResult(
            1, len(self.split.train), windows, float("nan"), dict(zip(development, statistics, strict=True))
        )
        tables = RoundTables(self.folder.path, self.folder.dimensions)
        tables.resume_after(0)
        tables.observe(result)
        task.advance()
        return weights, result.number

    def _solved(self, method: str, model: str, sums: GramSums, evaluation: Scoring) -> Weights:
        found = choose_penalty(sums, lambda w: development_score(evaluation.statistics(w, self.split.development)))
        choice = Choice(tuple(found.scores), tuple(found.scores.values()), found.penalty, found.weights)
        TuningRecord(self.folder.path).add(method, model, PENALTY, choice)
        return found.weights
