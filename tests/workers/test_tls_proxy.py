"""Mutual TLS in front of a worker: who gets in, who does not and what is said of it."""

from __future__ import annotations

import hashlib
import os
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sample_workers import client_context, connect, driver_context, make_certificates, make_expired_driver, wait_until

from tff_affect.errors import InputError, RunError
from tff_affect.workers import certificates, tls_proxy
from tff_affect.workers.tls_proxy import ProxyLimits, TlsProxy

PATIENT = ProxyLimits(handshake=60.0)


class Echo:
    """A worker's stand-in: echoes; counts what it has sent and who is connected."""

    def __init__(self, path: Path) -> None:
        self.sent = 0
        self.peers: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self.target = f"unix:{path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            peer = self._listener.accept()[0]
            self.peers.append(peer)
            threading.Thread(target=self._echo, args=(peer,), daemon=True).start()

    def _echo(self, peer: socket.socket) -> None:
        try:
            while data := peer.recv(1 << 16):
                peer.sendall(data)
                self.sent += len(data)
        except OSError:
            pass


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates that no test changes."""
    return make_certificates(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Certificates that the test may change."""
    return make_certificates(tmp_path / "certificates")


@pytest.fixture
def echo(tmp_path_factory: pytest.TempPathFactory) -> Echo:
    return Echo(tmp_path_factory.mktemp("e") / "s")


@pytest.fixture
def serve(echo: Echo) -> Iterator[Callable[..., TlsProxy]]:
    proxies = []

    def start(folder: Path | None, limits: ProxyLimits = PATIENT) -> TlsProxy:
        proxy = TlsProxy(("127.0.0.1", 0), folder and folder / "here", limits)
        proxies.append(proxy)
        proxy.target = echo.target
        proxy.start()
        return proxy

    yield start
    for proxy in proxies:
        proxy.stop()


def gets_in(port: int, context: ssl.SSLContext | None) -> bool:
    """Whether the peer reaches what is behind."""
    try:
        with connect(port, context) as peer:
            peer.sendall(b"here")
            return peer.recv(4) == b"here"
    except (OSError, ssl.SSLError):
        return False


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def is_said(caplog: pytest.LogCaptureFixture, reason: str) -> None:
    """One line, with the peer's address."""
    wait_until(lambda: caplog.records, "a line in the log")
    (line,) = lines(caplog)
    assert re.fullmatch(rf"refused 127\.0\.0\.1 port [0-9]+: {reason}", line), line


def test_a_driver_gets_in_with_tls_1_3(shared: Path, serve: Callable[..., TlsProxy]) -> None:
    proxy = serve(shared)
    with connect(proxy.port, driver_context(shared)) as peer:
        assert isinstance(peer, ssl.SSLSocket)
        assert (peer.version(), peer.selected_alpn_protocol()) == ("TLSv1.3", "h2")
        peer.sendall(b"here")
        assert peer.recv(4) == b"here"
        assert (proxy.connections, proxy.traffic.received, proxy.traffic.sent) == (1, 4, 4)
        assert time.monotonic() - proxy.traffic.last < 60
    wait_until(lambda: proxy.connections == 0, "the end of the connection")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_every_connection_shows_its_certificate_anew(
    version: ssl.TLSVersion, shared: Path, serve: Callable[..., TlsProxy]
) -> None:
    """A session that can be resumed outlives the certificate that it began with."""
    context = driver_context(shared)
    context.minimum_version = context.maximum_version = version
    port, session = serve(shared).port, None
    for _ in range(2):
        with context.wrap_socket(connect(port), server_hostname="localhost", session=session) as peer:
            peer.sendall(b"here")
            assert peer.recv(4) == b"here"
            assert not peer.session_reused
            session = peer.session


# Who is refused.

Refused = Callable[[Path, pytest.MonkeyPatch], ssl.SSLContext]


def without(folder: Path, _: pytest.MonkeyPatch) -> ssl.SSLContext:
    return client_context(folder / "authority.pem")


def of_another_authority(folder: Path, _: pytest.MonkeyPatch) -> ssl.SSLContext:
    other = make_certificates(folder / "other")
    return client_context(folder / "authority.pem", other / "driver" / "driver.pem")


def expired(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    make_expired_driver(folder, monkeypatch)
    return driver_context(folder)


def of_a_worker(folder: Path, _: pytest.MonkeyPatch) -> ssl.SSLContext:
    return client_context(folder / "authority.pem", folder / "here" / "worker.pem")


def of_tls_1_1(folder: Path, _: pytest.MonkeyPatch) -> ssl.SSLContext:
    context = driver_context(folder)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def with_a_weak_cipher(folder: Path, _: pytest.MonkeyPatch) -> ssl.SSLContext:
    context = driver_context(folder)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    return context


def of_http_1(folder: Path, _: pytest.MonkeyPatch) -> ssl.SSLContext:
    context = driver_context(folder)
    context.set_alpn_protocols(["http/1.1"])
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (without, "it has no certificate"),
        (of_another_authority, "its certificate is not a driver's by authority.pem: .*"),
        (expired, "its certificate is not a driver's by authority.pem: certificate has expired"),
        (of_a_worker, "its certificate is not a driver's by authority.pem: unsuitable certificate purpose"),
        (of_tls_1_1, "its TLS is older than 1.2"),
        (with_a_weak_cipher, "it shares no cipher"),
        (of_http_1, "it does not speak HTTP/2|TLS failed: .*"),
    ],
)
def test_who_is_no_driver_is_refused(
    make: Refused,
    reason: str,
    folder: Path,
    serve: Callable[..., TlsProxy],
    echo: Echo,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good, bad = driver_context(folder), make(folder, monkeypatch)
    proxy = serve(folder)
    assert not gets_in(proxy.port, bad)
    is_said(caplog, reason)
    assert echo.peers == []
    assert gets_in(proxy.port, good)


def half_a_greeting(folder: Path) -> bytes:
    """The first half of what a driver says first."""
    outgoing = ssl.MemoryBIO()
    handshake = driver_context(folder).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        handshake.do_handshake()
    whole = outgoing.read()
    return whole[: len(whole) // 2]


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (lambda _: b"", "it showed no certificate within 5 s"),
        (half_a_greeting, "it showed no certificate within 5 s"),
        (lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), "it does not speak TLS"),
        (lambda _: b"GET / HTTP/1.1\r\n\r\n", "it does not speak TLS"),
    ],
    ids=["nothing", "half", "plain HTTP/2", "plain HTTP/1"],
)
def test_who_says_nothing_or_nonsense_is_dropped(
    says: Callable[[Path], bytes],
    reason: str,
    shared: Path,
    serve: Callable[..., TlsProxy],
    echo: Echo,
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxy = serve(shared, ProxyLimits(handshake=5.0))
    with connect(proxy.port) as peer:
        peer.sendall(says(shared))
        assert gets_in(proxy.port, driver_context(shared)), "a driver must not wait for others"
        started = time.monotonic()
        while peer.recv(100):  # the alert, then the end
            pass
        assert time.monotonic() - started < 25
    is_said(caplog, reason)
    assert len(echo.peers) == 1


def test_the_usual_limit_is_short() -> None:
    assert ProxyLimits().handshake < 10


def test_who_hangs_up_at_once_is_a_line(
    shared: Path, serve: Callable[..., TlsProxy], caplog: pytest.LogCaptureFixture
) -> None:
    connect(serve(shared).port).close()
    is_said(caplog, "it hung up before it had shown a certificate")


def test_silent_peers_do_not_keep_a_driver_out(
    shared: Path, serve: Callable[..., TlsProxy], caplog: pytest.LogCaptureFixture
) -> None:
    proxy = serve(shared, ProxyLimits(handshake=300.0, handshakes=4))
    silent = [connect(proxy.port) for _ in range(20)]
    assert gets_in(proxy.port, driver_context(shared))
    assert len(lines(caplog)) == 17
    assert all(line.endswith(": too many peers have shown no certificate yet") for line in lines(caplog))
    for peer in silent[:17]:
        with suppress(ConnectionError):
            assert peer.recv(1) == b"", "the oldest make room"
    for peer in silent:
        peer.close()


def test_a_flood_is_not_a_line_each(
    shared: Path,
    serve: Callable[..., TlsProxy],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls_proxy, "_SECONDS_OF_LINES", 3600.0)
    proxy = serve(shared)
    proxy._refusals._since = time.monotonic()
    for _ in range(60):
        with connect(proxy.port) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while peer.recv(100):
                pass
    wait_until(lambda: proxy._refusals._count == 60, "the last one")
    assert len(lines(caplog)) == tls_proxy._LINES
    monkeypatch.setattr(tls_proxy, "_SECONDS_OF_LINES", 0.0)
    connect(proxy.port).close()
    wait_until(lambda: len(lines(caplog)) == tls_proxy._LINES + 2, "the rest")
    assert lines(caplog)[-2] == f"refused {60 - tls_proxy._LINES} more peers"


def test_connections_are_limited(
    shared: Path, serve: Callable[..., TlsProxy], caplog: pytest.LogCaptureFixture
) -> None:
    proxy = serve(shared, ProxyLimits(connections=2))
    context = driver_context(shared)
    peers = [connect(proxy.port, context) for _ in range(2)]
    wait_until(lambda: proxy.connections == 2, "both connections")
    assert not gets_in(proxy.port, context)
    is_said(caplog, "2 connections are open")
    peers.pop().close()
    wait_until(lambda: proxy.connections == 1, "the end of one")
    assert gets_in(proxy.port, context)
    peers.pop().close()


# What passes.


def echoed(peer: socket.socket, sent: bytes) -> bytes:
    """What comes back of ``sent`` while it is being sent, in one thread: OpenSSL lets no two use one connection."""
    peer.setblocking(False)
    left, received = memoryview(sent), bytearray()
    while len(received) < len(sent):
        moved = False
        with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if left:
                left, moved = left[peer.send(left[: 1 << 18]) :], True
        with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            chunk = peer.recv(1 << 18)
            assert chunk, "the connection ended"
            received += chunk
            moved = True
        if not moved:
            ready = select.select([peer], [peer] if left else [], [], 60)
            assert any(ready), "nothing moves"
    return bytes(received)


@pytest.mark.parametrize("secured", [True, False])
def test_large_messages_pass_unchanged(secured: bool, shared: Path, serve: Callable[..., TlsProxy]) -> None:
    proxy = serve(shared if secured else None)
    sent = os.urandom(1 << 20) * 32 + b"end"
    with connect(proxy.port, driver_context(shared) if secured else None) as peer:
        received = echoed(peer, sent)
    assert hashlib.sha256(received).digest() == hashlib.sha256(sent).digest()
    assert (proxy.traffic.received, proxy.traffic.sent) == (len(sent), len(sent))


def test_a_peer_that_does_not_read_fills_no_memory(shared: Path, serve: Callable[..., TlsProxy], echo: Echo) -> None:
    proxy = serve(shared)
    with connect(proxy.port, driver_context(shared)) as peer:
        peer.settimeout(1.0)
        with pytest.raises(TimeoutError):
            peer.sendall(bytes(200 << 20))
        # What is neither read nor sent waits in buffers: a few MB of the proxy's, and the system's.
        assert proxy.traffic.received < 64 << 20
        assert gets_in(proxy.port, driver_context(shared))


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(shared: Path, serve: Callable[..., TlsProxy]) -> None:
    proxy = serve(shared, ProxyLimits(idle=5.0))
    context = driver_context(shared)
    with connect(proxy.port, context) as idle, connect(proxy.port, context) as busy:
        ended = time.monotonic() + 7.0
        while time.monotonic() < ended:
            busy.sendall(b"here")
            assert busy.recv(4) == b"here"
            time.sleep(0.1)
        assert idle.recv(1) == b""


def test_the_end_of_the_worker_is_the_end_of_the_connection(
    shared: Path, serve: Callable[..., TlsProxy], echo: Echo, caplog: pytest.LogCaptureFixture
) -> None:
    proxy = serve(shared)
    context = driver_context(shared)
    with connect(proxy.port, context) as peer:
        wait_until(lambda: echo.peers, "the connection")
        echo.peers[0].shutdown(socket.SHUT_RDWR)
        assert peer.recv(1) == b""
    proxy.target = None
    assert not gets_in(proxy.port, context)
    is_said(caplog, "there is no worker at the moment")
    proxy.target = "unix:/nowhere"
    assert not gets_in(proxy.port, context)
    proxy.target = echo.target
    assert gets_in(proxy.port, context)


# Certificates that change.


def shown(port: int, folder: Path) -> int:
    """Serial number of the certificate that the worker shows to a driver who gets in."""
    with connect(port, driver_context(folder)) as peer:
        assert isinstance(peer, ssl.SSLSocket)
        peer.sendall(b"here")
        assert peer.recv(4) == b"here"
        found = peer.getpeercert()
        assert found is not None
        return int(str(found["serialNumber"]), 16)


def test_new_certificates_are_taken_up(folder: Path, serve: Callable[..., TlsProxy]) -> None:
    proxy = serve(folder)
    with connect(proxy.port, driver_context(folder)) as before:
        first = shown(proxy.port, folder)
        certificates.make_worker(folder, "here", ["localhost"], replace=True)
        second = shown(proxy.port, folder)
        assert first != second
        before.sendall(b"here")
        assert before.recv(4) == b"here", "a connection that stands goes on"


def test_a_new_authority_shuts_the_old_driver_out(folder: Path, serve: Callable[..., TlsProxy]) -> None:
    proxy = serve(folder)
    old = driver_context(folder)
    assert gets_in(proxy.port, old)
    certificates.make_authority(folder, replace=True)
    certificates.make_worker(folder, "here", ["localhost"], replace=True)
    certificates.make_driver(folder, replace=True)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    assert not gets_in(proxy.port, old)
    assert gets_in(proxy.port, driver_context(folder))


def test_new_files_that_are_wrong_leave_the_old_in_use(
    folder: Path, serve: Callable[..., TlsProxy], caplog: pytest.LogCaptureFixture
) -> None:
    proxy = serve(folder)
    first = shown(proxy.port, folder)
    key = (folder / "here" / "worker.key").read_bytes()
    (folder / "here" / "worker.key").write_bytes((folder / "driver" / "driver.key").read_bytes())
    assert shown(proxy.port, folder) == first
    assert shown(proxy.port, folder) == first
    (line,) = lines(caplog)
    assert "the ones before stay in use" in line
    assert "not that of the certificate" in line
    (folder / "here" / "worker.key").write_bytes(key)
    certificates.make_worker(folder, "here", ["localhost"], replace=True)
    assert shown(proxy.port, folder) != first


# Start and stop.


def test_it_does_not_start_with_certificates_that_are_wrong(folder: Path) -> None:
    (folder / "here" / "worker.key").chmod(0o644)
    with pytest.raises(InputError, match="can be read by others"):
        TlsProxy(("127.0.0.1", 0), folder / "here").start()


def test_an_address_in_use_is_said(shared: Path, serve: Callable[..., TlsProxy]) -> None:
    proxy = serve(shared)
    with pytest.raises(RunError, match=f"cannot listen on 127.0.0.1:{proxy.port}: Address already in use"):
        TlsProxy(("127.0.0.1", proxy.port), shared / "here").start()


def test_its_end_is_the_end_of_all(
    shared: Path, serve: Callable[..., TlsProxy], caplog: pytest.LogCaptureFixture
) -> None:
    proxy = serve(shared, ProxyLimits(handshake=300))
    port = proxy.port
    with connect(port, driver_context(shared)) as driver, connect(port) as silent:
        wait_until(lambda: proxy.connections == 1, "the connection")
        assert proxy.alive
        proxy.stop()
        for peer in (driver, silent):
            with suppress(ConnectionError, ssl.SSLEOFError):
                assert peer.recv(1) == b""
    assert not proxy.alive
    with pytest.raises(ConnectionRefusedError):
        connect(port)
    assert lines(caplog) == []
    proxy.stop()
