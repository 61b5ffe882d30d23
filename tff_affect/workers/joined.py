"""Two connections joined to one: what the one end reads, the other writes, no faster than it can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

_BUFFER_BYTES = 4 << 20


class Traffic:
    """Bytes that were passed on.

    Attributes:
        received: Bytes from drivers.
        sent: Bytes to drivers.
        last: When the last byte was passed on, of `time.monotonic`.
    """

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0
        self.last = time.monotonic()

    def came(self, count: int) -> None:
        """So many bytes came from a driver."""
        self.received += count
        self.last = time.monotonic()

    def went(self, count: int) -> None:
        """So many bytes went to a driver."""
        self.sent += count
        self.last = time.monotonic()


class End(asyncio.Protocol):
    """One end of a connection. Reads nothing until it is joined; once one end is gone, so is the other.

    Args:
        ends: All that are open; it enters and leaves by itself.
        count: Is told of bytes that were read.
    """

    def __init__(self, ends: set[End], count: Callable[[int], None]) -> None:
        self._ends = ends
        self._count = count
        self._other: End | None = None
        self._last = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection (and its handshake) stands."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(_BUFFER_BYTES)
        self.transport.pause_reading()
        self._ends.add(self)

    def join(self, other: End, idle: float) -> None:
        """Passes bytes on in both directions, until one end closes or for ``idle`` seconds nothing came."""
        self._other, other._other = other, self
        for end in (self, other):
            if end.transport.is_closing():
                self.abort()
            end.transport.resume_reading()
        self._watch(idle)

    def data_received(self, data: bytes) -> None:
        """Passes it on."""
        self._last = time.monotonic()
        self._count(len(data))
        if self._other is not None:
            self._other.transport.write(data)

    def pause_writing(self) -> None:
        """This end takes no more: the other one is not read."""
        if self._other is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        """This end takes bytes again."""
        if self._other is not None:
            self._other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Closes the other end, once that has written what is left."""
        self._ends.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._other is not None:
            self._other.transport.close()

    def abort(self) -> None:
        """Closes both ends at once."""
        self.transport.abort()
        if self._other is not None:
            self._other.transport.abort()

    def _watch(self, idle: float) -> None:
        last = max(self._last, self._other._last if self._other is not None else 0.0)
        left = last + idle - time.monotonic()
        if left <= 0:
            self.abort()
        elif not self.transport.is_closing():
            self._timer = asyncio.get_running_loop().call_later(left, self._watch, idle)
