"""Mutual TLS in front of a worker: who has no driver's certificate reaches nothing behind it.

Bytes are passed on as they are (HTTP/2 of gRPC), as fast as both ends take them and no faster. A peer that is refused
is one line in the log.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tff_affect.errors import RunError
from tff_affect.workers.hosts import AUTHORITY, split_address
from tff_affect.workers.joined import End, Traffic
from tff_affect.workers.tls_context import ServerContext

_LOG = logging.getLogger(__name__)
_BACKLOG = 128
_SECONDS_TO_STOP = 10.0
_SECONDS_TO_SAY_GOODBYE = 1.0
_LINES, _SECONDS_OF_LINES = 20, 10.0
# A peer whose machine or network has gone is noticed after about a minute.
_KEEP_ALIVE = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 3, socket.TCP_USER_TIMEOUT: 60000}
_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it has no certificate",
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "HTTP_REQUEST": "it does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "its TLS is older than 1.2",
    "NO_SHARED_CIPHER": "it shares no cipher",
}


@dataclass(frozen=True)
class ProxyLimits:
    """What a peer may take.

    Attributes:
        handshake: Seconds until a peer must have shown its certificate.
        handshakes: Under way at the same time; the oldest makes room for one more.
        connections: Of drivers at the same time.
        idle: Seconds without a byte until a connection is closed; longer than a call takes.
    """

    handshake: float = 5.0
    handshakes: int = 64
    connections: int = 64
    idle: float = 7200.0


class TlsProxy:
    """Listens with TLS and passes connections on to a worker. Runs in a thread of its own.

    Args:
        listen: ``host:port``; port 0 takes a free one.
        folder: The worker's certificates, read again when they change; None goes without TLS.
        limits: What a peer may take.
    """

    def __init__(self, listen: tuple[str, int], folder: Path | None, limits: ProxyLimits | None = None) -> None:
        self._listen = listen
        self._limits = limits or ProxyLimits()
        self._security = None if folder is None else ServerContext(folder)
        self._refusals = _Refusals()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._listener: socket.socket | None = None
        self._handshakes: dict[asyncio.Task[None], str] = {}  # and their peers, the oldest first
        self._ends: set[End] = set()
        self.traffic = Traffic()
        self.target: str | None = None
        """Where connections go: ``unix:<path>`` or ``host:port``; None refuses them until there is a worker."""

    @property
    def port(self) -> int:
        """The port on which it listens."""
        if self._listener is None:
            raise RunError("the proxy is not running")
        return int(self._listener.getsockname()[1])

    @property
    def alive(self) -> bool:
        """Whether it listens."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def connections(self) -> int:
        """Drivers that are connected."""
        return len(self._ends) // 2

    def start(self) -> None:
        """Listens.

        Raises:
            InputError: If the certificates are not in order.
            RunError: If the address cannot be listened on.
        """
        if self._security is not None:
            self._security.current()
        host, port = self._listen
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise RunError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        self._listener.setblocking(False)
        running: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(running,), name="tls-proxy", daemon=True)
        self._thread.start()
        running.result()

    def stop(self) -> None:
        """Closes all connections and ends the thread."""
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            with suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(loop.stop)
            thread.join(_SECONDS_TO_STOP)
        if self._listener is not None:
            self._listener.close()
        self._loop = self._thread = self._listener = None

    def _run(self, running: Future[None]) -> None:
        loop = self._loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda _, context: _LOG.debug("proxy: %s", context.get("message")))
        accepting = loop.create_task(self._accept())
        loop.call_soon(running.set_result, None)
        try:
            loop.run_forever()
        finally:
            for end in tuple(self._ends):
                end.abort()
            for task in (accepting, *self._handshakes):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0.01))
            loop.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        if self._listener is None:
            return
        while True:
            try:
                caller, address = await loop.sock_accept(self._listener)
            except OSError as error:  # out of descriptors: those that wait are taken later
                _LOG.warning("cannot accept connections: %s", error.strerror)
                await asyncio.sleep(0.5)
                continue
            if len(self._handshakes) >= self._limits.handshakes:
                self._drop_oldest()
            peer = f"{address[0]} port {address[1]}"
            task = loop.create_task(self._serve(caller, peer))
            self._handshakes[task] = peer
            task.add_done_callback(lambda done: self._handshakes.pop(done, None))
            await asyncio.sleep(0)  # it takes charge of the connection before the next one comes

    def _drop_oldest(self) -> None:
        task, peer = next(iter(self._handshakes.items()))
        del self._handshakes[task]
        task.cancel()
        self._refusals.say(peer, "too many peers have shown no certificate yet")

    async def _serve(self, caller: socket.socket, peer: str) -> None:
        """Greets one peer, and joins it with the worker if it is a driver."""
        try:
            await self._join(await self._greet(caller), peer)
        except OSError as error:
            self._refusals.say(peer, self._reason(error))

    async def _greet(self, caller: socket.socket) -> End:
        try:
            _keep_alive(caller)
        except OSError:
            caller.close()
            raise
        context = None if self._security is None else self._security.current()
        secure = {"ssl_handshake_timeout": self._limits.handshake, "ssl_shutdown_timeout": _SECONDS_TO_SAY_GOODBYE}
        loop = asyncio.get_running_loop()
        _, end = await loop.connect_accepted_socket(
            lambda: End(self._ends, self.traffic.came), caller, ssl=context, **(secure if context else {})
        )
        return end

    async def _join(self, outer: End, peer: str) -> None:
        refusal = None
        secured = outer.transport.get_extra_info("ssl_object")
        if self.connections >= self._limits.connections:
            refusal = f"{self._limits.connections} connections are open"
        elif secured is not None and secured.selected_alpn_protocol() != "h2":
            refusal = "it does not speak HTTP/2"
        else:
            try:
                outer.join(await self._connect(), self._limits.idle)
            except OSError:
                refusal = "there is no worker at the moment"
            except asyncio.CancelledError:
                outer.abort()
                raise
        if refusal is not None:
            self._refusals.say(peer, refusal)
            outer.abort()

    async def _connect(self) -> End:
        loop, target = asyncio.get_running_loop(), self.target
        if target is None:
            raise ConnectionRefusedError
        if target.startswith("unix:"):
            return (await loop.create_unix_connection(self._inner, target.removeprefix("unix:")))[1]
        host, port = split_address(target)
        return (await loop.create_connection(self._inner, host, port))[1]

    def _inner(self) -> End:
        return End(self._ends, self.traffic.went)

    def _reason(self, error: Exception) -> str:
        """Why a handshake failed, in plain words."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not a driver's by {AUTHORITY}: {error.verify_message}"
        if isinstance(error, ssl.SSLEOFError | ConnectionResetError | BrokenPipeError):
            return "it hung up before it had shown a certificate"
        if isinstance(error, ssl.SSLError):
            return _REASONS.get(error.reason, f"TLS failed: {error.reason}")
        if isinstance(error, ConnectionAbortedError | TimeoutError):
            return f"it showed no certificate within {self._limits.handshake:g} s"
        return str(error)


class _Refusals:
    """Says who was refused and why; of a flood, some and then how many."""

    def __init__(self) -> None:
        self._since = -_SECONDS_OF_LINES
        self._count = 0

    def say(self, peer: str, reason: str) -> None:
        """A line in the log, unless there were too many just now."""
        now = time.monotonic()
        if now - self._since >= _SECONDS_OF_LINES:
            if self._count > _LINES:
                _LOG.warning("refused %d more peers", self._count - _LINES)
            self._since, self._count = now, 0
        self._count += 1
        if self._count <= _LINES:
            _LOG.warning("refused %s: %s", peer, reason)


def _keep_alive(caller: socket.socket) -> None:
    caller.setblocking(False)
    caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE.items():
        caller.setsockopt(socket.IPPROTO_TCP, option, value)
