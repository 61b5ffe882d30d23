"""The binary of a worker: enclosed, watched, and gone with whoever started it."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from sample_workers import ECHO, HAS_NAMESPACES, is_gone, listening_ports, speaks_http2, wait_until

from tff_affect.errors import InputError, RunError
from tff_affect.workers import enclosed, process
from tff_affect.workers.process import WorkerProcess

ROOT = Path(__file__).resolve().parents[2]
needs_namespaces = pytest.mark.skipif(not HAS_NAMESPACES, reason="the system allows no network namespace")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short temporary folder of the test's own, in which nothing may stay."""
    with tempfile.TemporaryDirectory(prefix="w", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def start(temporary: Path) -> Iterator[Callable[..., WorkerProcess]]:
    started = []

    def make(**settings: object) -> WorkerProcess:
        worker = WorkerProcess(**settings)  # type: ignore[arg-type]
        started.append(worker)
        worker.start()
        return worker

    yield make
    for worker in started:
        worker.stop()
    assert list(temporary.glob("tff_affect-staging-*")) == []


def pid_of(worker: WorkerProcess) -> int:
    assert worker.pid is not None
    return worker.pid


def connect(worker: WorkerProcess) -> socket.socket:
    address = worker.address
    if not address.startswith("unix:"):
        return socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=30)
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(30)
    peer.connect(address.removeprefix("unix:"))
    return peer


def answers(worker: WorkerProcess) -> bool:
    with connect(worker) as peer:
        return speaks_http2(peer)


def keeper_of(worker: WorkerProcess) -> psutil.Process:
    parent = psutil.Process(pid_of(worker)).parent()
    assert parent is not None
    assert parent.ppid() == os.getpid()
    return parent


@needs_namespaces
def test_it_is_reached_by_a_private_socket_alone(start: Callable[..., WorkerProcess], tmp_path: Path) -> None:
    worker = start(folder=tmp_path, isolation="namespace")
    assert worker.alive
    assert worker.isolated
    assert answers(worker)
    file = Path(worker.address.removeprefix("unix:"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    binary = psutil.Process(pid_of(worker))
    assert binary.name() == "worker_binary"
    assert Path(binary.cwd()) == tmp_path
    assert os.getsid(binary.pid) != os.getsid(0), "Ctrl-C on the terminal would reach the worker"
    assert listening_ports({binary.pid, keeper_of(worker).pid}) == set()
    interfaces = Path(f"/proc/{binary.pid}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


def test_without_isolation_it_listens_here(start: Callable[..., WorkerProcess]) -> None:
    worker = start(isolation="none")
    assert not worker.isolated
    assert answers(worker)
    assert listening_ports({pid_of(worker)}) == {int(worker.address.rpartition(":")[2])}


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_it_is_measured_and_leaves_nothing(isolation: str, start: Callable[..., WorkerProcess]) -> None:
    worker = start(isolation=isolation)
    pid = pid_of(worker)
    assert worker.memory() == pytest.approx(psutil.Process(pid).memory_info().rss, rel=0.2)
    assert 0 <= worker.seconds_computed() < 60
    worker.stop()
    assert is_gone(pid)
    assert (worker.alive, worker.pid, worker.isolated, worker.memory()) == (False, None, False, 0)
    with pytest.raises(RunError, match="not running"):
        worker.address  # noqa: B018
    worker.stop()


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_it_is_started_again_after_it_died(isolation: str, start: Callable[..., WorkerProcess]) -> None:
    worker = start(isolation=isolation)
    first, keeper = pid_of(worker), keeper_of(worker).pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not worker.alive, "the end of the worker")
    worker.start()
    assert is_gone(first)
    assert is_gone(keeper)
    assert pid_of(worker) != first
    assert answers(worker)


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_it_does_not_outlive_its_keeper(isolation: str, start: Callable[..., WorkerProcess]) -> None:
    worker = start(isolation=isolation)
    pid = pid_of(worker)
    keeper_of(worker).kill()
    wait_until(lambda: is_gone(pid), "the end of the worker")
    wait_until(lambda: not worker.alive, "the end of the keeper")


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_nothing_outlives_a_killed_parent(isolation: str, temporary: Path) -> None:
    code = (
        "import sys, time; from tff_affect.workers.process import WorkerProcess; "
        f"worker = WorkerProcess(isolation={isolation!r}); worker.start(); "
        "print(worker.pid, flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        keeper = psutil.Process(pid).ppid()
        assert not is_gone(pid)
        parent.kill()
    wait_until(lambda: is_gone(pid) and is_gone(keeper), "the end of the worker")
    wait_until(lambda: list(temporary.iterdir()) == [], "the end of the socket's folder")


def test_it_outlives_the_thread_that_started_it(start: Callable[..., WorkerProcess]) -> None:
    workers: list[WorkerProcess] = []
    thread = threading.Thread(target=lambda: workers.append(start()))
    thread.start()
    thread.join()
    assert not is_gone(pid_of(workers[0]))
    assert answers(workers[0])
    assert workers[0].alive


# Where the system allows no namespace.


@pytest.fixture
def forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper of a system that allows no network namespace."""
    source = Path(enclosed.__file__).read_text(encoding="utf-8")
    changed = source.replace(
        "    user, group = os.getuid(), os.getgid()\n", "    raise OSError(1, 'Operation not permitted')\n"
    )
    assert changed != source
    file = tmp_path / "keeper.py"
    file.write_text(changed, encoding="utf-8")
    monkeypatch.setattr(process, "enclosed", SimpleNamespace(__file__=str(file), SOCKET=enclosed.SOCKET))


def test_auto_goes_on_without_and_says_so(
    forbidden: None, start: Callable[..., WorkerProcess], caplog: pytest.LogCaptureFixture
) -> None:
    worker = start(isolation="auto")
    assert not worker.isolated
    assert answers(worker)
    assert [record.getMessage() for record in caplog.records] == [
        "the worker of TensorFlow Federated is not isolated: no network namespace (Operation not permitted)"
    ]


def test_a_demanded_namespace_is_not_done_without(forbidden: None, temporary: Path) -> None:
    worker = WorkerProcess(isolation="namespace")
    with pytest.raises(RunError, match=r"no network namespace \(Operation not permitted\); .* isolation 'none'"):
        worker.start()
    assert not worker.alive
    assert list(temporary.iterdir()) == []


def test_an_unknown_isolation_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of auto, namespace, none, found 'some'"):
        WorkerProcess(isolation="some")


# Binaries that are not as they should be.


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the binary of an installation belongs; it is not there."""
    origin = tmp_path / "package" / "__init__.py"
    monkeypatch.setattr(process.importlib.util, "find_spec", lambda _: SimpleNamespace(origin=str(origin)))
    (tmp_path / "package" / "data").mkdir(parents=True)
    return tmp_path / "package" / "data" / "worker_binary"


def write_program(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)


def test_a_missing_binary_is_said(installed: Path) -> None:
    with pytest.raises(RunError, match="missing: worker_binary; install the locked wheel again"):
        WorkerProcess().start()


@pytest.mark.parametrize("isolation", ["auto", "none"])
@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 3\n", "not a program"])
def test_a_binary_that_ends_at_once_is_said(isolation: str, text: str, installed: Path, temporary: Path) -> None:
    write_program(installed, text)
    worker = WorkerProcess(isolation=isolation)
    with pytest.raises(RunError, match="did not start; 'tff-affect doctor'"):
        worker.start()
    assert not worker.alive
    assert list(temporary.iterdir()) == []


def test_a_binary_that_never_answers_is_given_up(installed: Path, tmp_path: Path, temporary: Path) -> None:
    write_program(installed, f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    with pytest.raises(RunError, match="did not start"):
        WorkerProcess(start_timeout=5.0).start()
    assert is_gone(int((tmp_path / "pid").read_text()))
    assert list(temporary.iterdir()) == []


def test_it_gets_no_output_of_ours_and_one_thread_for_a_client(installed: Path, tmp_path: Path) -> None:
    write_program(
        installed,
        '#!/bin/sh\nfor i in 0 1 2; do found=$(readlink /proc/$$/fd/$i); all="$all$found "; done\n'
        f'echo "$all$TF_NUM_INTRAOP_THREADS $@" > {tmp_path}/found\nexit 1\n',
    )
    with pytest.raises(RunError, match="did not start"):
        WorkerProcess(concurrent_clients=3, isolation="auto").start()
    *outputs, threads, port, calls, size = (tmp_path / "found").read_text().split()
    assert outputs == ["/dev/null"] * 3
    assert threads == "1"
    assert port.startswith("--port=")
    assert [calls, size] == ["--max_concurrent_computation_calls=3", "--grpc_max_message_length_megabytes=2000"]


# The relay between the socket and the binary.


@pytest.fixture
def echo(installed: Path, start: Callable[..., WorkerProcess]) -> WorkerProcess:
    """An enclosed stand-in that echoes."""
    write_program(installed, f"#!{sys.executable}\n{ECHO}")
    return start(isolation="namespace")


@needs_namespaces
def test_large_messages_pass_unchanged_in_both_directions(echo: WorkerProcess) -> None:
    sent = os.urandom(1 << 20) * 48 + b"end"
    with connect(echo) as peer:

        def send() -> None:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        received = hashlib.sha256()
        while chunk := peer.recv(1 << 20):
            received.update(chunk)
        sender.join()
    assert received.digest() == hashlib.sha256(sent).digest()


@needs_namespaces
def test_many_callers_are_kept_apart(echo: WorkerProcess) -> None:
    callers = [connect(echo) for _ in range(20)]
    for number, caller in enumerate(callers):
        caller.sendall(f"{number:04}".encode())
    assert [caller.recv(4) for caller in callers] == [f"{number:04}".encode() for number in range(20)]
    for caller in callers:
        caller.close()


@needs_namespaces
def test_a_caller_that_does_not_read_fills_no_memory(echo: WorkerProcess) -> None:
    keeper = keeper_of(echo)
    before = keeper.memory_info().rss
    with connect(echo) as peer:
        peer.settimeout(1.0)
        with pytest.raises(TimeoutError):
            peer.sendall(bytes(400 << 20))
        assert keeper.memory_info().rss - before < 30 << 20
        # Others are served meanwhile.
        with connect(echo) as other:
            other.sendall(b"here")
            assert other.recv(4) == b"here"


@needs_namespaces
def test_the_end_of_the_binary_is_the_end_of_the_connection(echo: WorkerProcess) -> None:
    with connect(echo) as peer:
        peer.sendall(b"here")
        assert peer.recv(4) == b"here"
        os.kill(pid_of(echo), signal.SIGKILL)
        with suppress(ConnectionError):
            assert peer.recv(4) == b""
    wait_until(lambda: not echo.alive, "the end of the keeper")


@needs_namespaces
def test_a_temporary_folder_with_a_long_name_will_do(
    start: Callable[..., WorkerProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    worker = start(isolation="namespace")
    assert answers(worker)
    folder = Path(worker.address.removeprefix("unix:")).parent
    worker.stop()
    assert not folder.exists()
