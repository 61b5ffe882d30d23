"""Workers and drivers as processes of their own, as users start them, to be measured and disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import portpicker
import psutil
import yaml

from tff_affect.cohort import Cohort, write_cohort
from tff_affect.workers import certificates
from tff_affect.workers.hosts import Deadlines

_ROOT = Path(__file__).resolve().parents[1]
_TOKEN = "TFF_AFFECT_SERVICES"
# Has a process killed with this one, however that ends. Not Popen's preexec_fn: it forks, and a process with gRPC's
# threads does not survive that.
_LAUNCHER = (
    "import ctypes, os, sys; "
    f"ctypes.CDLL(None).prctl(1, {int(signal.SIGKILL)}); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); "
    "os.execv(sys.executable, [sys.executable, '-m', 'tff_affect.cli', *sys.argv[2:]])"
)


def write_shard(cohort: Cohort, folder: Path, subjects: Sequence[str]) -> Path:
    """A cohort of some subjects, as a site would hold it."""
    entries = ((replace(cohort.entry(subject), file="", sha256=""), cohort.load(subject)) for subject in subjects)
    return write_cohort(folder, cohort.manifest, entries).path


class Command:
    """One ``tff-affect`` process, with what it started.

    Args:
        arguments: Of the command line.
        folder: What it says goes there, to ``<name>.log``.
        name: Of the log.
        temporary: Its ``TMPDIR``.
        token: By which its processes are told from others'.
    """

    # The kernel ties a process to the thread that starts it, not to the process: to one that stays.
    _starter = ThreadPoolExecutor(1)

    def __init__(self, arguments: Sequence[str], folder: Path, name: str, temporary: Path, token: str) -> None:
        self._log = folder / f"{name}.log"
        self._token = token
        with open(self._log, "ab") as log:
            self._begun = log.tell()
            self.process = self._starter.submit(
                subprocess.Popen,
                [sys.executable, "-c", _LAUNCHER, str(os.getpid()), *arguments],
                cwd=_ROOT,
                env={**os.environ, "TMPDIR": str(temporary), _TOKEN: token},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            ).result()

    @property
    def said(self) -> str:
        """What it said so far."""
        return self._log.read_bytes()[self._begun :].decode("utf-8", "replace")

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def kill(self) -> None:
        """``kill -9``."""
        self.process.kill()
        self.process.wait()

    def end(self, seconds: float = 60.0) -> int:
        """Asks it to end, and waits; the exit code."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        finally:
            self.kill()

    def binaries(self) -> list[psutil.Process]:
        """The ``worker_binary`` processes that it started."""
        return [
            process for process in owned(self._token) if process.name() == "worker_binary" and self._started(process)
        ]

    def _started(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return self.process.pid in [parent.pid for parent in process.parents()]
        return False


def owned(token: str) -> list[psutil.Process]:
    """The processes that live of those started with a token."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(_TOKEN) == token and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@dataclass
class Service:
    """A worker that serves a cohort's shard; started anew it has the same address."""

    name: str
    shard: Path
    site: Site
    port: int = field(default_factory=portpicker.pick_unused_port)
    command: Command | None = None

    @property
    def address(self) -> str:
        """Where drivers reach it."""
        return f"localhost:{self.port}"

    def start(self) -> None:
        """Starts it; it may take seconds until it answers."""
        site = self.site
        secure = ["--plain-loopback"]
        if site.secure:
            secure = ["--certificates", str(site.certificates_of(self.name))]
        arguments = ["worker", "serve", str(self.shard), "--listen", self.address, "--concurrent", "1", *secure]
        self.command = Command(arguments, site.folder, self.name, site.temporary, site.token)

    def wait(self, seconds: float = 120.0) -> None:
        """Waits until drivers can connect."""
        wait_for(
            lambda: self.command is not None and (self.command.ended or self.address in self.command.said), seconds
        )
        if self.command is None or self.command.ended:
            raise RuntimeError(f"worker {self.name} did not start: {self.command and self.command.said}")

    def kill(self) -> None:
        """``kill -9`` of the service, with which its binary ends."""
        if self.command is not None:
            self.command.kill()

    def signal_binary(self, number: signal.Signals) -> None:
        """Sends a signal to its binary, if it has one."""
        for process in self.command.binaries() if self.command is not None else []:
            with suppress(psutil.Error):
                process.send_signal(number)


@dataclass
class Site:
    """Services of this machine, and the file that lists them.

    Attributes:
        folder: Holds logs, certificates and ``hosts.yaml``.
        secure: Whether TLS is in front of the workers.
        services: By name.
        token: Marks all processes.
    """

    folder: Path
    secure: bool
    services: dict[str, Service] = field(default_factory=dict)
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def temporary(self) -> Path:
        """``TMPDIR`` of all processes."""
        return self.folder / "tmp"

    @property
    def hosts(self) -> Path:
        """The file that lists the workers."""
        return self.folder / "hosts.yaml"

    def certificates_of(self, name: str) -> Path:
        """A worker's folder of certificates."""
        return self.folder / "certificates" / name

    def write_hosts(self, deadlines: Deadlines) -> None:
        """Writes ``hosts.yaml``."""
        content = {
            "workers": [{"name": s.name, "address": s.address} for s in self.services.values()],
            "deadlines": vars(deadlines),
            **({"certificates": "certificates/driver"} if self.secure else {"security": "none-loopback"}),
        }
        self.hosts.write_text(yaml.safe_dump(content), encoding="utf-8")

    def driver(self, arguments: Sequence[str], name: str = "driver") -> Command:
        """A driver's process."""
        return Command(arguments, self.folder, name, self.temporary, self.token)

    def left(self) -> list[str]:
        """What is left that should have gone: processes, and files in the temporary folder."""
        files = [path.name for path in self.temporary.iterdir()]
        return [f"process {process.pid} {process.name()}" for process in owned(self.token)] + files


@contextmanager
def running(
    folder: Path, shards: Mapping[str, Path], secure: bool, deadlines: Deadlines | None = None
) -> Iterator[Site]:
    """Services that answer, until the end of the block.

    Args:
        folder: For logs and certificates; made if it is not there.
        shards: Name of a worker -> the cohort that it serves.
        secure: Whether TLS is in front of them.
        deadlines: For ``hosts.yaml``.
    """
    site = Site(folder, secure)
    site.temporary.mkdir(parents=True)
    site.services = {name: Service(name, shard, site) for name, shard in shards.items()}
    if secure:
        certificates.make_authority(folder / "certificates")
        certificates.make_driver(folder / "certificates")
        for name in shards:
            certificates.make_worker(folder / "certificates", name, ["localhost", "127.0.0.1"])
    site.write_hosts(deadlines or Deadlines())
    try:
        for service in site.services.values():
            service.start()
        for service in site.services.values():
            service.wait()
        yield site
    finally:
        for service in site.services.values():
            if service.command is not None:
                service.signal_binary(signal.SIGCONT)
                service.command.end()
        for process in owned(site.token):
            process.kill()


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Waits, at most so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not happen within {seconds:g} s")
        time.sleep(0.02)
