"""A slow line between driver and worker: a relay that delays and throttles what passes, each way by itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tff_affect.workers.hosts import split_address

_CHUNK = 1 << 14
# Bytes on their way; a reader that is further ahead waits.
_IN_FLIGHT = 4096


@dataclass(frozen=True)
class Line:
    """A line.

    Attributes:
        round_trip: Seconds there and back.
        bytes_per_second: Of each direction of each connection; 0 for no limit.
    """

    round_trip: float = 0.0
    bytes_per_second: float = 0.0


@contextmanager
def slowed(address: str, line: Line) -> Iterator[str]:
    """An address of this machine behind which the other one lies, at the far end of a line."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="line", daemon=True)
    thread.start()
    ends: set[asyncio.StreamWriter] = set()
    server = asyncio.run_coroutine_threadsafe(_listen(address, line, ends), loop).result(30)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server, ends), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _listen(address: str, line: Line, ends: set[asyncio.StreamWriter]) -> asyncio.Server:
    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await _connect(address)
        both = {writer, far_writer}
        ends.update(both)
        await asyncio.gather(_carry(reader, far_writer, line), _carry(far_reader, writer, line))
        ends.difference_update(both)

    return await asyncio.start_server(joined, "127.0.0.1", 0)


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    return await asyncio.open_connection(*split_address(address))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> None:
    """Passes bytes on, each as late as the line makes it."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_IN_FLIGHT)

    async def send() -> None:
        free = loop.time()
        while data := await reader.read(_CHUNK):
            # The line takes one piece after the other; then each travels by itself.
            free = max(free, loop.time())
            free += len(data) / line.bytes_per_second if line.bytes_per_second else 0.0
            await under_way.put((free + line.round_trip / 2, data))
        await under_way.put((loop.time(), b""))

    async def receive() -> None:
        with suppress(OSError):
            while True:
                at, data = await under_way.get()
                await asyncio.sleep(max(0.0, at - loop.time()))
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        writer.close()

    with suppress(OSError):
        await asyncio.gather(send(), receive())


async def _stop(server: asyncio.Server, ends: set[asyncio.StreamWriter]) -> None:
    server.close()
    for end in ends:
        end.transport.abort()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if others:
        await asyncio.wait(others, timeout=20)
