"""What the tests of workers share: certificates, peers, a stand-in for the binary, and the look at what is left."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tff_affect.workers import certificates

_ROOT = Path(__file__).resolve().parents[1]
_ENTERS = "from tff_affect.workers.enclosed import enter_namespace; enter_namespace()"
HAS_NAMESPACES = subprocess.run([sys.executable, "-c", _ENTERS], cwd=_ROOT, capture_output=True).returncode == 0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4
# Takes the binary's arguments; echoes what it is sent.
ECHO = """
import socket, sys, threading
port = next(int(a.split("=")[1]) for a in sys.argv if a.startswith("--port="))
def echo(peer):
    with peer:
        while data := peer.recv(1 << 20):
            peer.sendall(data)
listener = socket.create_server(("127.0.0.1", port))
while True:
    threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()
"""


def make_certificates(folder: Path) -> Path:
    """An authority with a worker ``here`` of this machine and a driver."""
    certificates.make_authority(folder)
    certificates.make_worker(folder, "here", ["localhost", "127.0.0.1"])
    certificates.make_driver(folder)
    return folder


def make_expired_driver(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the driver's certificate by one whose last day was yesterday."""
    now = datetime.datetime.now(datetime.UTC)
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "_now", lambda: now - datetime.timedelta(days=11))
        certificates.make_driver(folder, days=10, replace=True)


def client_context(authority: Path, certificate: Path | None = None) -> ssl.SSLContext:
    """TLS of a peer that trusts ``authority`` and shows ``certificate``, whose key lies beside it."""
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["h2"])
    if certificate is not None:
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


def driver_context(folder: Path) -> ssl.SSLContext:
    """TLS of the driver whose certificates `make_certificates` made."""
    return client_context(folder / "driver" / "authority.pem", folder / "driver" / "driver.pem")


def connect(port: int, context: ssl.SSLContext | None = None) -> socket.socket:
    """A connection to this machine's port."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    return plain if context is None else context.wrap_socket(plain, server_hostname="localhost")


def speaks_http2(peer: socket.socket) -> bool:
    """Whether what is behind the connection greets as HTTP/2 demands."""
    try:
        peer.sendall(PREFACE)
        greeting = peer.recv(9)
    except OSError:
        return False
    return len(greeting) == 9 and greeting[3] == _SETTINGS


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Waits; fails if it never comes."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what}")
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether the process has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def listening_ports(pids: set[int]) -> set[int]:
    """TCP ports of this machine's network on which one of the processes listens."""
    found = psutil.net_connections("tcp")
    return {c.laddr.port for c in found if c.status == psutil.CONN_LISTEN and c.pid in pids}
