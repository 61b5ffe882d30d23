"""A federated training with user-level differential privacy over many registered clients: memory and time.

On a SYNTHETIC cohort, on one worker: the training program as a study runs it, with Poisson rounds, noise, scores on
development clients, checkpoints and the record of spent rounds. Afterwards rounds drawn from all clients and from a
tenth of them are timed in turn, which is to make no difference.

    python -m benchmarks.large_cohort --rounds 200
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tensorflow_federated as tff

from benchmarks.simulator_machine import descendants, peak_megabytes
from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.client_data import StagedCohort
from tff_affect.cohort import Cohort
from tff_affect.config import DataConfig, ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.errors import InputError
from tff_affect.learning.algorithms import build_private_averaging
from tff_affect.learning.checkpoints import Checkpoints
from tff_affect.learning.federated_evaluation import FederatedEvaluation
from tff_affect.learning.program import FederatedProgram, RoundResult
from tff_affect.learning.runtime import local_runtime
from tff_affect.learning.sampling import ClientSampling
from tff_affect.learning.scaling import stage_for_split
from tff_affect.models.registry import initial_weights
from tff_affect.privacy.mechanisms import build_aggregation
from tff_affect.privacy_config import PrivacyConfig
from tff_affect.round_tables import RoundTables
from tff_affect.runs.spending import Spending
from tff_affect.staging import staging_folder

MEMORY_BOUND_MEGABYTES, GROWTH_BOUND, RATIO_BOUND = 4000.0, 0.02, 0.10
PRIVACY = PrivacyConfig(noise_multiplier=1.0, clipping_norm=0.5)
DATA = DataConfig(cohort="SYNTHETIC", window=75, hop=75)
MODEL = ModelConfig("lstm", units=32)
_EARLY = slice(19, 40)
_LATE = slice(-20, None)
_DEVELOPMENT, _FEWER = 20, 10


@dataclass
class Memory:
    """An observer that notes the resident memory, in MB, of this process and its worker after each round.

    Attributes:
        tables: Keeps the tables of rounds.
        driver: Of this process.
        worker: Of its worker.
    """

    tables: RoundTables
    driver: list[float] = field(default_factory=list)
    worker: list[float] = field(default_factory=list)

    def resume_after(self, round_number: int) -> None:
        """Training starts."""
        self.tables.resume_after(round_number)

    def observe(self, result: RoundResult) -> None:
        """A round is done."""
        self.tables.observe(result)
        self.driver.append(resident_megabytes([os.getpid()]))
        self.worker.append(resident_megabytes(descendants(os.getpid())))

    @property
    def total(self) -> np.ndarray:
        """``[rounds]``: of both together."""
        return np.asarray(self.driver) + np.asarray(self.worker)


def resident_megabytes(pids: Sequence[int]) -> float:
    """Resident memory of living processes; pages that they share count for each."""
    return sum(psutil.Process(pid).memory_info().rss for pid in pids) / 2**20


def growth(series: Sequence[float] | np.ndarray) -> float:
    """What the median of the last twenty rounds has beyond that of rounds 20 to 40, as a share of the latter.

    Raises:
        InputError: With fewer than 60 rounds.
    """
    if len(series) < 60:
        raise InputError(f"--rounds: expected at least 60 to see memory grow, found {len(series)}")
    return float(np.median(series[_LATE]) / np.median(series[_EARLY]) - 1)


@dataclass(frozen=True)
class LargeTraining:
    """Private federated training over many clients.

    Attributes:
        staged: All clients.
        rounds: Of the training.
        clients_per_round: Expected clients of a round.
    """

    staged: StagedCohort
    rounds: int
    clients_per_round: int

    @property
    def _training(self) -> TrainingConfig:
        return TrainingConfig(
            rounds=self.rounds, patience=0, clients_per_round=self.clients_per_round, batch_size=10, loss="mse",
            client_optimizer=OptimizerConfig("sgd", 0.05), weighting="uniform",
        )  # fmt: skip

    @property
    def registered(self) -> tuple[str, ...]:
        """The training clients."""
        return self.staged.clients[_DEVELOPMENT:]

    def process(self) -> tff.learning.templates.LearningProcess:
        """The learning process."""
        mechanism = build_aggregation(PRIVACY, self.clients_per_round)
        return build_private_averaging(self.staged, MODEL, self._training, PRIVACY, mechanism)

    def sampling(self, registered: Sequence[str]) -> ClientSampling:
        """Hidden Poisson rounds of some clients."""
        return ClientSampling(tuple(registered), self.clients_per_round, 0, "poisson", secret=True)

    def run(self, process: tff.learning.templates.LearningProcess, folder: Path) -> Memory:
        """Trains as a study does; the memory after each round."""
        memory = Memory(RoundTables(folder, self.staged.labels))
        program = FederatedProgram(
            process, FederatedEvaluation(self.staged, MODEL), self._training, self.sampling(self.registered),
            self.staged.clients[:_DEVELOPMENT], initial_weights(MODEL, self.staged.shape, 0), Spending(folder).begin,
        )  # fmt: skip
        program.run(Checkpoints(folder / "checkpoints"), memory)
        return memory

    def round_of(self, process: tff.learning.templates.LearningProcess, registered: Sequence[str]) -> Callable[[], int]:
        """The next round of some clients; it returns how many keys entered it."""
        sampling, state, number = self.sampling(registered), process.initialize(), 0

        def run() -> int:
            nonlocal state, number
            number += 1
            keys = sampling.keys(number, sampling.cohort(number))
            state = process.next(state, keys).state
            return len(keys)

        return run


def alternating(first: Callable[[], Any], second: Callable[[], Any], repeats: int) -> list[tuple[float, float]]:
    """Seconds of two rounds, in turn."""

    def seconds(run: Callable[[], Any]) -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    seconds(first), seconds(second)
    return [(seconds(first), seconds(second)) for _ in range(repeats)]


def show_memory(memory: Memory, peak: float) -> bool:
    """Prints what memory did; whether its bounds are met."""
    grown = growth(memory.total)
    parts = {"driver": np.asarray(memory.driver), "worker": np.asarray(memory.worker), "both": memory.total}
    for name, series in parts.items():
        print(
            f"{name}: {np.median(series[_EARLY]):.0f} MB in rounds 20-40, {np.median(series[_LATE]):.0f} MB at the end"
        )
    print(f"memory grew by {grown:.1%} (bound {GROWTH_BOUND:.0%})")
    print(f"peak: {peak:.0f} MB (bound {MEMORY_BOUND_MEGABYTES:.0f})")
    return peak <= MEMORY_BOUND_MEGABYTES and grown <= GROWTH_BOUND


def show_times(many: int, few: int, times: Sequence[tuple[float, float]]) -> bool:
    """Prints seconds a round with many and with few registered clients; whether they are alike."""
    seconds = [statistics.median(column) for column in zip(*times, strict=True)]
    low, middle, high = statistics.quantiles([a / b for a, b in times], n=4)
    print(
        f"a round with {many:,} registered clients {seconds[0]:.3f} s, with {few:,} {seconds[1]:.3f} s; ratio "
        f"{middle:.2f}, quartiles {low:.2f}-{high:.2f} (bound {1 + RATIO_BOUND:g})"
    )
    return middle <= 1 + RATIO_BOUND


def measure(cohort: Cohort, rounds: int, clients_per_round: int, repeats: int) -> bool:
    """Trains on a cohort, then times rounds; prints the figures, and tells whether all bounds are met."""
    with staging_folder() as staging, local_runtime(), tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        large = LargeTraining(stage_for_split(cohort, staging, DATA, ()), rounds, clients_per_round)
        print(f"{len(cohort.subjects):,} clients staged in {time.perf_counter() - start:.0f} s", flush=True)
        process = large.process()
        start = time.perf_counter()
        memory = large.run(process, Path(folder))
        print(f"{rounds} rounds in {time.perf_counter() - start:.0f} s", flush=True)
        met = [show_memory(memory, peak_megabytes([os.getpid(), *descendants(os.getpid())]))]
        few = large.registered[: len(large.registered) // _FEWER]
        times = alternating(large.round_of(process, large.registered), large.round_of(process, few), repeats)
    return all([*met, show_times(len(large.registered), len(few), times)])


def main() -> int:
    """Prints the measurements; returns 0 if the bounds are met, else 1."""
    parser = argparse.ArgumentParser(description="Memory and time of private training over many SYNTHETIC clients.")
    parser.add_argument("--cohort", type=Path, help="a SYNTHETIC cohort of 2.5 frames a second; made if not named")
    parser.add_argument("--clients", type=int, default=10_000, help="registered ones of the cohort that is made")
    parser.add_argument("--clients-per-round", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=40, help="pairs of rounds that are timed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if options.cohort is None:
            config = SyntheticConfig(subjects=options.clients + _DEVELOPMENT, seconds=300, frame_rate=2.5)
            cohort = write_synthetic_cohort(Path(place) / "cohort", config)
        else:
            cohort = Cohort.open(options.cohort)
        met = measure(cohort, options.rounds, options.clients_per_round, options.repeats)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
