"""The worker: started, computing, started again when it died, gone afterwards."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.errors import RunError
from tff_affect.learning.runtime import LocalWorker, RuntimeConfig, local_runtime


@tff.tensorflow.computation(np.int32, np.int32)
def add(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return x + y


@tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
def total(values: tff.Value) -> tff.Value:
    return tff.federated_sum(values)


@tff.tensorflow.computation(np.str_)
def size(file: tf.Tensor) -> tf.Tensor:
    return tf.strings.length(tf.io.read_file(file))


def pid_of(worker: LocalWorker) -> int:
    pid = worker.pid
    if pid is None:
        raise AssertionError("the worker is not running")
    return pid


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_it_computes_survives_its_worker_and_leaves_nothing() -> None:
    with local_runtime(RuntimeConfig(concurrent_clients=2)) as worker:
        first = pid_of(worker)
        process = psutil.Process(first)
        assert process.name() == "worker_binary"
        assert os.getpid() in [parent.pid for parent in process.parents()]
        assert os.getsid(first) != os.getsid(0), "Ctrl-C on the terminal would reach the worker"
        assert (add(2, 3), total([1, 2, 3, 4])) == (5, 10)

        process.kill()
        process.wait(10)
        assert add(4, 5) == 9
        second = pid_of(worker)
        assert second != first
    assert worker.pid is None
    assert is_gone(first)
    assert is_gone(second)


def test_a_computation_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    stub = tff.framework.RemoteExecutorGrpcStub
    create = stub.create_value

    def counted(self: tff.framework.RemoteExecutorGrpcStub, request: Any) -> Any:
        sent.append(request.value.WhichOneof("value"))
        return create(self, request)

    monkeypatch.setattr(stub, "create_value", counted)
    with local_runtime():
        assert [total([1, 2]), total([3, 4])] == [3, 7]
        assert sent.count("computation") == 1
        assert total([1, 2, 3]) == 6, "another number of clients has an executor of its own"
        assert sent.count("computation") == 2


def test_a_worker_beyond_its_mark_is_started_anew_between_computations() -> None:
    with local_runtime(RuntimeConfig(memory_mark=1.0, restarts=0)) as worker:
        first = pid_of(worker)
        assert [add(1, 2), add(3, 4), add(5, 6)] == [3, 7, 11], "being replaced counts as no death"
        assert pid_of(worker) != first
        assert is_gone(first)


def test_two_runtimes_follow_each_other() -> None:
    for expected in (3, 4):
        with local_runtime():
            assert add(expected, 0) == expected


def test_a_failed_computation_says_why_in_one_line(tmp_path: Path) -> None:
    pids: list[int] = []

    def fail() -> None:
        with local_runtime() as worker:
            pids.append(pid_of(worker))
            size(str(tmp_path / "missing"))

    with pytest.raises(RunError, match=r"a computation failed: .*missing") as raised:
        fail()
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value.__cause__, grpc.RpcError)
    assert is_gone(pids[0])


def test_a_failed_operation_of_this_process_says_why(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"a computation failed: .*missing"), local_runtime():
        tf.io.read_file(str(tmp_path / "missing"))


def test_an_error_of_the_block_passes_through_and_stops_the_worker() -> None:
    pids: list[int] = []

    def fail() -> None:
        with local_runtime() as worker:
            pids.append(pid_of(worker))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert is_gone(pids[0])


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An installation of TensorFlow Federated without its worker; the place where that belongs."""
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "worker_binary"


def write_program(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)


def test_a_missing_worker_is_said(installed: Path) -> None:
    with pytest.raises(RunError, match="install the locked wheel again"), local_runtime():
        pass


def test_a_worker_that_ends_at_once_is_said(installed: Path) -> None:
    write_program(installed, "exit 3")
    started = time.monotonic()
    with pytest.raises(RunError, match="did not start"), local_runtime():
        pass
    assert time.monotonic() - started < 30


def test_a_worker_that_never_answers_is_given_up(installed: Path, tmp_path: Path) -> None:
    write_program(installed, f"echo $$ > {tmp_path}/pid; exec sleep 600")
    with pytest.raises(RunError, match="did not start"), local_runtime(RuntimeConfig(start_timeout=5.0)):
        pass
    assert is_gone(int((tmp_path / "pid").read_text()))
