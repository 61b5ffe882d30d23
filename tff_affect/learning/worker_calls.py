"""Calls to a worker of TensorFlow Federated: each has a deadline, is counted, and says whether the worker is lost.

TensorFlow Federated's own stub waits without a bound, and its contexts repeat a call to a dead worker for ever. Here a
call either answers, fails because of what was computed (`grpc.RpcError` as it came), or fails because of the worker
(`WorkerLostError`, which nothing below repeats).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc

from tff_affect.workers.hosts import Deadlines
from tff_affect.workers.process import MESSAGE_LIMIT_MEGABYTES

# Bytes; gRPC's own limit is 4 MiB, less than some models.
_MESSAGE_LIMIT = MESSAGE_LIMIT_MEGABYTES * 1000 * 1000

# Calls that wait for a computation, or carry what may be large; all others are answered at once.
_LONG = ("CreateValue", "CreateCall", "Compute")
_LOST = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    # A worker that was started anew does not know the executors of the one before.
    grpc.StatusCode.FAILED_PRECONDITION,
)


class WorkerLostError(grpc.RpcError):
    """The worker died, hangs, refuses or cannot be reached; the same call may succeed at another one, or later.

    Args:
        reason: Why.
        late: Whether it answers, and only computes longer than it may.
    """

    def __init__(self, reason: str, late: bool = False) -> None:
        super().__init__(reason)
        self.late = late


@dataclass(frozen=True)
class Traffic:
    """Bytes of messages, without what gRPC and TLS add.

    Attributes:
        sent: To the worker.
        received: From it.
    """

    sent: int = 0
    received: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.sent + other.sent, self.received + other.received)

    def __sub__(self, other: Traffic) -> Traffic:
        return Traffic(self.sent - other.sent, self.received - other.received)


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


class _CallDetails(_Details, grpc.ClientCallDetails):
    """gRPC's description of a call, with another deadline."""


class BoundedCalls(grpc.UnaryUnaryClientInterceptor):
    """Stands between a stub and its channel.

    Args:
        deadlines: Of calls.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        # Counting may make Python collect garbage, and what is collected may call in turn.
        self._lock = threading.RLock()
        self._traffic = Traffic()
        self.lost = ""
        """Why the worker is lost; empty as long as it is not."""

    @property
    def traffic(self) -> Traffic:
        """Bytes so far."""
        return self._traffic

    def intercept_unary_unary(self, continuation: Callable, client_call_details: Any, request: Any) -> Any:
        """Makes one call; raises `WorkerLostError` at once where the worker is known to be lost."""
        if self.lost:
            raise WorkerLostError(self.lost)
        details = client_call_details
        method = details.method.rsplit("/", 1)[-1]
        seconds = self._deadlines.call if method in _LONG else self._deadlines.silent
        bounded = _CallDetails(
            details.method, details.timeout or seconds, details.metadata, details.credentials,
            details.wait_for_ready, details.compression,
        )  # fmt: skip
        try:
            call = continuation(bounded, request)
        except ValueError as error:  # what gRPC raises for a channel that was closed meanwhile
            raise WorkerLostError(self.lost or str(error)) from error
        self._count(request, call)
        if call.code() in _LOST:
            late = call.code() == grpc.StatusCode.DEADLINE_EXCEEDED and method in _LONG and not self.lost
            reason = f"a computation took longer than the {seconds:g} s of deadlines.call" if late else reason_of(call)
            raise WorkerLostError(self.lost or reason, late)
        return call

    def _count(self, request: Any, call: Any) -> None:
        received = call.result().ByteSize() if call.code() == grpc.StatusCode.OK else 0
        with self._lock:
            self._traffic += Traffic(request.ByteSize(), received)


CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
    ("grpc.max_send_message_length", _MESSAGE_LIMIT),
    # Else a new channel would inherit the pauses that an earlier one had to make.
    ("grpc.use_local_subchannel_pool", 1),
]
"""Of a channel to a worker."""


def reason_of(error: BaseException | grpc.Call) -> str:
    """The first line of what TensorFlow or a worker said."""
    said = error.details() if isinstance(error, grpc.Call) else getattr(error, "message", None)
    return str(said or error).strip().split("\n")[0]
