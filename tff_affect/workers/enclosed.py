"""Keeps one ``worker_binary``: encloses it in a network of its own, and ends it with whoever asked for it.

Started as ``python -I -S enclosed.py PARENT NAMESPACE FOLDER PORT BINARY ARGUMENT...``; NAMESPACE is ``1`` or ``0``,
FOLDER a private one for the socket, removed at the end. Standard input ends when the parent ends, and standard output
takes one word a line: ``refused REASON``, ``pid NUMBER``, ``ready``.

The binary listens on all interfaces without asking who calls. In a network namespace it has but a loopback that nothing
else can see; connections to FOLDER/worker.sock, which this user alone can open, are relayed to it. Whatever happens,
nothing stays: the kernel kills the binary with this process, and this process ends with its parent.

Standard library only, and little of that: it has to start quickly.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from contextlib import suppress

SOCKET = "worker.sock"
TRY = "--try"
"""In place of all arguments: only tries whether the system allows a namespace."""
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SET_PARENT_DEATH_SIGNAL, _SET_NO_NEW_PRIVILEGES = 1, 38
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_REQUEST = struct.Struct("16sH14x")
_CONNECTIONS = 256
_BUFFER_BYTES = 1 << 20
_SECONDS_BETWEEN_LOOKS = 1.0
_LIBRARY = ctypes.CDLL(None, use_errno=True)


def main(parent: int, namespace: bool, folder: str, port: int, command: list[str]) -> int:
    """Runs the binary until it, the parent or the parent's wish for it ends; the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    watch = _ends_of_children()
    binary = 0
    try:
        if namespace:
            try:
                enter_namespace()
            except OSError as error:
                _say(f"refused {error.strerror}")
                return 3
        binary = _start(command)
        _say(f"pid {binary}")
        while not _answers(port):
            if _is_over(parent, binary, watch, 0.01):
                return 1
        if namespace:
            _relay(os.path.join(folder, SOCKET), port)
        _say("ready")
        while not _is_over(parent, binary, watch, _SECONDS_BETWEEN_LOOKS):
            pass
        return 0
    finally:
        _end(binary)
        _remove(folder)


def enter_namespace() -> None:
    """Moves this process into a network of its own, whose loopback is up.

    Raises:
        OSError: If the system forbids it.
    """
    user, group = os.getuid(), os.getgid()
    if user != 0 or _LIBRARY.unshare(_CLONE_NEWNET) != 0:
        _checked(_LIBRARY.unshare(_CLONE_NEWUSER | _CLONE_NEWNET))
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name, flags = _REQUEST.unpack(fcntl.ioctl(control, _GET_FLAGS, _REQUEST.pack(b"lo", 0)))
        fcntl.ioctl(control, _SET_FLAGS, _REQUEST.pack(name, flags | _UP))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write(path: str, text: str) -> None:
    with open(path, "w") as stream:
        stream.write(text)


def _ends_of_children() -> int:
    """A descriptor that can be read once a child has ended."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _start(command: list[str]) -> int:
    keeper = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _LIBRARY.prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
        _LIBRARY.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        if os.getppid() == keeper:
            os.execv(command[0], command)
    finally:
        os._exit(127)


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_over(parent: int, binary: int, watch: int, seconds: float) -> bool:
    """Waits at most so long, and says whether the binary, the parent or its wish for the binary has ended."""
    readable = select.select([0, watch], [], [], seconds)[0]
    if watch in readable:
        os.read(watch, 512)
    has_ended = os.waitid(os.P_PID, binary, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return has_ended or 0 in readable or os.getppid() != parent


def _end(binary: int) -> None:
    if binary:
        os.kill(binary, signal.SIGKILL)
        os.waitpid(binary, 0)


def _remove(folder: str) -> None:
    with suppress(OSError):  # the parent may remove it first
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


def _relay(path: str, port: int) -> None:
    """Passes connections on from the socket at ``path`` to the port, in threads that end with the process."""
    listener = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o177)
    listener.bind(path)
    os.umask(umask)
    listener.listen(_CONNECTIONS)
    threading.Thread(target=_accept, args=(listener, port), daemon=True).start()


def _accept(listener: socket.socket, port: int) -> None:
    free = threading.BoundedSemaphore(_CONNECTIONS)
    while True:
        free.acquire()
        try:
            caller = listener.accept()[0]
        except OSError:  # out of descriptors or memory: the callers wait
            free.release()
            time.sleep(0.1)
            continue
        threading.Thread(target=_join, args=(caller, port, free), daemon=True).start()


def _join(caller: socket.socket, port: int, free: threading.Semaphore) -> None:
    try:
        with caller, socket.create_connection(("127.0.0.1", port)) as inside:
            inside.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_copy, args=(inside, caller), daemon=True)
            back.start()
            _copy(caller, inside)
            back.join()
    except OSError:  # the binary is just ending
        pass
    finally:
        free.release()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copies until the source ends, and tells the target; a fault of either ends both directions."""
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    try:
        while count := source.recv_into(buffer):
            target.sendall(buffer[:count])
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    if sys.argv[1:] == [TRY]:
        enter_namespace()
        sys.exit(0)
    _PARENT, _NAMESPACE, _FOLDER, _PORT, *_COMMAND = sys.argv[1:]
    os._exit(main(int(_PARENT), _NAMESPACE == "1", _FOLDER, int(_PORT), _COMMAND))
