"""One worker as the driver reaches it: connected when it is needed, given up when it is silent, connected anew."""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import tensorflow_federated as tff
from tensorflow_federated.proto.v0 import executor_pb2, executor_pb2_grpc

from tff_affect.errors import AffectError, RunError
from tff_affect.learning.worker_calls import BoundedCalls, Traffic, WorkerLostError, reason_of
from tff_affect.learning.worker_endpoints import Endpoint, LocalEndpoint
from tff_affect.tff_context import ENDED
from tff_affect.workers.hosts import Deadlines

_PAUSE = 0.5
"""Seconds between attempts to reach a worker that is lost."""


class _Stub(tff.framework.RemoteExecutorGrpcStub):
    """TFF's stub, without a thread that watches the channel and complains when that is closed."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._stub = executor_pb2_grpc.ExecutorGroupStub(channel)


class _SendingOnce(tff.framework.RemoteExecutor):
    """Sends a computation to the worker once, where TFF sends it with every call: as much as all weights of a model."""

    def __init__(self, stub: _Stub) -> None:
        super().__init__(stub)
        self._sent: dict[int, tuple[tff.framework.ConcreteComputation, Any]] = {}

    async def create_value(self, value: Any, type_spec: Any = None) -> Any:
        """A value at the worker; of a computation that is there already, the same as before."""
        if not isinstance(value, tff.framework.ConcreteComputation):
            return await super().create_value(value, type_spec)
        if id(value) not in self._sent:
            self._sent[id(value)] = (value, await super().create_value(value, type_spec))
        return self._sent[id(value)][1]

    def _dispose(self, value_ref: Any, value_executor_id: Any) -> None:
        # Called where Python collects garbage; what a lost worker held is gone with it.
        with suppress(grpc.RpcError):
            super()._dispose(value_ref, value_executor_id)

    def forget(self) -> None:
        """Lets go of the computations at the worker: each holds this executor, and none would ever be freed."""
        self._sent.clear()

    def close(self) -> None:
        """Lets go of everything."""
        self.forget()
        super().close()


class _Executors(tff.framework.ExecutorFactory):
    """An executor for each number of clients; one that a computation failed on is made anew."""

    def __init__(self, stub: _Stub) -> None:
        self._stub = stub
        self._made: dict[tuple[tuple[str, int], ...], _SendingOnce] = {}

    def create_executor(self, cardinalities: Any) -> _SendingOnce:
        """The executor for so many clients."""
        key = _key_of(cardinalities)
        if key not in self._made:
            executor = _SendingOnce(self._stub)
            executor.set_cardinalities({tff.CLIENTS: 0, **cardinalities})
            self._made[key] = executor
        return self._made[key]

    def clean_up_executor(self, cardinalities: Any) -> None:
        """Lets go of one; called by TFF after an error."""
        executor = self._made.pop(_key_of(cardinalities), None)
        if executor is not None:
            executor.close()

    def forget(self) -> None:
        """Lets go of what was sent."""
        for executor in list(self._made.values()):
            executor.forget()


def _key_of(cardinalities: Any) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((str(placement), count) for placement, count in cardinalities.items()))


@functools.lru_cache(maxsize=256)
def _compiled(computation: Any) -> Any:
    """A computation as workers run it; the same for all workers."""
    return tff.backends.native.desugar_and_transform_to_native(computation)


class _Loop:
    """An event loop that is closed when nobody has it any more."""

    def __init__(self) -> None:
        self.events = asyncio.new_event_loop()
        weakref.finalize(self, self.events.close)


class _ThreadsOwn(threading.local):
    """What each thread has for itself."""

    loop: _Loop | None = None


_OWN = _ThreadsOwn()


class _Context(tff.framework.SyncContext):
    """Computes in the thread that asks: TFF's own has a thread, which outlives it."""

    def __init__(self, executors: _Executors) -> None:
        self._context = tff.framework.AsyncExecutionContext(
            executor_fn=executors,
            compiler_fn=_compiled,
            transform_args=tff.tensorflow.transform_args,
            transform_result=tff.tensorflow.transform_result,
        )

    def invoke(self, comp: Any, arg: Any) -> Any:
        # Kept: Ctrl-C while a loop is made or closed is followed by complaints of Python's own.
        own = _OWN.loop = _OWN.loop or _Loop()
        try:
            return own.events.run_until_complete(self._context.invoke(comp, arg))
        except BaseException:
            # What was cut off may have left something in it.
            _OWN.loop = None
            raise


class _Connection:
    """A channel to a worker, and the context over it."""

    def __init__(self, channel: grpc.Channel, deadlines: Deadlines) -> None:
        self._channel = channel
        self.calls = BoundedCalls(deadlines)
        self._stub = _Stub(grpc.intercept_channel(channel, self.calls))
        self._executors = _Executors(self._stub)
        self.context = _Context(self._executors)

    def heartbeat(self) -> None:
        """Asks for something that changes nothing.

        Raises:
            WorkerLostError: If no answer came.
        """
        nobody = executor_pb2.ExecutorId(id="heartbeat")
        self._stub.dispose_executor(executor_pb2.DisposeExecutorRequest(executor=nobody))

    def lose(self, reason: str) -> None:
        """Ends all calls that are under way, with `WorkerLostError`."""
        self.calls.lost = self.calls.lost or reason
        self._channel.close()
        self.forget()

    def forget(self) -> None:
        """Lets go of what was sent."""
        self._executors.forget()


class WorkerLink:
    """One worker as the driver reaches it.

    Args:
        endpoint: Where it answers.
        deadlines: Of calls and heartbeats.
    """

    def __init__(self, endpoint: Endpoint, deadlines: Deadlines) -> None:
        self.endpoint = endpoint
        self._deadlines = deadlines
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._connection: _Connection | None = None
        self._past = Traffic()
        self._in_flight = 0
        self._closed = False
        self.last_words = "it was not reached yet"
        """Why the worker was lost the last time."""
        self.accept: Callable[[], None] = lambda: None
        """Computes at a worker that was just reached, and raises `AffectError` if it must not be used."""
        threading.Thread(target=self._watch, name=f"watches {endpoint.name}", daemon=True).start()

    @property
    def name(self) -> str:
        """Name of the worker."""
        return self.endpoint.name

    @property
    def traffic(self) -> Traffic:
        """Bytes of all messages so far."""
        connection = self._connection
        return self._past + (connection.calls.traffic if connection else Traffic())

    def call(self, computation: Any, *arguments: Any) -> Any:
        """Computes at the worker.

        Raises:
            WorkerLostError: If it was lost, or cannot be reached.
            grpc.RpcError: If the computation failed.
        """
        with self._working() as connection, tff.framework.get_context_stack().install(connection.context):
            return self._answered(connection, lambda: computation(*arguments))

    def invoke(self, computation: Any, argument: Any) -> Any:
        """`call` with an argument as a context of TensorFlow Federated gets it."""
        with self._working() as connection:
            return self._answered(connection, lambda: connection.context.invoke(computation, argument))

    def reachable(self) -> bool:
        """Whether the worker answered lately; one of this process's own is started when it is needed.

        A lost one is sought in the background: nobody waits here for a machine that is gone.
        """
        return self.endpoint.own or self._connection is not None

    def connect(self) -> None:
        """Reaches the worker now.

        Raises:
            WorkerLostError: If it does not answer.
            RunError: If it never will.
        """
        self._connected()

    def _answered(self, connection: _Connection, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except WorkerLostError as error:
            self._lose(connection, str(error))
            raise
        except grpc.RpcError as error:
            if connection.calls.lost:
                raise WorkerLostError(connection.calls.lost) from error
            raise

    @contextmanager
    def _working(self) -> Iterator[_Connection]:
        connection = self._connected()
        with self._lock:
            self._in_flight += 1
        try:
            yield connection
        finally:
            with self._lock:
                self._in_flight -= 1

    def _connected(self) -> _Connection:
        with self._lock:
            if self._closed:
                raise RunError(ENDED)
            endpoint = self.endpoint
            if self._connection and not self._in_flight and isinstance(endpoint, LocalEndpoint) and endpoint.too_large:
                self._drop(self._connection, "started anew to free memory")
            if self._connection is None:
                connection = _Connection(endpoint.channel(), self._deadlines)
                try:
                    connection.heartbeat()
                    with tff.framework.get_context_stack().install(connection.context):
                        self.accept()
                except (grpc.RpcError, AffectError) as error:
                    self.last_words = reason_of(error)
                    connection.lose(self.last_words)
                    raise WorkerLostError(f"{self.name} cannot be reached: {self.last_words}") from error
                self._connection = connection
            return self._connection

    def _watch(self) -> None:
        """Until the end: gives the worker up if it owes an answer and does not even answer a heartbeat; seeks it."""
        pause = self._deadlines.heartbeat
        while not self._wake.wait(pause):
            pause = self._deadlines.heartbeat
            connection = self._connection
            try:
                if connection is not None:
                    if self._in_flight:
                        connection.heartbeat()
                elif not self.endpoint.own:
                    self._connected()
            except WorkerLostError as error:
                pause = min(_PAUSE, pause)
                lost = connection is not None and self._lose(connection, f"no heartbeat: {error}")
                if lost and isinstance(self.endpoint, LocalEndpoint):
                    self.endpoint.restart()
            except (grpc.RpcError, RunError, OSError) as error:
                self.last_words = reason_of(error)

    def _lose(self, connection: _Connection, reason: str) -> bool:
        """Whether the connection was the one in use until now."""
        with self._lock:
            if self._connection is not connection:
                return False
            self._drop(connection, reason)
            return True

    def _drop(self, connection: _Connection, reason: str) -> None:
        self._connection, self.last_words = None, reason
        connection.lose(reason)
        self._past += connection.calls.traffic

    def finish(self) -> None:
        """Lets go of what was sent to the worker, whose computations are done."""
        if self._connection is not None:
            self._connection.forget()

    def close(self) -> None:
        """Ends all calls and lets go of the worker; it is not reached again."""
        self._closed = True
        self._wake.set()
        connection = self._connection
        if connection is not None:
            connection.lose(ENDED)
        self.endpoint.close()
