"""Where the computations of TensorFlow Federated run: on one worker of this machine, on several, or on remote ones.

Workers of this machine are started, watched and stopped here: TFF's own local context leaves its ``worker_binary``
behind when the interpreter ends, and waits for it without a bound. Remote workers are reached by mutual TLS and hold
their clients' data themselves (`tff_affect.workers`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
import tensorflow as tf
import tensorflow_federated as tff

import tff_affect.tff_context  # noqa: F401
from tff_affect.errors import RunError
from tff_affect.learning.placement import Placement
from tff_affect.learning.subrounds import SubroundContext, repeated
from tff_affect.learning.worker_calls import Traffic, WorkerLostError, reason_of
from tff_affect.learning.worker_endpoints import LocalEndpoint, RemoteEndpoint
from tff_affect.learning.worker_links import WorkerLink
from tff_affect.learning.worker_pool import WorkerPool
from tff_affect.memory import share_of_memory
from tff_affect.workers.hosts import Deadlines, Hosts
from tff_affect.workers.process import WorkerProcess

# A worker of this machine is not lost to a network: it is silent where the machine is overloaded.
_LOCAL_DEADLINES = Deadlines(heartbeat=15.0, silent=120.0, call=7 * 86400.0)


@dataclass(frozen=True)
class RuntimeConfig:
    """How workers of this machine run.

    Attributes:
        workers: How many.
        concurrent_clients: Clients that each computes at the same time; 0 is one per core.
        start_timeout: Seconds to wait for a worker to answer.
        restarts: How often a worker that died is started again; TFF itself would go on for ever.
        isolation: As of `tff_affect.workers.process.WorkerProcess`.
        memory_mark: Bytes beyond which a worker is started anew between rounds; 0 for no limit, None for half of what
            is free when it starts.
        deadlines: Of calls and heartbeats.
    """

    workers: int = 1
    concurrent_clients: int = 0
    start_timeout: float = 60.0
    restarts: int = 3
    isolation: str = "auto"
    memory_mark: float | None = None
    deadlines: Deadlines = field(default_factory=lambda: _LOCAL_DEADLINES)

    def endpoint(self, name: str = "local") -> LocalEndpoint:
        """A worker of this machine, started when it is needed."""
        process = partial(
            WorkerProcess, self.concurrent_clients, isolation=self.isolation, start_timeout=self.start_timeout
        )
        mark = share_of_memory(0.5 / self.workers) if self.memory_mark is None else self.memory_mark
        return LocalEndpoint(process, self.restarts, mark, name)


class LocalWorker:
    """The one worker of a local runtime."""

    def __init__(self, endpoint: LocalEndpoint) -> None:
        self._endpoint = endpoint

    @property
    def pid(self) -> int | None:
        """Process id, or None while stopped."""
        return self._endpoint.pid


class _OneWorker(tff.framework.SyncContext):
    """Computes everything on one worker, started again where it dies."""

    def __init__(self, link: WorkerLink) -> None:
        self._link = link

    def invoke(self, comp: Any, arg: Any) -> Any:
        return repeated(lambda: self._link.invoke(comp, arg))


@contextmanager
def local_runtime(config: RuntimeConfig | None = None) -> Iterator[LocalWorker]:
    """Runs TFF computations of the block on an own worker of this machine.

    Raises:
        RunError: If a computation of the block fails.
    """
    endpoint = (config or RuntimeConfig()).endpoint()
    link = WorkerLink(endpoint, (config or RuntimeConfig()).deadlines)
    with _running([link], _OneWorker(link)):
        link.connect()
        yield LocalWorker(endpoint)


@contextmanager
def several_workers(config: RuntimeConfig) -> Iterator[WorkerPool]:
    """Runs TFF computations of the block on several own workers of this machine, each of which reads all clients.

    Clients are strings, as of `tff_affect.learning.subrounds`.

    Raises:
        RunError: If a computation of the block fails.
    """
    endpoints = [config.endpoint(f"local-{number}") for number in range(config.workers)]
    links = [WorkerLink(endpoint, config.deadlines) for endpoint in endpoints]
    pool = WorkerPool(links, Placement(len(links)), config.deadlines)
    with _running(links, SubroundContext(links[0], pool), pool):
        for link in links:
            link.connect()
        yield pool


class RemoteWorkers:
    """Workers of other machines, and one of this machine for what the server does.

    Args:
        hosts: The workers.
        config: How the driver's own worker runs.
    """

    def __init__(self, hosts: Hosts, config: RuntimeConfig | None = None) -> None:
        self._hosts, config = hosts, config or RuntimeConfig()
        self._server = WorkerLink(config.endpoint("of the driver"), config.deadlines)
        self._links = {
            host.name: WorkerLink(RemoteEndpoint(host, hosts.certificates), hosts.deadlines) for host in hosts.workers
        }

    def close(self) -> None:
        """Lets go of all workers."""
        for link in (self._server, *self._links.values()):
            link.close()

    @property
    def traffic(self) -> Traffic:
        """Bytes of the messages of all workers so far."""
        return sum((link.traffic for link in self._links.values()), Traffic())

    def ask(
        self, computation: Any, seconds: float, names: Sequence[str] | None = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """What each worker answers to a computation without argument.

        Args:
            computation: What to compute.
            seconds: How long workers that do not answer are waited for.
            names: Whom to ask; all by default.

        Returns:
            Name of the worker -> its answer; and of those that gave none -> why.
        """
        deadline = time.monotonic() + seconds
        answers: dict[str, Any] = {}
        silent: dict[str, str] = {}

        def asked(name: str) -> None:
            try:
                answers[name] = self._links[name].call(computation)
                silent.pop(name, None)
            except (grpc.RpcError, OSError) as error:
                silent[name] = reason_of(error)

        with ThreadPoolExecutor(len(self._links)) as threads:
            while True:
                list(threads.map(asked, set(self._links if names is None else names) - answers.keys()))
                if not silent or time.monotonic() > deadline:
                    return answers, silent
                time.sleep(0.2)

    def accept(self, name: str, check: Callable[[], None]) -> None:
        """Has a worker that is reached, or reached again, used only if it passes a check.

        Args:
            name: Of the worker.
            check: Computes there, and raises `AffectError` if it must not be used.
        """
        self._links[name].accept = check

    @contextmanager
    def computing(self, placement: Placement) -> Iterator[WorkerPool]:
        """Runs TFF computations of the block on the workers.

        Args:
            placement: Who holds whom; its workers are numbered as in ``hosts``.

        Raises:
            RunError: If a computation of the block fails.
        """
        links = [self._links[host.name] for host in self._hosts.workers]
        pool = WorkerPool(links, placement, self._hosts.deadlines)
        with _running([self._server, *links], SubroundContext(self._server, pool), pool):
            self._server.connect()
            yield pool


@contextmanager
def _running(
    links: Sequence[WorkerLink], context: tff.framework.SyncContext, pool: WorkerPool | None = None
) -> Iterator[None]:
    """Installs a context, says what failed in one line, and lets go of all workers at the end."""
    try:
        with tff.framework.get_context_stack().install(context):
            yield
        for link in links:
            link.finish()
    except WorkerLostError as error:
        raise RunError(f"a worker of TensorFlow Federated was lost: {error}; start it again and resume") from error
    except (grpc.RpcError, tf.errors.OpError) as error:
        raise RunError(f"a computation failed: {reason_of(error)}; mend that and resume") from error
    finally:
        if pool is not None:
            pool.close()
        for link in links:
            link.close()
