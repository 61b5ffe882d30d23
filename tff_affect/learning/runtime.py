"""The TensorFlow Federated worker: started, watched and stopped in one place.

TFF's own local context leaves its ``worker_binary`` behind when the interpreter ends, and the child then holds the
inherited output open. Here the worker gets its own session (Ctrl-C reaches the driver alone), no inherited output, and
dies with the driver even when that is killed.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import portpicker
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.errors import RunError

_MESSAGE_LIMIT_MEGABYTES = 2000
_SET_PARENT_DEATH_SIGNAL = 1
# A client computes on one thread, and several clients side by side: products as small as those of a recurrent step
# lose more to splitting than they gain.
_WORKER_ENVIRONMENT = {"TF_NUM_INTRAOP_THREADS": "1"}
# Runs in the child before the worker replaces it, so that the worker is killed with its driver, however that ends.
_LAUNCHER = (
    "import ctypes, os, sys; "
    f"ctypes.CDLL(None).prctl({_SET_PARENT_DEATH_SIGNAL}, {int(signal.SIGKILL)}); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)


class _NoContext(tff.framework.SyncContext):
    def invoke(self, comp: object, arg: object) -> None:
        """Refuses: nothing is computed any more."""
        raise RunError("the runtime of TensorFlow Federated has ended")


# TFF's own context complains on stderr if it is still there when the interpreter takes its modules apart.
atexit.register(lambda: tff.framework.set_default_context(_NoContext()))


@dataclass(frozen=True)
class RuntimeConfig:
    """How the local worker runs.

    Attributes:
        concurrent_clients: Clients computed at the same time; 0 is one per core.
        start_timeout: Seconds to wait for the worker to answer.
        restarts: How often a worker that died is started again; TFF itself would go on for ever.
    """

    concurrent_clients: int = 0
    start_timeout: float = 60.0
    restarts: int = 3


class Worker:
    """One ``worker_binary`` process on a free port of this machine."""

    def __init__(self, config: RuntimeConfig) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._stub: tff.framework.RemoteExecutorGrpcStub | None = None
        self._starts = 0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Process id, or None while stopped."""
        return None if self._process is None else self._process.pid

    def stub(self) -> tff.framework.RemoteExecutorGrpcStub:
        """A stub that answers; the worker is started, or started again if it died.

        Raises:
            RunError: If the worker does not answer in time, died too often, or was closed.
        """
        if self._closed:
            raise RunError("the runtime of TensorFlow Federated has ended")
        if self._stub is None or self._process is None or self._process.poll() is not None:
            self.stop()
            if self._starts > self._config.restarts:
                raise RunError(
                    f"the worker of TensorFlow Federated died {self._starts} times; it may lack memory: see the "
                    "system's log, then resume with a smaller model, window or batch"
                )
            self._starts += 1
            self._start()
        return self._stub

    def _start(self) -> None:
        binary = Path(tff.__file__).parent / "data" / "worker_binary"
        if not os.access(binary, os.X_OK):
            raise RunError(
                f"the worker of TensorFlow Federated is missing: {binary.name}; install the locked wheel again"
            )
        port = portpicker.pick_unused_port()
        arguments = [
            str(binary),
            f"--port={port}",
            f"--max_concurrent_computation_calls={self._config.concurrent_clients or os.cpu_count() or 1}",
            f"--grpc_max_message_length_megabytes={_MESSAGE_LIMIT_MEGABYTES}",
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-ISc", _LAUNCHER, str(os.getpid()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **_WORKER_ENVIRONMENT},
        )
        limit = _MESSAGE_LIMIT_MEGABYTES * 1000 * 1000
        options = [("grpc.max_receive_message_length", limit), ("grpc.max_send_message_length", limit)]
        self._stub = tff.framework.RemoteExecutorGrpcStub(grpc.insecure_channel(f"localhost:{port}", options))
        deadline = time.monotonic() + self._config.start_timeout
        while not self._stub.is_ready:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RunError(
                    "the worker of TensorFlow Federated did not start; 'tff-affect doctor' tells what is wrong"
                )
            time.sleep(0.02)

    def close(self) -> None:
        """Stops the worker for good: what still waits for it in another thread does not start it again."""
        self._closed = True
        self.stop()

    def stop(self) -> None:
        """Stops the worker and waits until it is gone."""
        process, self._process, self._stub = self._process, None, None
        if process is not None:
            process.kill()
            process.wait()


class _SendingOnce(tff.framework.RemoteExecutor):
    """Sends a computation to the worker once, where TFF sends it with every call: as much as all weights of a model."""

    def __init__(self, stub: tff.framework.RemoteExecutorGrpcStub) -> None:
        super().__init__(stub)
        self._sent: dict[int, tuple[tff.framework.ConcreteComputation, Any]] = {}

    async def create_value(self, value: Any, type_spec: Any = None) -> Any:
        """A value at the worker; of a computation that is there already, the same as before."""
        if not isinstance(value, tff.framework.ConcreteComputation):
            return await super().create_value(value, type_spec)
        if id(value) not in self._sent:
            self._sent[id(value)] = (value, await super().create_value(value, type_spec))
        return self._sent[id(value)][1]

    def forget(self) -> None:
        """Lets go of the computations at the worker: each holds this executor, and none would ever be freed."""
        self._sent.clear()

    def close(self) -> None:
        """Lets go of everything; called by TFF after an error."""
        self.forget()
        super().close()


@contextmanager
def local_runtime(config: RuntimeConfig | None = None) -> Iterator[Worker]:
    """Runs TFF computations of the block on an own worker of this machine.

    Must be entered in the main thread: the worker is tied to the thread that starts it.

    Raises:
        RunError: If a computation of the block fails.
    """
    worker = Worker(config or RuntimeConfig())
    executors: list[_SendingOnce] = []

    def executor_stack(cardinalities: dict) -> tff.framework.RemoteExecutor:
        cardinalities.setdefault(tff.CLIENTS, 0)
        executor = _SendingOnce(worker.stub())
        executor.set_cardinalities(cardinalities)
        executors.append(executor)
        return executor

    context = tff.framework.SyncExecutionContext(
        executor_fn=tff.framework.ResourceManagingExecutorFactory(executor_stack),
        compiler_fn=tff.backends.native.desugar_and_transform_to_native,
        transform_args=tff.tensorflow.transform_args,
        transform_result=tff.tensorflow.transform_result,
    )
    try:
        worker.stub()
        with tff.framework.get_context_stack().install(context):
            yield worker
        for executor in executors:
            executor.forget()
    except (grpc.RpcError, tf.errors.OpError) as error:
        raise RunError(f"a computation failed: {_reason(error)}; mend that and resume") from error
    finally:
        worker.close()


def _reason(error: Exception) -> str:
    """The first line of what TensorFlow or the worker said."""
    said = error.details() if isinstance(error, grpc.Call) else getattr(error, "message", None)
    return str(said or error).strip().split("\n")[0]
