"""Makes `.venv` from `requirements.lock`, and the project in it; a repeat is instant.

Standard library only, and no syntax newer than Python 3.6, so that an old interpreter can be told what is missing.
A failure is one line on standard error that says what was expected, what was found and what to do; the installer's
own words go to `.venv/install.log`.
"""

import ast
import fcntl
import hashlib
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NEEDED_BYTES = 5 * 10**9
FOREIGN_VARIABLES = (
    "PYTHONPATH", "PYTHONHOME", "PIP_FIND_LINKS", "UV_FIND_LINKS", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"
)  # fmt: skip
BUILD_TOOLS = ("setuptools", "wheel")
# Published without a wheel for Python 3.11; both build without a compiler.
SOURCE_ONLY = "liac-arff,sqlalchemy"
# What of the user's pip configuration tells the way to an index. Options that change what is chosen or where it goes
# (find-links, target, no-binary ...) are left out: a local folder may hold wheels other than the locked ones.
NETWORK_OPTIONS = ("cert", "client-cert", "default-timeout", "extra-index-url", "index-url", "proxy", "timeout",
                   "trusted-host", "cache-dir", "no-cache-dir", "keyring-provider")  # fmt: skip
REASONS = (
    (r"do not match the hashes|hash mismatch", "a downloaded package is not the locked one (its hash differs); "
     "install from the registry's own files, without a mirror or folder that rebuilds wheels"),
    (r"no space left|disk quota", "the disk filled up while installing; free at least 5 GB and run make again"),
    # pip also says "no matching distribution" when it reached no index at all, so the network comes first.
    (r"newconnectionerror|name or service not known|temporary failure in name resolution|connection refused|"
     r"network is unreachable|timed out|failed to (?:fetch|connect)|error sending request|"
     r"connection (?:reset|broken|aborted)|ssl|certificate|proxyerror|max retries exceeded",
     "expected a package index to be reachable, found none; check the network, or set PIP_INDEX_URL and a proxy"),
    (r"no matching distribution|no solution found|no usable wheels|has no wheels|not a supported wheel|no versions of",
     "the index has no file of a locked package for this machine; use Linux x86-64 with glibc 2.31 or newer, and an "
     "index that is complete"),
)  # fmt: skip


class Refused(Exception):
    """A reason to stop, already fit for the user."""


def check_machine():
    """Raises `Refused` if the locked packages cannot run here."""
    if sys.version_info[:2] != (3, 11) or platform.python_implementation() != "CPython":
        found = "%s %s" % (platform.python_implementation(), platform.python_version())
        raise Refused(
            "expected CPython 3.11, found %s; install Python 3.11, or name it: make PYTHON=/path/python3.11" % found
        )
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise Refused(
            "expected Linux x86_64, found %s %s; TensorFlow Federated has wheels for that alone" % (system, machine)
        )
    name, version = platform.libc_ver()
    if name == "glibc" and tuple(int(n) for n in version.split(".")[:2]) >= (2, 31):
        return
    raise Refused(
        "expected glibc 2.31 or newer, found %s; use a newer Linux" % (" ".join((name, version)).strip() or "none")
    )


def check_disk(root):
    """Raises `Refused` if there is too little room for the packages."""
    free = shutil.disk_usage(root).free
    if free < NEEDED_BYTES:
        raise Refused("expected 5 GB of free disk, found %.1f GB at %s; free some space" % (free / 1e9, root))


def digest(root, *names):
    """A key for the content of files and for where they lie, since an environment cannot be moved."""
    key = hashlib.sha256(root.encode())
    for name in names:
        with open(os.path.join(root, name), "rb") as stream:
            key.update(b"\0" + stream.read())
    return key.hexdigest()


def read_stamp(path):
    """The two keys that a finished install left, or two empty ones."""
    try:
        with open(path) as stream:
            return [*stream.read().split(), "", ""][:2]
    except OSError:
        return ["", ""]


def select_requirements(lock, names):
    """The lines of a hashed lock that belong to the packages in ``names``."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock)
    return "\n".join(e for e in entries if e.split("==")[0].strip() in names) + "\n"


def explain(log):
    """The likely reason in an installer's output, and what to do."""
    for pattern, reason in REASONS:
        if re.search(pattern, log, re.IGNORECASE):
            return reason
    return "the installer failed"


class Installer(object):
    """Runs uv if it is there, else the environment's pip, and keeps what they say in one log."""

    def __init__(self, venv):
        self.python = os.path.join(venv, "bin", "python")
        self.log = os.path.join(venv, "install.log")
        self.scratch = os.path.join(venv, "tmp")
        self.uv = shutil.which("uv")
        self.environment = None

    def run(self, *command):
        """Runs a command; raises `Refused` with the likely reason if it fails."""
        with open(self.log, "a") as log:
            log.write("$ %s\n" % " ".join(command))
            log.flush()
            start = log.tell()
            code = subprocess.call(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self.environment, cwd=ROOT
            )
        if code:
            with open(self.log, errors="replace") as log:
                log.seek(start)
                raise Refused("%s (details: %s)" % (explain(log.read()), os.path.relpath(self.log, ROOT)))

    def install(self, *arguments):
        """Installs without resolving anything: the lock is the whole truth."""
        if self.uv:
            # As pip does: nobody who may not write into the environment should compile TensorFlow at each start.
            tool = [self.uv, "pip", "install", "--compile-bytecode", "--python", self.python]
        else:
            tool = [self.python, "-m", "pip", "install", "--no-input", "--use-pep517"]
        self.run(*tool, "--no-deps", "--no-build-isolation", *arguments)

    def prepare(self):
        """Settles the environment variables of the installer."""
        os.makedirs(self.scratch, exist_ok=True)
        env = dict(os.environ, TMPDIR=self.scratch, PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONNOUSERSITE="1")
        env.setdefault("PIP_RETRIES", "2")
        env.setdefault("UV_HTTP_RETRIES", "2")
        for name in FOREIGN_VARIABLES:
            env.pop(name, None)
        if self.uv:
            self._settle_uv(env)
        else:
            self._flatten_pip_configuration(env)
        self.environment = env

    def _settle_uv(self, env):
        try:
            cache = env.get("XDG_CACHE_HOME") or os.path.join(env.get("HOME") or os.devnull, ".cache")
            os.makedirs(os.path.join(cache, "uv"), exist_ok=True)
        except OSError:
            env.setdefault("UV_CACHE_DIR", os.path.join(self.scratch, "uv"))
        # As pip does, trust what the machine trusts; older versions of uv know the second name.
        if ssl.get_default_verify_paths().cafile or os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
            env.setdefault("UV_SYSTEM_CERTS", "true")
            env.setdefault("UV_NATIVE_TLS", "true")

    def _flatten_pip_configuration(self, env):
        listed = subprocess.run(
            [self.python, "-m", "pip", "config", "list"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        env["PIP_CONFIG_FILE"] = os.devnull
        for option, value in re.findall(r"(?m)^(?:global|install)\.([a-z-]+)=(.+)$", listed.stdout.decode()):
            if option in NETWORK_OPTIONS:
                env.setdefault("PIP_" + option.upper().replace("-", "_"), ast.literal_eval(value))


def make_environment(root, venv):
    """Builds the environment from nothing; what an interrupted install left is not worth trusting."""
    shutil.rmtree(venv, ignore_errors=True)
    check_disk(root)
    os.makedirs(venv)
    installer = Installer(venv)
    print("Installing the locked packages into .venv (about a minute, 3 GB) ...", flush=True)
    try:
        installer.run(sys.executable, "-m", "venv", *(["--without-pip"] if installer.uv else []), venv)
    except Refused:
        reason = (
            "expected a Python 3.11 that can make environments, found one without (details: .venv/install.log); "
            "install its venv package, such as python3.11-venv"
        )
        raise Refused(reason) from None
    installer.prepare()
    with open(os.path.join(root, "requirements.lock")) as stream:
        lock = stream.read()
    # The tools that build the source packages are locked too, and go first; nothing else is ever built.
    with tempfile.NamedTemporaryFile("w", suffix=".lock", dir=installer.scratch) as tools:
        tools.write(select_requirements(lock, BUILD_TOOLS))
        tools.flush()
        installer.install("--require-hashes", "-r", tools.name)
    wheels = ["--only-binary", ":all:", "--no-binary", SOURCE_ONLY]
    installer.install("--require-hashes", *wheels, "-r", os.path.join(root, "requirements.lock"))
    return installer


def ensure(root):
    """Makes the environment agree with the lock and the project's metadata."""
    venv = os.path.join(root, ".venv")
    stamp = os.path.join(venv, ".ready")
    wanted = [digest(root, "requirements.lock"), digest(root, "setup.py", "pyproject.toml")]
    found = read_stamp(stamp)
    usable = os.path.exists(os.path.join(venv, "bin", "python"))
    if usable and found == wanted:
        return
    check_machine()
    installer = Installer(venv)
    # uv makes environments without pip; once uv is gone, only a new one can be installed into.
    can_install = installer.uv or os.path.exists(os.path.join(venv, "bin", "pip"))
    if usable and can_install and found[0] == wanted[0]:
        os.remove(stamp)
        installer.prepare()
    else:
        installer = make_environment(root, venv)
    installer.install("-e", root)
    shutil.rmtree(installer.scratch, ignore_errors=True)
    with open(stamp + ".new", "w") as stream:
        stream.write("\n".join(wanted) + "\n")
    os.replace(stamp + ".new", stamp)


def main():
    """Entry point: the exit status."""
    if sys.argv[1:]:
        print("usage: bootstrap.py (no arguments); makes or renews .venv", file=sys.stderr)
        return 2
    try:
        with open(os.path.join(ROOT, "requirements.lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two builds at once would tread on each other
            ensure(ROOT)
    except Refused as reason:
        print("set-up failed: %s" % reason, file=sys.stderr)
        return 1
    except OSError as error:
        print("set-up failed: %s: %s" % (error.filename or ROOT, error.strerror), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up interrupted; run make again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
