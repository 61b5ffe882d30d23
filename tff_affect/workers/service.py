"""A worker as a service: the cohort's shard on its own disk, the binary that computes on it, and TLS in front.

What runs is watched: a binary that died is started again, and one that has grown beyond its mark is replaced between
two rounds, since TensorFlow Federated keeps an executor for every number of clients that it has seen.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tff_affect.errors import InputError, RunError
from tff_affect.memory import share_of_memory
from tff_affect.staging import staging_folder
from tff_affect.workers import certificates
from tff_affect.workers.hosts import is_loopback, split_address
from tff_affect.workers.process import WorkerProcess
from tff_affect.workers.tls_proxy import TlsProxy

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LOOKS = 0.25
_RESTARTS, _SECONDS_OF_RESTARTS = 5, 600.0
_SECONDS_QUIET = 2.0
_SECONDS_BETWEEN_RECYCLINGS = 60.0
# Of a core: below it, threads of the binary merely look around.
_BUSY = 0.1
# The other half is for the growth of the round under way, which is never cut off.
_SHARE_OF_FREE_MEMORY = 0.5
_DAYS_OF_WARNING = 14
_SECONDS_BETWEEN_WARNINGS = 86400.0


@dataclass(frozen=True)
class ServiceConfig:
    """How a worker serves.

    Attributes:
        cohort: The cohort's folder on this machine.
        listen: ``host:port`` that drivers connect to; port 0 takes a free one.
        certificates: The worker's folder of certificates; None goes without TLS, on loopback alone.
        subjects: Of the cohort, whom it serves; None for all.
        isolation: ``auto``, ``namespace`` or ``none``. Beyond loopback, ``auto`` demands a namespace.
        memory_mark: Bytes of the binary beyond which it is replaced between rounds; None for half of what is free when
            the service starts.
        concurrent_clients: Clients computed at the same time; 0 is one per core.
    """

    cohort: Path
    listen: str
    certificates: Path | None
    subjects: Sequence[str] | None = None
    isolation: str = "auto"
    memory_mark: int | None = None
    concurrent_clients: int = 0

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on.

        Raises:
            InputError: If ``listen`` is none.
        """
        try:
            return split_address(self.listen, lowest=0)
        except ValueError as error:
            raise InputError(f"--listen: {error}") from error


def serve(config: ServiceConfig, say: Callable[[str], None] = print, stopping: threading.Event | None = None) -> None:
    """Serves a cohort's shard until ``stopping`` is set or the process is interrupted; nothing stays behind.

    Args:
        config: What is served, where and how.
        say: Takes one line once drivers can connect.
        stopping: Ends the service when set.

    Raises:
        InputError: If the cohort, the certificates or the address cannot be used, or the address is beyond loopback
            without TLS.
        RunError: If the binary does not start or dies again and again, if it cannot be isolated, or if the address is
            in use.
    """
    loopback = is_loopback(config.address[0])
    if config.certificates is None and not loopback:
        raise InputError(f"--listen: {config.listen} is beyond this machine, and there TLS is a must: --certificates")
    certificate = None if config.certificates is None else certificates.check(config.certificates, "worker")
    with staging_folder() as folder:
        subjects = _build(config, folder)
        isolation = "namespace" if config.isolation == "auto" and not loopback else config.isolation
        worker = WorkerProcess(config.concurrent_clients, folder, isolation)
        proxy = TlsProxy(config.address, config.certificates)
        service = _Service(config, worker, proxy)
        try:
            service.start()
            say(_ready(certificate, config.address[0], proxy.port, len(subjects), worker.isolated))
            service.watch(stopping or threading.Event())
        finally:
            proxy.stop()
            worker.stop()


def _build(config: ServiceConfig, folder: Path) -> Sequence[str]:
    from tff_affect.workers.store import build_store

    manifest = build_store(config.cohort, folder, config.subjects)
    return [entry.subject for entry in manifest.subjects]


def _ready(certificate: certificates.Certificate | None, host: str, port: int, subjects: int, isolated: bool) -> str:
    name = "worker" if certificate is None else f"worker {certificate.name}"
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    security = "no TLS" if certificate is None else f"certificate good until {certificate.until:%Y-%m-%d}"
    whole = f"{subjects} subject{'s' if subjects != 1 else ''}"
    return f"{name} ready on {address}: {whole}, {'isolated' if isolated else 'NOT isolated'}, {security}"


class _Service:
    """The binary and the proxy in front of it, and what is done when something happens to them."""

    def __init__(self, config: ServiceConfig, worker: WorkerProcess, proxy: TlsProxy) -> None:
        self._config = config
        self._worker = worker
        self._proxy = proxy
        self._mark = config.memory_mark
        self._deaths: list[float] = []
        self._recycled = -_SECONDS_BETWEEN_RECYCLINGS
        self._warned = -_SECONDS_BETWEEN_WARNINGS
        self._computed = 0.0
        self._busy = time.monotonic()

    def start(self) -> None:
        """Starts the binary, then listens."""
        if self._mark is None:
            self._mark = share_of_memory(_SHARE_OF_FREE_MEMORY)
        self._start_worker()
        self._proxy.start()

    def watch(self, stopping: threading.Event) -> None:
        """Looks after the binary until ``stopping`` is set."""
        while not stopping.wait(_SECONDS_BETWEEN_LOOKS):
            if not self._proxy.alive:
                raise RunError("the proxy in front of the worker has ended; start the worker again")
            if not self._worker.alive:
                self._replace_dead()
            elif self._mark and self._worker.memory() > self._mark and self._is_quiet():
                self._recycle()
            self._look_at_certificate()

    def _start_worker(self) -> None:
        self._proxy.target = None
        self._worker.start()
        self._proxy.target = self._worker.address
        self._computed, self._busy = 0.0, time.monotonic()
        if not self._worker.isolated:
            _LOG.warning(
                "the worker's own port %s listens on all interfaces and obeys whoever reaches it; close it by a "
                "firewall",
                self._worker.address.rpartition(":")[2],
            )

    def _replace_dead(self) -> None:
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if now - death < _SECONDS_OF_RESTARTS] + [now]
        if len(self._deaths) > _RESTARTS:
            raise RunError(
                f"the worker of TensorFlow Federated died {len(self._deaths)} times within "
                f"{_SECONDS_OF_RESTARTS / 60:g} minutes; it may lack memory: see the system's log"
            )
        _LOG.warning("the worker of TensorFlow Federated died; started again (%d of %d)", len(self._deaths), _RESTARTS)
        self._start_worker()

    def _is_quiet(self) -> bool:
        """Whether no round is under way: for a while, no byte has passed and nothing was computed."""
        now, computed = time.monotonic(), self._worker.seconds_computed()
        if computed - self._computed > _BUSY * _SECONDS_BETWEEN_LOOKS:
            self._busy = now
        self._computed = computed
        return now - max(self._busy, self._proxy.traffic.last) >= _SECONDS_QUIET

    def _recycle(self) -> None:
        now = time.monotonic()
        if now - self._recycled < _SECONDS_BETWEEN_RECYCLINGS:
            return
        self._recycled = now
        _LOG.info("the worker grew to %.1f GB; replaced between rounds", self._worker.memory() / 1e9)
        self._start_worker()

    def _look_at_certificate(self) -> None:
        now = time.monotonic()
        if self._config.certificates is None or now - self._warned < _SECONDS_BETWEEN_WARNINGS:
            return
        self._warned = now
        try:
            found = certificates.check(self._config.certificates, "worker")
        except InputError as error:
            _LOG.warning("%s", error)
            return
        if found.days_left < _DAYS_OF_WARNING:
            _LOG.warning(
                "the certificate is good for %d more days; 'tff-affect worker cert worker DIR --name %s "
                "--address HOST --rotate' makes a new one",
                found.days_left,
                found.name,
            )
