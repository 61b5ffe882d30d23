"""Trainings over workers that are killed, frozen and started anew while their driver is killed, too.

    python -m benchmarks.chaos --runs 20 --seed 0

Each run disturbs one training at instants drawn from its seed, resumes it until it is done, and compares the weights,
bit by bit, with those of a training that nobody disturbed. All data are SYNTHETIC.
"""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.remote_services import Service, Site, running, write_shard
from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.cohort import Cohort
from tff_affect.workers.hosts import Deadlines

PATIENT = Deadlines(heartbeat=0.5, silent=4.0, call=120.0, returning=300.0, give_up=400.0)
SETTINGS = (
    "methods=[federated]", "model.name=gru", "model.units=8", "training.rounds=12", "training.checkpoint_every=1",
    "training.patience=0", "training.client_optimizer.learning_rate=0.05", "data.window=100", "data.hop=100",
)  # fmt: skip
_SECONDS_OF_A_RUN = 300.0


@dataclass(frozen=True)
class Outcome:
    """One disturbed training.

    Attributes:
        seed: Of its disturbances.
        done: What was done to it, in order.
        largest_difference: Between its weights and those of the undisturbed training.
        left: What stayed behind.
        seconds: How long it took.
    """

    seed: int
    done: tuple[str, ...]
    largest_difference: float
    left: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        verdict = "sound" if self.sound else "NOT SOUND"
        left = ", ".join(self.left) or "nothing"
        found = f"{verdict} in {self.seconds:.0f} s, difference {self.largest_difference:g}, left {left}"
        return f"seed {self.seed}: {found}; {', '.join(self.done)}"

    @property
    def sound(self) -> bool:
        """Whether it gave the same bits and left nothing."""
        return self.largest_difference == 0.0 and not self.left


class Disturbance(threading.Thread):
    """Disturbs workers at random instants until it is told to stop, and leaves them running.

    Args:
        site: The workers.
        seed: Of what is done when.
    """

    def __init__(self, site: Site, seed: int) -> None:
        super().__init__(daemon=True)
        self._services, self._random = list(site.services.values()), random.Random(seed)
        self._stopping = threading.Event()
        self.done: list[str] = []

    def run(self) -> None:
        """Goes on until it is told to stop."""
        while not self._stopping.wait(self._random.uniform(0.5, 6.0)):
            service = self._random.choice(self._services)
            kind = self._random.choice([self._kill_service, self._kill_binary, self._freeze_binary])
            kind(service)

    def stop(self) -> None:
        """Ends it; all workers run then."""
        self._stopping.set()
        self.join()

    def _kill_service(self, service: Service) -> None:
        self.done.append(f"kill -9 of worker {service.name}")
        service.kill()
        self._stopping.wait(self._random.uniform(0.0, 2.0))
        service.start()
        service.wait()

    def _kill_binary(self, service: Service) -> None:
        self.done.append(f"kill -9 of the binary of {service.name}")
        service.signal_binary(signal.SIGKILL)

    def _freeze_binary(self, service: Service) -> None:
        self.done.append(f"SIGSTOP of the binary of {service.name}")
        service.signal_binary(signal.SIGSTOP)
        self._stopping.wait(self._random.uniform(0.5, 8.0))
        service.signal_binary(signal.SIGCONT)


def trained(site: Site, run: Path, killed_after: float | None = None) -> list[str]:
    """Trains to the end; what was done to the driver.

    Args:
        site: The workers.
        run: The study's folder.
        killed_after: Seconds after which the first driver is killed; None for never.

    Raises:
        RuntimeError: If a driver ends with an error.
    """
    arguments = ["train", str(run), "--workers", str(site.hosts), "--quiet"]
    settings = [part for setting in SETTINGS for part in ("-o", setting)]
    driver = site.driver([*arguments, *settings], "driver")
    done: list[str] = []
    if killed_after is not None:
        deadline = time.monotonic() + killed_after
        while time.monotonic() < deadline and not driver.ended:
            time.sleep(0.02)
        if not driver.ended:
            driver.kill()
            done.append("kill -9 of the driver")
            resume = ["--resume"] if (run / "study.json").is_file() else []
            driver = site.driver([*arguments, *([*resume] if resume else settings)], "driver")
    try:
        if driver.process.wait(_SECONDS_OF_A_RUN) != 0:
            raise RuntimeError(f"the driver failed after {done}: {driver.said}")
    finally:
        driver.kill()
    return done


def weights_of(run: Path) -> list[np.ndarray]:
    """The final weights of a run."""
    with np.load(run / "weights" / "federated.npz") as stored:
        return [stored[name] for name in stored.files]


def disturbed(folder: Path, shards: dict[str, Path], reference: list[np.ndarray], seed: int, secure: bool) -> Outcome:
    """One disturbed training.

    Args:
        folder: For its files; made here.
        shards: Name of a worker -> the cohort that it serves.
        reference: Weights of the undisturbed training.
        seed: Of the disturbances.
        secure: Whether TLS is in front of the workers.
    """
    started = time.monotonic()
    with running(folder, shards, secure, PATIENT) as site:
        disturbance = Disturbance(site, seed)
        disturbance.start()
        try:
            killed = trained(site, folder / "run", random.Random(-seed - 1).uniform(6.0, 25.0))
        finally:
            disturbance.stop()
    found = weights_of(folder / "run")
    largest = max(float(np.abs(a - b).max()) for a, b in zip(found, reference, strict=True))
    if not all(np.array_equal(a, b) for a, b in zip(found, reference, strict=True)):
        largest = max(largest, float(np.finfo(np.float32).tiny))
    done = (*disturbance.done, *killed)
    return Outcome(seed, done, largest, tuple(site.left()), time.monotonic() - started)


def shards_of(cohort: Cohort, folder: Path, replicated: bool) -> dict[str, Path]:
    """Shards for two workers: halves, or all subjects twice."""
    subjects = cohort.subjects
    names = {"ward-a": subjects[::2], "ward-b": subjects[1::2]}
    return {name: write_shard(cohort, folder / name, subjects if replicated else half) for name, half in names.items()}


def campaign(folder: Path, runs: int, seed: int, secure: bool = True) -> list[Outcome]:
    """Disturbs so many trainings; every other one has its clients at both workers.

    Args:
        folder: For all files; made here.
        runs: How many.
        seed: Of the first; the others follow.
        secure: Whether TLS is in front of the workers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cohort = write_synthetic_cohort(folder / "cohort", SyntheticConfig(subjects=8, seconds=40.0, seed=seed))
    outcomes = []
    for replicated in (False, True)[: min(runs, 2)]:
        kind = "replicated" if replicated else "halves"
        shards = shards_of(cohort, folder / kind, replicated)
        with running(folder / f"{kind}-undisturbed", shards, secure, PATIENT) as site:
            trained(site, folder / f"{kind}-undisturbed" / "run")
        reference = weights_of(folder / f"{kind}-undisturbed" / "run")
        for number in range(seed + int(replicated), seed + runs, 2):
            outcome = disturbed(folder / f"{kind}-{number}", shards, reference, number, secure)
            print(f"{kind}: {outcome}", flush=True)
            outcomes.append(outcome)
    return outcomes


def main(
    runs: Annotated[int, typer.Option(min=1, help="Disturbed trainings.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the first; the others follow.")] = 0,
    tls: Annotated[bool, typer.Option(help="Put TLS in front of the workers.")] = True,
    folder: Annotated[Path | None, typer.Option(help="Keep the files there; by default they are removed.")] = None,
) -> None:
    """Disturb trainings, and compare each with one that nobody disturbed."""
    with ExitStack() as stack:
        place = folder or Path(tempfile.mkdtemp(prefix="chaos-"))
        if folder is None:
            stack.callback(shutil.rmtree, place, ignore_errors=True)
        outcomes = campaign(place, runs, seed, tls)
    sound = sum(outcome.sound for outcome in outcomes)
    print(f"SYNTHETIC: {sound} of {len(outcomes)} trainings ended with the same bits and left nothing")
    if sound < len(outcomes):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
