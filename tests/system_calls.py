"""Files that a command and its children open for writing, as the kernel sees it (strace)."""

import re
import shutil
import subprocess

_OPENED = re.compile(r'open(?:at)?\((?:AT_FDCWD|\d+)?(?:<[^>]*>)?,? ?"([^"]+)", ([A-Z_|]+)')
_CREATED = re.compile(r'(?:creat|mknod|rename|renameat2?|link|linkat|memfd_create)\(.*?"([^"]+)"(?:.*"([^"]+)")?')
_CALLS = "open,openat,creat,mknod,rename,renameat,renameat2,link,linkat,socket,connect"


def can_trace() -> bool:
    """Whether strace is here and may be used."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


def written_by(command, log, **options):
    """Runs a command.

    Returns:
        The exit code, the paths opened for writing or made, and the lines about sockets other than local ones.
    """
    traced = ["strace", "-f", "-qq", "-s", "4096", "-e", f"trace={_CALLS}", "-o", str(log), *command]
    done = subprocess.run(traced, check=False, **options)
    paths, sockets = set(), []
    for line in log.read_text(errors="replace").splitlines():
        opened = _OPENED.search(line)
        if opened and re.search(r"O_WRONLY|O_RDWR|O_CREAT", opened[2]) and " = -1 " not in line:
            paths.add(opened[1])
        made = None if opened else _CREATED.search(line)
        if made and " = -1 " not in line:
            paths.add(made[2] or made[1])
        if re.search(r"(socket|connect)\(", line) and not re.search(r"AF_UNIX|AF_NETLINK", line):
            sockets.append(line)
    return done.returncode, paths, sockets
