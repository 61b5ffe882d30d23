"""Where workers answer: processes of this machine, which are started when they are needed, and remote ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import grpc

from tff_affect.errors import RunError
from tff_affect.learning.worker_calls import CHANNEL_OPTIONS
from tff_affect.tff_context import ENDED
from tff_affect.workers.hosts import AUTHORITY, DRIVER, DRIVER_KEY, Host
from tff_affect.workers.process import WorkerProcess


class Endpoint(Protocol):
    """Where a worker answers.

    Attributes:
        name: Of the worker.
        own: Whether this process starts it whenever it is needed.
    """

    name: str
    own: bool

    def channel(self) -> grpc.Channel:
        """A new channel to it; starts the worker where it is this process's own and does not run.

        Raises:
            WorkerLostError: If it cannot be reached now.
            RunError: If it will never be reached.
        """

    def close(self) -> None:
        """Lets go of it; stops it where it is this process's own."""


class LocalEndpoint:
    """A worker of this machine, which this process starts and stops.

    Args:
        process: Makes a worker's process, not started yet.
        restarts: How often one that died is started again.
        memory_mark: Bytes beyond which it is started anew before it is connected to; 0 for no limit.
        name: In messages.
    """

    def __init__(
        self,
        process: Callable[[], WorkerProcess],
        restarts: int,
        memory_mark: float = 0,
        name: str = "local",
    ) -> None:
        self.name, self.own = name, True
        self._make, self._restarts, self._memory_mark = process, restarts, memory_mark
        self._process: WorkerProcess | None = None
        self._starts, self._closed = 0, threading.Event()

    @property
    def pid(self) -> int | None:
        """Process id of the worker, or None while it is stopped."""
        return None if self._process is None else self._process.pid

    @property
    def too_large(self) -> bool:
        """Whether the worker takes more memory than it may."""
        process = self._process
        return bool(self._memory_mark) and process is not None and process.memory() > self._memory_mark

    def channel(self) -> grpc.Channel:
        """A channel to the worker, which is started if it does not run.

        Raises:
            RunError: If it does not start, died too often, or was closed.
        """
        self._require_open()
        if self.too_large:
            self._stop()
            self._starts -= 1
        if self._process is None or not self._process.alive:
            self._stop()
            if self._starts > self._restarts:
                raise RunError(
                    f"the worker of TensorFlow Federated died {self._starts} times; it may lack memory: see the "
                    "system's log, then resume with a smaller model, window or batch"
                )
            self._starts += 1
            process = self._make()
            process.start()
            self._process = process
            self._require_open()
        return grpc.insecure_channel(self._process.address, CHANNEL_OPTIONS)

    def _require_open(self) -> None:
        """Also after a start: what closes the endpoint meanwhile has found no process to stop."""
        if self._closed.is_set():
            self._stop()
            raise RunError(ENDED)

    def restart(self) -> None:
        """Ends a worker that hangs; the next channel starts another."""
        self._stop()

    def close(self) -> None:
        """Stops the worker for good: what still waits for it in another thread does not start it again."""
        self._closed.set()
        self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.stop()


class RemoteEndpoint:
    """A worker of another machine, behind mutual TLS.

    Args:
        host: Where it is.
        certificates: The driver's folder of certificates; None where TLS is left out on loopback.
    """

    def __init__(self, host: Host, certificates: Path | None) -> None:
        self.name, self.own = host.name, False
        self._address, self._certificates = host.address, certificates

    def channel(self) -> grpc.Channel:
        """A new channel; certificates are read anew, since they may have been rotated."""
        folder = self._certificates
        if folder is None:
            return grpc.insecure_channel(self._address, CHANNEL_OPTIONS)
        authority, key, certificate = ((folder / name).read_bytes() for name in (AUTHORITY, DRIVER_KEY, DRIVER))
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
        return grpc.secure_channel(self._address, credentials, CHANNEL_OPTIONS)

    def close(self) -> None:
        """Nothing: the worker is not this process's own."""
