"""What differential privacy of subjects costs a round, beside the same round without it.

On SYNTHETIC clients of the sizes of `affect-27` and `affect-many` (`benchmarks.simulator_work`), on one worker. A
private round and a plain one with uniform weights are timed in turn, so that a busy machine slows them alike; what
counts is the ratio of neighbours. ``padding`` is a private Poisson round of as many clients as are expected, filled up
with absent ones as `tff_affect.learning.sampling` does, beside the same clients alone.

    python -m benchmarks.private_rounds --repeats 20
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow_federated as tff

from benchmarks.simulator_engines import stage
from benchmarks.simulator_work import Task, Work, synthetic_task
from tff_affect.client_data import StagedCohort
from tff_affect.config import ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.learning.algorithms import build_federated_averaging, build_private_averaging
from tff_affect.learning.runtime import local_runtime
from tff_affect.learning.sampling import ClientSampling
from tff_affect.privacy.mechanisms import build_aggregation
from tff_affect.privacy_config import PrivacyConfig
from tff_affect.staging import staging_folder

TASKS = {"affect-27": Work(), "affect-many": Work(clients=1000, windows=10, batch=10, sample=50)}
BOUND = 1.10
PADDING = "padding"
_PRIVACY = PrivacyConfig(noise_multiplier=1.0, clipping_norm=1.0)
MECHANISMS = {
    "fixed": _PRIVACY,
    "adaptive": replace(_PRIVACY, mechanism="adaptive"),
    "tree": replace(_PRIVACY, mechanism="tree", sampling="passes", adjacency="zero-out"),
    "local": replace(_PRIVACY, mechanism="local", adjacency="replace-one"),
}
Round = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """Two rounds of the same clients.

    Attributes:
        name: What is compared.
        dearer: The round that does more.
        plain: The one beside it.
        bound: Largest median ratio; None where nothing is promised.
    """

    name: str
    dearer: Round
    plain: Round
    bound: float | None = None


@dataclass(frozen=True)
class Rounds:
    """Makes rounds of one task.

    Attributes:
        task: The work, its initial weights and its schedule.
        staged: Its clients.
    """

    task: Task
    staged: StagedCohort

    @property
    def _training(self) -> TrainingConfig:
        optimizer = OptimizerConfig("sgd", self.task.work.rate)
        return TrainingConfig(
            batch_size=self.task.work.batch, shuffle=False, loss="mse", client_optimizer=optimizer, weighting="uniform"
        )

    @property
    def _model(self) -> ModelConfig:
        return ModelConfig(self.task.work.layer, units=self.task.work.units)

    def plain_process(self) -> tff.learning.templates.LearningProcess:
        """Federated averaging with uniform weights."""
        return build_federated_averaging(self.staged, self._model, self._training)

    def private_process(self, mechanism: str) -> tff.learning.templates.LearningProcess:
        """The same with differential privacy of subjects."""
        work, privacy = self.task.work, MECHANISMS[mechanism]
        aggregation = build_aggregation(privacy, work.sample, rounds_per_pass=work.clients // work.sample)
        return build_private_averaging(self.staged, self._model, self._training, privacy, aggregation)

    def round_of(self, process: tff.learning.templates.LearningProcess, scheme: str = "fixed-size") -> Round:
        """The process's next round, each time from the state of the last one and with clients of its own."""
        sampling = ClientSampling(self.staged.clients, self.task.work.sample, 0, scheme)
        start = tff.learning.models.ModelWeights(self.task.start(), [])
        state: Any = process.set_model_weights(process.initialize(), start)
        keys = itertools.cycle(
            sampling.keys(number, [self.staged.clients[client] for client in clients])
            for number, clients in enumerate(self.task.schedule, start=1)
        )

        def run() -> None:
            nonlocal state
            state = process.next(state, next(keys)).state

        return run

    def pairs(self, mechanisms: Sequence[str]) -> list[Pair]:
        """Each mechanism beside plain rounds, and padded rounds where not all clients take part in each."""
        plain = self.plain_process()
        found = [
            Pair(name, self.round_of(self.private_process(name)), self.round_of(plain), BOUND) for name in mechanisms
        ]
        if self.task.work.sample < self.task.work.clients:
            fixed = self.private_process("fixed")
            found.append(Pair(PADDING, self.round_of(fixed, "poisson"), self.round_of(fixed)))
        return found


def _seconds(run: Round) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(pairs: Sequence[Pair], repeats: int, seconds: Callable[[Round], float] = _seconds) -> dict[str, list]:
    """Times both rounds of each pair in turn: its name -> seconds of the dearer and of the plain one, each repeat.

    Who goes first alternates, so that neither is always the one that finds the caches warm.
    """
    for pair in pairs:
        for run in (pair.dearer, pair.plain, pair.dearer, pair.plain):
            run()
    times: dict[str, list] = {pair.name: [] for pair in pairs}
    for repeat in range(repeats):
        for pair in pairs:
            if repeat % 2:
                plain, dearer = seconds(pair.plain), seconds(pair.dearer)
            else:
                dearer, plain = seconds(pair.dearer), seconds(pair.plain)
            times[pair.name].append((dearer, plain))
    return times


def show(task: str, pair: Pair, times: Sequence[tuple[float, float]]) -> bool:
    """Prints the figures of a pair; whether its bound is met."""
    dearer, plain = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    low, middle, high = statistics.quantiles([a / b for a, b in times], n=4)
    bound = "" if pair.bound is None else f" (bound {pair.bound:g})"
    print(
        f"{task} {pair.name}: {dearer:.0f} ms, plain {plain:.0f} ms, ratio {middle:.2f}, quartiles "
        f"{low:.2f}-{high:.2f}{bound}",
        flush=True,
    )
    return pair.bound is None or middle <= pair.bound


def compare(name: str, work: Work, mechanisms: Sequence[str], repeats: int) -> bool:
    """Measures a task and prints its figures; whether all bounds are met."""
    task = synthetic_task(work, rounds=8)
    with staging_folder() as folder, local_runtime():
        pairs = Rounds(task, stage(folder, task)).pairs(mechanisms)
        times = measure(pairs, repeats)
    met = [show(name, pair, times[pair.name]) for pair in pairs]
    return all(met)


def main() -> int:
    """Prints the measurements; returns 0 if the bounds are met, else 1."""
    parser = argparse.ArgumentParser(description="Times private rounds beside plain ones, on SYNTHETIC clients.")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--mechanisms", nargs="+", choices=MECHANISMS, default=list(MECHANISMS))
    options = parser.parse_args()
    met = [compare(name, TASKS[name], options.mechanisms, options.repeats) for name in options.tasks]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
