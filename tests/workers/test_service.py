"""The worker's service: a shard served over TLS, watched, and gone without a trace."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sample_workers import (
    HAS_NAMESPACES,
    connect,
    driver_context,
    is_gone,
    listening_ports,
    make_certificates,
    speaks_http2,
    wait_until,
)
from study_process import Driver

from tff_affect.cohort import Cohort
from tff_affect.errors import AffectError, InputError, RunError
from tff_affect.workers import certificates, process, service
from tff_affect.workers.service import ServiceConfig, serve

needs_namespaces = pytest.mark.skipif(not HAS_NAMESPACES, reason="the system allows no network namespace")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_certificates(tmp_path / "certificates")


@pytest.fixture
def temporary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short temporary folder of the test's own."""
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as made:
        monkeypatch.setattr(tempfile, "tempdir", made)
        yield Path(made)


class Running:
    """A service in a thread of this process."""

    def __init__(self, config: ServiceConfig) -> None:
        self.stopping = threading.Event()
        self.said: list[str] = []
        self.error: AffectError | None = None
        self._thread = threading.Thread(target=self._serve, args=(config,), daemon=True)
        self._thread.start()
        wait_until(lambda: self.said or not self._thread.is_alive(), "the line that says that it is ready")

    def _serve(self, config: ServiceConfig) -> None:
        try:
            serve(config, self.said.append, self.stopping)
        except AffectError as error:
            self.error = error

    @property
    def port(self) -> int:
        found = re.search(r" ready on 127\.0\.0\.1:([0-9]+): ", self.said[0])
        assert found is not None
        return int(found.group(1))

    def end(self) -> None:
        self.stopping.set()
        self.wait()

    def wait(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def start(small_cohort: Cohort, folder: Path, temporary: Path) -> Iterator[Callable[..., Running]]:
    services = []

    def run(**settings: Any) -> Running:
        config = {"cohort": small_cohort.path, "listen": "127.0.0.1:0", "certificates": folder / "here", **settings}
        services.append(Running(ServiceConfig(**config)))
        return services[-1]

    yield run
    for one in services:
        one.end()
    assert binaries() == []
    assert list(temporary.iterdir()) == []


def binaries() -> list[int]:
    """The binaries that this process runs."""
    found = psutil.Process().children(recursive=True)
    return [p.pid for p in found if not is_gone(p.pid) and p.name() == "worker_binary"]


def answers(port: int, folder: Path) -> bool:
    """Whether a driver reaches the binary."""
    try:
        with connect(port, driver_context(folder)) as peer:
            return speaks_http2(peer)
    except OSError:
        return False


# What is served.


@pytest.mark.slow
def test_a_driver_computes_over_tls_on_the_shard_of_the_worker(
    start: Callable[..., Running], folder: Path, small_cohort: Cohort
) -> None:
    import grpc
    import numpy as np
    import tensorflow as tf
    import tensorflow_federated as tff

    @tff.tensorflow.computation(np.str_)
    def read(file: tf.Tensor) -> tf.Tensor:
        return tf.io.read_file(file)

    def channel(certificate: str) -> grpc.Channel:
        files = ((folder / certificate).with_suffix(suffix).read_bytes() for suffix in (".key", ".pem"))
        credentials = grpc.ssl_channel_credentials((folder / "authority.pem").read_bytes(), *files)
        return grpc.secure_channel(f"localhost:{running.port}", credentials)

    def context(through: grpc.Channel) -> tff.framework.SyncExecutionContext:
        def stack(cardinalities: dict) -> tff.framework.RemoteExecutor:
            executor = tff.framework.RemoteExecutor(tff.framework.RemoteExecutorGrpcStub(through))
            executor.set_cardinalities({tff.CLIENTS: 0, **cardinalities})
            return executor

        return tff.framework.SyncExecutionContext(
            executor_fn=tff.framework.ResourceManagingExecutorFactory(stack),
            compiler_fn=tff.backends.native.desugar_and_transform_to_native,
            transform_args=tff.tensorflow.transform_args,
            transform_result=tff.tensorflow.transform_result,
        )

    subjects = small_cohort.subjects[:2]
    running = start(subjects=subjects)
    with channel("driver/driver.pem") as good, tff.framework.get_context_stack().install(context(good)):
        found = json.loads(read("./catalog.json"))
        assert [entry["subject"] for entry in found["subjects"]] == list(subjects)
        assert len(read(f"./{subjects[0]}.f32")) > 0
    with channel("here/worker.pem") as bad, pytest.raises(grpc.FutureTimeoutError):
        grpc.channel_ready_future(bad).result(timeout=3)


def test_the_line_says_what_is_served(start: Callable[..., Running], folder: Path, small_cohort: Cohort) -> None:
    running = start(subjects=small_cohort.subjects[:1])
    until = certificates.check(folder / "here", "worker").until
    isolated = "isolated" if HAS_NAMESPACES else "NOT isolated"
    expected = f"worker here ready on 127.0.0.1:{running.port}: 1 subject, {isolated}, certificate good until"
    assert running.said == [f"{expected} {until:%Y-%m-%d}"]
    assert answers(running.port, folder)
    assert not answers(running.port, make_certificates(folder / "other"))


def test_loopback_may_be_served_without_tls(start: Callable[..., Running]) -> None:
    running = start(certificates=None)
    assert running.said[0].endswith(", no TLS")
    with connect(running.port) as peer:
        assert speaks_http2(peer)


def test_new_certificates_are_taken_up(start: Callable[..., Running], folder: Path) -> None:
    running = start()
    old = driver_context(folder)
    certificates.make_authority(folder, replace=True)
    certificates.make_worker(folder, "here", ["localhost"], replace=True)
    certificates.make_driver(folder, replace=True)
    assert answers(running.port, folder)
    with pytest.raises(OSError, match="certificate verify failed"):
        connect(running.port, old)


def test_a_certificate_that_ends_soon_is_said(
    start: Callable[..., Running], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificates.make_worker(folder, "here", ["localhost"], days=5, replace=True)
    start()
    wait_until(lambda: "good for 4 more days" in caplog.text, "the warning")
    assert caplog.text.count("more days") == 1


# What is refused.


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"listen": "0.0.0.0:0", "certificates": None}, "beyond this machine, and there TLS is a must"),
        ({"listen": "[::]:0", "certificates": None}, "beyond this machine, and there TLS is a must"),
        ({"listen": "here"}, "--listen: expected host:port"),
        ({"certificates": Path("/nowhere")}, "authority.pem: expected a certificate"),
        ({"isolation": "some"}, "expected one of auto, namespace, none"),
        ({"subjects": ("nobody",)}, "nobody"),
        ({"cohort": Path("/nowhere")}, "no such cohort"),
    ],
)
def test_what_cannot_be_served_is_refused(settings: dict, words: str, start: Callable[..., Running]) -> None:
    running = start(**settings)
    assert isinstance(running.error, InputError)
    assert words in str(running.error)
    assert running.said == []


@pytest.fixture
def forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that allows no network namespace."""
    file = tmp_path / "keeper.py"
    source = Path(process.enclosed.__file__).read_text(encoding="utf-8")
    file.write_text(source.replace("    user, group =", "    raise OSError(1, 'not permitted')\n    user, group ="))
    monkeypatch.setattr(process.enclosed, "__file__", str(file))


def test_beyond_loopback_isolation_is_a_must(forbidden: None, start: Callable[..., Running]) -> None:
    running = start(listen="0.0.0.0:0")
    assert isinstance(running.error, RunError)
    assert "no network namespace (not permitted)" in str(running.error)


@pytest.mark.parametrize("settings", [{}, {"listen": "0.0.0.0:0", "isolation": "none"}])
def test_without_isolation_the_open_port_is_said(
    settings: dict, forbidden: None, start: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    running = start(**settings)
    assert "NOT isolated" in running.said[0]
    (port,) = listening_ports(set(binaries()))
    assert f"own port {port} listens on all interfaces and obeys whoever reaches it; close it by" in caplog.text


def test_an_address_in_use_is_said(start: Callable[..., Running]) -> None:
    running = start(listen=f"127.0.0.1:{start().port}")
    assert isinstance(running.error, RunError)
    assert "Address already in use" in str(running.error)


# What is done when something happens.


def test_a_binary_that_dies_again_and_again_ends_the_service(
    start: Callable[..., Running], folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_RESTARTS", 2)
    running = start()
    for _ in range(2):
        (pid,) = binaries()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda killed=pid: binaries() not in ([], [killed]), "a new binary")
        wait_until(lambda: answers(running.port, folder), "an answer")
    assert "the worker of TensorFlow Federated died; started again (2 of 2)" in caplog.text
    os.kill(binaries()[0], signal.SIGKILL)
    running.wait()
    assert isinstance(running.error, RunError)
    assert "died 3 times within 10 minutes; it may lack memory" in str(running.error)


def test_a_binary_that_has_grown_is_replaced_between_rounds(
    start: Callable[..., Running], folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(service, "_SECONDS_QUIET", 5.0)
    running = start(memory_mark=1)
    (first,) = binaries()
    ended = time.monotonic() + 1.5 * service._SECONDS_QUIET
    while time.monotonic() < ended:  # a round, as far as one can see from outside
        assert answers(running.port, folder)
        time.sleep(0.1)
    assert binaries() == [first]
    wait_until(lambda: binaries() not in ([], [first]), "a new binary")
    wait_until(lambda: answers(running.port, folder), "an answer")
    assert "replaced between rounds" in caplog.text


class Computing:
    """A worker of so many bytes that computes for a while, without a word."""

    isolated, alive, address = True, True, "unix:/nowhere"

    def __init__(self, until: float) -> None:
        self._until = until
        self.starts: list[float] = []

    def memory(self) -> int:
        return 100

    def seconds_computed(self) -> float:
        return min(time.monotonic(), self._until)

    def start(self) -> None:
        self.starts.append(time.monotonic())


class Silent:
    """A proxy through which nothing passes."""

    alive, target = True, None

    class traffic:
        last = 0.0

    def start(self) -> None:
        pass


@pytest.mark.parametrize(("mark", "starts"), [(99, 2), (100, 1)])
def test_one_that_computes_or_is_small_enough_is_left_alone(
    mark: int, starts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_SECONDS_BETWEEN_LOOKS", 0.05)
    monkeypatch.setattr(service, "_SECONDS_QUIET", 0.4)
    until = time.monotonic() + 1.0
    worker: Any = Computing(until)
    watched = service._Service(ServiceConfig(tmp_path, "127.0.0.1:0", None, memory_mark=mark), worker, Silent())  # type: ignore[arg-type]
    watched.start()
    stopping = threading.Event()

    def stop_in_time() -> None:
        try:
            wait_until(lambda: len(worker.starts) >= starts and time.monotonic() > until, "the last start")
            stopping.wait(1.5)  # in which one start too many would come
        finally:
            stopping.set()

    threading.Thread(target=stop_in_time).start()
    watched.watch(stopping)
    assert len(worker.starts) == starts
    assert all(when >= until + 0.3 for when in worker.starts[1:])


# The service as a process.


def port_of(driver: Driver) -> int:
    """Where the service itself listens, on a port that the system chose; 0 as long as it does not."""
    found = psutil.Process(driver.pid).net_connections("tcp")
    return next((c.laddr.port for c in found if c.status == psutil.CONN_LISTEN), 0)


@pytest.fixture
def launch(small_cohort: Cohort, folder: Path, temporary: Path) -> Iterator[Callable[..., Driver]]:
    drivers = []

    def run(*options: str) -> Driver:
        arguments = ["worker", "serve", str(small_cohort.path), "--listen", "127.0.0.1:0"]
        driver = Driver([*arguments, "--certificates", str(folder / "here"), *options], temporary)
        drivers.append(driver)
        wait_until(lambda: driver.ended or answers(port_of(driver), folder), "an answer", 120)
        assert not driver.ended, driver.said
        return driver

    yield run
    for driver in drivers:
        driver.kill()


def left(temporary: Path) -> list[str]:
    return [entry.name for entry in temporary.iterdir() if not entry.name.startswith("said-")]


@needs_namespaces
@pytest.mark.slow
def test_nothing_but_the_port_with_tls_is_open(launch: Callable[..., Driver]) -> None:
    driver = launch()
    pids = {p.pid for p in driver.alive()}
    assert len(pids) == 3
    assert listening_ports(pids) == {port_of(driver)}


@pytest.mark.slow
def test_the_look_at_open_ports_finds_them(launch: Callable[..., Driver]) -> None:
    driver = launch("--isolation", "none")
    found = listening_ports({p.pid for p in driver.alive()})
    assert port_of(driver) in found
    assert len(found) == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_all_that_it_made(
    number: signal.Signals, launch: Callable[..., Driver], temporary: Path
) -> None:
    driver = launch()
    port = port_of(driver)
    assert driver.end(number, seconds=30) == 0
    assert driver.alive(seconds=5) == []
    assert left(temporary) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert "Traceback" not in driver.said


@pytest.mark.slow
def test_nothing_outlives_a_killed_service(launch: Callable[..., Driver], temporary: Path, folder: Path) -> None:
    driver = launch()
    port = port_of(driver)
    assert len(driver.alive()) == 3
    driver.kill()
    assert driver.alive(seconds=30) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    (store,) = left(temporary)
    again = launch()
    assert store not in left(temporary), "the next start sweeps it"
    assert answers(port_of(again), folder)
    again.end(signal.SIGTERM, seconds=30)
    assert left(temporary) == []


@pytest.mark.slow
def test_a_killed_binary_is_followed_by_a_new_one(launch: Callable[..., Driver], folder: Path) -> None:
    driver = launch()
    port = port_of(driver)
    (first,) = driver.alive("worker_binary")
    first.kill()
    wait_until(lambda: driver.alive("worker_binary") not in ([], [first]), "a new binary")
    wait_until(lambda: answers(port, folder), "an answer")
    assert "died; started again (1 of 5)" in driver.said
