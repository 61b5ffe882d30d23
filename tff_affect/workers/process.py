"""One ``worker_binary`` of TensorFlow Federated on this machine: started, watched and stopped.

It computes whatever it is sent, without asking who sends. So it runs in a network namespace where the system allows
one, reached by a socket that this user alone can open. It gets its own session (Ctrl-C reaches the driver alone), no
inherited output, and ends with this process however that ends.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import portpicker

from tff_affect.errors import InputError, RunError
from tff_affect.staging import staging_folder
from tff_affect.workers import enclosed

ISOLATIONS = ("auto", "namespace", "none")
MESSAGE_LIMIT_MEGABYTES = 2000
# A client computes on one thread, and several clients side by side: products as small as those of a recurrent step
# lose more to splitting than they gain.
_ENVIRONMENT = {"TF_NUM_INTRAOP_THREADS": "1"}
_PORT_INSIDE = 8470
_SECONDS_TO_END = 5.0
_LONGEST_SOCKET_PATH = 107
_LOG = logging.getLogger(__name__)


class WorkerProcess:
    """A ``worker_binary`` that this process starts and stops.

    Args:
        concurrent_clients: Clients computed at the same time; 0 is one per core.
        folder: The working directory, to which graphs name files relatively; None is this process's.
        isolation: ``namespace`` (in a network of its own), ``none`` (it listens on all interfaces) or ``auto`` (in a
            network of its own where the system allows it, with a warning where not).
        start_timeout: Seconds to wait until it accepts connections.
    """

    def __init__(
        self,
        concurrent_clients: int = 0,
        folder: Path | None = None,
        isolation: str = "auto",
        start_timeout: float = 60.0,
    ) -> None:
        if isolation not in ISOLATIONS:
            raise InputError(f"isolation: expected one of {', '.join(ISOLATIONS)}, found {isolation!r}")
        self._concurrent_clients = concurrent_clients
        self._folder = folder
        self._isolation = isolation
        self._start_timeout = start_timeout
        self._keeper: subprocess.Popen[bytes] | None = None
        self._resources = ExitStack()
        self._address = ""
        self._pid: int | None = None
        self._isolated = False

    @property
    def address(self) -> str:
        """The target for gRPC: ``unix:<path>``, or ``localhost:<port>`` without isolation."""
        if self._keeper is None:
            raise RunError("the worker of TensorFlow Federated is not running")
        return self._address

    @property
    def isolated(self) -> bool:
        """Whether the binary runs in a network of its own."""
        return self._isolated

    @property
    def pid(self) -> int | None:
        """Process id of the binary itself; None while stopped."""
        return self._pid

    @property
    def alive(self) -> bool:
        """Whether the binary runs."""
        return self._keeper is not None and not _has_ended(self._keeper)

    def memory(self) -> int:
        """Resident bytes of the binary; 0 while it does not run."""
        try:
            pages = Path(f"/proc/{self._pid}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def seconds_computed(self) -> float:
        """Seconds of processor time that the binary has used; 0 while it does not run."""
        try:
            after_name = Path(f"/proc/{self._pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def start(self) -> None:
        """Starts the binary, anew if it ran, and waits until it accepts connections.

        Raises:
            RunError: If it is missing, does not start in time, or isolation is demanded and not possible.
        """
        self.stop()
        binary = _binary()
        try:
            if self._isolation != "none":
                refusal = self._start(binary, isolated=True)
                if refusal is None:
                    return
                self.stop()
                self._refused(refusal)
            self._start(binary, isolated=False)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the binary and waits until it is gone, with its socket and folder."""
        keeper, self._keeper, self._pid, self._isolated = self._keeper, None, None, False
        if keeper is not None and keeper.stdin is not None and keeper.stdout is not None:
            keeper.stdin.close()  # to the keeper: end
            deadline = time.monotonic() + _SECONDS_TO_END
            while not _has_ended(keeper) and time.monotonic() < deadline:
                time.sleep(0.005)
            os.killpg(keeper.pid, signal.SIGKILL)  # still the keeper's number, until it is waited for
            keeper.wait()
            keeper.stdout.close()
        self._resources.close()

    def _refused(self, reason: str) -> None:
        if self._isolation == "namespace":
            raise RunError(
                f"the system allows no network namespace ({reason}); allow unprivileged user namespaces, or choose "
                "isolation 'none' and close the worker's own port by a firewall"
            )
        _LOG.warning("the worker of TensorFlow Federated is not isolated: no network namespace (%s)", reason)

    def _start(self, binary: Path, isolated: bool) -> str | None:
        """Why there is no namespace, or None once the binary accepts connections."""
        folder = self._resources.enter_context(staging_folder(_socket_parent())) if isolated else None
        port = _PORT_INSIDE if isolated else portpicker.pick_unused_port()
        limits = [
            f"--port={port}",
            f"--max_concurrent_computation_calls={self._concurrent_clients or os.cpu_count() or 1}",
            f"--grpc_max_message_length_megabytes={MESSAGE_LIMIT_MEGABYTES}",
        ]
        arguments = [str(os.getpid()), str(int(isolated)), str(folder or ""), str(port), str(binary), *limits]
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", enclosed.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=self._folder,
            env={**os.environ, **_ENVIRONMENT},
        )
        for word, rest in self._said(self._keeper):
            if word == "refused":
                return rest
            if word == "pid":
                self._pid = int(rest)
            if word == "ready":
                self._isolated = isolated
                self._address = f"unix:{folder}/{enclosed.SOCKET}" if isolated else f"localhost:{port}"
                return None
        raise RunError("the worker of TensorFlow Federated did not start; 'tff-affect doctor' tells what is wrong")

    def _said(self, keeper: subprocess.Popen[bytes]) -> Iterator[tuple[str, str]]:
        """What the keeper says, until it ends or the time is over."""
        if keeper.stdout is None:
            return
        descriptor, text = keeper.stdout.fileno(), b""
        deadline = time.monotonic() + self._start_timeout
        while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            chunk = os.read(descriptor, 4096)
            if not chunk:
                return
            *lines, text = (text + chunk).split(b"\n")
            for line in lines:
                word, _, rest = line.decode().partition(" ")
                yield word, rest


def _has_ended(keeper: subprocess.Popen[bytes]) -> bool:
    """Whether it has; unlike ``poll``, leaves its number to it, by which its group can be ended."""
    if keeper.returncode is not None:
        return True
    return os.waitid(os.P_PID, keeper.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _binary() -> Path:
    spec = importlib.util.find_spec("tensorflow_federated")
    origin = spec.origin if spec is not None else None
    binary = Path(origin or "tensorflow_federated").parent / "data" / "worker_binary"
    if not os.access(binary, os.X_OK):
        raise RunError(f"the worker of TensorFlow Federated is missing: {binary.name}; install the locked wheel again")
    return binary


def _socket_parent() -> Path | None:
    """Where the socket's folder goes: the temporary folder (None), or /tmp where its path is too long for a socket."""
    import tempfile

    longest = Path(tempfile.gettempdir()) / "tff_affect-staging-12345678" / enclosed.SOCKET
    return None if len(os.fsencode(longest)) <= _LONGEST_SOCKET_PATH else Path("/tmp")
