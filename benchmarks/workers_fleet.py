"""Workers of this machine that hold shares of one SYNTHETIC cohort, as a driver elsewhere would reach them.

Each is a ``worker_binary`` of its own with the cohort's store as its working directory or, with TLS, a whole
``tff-affect worker serve`` behind a certificate.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import tensorflow_federated as tff

from benchmarks.simulator_machine import descendants
from benchmarks.workers_line import Line, slowed
from tff_affect.cohort_types import CohortManifest
from tff_affect.config import DataConfig, ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.errors import RunError
from tff_affect.learning.algorithms import build_federated_averaging
from tff_affect.learning.placement import Placement
from tff_affect.learning.runtime import RuntimeConfig
from tff_affect.learning.sampling import ClientSampling
from tff_affect.learning.subrounds import SubroundContext
from tff_affect.learning.worker_endpoints import RemoteEndpoint
from tff_affect.learning.worker_links import WorkerLink
from tff_affect.learning.worker_pool import WorkerPool
from tff_affect.remote_cohort import RemoteCohort
from tff_affect.served_data import ServedSequences, serve_cohort
from tff_affect.workers import certificates
from tff_affect.workers.hosts import Deadlines, Host
from tff_affect.workers.process import WorkerProcess
from tff_affect.workers.store import build_store

DATA = DataConfig(cohort="SYNTHETIC", window=75, hop=75)
_DEADLINES = Deadlines(heartbeat=15.0, silent=120.0, call=3600.0)
_SECONDS_TO_END = 20.0


@dataclass(frozen=True)
class Share:
    """A worker that runs.

    Attributes:
        address: Where it answers.
        certificates: The driver's folder; None without TLS.
        pid: Of the process that this one started; what computes is it or below it.
    """

    address: str
    certificates: Path | None
    pid: int


class Data:
    """A cohort, and one store of it that all plain workers read.

    Args:
        cohort: The cohort's folder.
        folder: Takes the store and the certificates.
    """

    def __init__(self, cohort: Path, folder: Path) -> None:
        self.path, self.folder, self.store = cohort, folder, folder / "store"
        self.manifest: CohortManifest = build_store(cohort, self.store)

    @property
    def clients(self) -> tuple[str, ...]:
        """All subjects."""
        return tuple(entry.subject for entry in self.manifest.subjects)

    @property
    def frames(self) -> float:
        """Mean number of frames of a client."""
        return sum(entry.frames for entry in self.manifest.subjects) / len(self.manifest.subjects)

    def served(self) -> ServedSequences:
        """The cohort as graphs at workers read it."""
        return serve_cohort(RemoteCohort.merge({"all": self.manifest}, self.path), DATA)

    def placement(self, workers: int, divided: bool) -> Placement:
        """Clients dealt out in turn, each to one worker; or all held by all, so that rounds are shared evenly."""
        everybody = tuple(range(workers))
        holders = {client: (number % workers,) if divided else everybody for number, client in enumerate(self.clients)}
        return Placement(workers, holders, {entry.subject: float(entry.frames) for entry in self.manifest.subjects})


@contextmanager
def plain_worker(data: Data, concurrent: int = 1, core: int | None = None) -> Iterator[Share]:
    """A binary on the store.

    Args:
        data: What it reads.
        concurrent: Clients computed at the same time.
        core: The only core that it may use; None for all.
    """
    process = WorkerProcess(concurrent, data.store)
    cores = os.sched_getaffinity(0)
    try:
        # Inherited by the binary and by all its threads.
        os.sched_setaffinity(0, cores if core is None else {core})
        process.start()
    finally:
        os.sched_setaffinity(0, cores)
    try:
        yield Share(process.address, None, process.pid or 0)
    finally:
        process.stop()


@contextmanager
def service(data: Data, name: str, clients: Sequence[str], concurrent: int = 1) -> Iterator[Share]:
    """``tff-affect worker serve`` in a process of its own, with TLS on loopback."""
    folder = data.folder / "certificates"
    if not folder.exists():
        certificates.make_authority(folder)
        certificates.make_driver(folder)
    if not (folder / name).exists():
        certificates.make_worker(folder, name, ["127.0.0.1"])
    subjects = data.folder / f"{name}.txt"
    subjects.write_text("\n".join(clients), encoding="utf-8")
    command = ["worker", "serve", str(data.path), "--listen", "127.0.0.1:0", "--certificates", str(folder / name)]
    command += ["--subjects-file", str(subjects), "--concurrent", str(concurrent)]
    child = subprocess.Popen(
        [sys.executable, "-m", "tff_affect.cli", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        said = child.stdout.readline() if child.stdout else ""
        if " ready on " not in said:
            raise RunError("expected a worker that is ready, found that it ended; start it by hand to see why")
        yield Share(said.split(" ready on ")[1].split(": ")[0], folder / "driver", child.pid)
    finally:
        child.terminate()
        try:
            child.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout:
            child.stdout.close()


class Fleet:
    """Workers that run, and the context that computes on them.

    Args:
        server: A worker for what happens at the server.
        links: The workers.
        placement: Who holds whom.
        shares: Their processes.
    """

    def __init__(
        self, server: WorkerLink, links: Sequence[WorkerLink], placement: Placement, shares: Sequence[Share]
    ) -> None:
        self.pool = WorkerPool(links, placement, _DEADLINES)
        self._shares = shares
        self._context = SubroundContext(server, self.pool)

    @property
    def workers(self) -> int:
        """How many."""
        return len(self.pool.links)

    @property
    def pids(self) -> list[int]:
        """Of all processes of the workers."""
        return [pid for share in self._shares for pid in (share.pid, *descendants(share.pid))]

    @property
    def processor_seconds(self) -> list[float]:
        """What each worker has computed so far, of one core; not what it waited for one."""
        times = [psutil.Process(share.pid).cpu_times() for share in self._shares]
        return [found.user + found.system for found in times]

    @contextmanager
    def computing(self) -> Iterator[None]:
        """TFF computations of the block run here."""
        with tff.framework.get_context_stack().install(self._context):
            yield


@contextmanager
def server_link() -> Iterator[WorkerLink]:
    """The driver's own worker."""
    link = WorkerLink(RuntimeConfig(concurrent_clients=1).endpoint("of the driver"), _DEADLINES)
    try:
        link.connect()
        yield link
    finally:
        link.close()


@contextmanager
def fleet(
    data: Data,
    server: WorkerLink,
    workers: int,
    *,
    tls: bool = False,
    divided: bool = False,
    concurrent: int = 1,
    cores: Sequence[int] | None = None,
    line: Line | None = None,
) -> Iterator[Fleet]:
    """Starts workers and connects to them.

    Args:
        data: What they hold.
        server: The driver's own worker.
        workers: How many.
        tls: Whole services behind TLS in place of bare binaries.
        divided: Whether each holds a share of its own; else each holds everybody, and rounds are even.
        concurrent: Clients that each computes at the same time.
        cores: The core of each worker; None leaves them to the system. Bare binaries only.
        line: What lies between them and the driver; None for loopback.
    """
    placement = data.placement(workers, divided)
    with ExitStack() as stack:
        shares, links = [], []
        for number in range(workers):
            name = f"worker-{number}-of-{workers}"
            held = [client for client in data.clients if placement.holds(number, client)]
            core = None if cores is None else cores[number]
            started = service(data, name, held, concurrent) if tls else plain_worker(data, concurrent, core)
            share = stack.enter_context(started)
            address = share.address if line is None else stack.enter_context(slowed(share.address, line))
            links.append(WorkerLink(RemoteEndpoint(Host(name, address), share.certificates), _DEADLINES))
            stack.callback(links[-1].close)
            links[-1].connect()
            shares.append(share)
        made = Fleet(server, links, placement, shares)
        stack.callback(made.pool.close)
        yield made


def averaging(served: ServedSequences, units: int, epochs: int = 1) -> tff.learning.templates.LearningProcess:
    """Federated averaging of an LSTM, batches of 10 windows of 75 frames."""
    training = TrainingConfig(
        batch_size=10, loss="mse", local_epochs=epochs, client_optimizer=OptimizerConfig("sgd", 0.05)
    )
    return build_federated_averaging(served, ModelConfig("lstm", units=units), training)


def parameters(process: tff.learning.templates.LearningProcess) -> int:
    """Trainable numbers of a process's model."""
    weights = process.next.type_signature.parameter[0].member.global_model_weights.trainable
    return sum(math.prod(weight.shape) for weight in tff.structure.from_container(weights))


def rounds(
    process: tff.learning.templates.LearningProcess, sampling: ClientSampling, where: Fleet
) -> Callable[[], None]:
    """The next round at each call, from the state of the last one."""
    with where.computing():
        state: Any = process.initialize()
    number = 0

    def run() -> None:
        nonlocal state, number
        number += 1
        keys = sampling.keys(number, sampling.cohort(number))
        with where.computing():
            state = process.next(state, keys).state

    return run
