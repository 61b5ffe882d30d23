"""What `tff_affect.doctor_jobs` looks for in a Slurm script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tff_affect.doctor import Check
from tff_affect.doctor_jobs import Command, checked, commands_of, first, listens_on, split_words, transport

_DIRECTIVE = re.compile(r"^#SBATCH[ \t]+(-{1,2}[A-Za-z-]+)(?:(?:=|[ \t]+)([^\s#]+))?", re.M)
_SHORT = {
    "-N": "--nodes", "-c": "--cpus-per-task", "-t": "--time", "-w": "--nodelist", "-n": "--ntasks", "-J": "--job-name",
}  # fmt: skip
_ASSIGNED = re.compile(r"^\s*(?:export\s+|readonly\s+)*([A-Za-z_]\w*)=(\"[^\"]*\"|'[^']*'|[^\s;#]*)\s*(?:#.*)?$", re.M)
_USED = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}|\$(\w+)")
_ADDRESS = re.compile(r"""address:\s*\\?["']?([^\s"'\\}]+):(\d+|\$\w+)""")
_SIGNAL = re.compile(r"B:(\w+)(?:@(\d+))?$")
_LEAST_WARNING = 60
_PASSING = ("/tmp", "/var/tmp", "/dev/shm", "/local", "/scratch", "$TMPDIR", "$SLURM_TMPDIR")
_SHARED = ("/home", "/project", "/nfs", "/lustre", "/gpfs", "/shared", "~", "$HOME", "$SLURM_SUBMIT_DIR")
_SAID_SHARED = re.compile(r"^#.*data on a shared disk", re.M | re.I)
_SAID_FIREWALL = re.compile(r"^\s*#.*\bfirewall\b", re.M | re.I)


@dataclass(frozen=True)
class _Script:
    """A script in parts.

    Attributes:
        text: All of it.
        settings: Of ``#SBATCH``, long names.
        body: Without comments; variables that are set once, at the top, put in.
        commands: Of this package.
    """

    text: str
    settings: dict[str, str]
    body: str
    commands: tuple[Command, ...]

    def named(self, name: str) -> list[Command]:
        """The commands of a name."""
        return [command for command in self.commands if command.name == name]


def diagnose_script(text: str) -> list[Check]:
    """Looks at a Slurm script.

    Raises:
        ValueError: If it is none, or starts no worker and no driver.
    """
    script = _read(text)
    served, driven = script.named("worker serve"), script.named("train")
    if not script.settings:
        raise ValueError("expected #SBATCH lines, found none; name a Slurm script or Kubernetes manifests")
    if not served and not driven:
        raise ValueError("expected 'tff-affect worker serve' or 'tff-affect train', found neither")
    checks = list(_of_the_job(script))
    checks += [check for serve in served for check in _of_a_worker(script, serve)]
    checks += [check for train in driven for check in _of_the_driver(script, train)]
    return checks + (list(_of_the_addresses(script, served)) if served and driven else [])


def _read(text: str) -> _Script:
    settings = {_SHORT.get(name, name): value.strip() for name, value in _DIRECTIVE.findall(text)}
    joined = text.replace("\\\n", " ")
    body = "\n".join(line for line in joined.splitlines() if not line.lstrip().startswith("#"))
    values: dict[str, str] = {}
    for name, value in _ASSIGNED.findall(body):
        values[name] = _filled(value.strip("\"'"), values)
    body = _positions_filled(body, values)
    body = _filled(body, values)
    return _Script(text, settings, body, tuple(commands_of(split_words(body))))


def _filled(text: str, values: dict[str, str]) -> str:
    """A text with the variables that are known put in."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[3]
        return values.get(name, match[2] if match[2] is not None else match[0])

    return _USED.sub(value, text)


def _positions_filled(body: str, values: dict[str, str]) -> str:
    """``bash -c '... $1 ...' name ARGUMENT``: the arguments put in."""

    def inner(match: re.Match[str]) -> str:
        given = [_filled(word.strip("\"'"), values) for word in match[2].split() if word not in ("&", ";")]
        return "bash -c '" + _filled(match[1], {str(at): word for at, word in enumerate(given)}) + "' " + match[2]

    return re.sub(r"(?:ba)?sh -c '([^']*)'[ \t]+([^\n]*)", inner, body)


def _of_the_job(script: _Script) -> Iterator[Check]:
    settings = script.settings
    memory = first(*(settings.get(name) for name in ("--mem", "--mem-per-cpu", "--mem-per-node")))
    yield _setting("memory limit", memory, "--mem", "#SBATCH --mem=16G")
    yield _setting("cores", settings.get("--cpus-per-task", ""), "--cpus-per-task", "#SBATCH --cpus-per-task=8")
    yield _setting("time limit", settings.get("--time", ""), "--time", "#SBATCH --time=12:00:00")
    yield checked(
        "put back into the queue", "" if "--requeue" in settings and "--no-requeue" not in settings else "no --requeue",
        "--requeue", "--requeue", "#SBATCH --requeue: a lost node or somebody else's job then costs a round",
    )  # fmt: skip
    yield _check_warning(script)
    private = re.search(r"^\s*umask 0?077\b", script.body, re.M)
    yield checked(
        "files for this user alone", "" if private else "no umask 077", "umask 077", "umask 077",
        "umask 077 at the top: hosts.yaml, keys and logs are nobody else's",
    )  # fmt: skip


def _setting(name: str, value: str, option: str, fix: str) -> Check:
    return checked(name, "" if value else f"no {option}", f"{option}={value}", option, fix)


def _check_warning(script: _Script) -> Check:
    """Whether the script hears that its time ends, early enough and with something to do about it."""
    match = _SIGNAL.match(script.settings.get("--signal", ""))
    signal, seconds = (match[1].removeprefix("SIG"), int(match[2] or 60)) if match else ("", 0)
    trapped = bool(signal) and re.search(rf"\btrap\b.*\b(SIG)?{signal}\b", script.body) is not None
    again = "scontrol requeue" in script.body
    wrong = first(
        not match and "no --signal=B:SIGNAL@SECONDS",
        seconds < _LEAST_WARNING and f"{seconds} s",
        not trapped and f"no trap of {signal}",
        not again and "no 'scontrol requeue' when the time ends",
    )
    expected = f"--signal=B:SIGNAL@{_LEAST_WARNING} or more, trapped, and a requeue"
    fix = "#SBATCH --signal=B:USR1@120, and a trap that ends the driver and calls 'scontrol requeue'"
    return checked("end of the time", wrong, f"{signal} {seconds} s before", expected, fix)


def _of_a_worker(script: _Script, serve: Command) -> Iterator[Check]:
    wrong = transport(serve)
    yield checked("worker: TLS", wrong, "TLS" if serve.has("--certificates") else "none, on loopback", "--certificates",
                  "tff-affect worker serve ... --certificates DIR, made by 'tff-affect worker cert'")  # fmt: skip
    none = serve.option("--isolation") == "none"
    said = _SAID_FIREWALL.search(script.text) is not None
    yield checked(
        "worker: isolation", "--isolation none, and no word of a firewall" if none and not said else "",
        "none, with a firewall as the script says" if none else "a network namespace",
        "a network namespace, or a firewall that a comment describes",
        "leave --isolation out: what computes obeys whoever of the node's users reaches its port",
    )  # fmt: skip
    data = serve.argument or ""
    shared = data.startswith(_SHARED) and _SAID_SHARED.search(script.text) is None
    yield checked("worker: data", f"{data} is on a shared disk" if shared else "", data, "the node's own disk",
                  "name a folder of the node, or say '# data on a shared disk' in a comment")  # fmt: skip
    one = script.settings.get("--ntasks-per-node") == "1" or "--ntasks-per-node=1" in script.body
    yield checked("worker: one on each node", "" if one else "no --ntasks-per-node=1", "--ntasks-per-node=1",
                  "--ntasks-per-node=1", "#SBATCH --ntasks-per-node=1: two would want the same port")  # fmt: skip


def _of_the_driver(script: _Script, train: Command) -> Iterator[Check]:
    wrong = first(not train.has("--workers") and "no --workers", not train.has("--resume") and "no --resume")
    yield checked("driver: resumes", wrong, "--resume", "--workers and --resume",
                  "tff-affect train STUDY --workers hosts.yaml --resume; on a fresh folder it begins")  # fmt: skip
    folder = train.argument or ""
    passing = folder.startswith(_PASSING)
    yield checked(
        "driver: study's folder", f"{folder} is gone or elsewhere after a requeue" if passing else "", folder,
        "a disk that all nodes see and that is kept", "name a folder of the project, not of a node",
    )  # fmt: skip


def _of_the_addresses(script: _Script, served: list[Command]) -> Iterator[Check]:
    """Whether ``hosts.yaml``, as the script writes it, names the workers that the script starts."""
    addresses = _ADDRESS.findall(script.body)
    if not addresses:
        return
    ports = {str(found[1]) for serve in served if (found := listens_on(serve))}
    strays = sorted({port for _, port in addresses} - ports)
    yield checked(
        "ports", f"hosts.yaml names {', '.join(strays)}, workers listen on {', '.join(sorted(ports)) or 'none'}"
        if strays else "", ", ".join(sorted(ports)), "the same in --listen and hosts.yaml", "set one variable for both",
    )  # fmt: skip
    nodes, listed = script.settings.get("--nodes", ""), script.settings.get("--nodelist", "")
    yield checked("nodes", "" if listed else "no --nodelist", listed, "--nodelist",
                  "#SBATCH --nodelist=...: the recordings lie on certain nodes")  # fmt: skip
    looped = "scontrol show hostnames" in script.body and any(host.startswith("$") for host, _ in addresses)
    count = len(addresses)
    wrong = "" if looped or str(count) == nodes else f"{count} addresses, --nodes={nodes or 'unknown'}"
    yield checked("number of workers", wrong, "one on each node of the job" if looped else f"{count}",
                  "as many addresses as nodes", "write hosts.yaml from 'scontrol show hostnames'")  # fmt: skip
