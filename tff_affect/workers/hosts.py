"""``hosts.yaml``: which workers a driver computes on, and how long it waits for them.

    certificates: certificates
    workers:
      - {name: ward-a, address: "ward-a.example.org:8470"}
      - {name: ward-b, address: "192.0.2.7:8470"}
    deadlines: {heartbeat: 5, silent: 20, call: 900, returning: 60, give_up: 600}

``certificates`` is the driver's folder, relative to the file. ``security: none-loopback`` in its place leaves TLS out,
for workers of this machine alone.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from tff_affect.errors import InputError
from tff_affect.yaml_file import read_yaml

AUTHORITY, DRIVER, DRIVER_KEY = "authority.pem", "driver.pem", "driver.key"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
TLS, PLAIN = "tls", "none-loopback"
_KEYS = ("certificates", "security", "workers", "deadlines")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")


@dataclass(frozen=True)
class Host:
    """A worker as the driver reaches it.

    Attributes:
        name: Of the worker; used in messages and as the holder of clients.
        address: ``host:port``, or ``[IPv6 address]:port``.
    """

    name: str
    address: str


@dataclass(frozen=True)
class Deadlines:
    """How long the driver waits, in seconds.

    Attributes:
        heartbeat: Between two questions to a worker whether it is there.
        silent: Without an answer, until the worker counts as lost.
        call: For a single call that computes.
        returning: For clients that nobody else holds, until they drop out of the round.
        give_up: Without any progress, until the run ends with an error.
    """

    heartbeat: float = 5.0
    silent: float = 20.0
    call: float = 900.0
    returning: float = 60.0
    give_up: float = 600.0


@dataclass(frozen=True)
class Hosts:
    """All that ``hosts.yaml`` says.

    Attributes:
        workers: At least one; names and addresses are distinct.
        certificates: The driver's folder, with ``authority.pem``, ``driver.pem`` and ``driver.key``; None where TLS is
            left out on loopback.
        deadlines: How long the driver waits.
    """

    workers: tuple[Host, ...]
    certificates: Path | None
    deadlines: Deadlines = Deadlines()


def is_host(text: str) -> bool:
    """Whether it is a host's name or IP address, without a port."""
    if _is_ip(text, 4) or _is_ip(text, 6):
        return True
    return not re.fullmatch(r"[0-9.]*", text) and _HOST_NAME.fullmatch(text) is not None


def split_address(address: str, lowest: int = 1) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[IPv6 address]:port``, the port being ``lowest`` or more.

    Raises:
        ValueError: For anything else; the message says what was expected.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or not lowest <= int(port) < 65536:
        raise ValueError(f"expected host:port with a port from {lowest} to 65535, found {address!r}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ip(host, 6):
            raise ValueError(f"expected an IPv6 address in brackets, found {address!r}")
    elif ":" in host:
        raise ValueError(f"expected [IPv6 address]:port, found {address!r}")
    elif not is_host(host):
        raise ValueError(f"expected a host name or an IP address before the port, found {address!r}")
    return host, int(port)


def _is_ip(host: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(host).version == version
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether nothing but this machine reaches the host (a name or an IP address)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def read_hosts(file: Path) -> Hosts:
    """Reads and checks ``hosts.yaml``.

    Raises:
        InputError: For an unreadable file, an unknown key, a name or address that is wrong or there twice, a missing
            certificate, or a worker beyond this machine without TLS. The entry is named.
    """
    file = Path(file)
    try:
        content = _mapping(read_yaml(file), "the file", _KEYS)
        workers = _workers(content.get("workers"))
        plain = _choice(content, "security", TLS, (TLS, PLAIN)) == PLAIN
        if plain:
            _require_loopback(workers)
        certificates = None if plain else _certificates(content.get("certificates"), file.parent)
        return Hosts(workers, certificates, _deadlines(content.get("deadlines")))
    except (OSError, yaml.YAMLError) as error:
        raise InputError("expected a readable UTF-8 YAML file", file=file) from error
    except ValueError as error:
        raise InputError(str(error), file=file) from error


def _mapping(value: Any, place: str, known: Iterable[str]) -> dict[str, Any]:
    names = ", ".join(known)
    if not isinstance(value, dict):
        raise ValueError(f"{place}: expected {names}, found {_kind(value)}")
    for key in value:
        if key not in known:
            raise ValueError(f"{place}: unknown key {key!r}; known are {names}")
    return value


def _choice(content: dict[str, Any], key: str, default: str, known: tuple[str, ...]) -> str:
    value = content.get(key, default)
    if value not in known:
        raise ValueError(f"{key}: expected {' or '.join(known)}, found {value!r}")
    return str(value)


def _workers(entries: Any) -> tuple[Host, ...]:
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"workers: expected a list of name and address, found {_kind(entries)}")
    hosts = tuple(_host(entry, f"workers[{number}]") for number, entry in enumerate(entries))
    _require_distinct(hosts, lambda host: host.name, "name")
    _require_distinct(hosts, lambda host: host.address.lower(), "address")
    return hosts


def _host(entry: Any, place: str) -> Host:
    found = _mapping(entry, place, ("name", "address"))
    name, address = found.get("name"), found.get("address")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{place}: name: expected letters, digits, '.', '_' or '-', found {name!r}")
    if not isinstance(address, str):
        raise ValueError(f"{place} ({name}): address: expected host:port, found {address!r}")
    try:
        split_address(address)
    except ValueError as error:
        raise ValueError(f"{place} ({name}): address: {error}") from error
    return Host(name, address)


def _require_distinct(hosts: tuple[Host, ...], key: Callable[[Host], str], what: str) -> None:
    seen: dict[str, Host] = {}
    for number, host in enumerate(hosts):
        if (other := seen.setdefault(key(host), host)) is not host:
            raise ValueError(f"workers[{number}] ({host.name}): {what} {key(host)!r} is also that of {other.name}")


def _require_loopback(workers: tuple[Host, ...]) -> None:
    for number, host in enumerate(workers):
        if not is_loopback(split_address(host.address)[0]):
            raise ValueError(
                f"workers[{number}] ({host.name}): {host.address} is beyond this machine and 'security: {PLAIN}' goes "
                "without TLS; leave that line out and name the certificates' folder"
            )


def _certificates(value: Any, parent: Path) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError(f"certificates: expected the driver's folder of certificates, found {_kind(value)}")
    folder = parent / value
    for name in (AUTHORITY, DRIVER, DRIVER_KEY):
        if not (folder / name).is_file():
            raise ValueError(
                f"certificates: {value} holds no {name}; name the folder that 'tff-affect worker cert driver DIR' made"
            )
    return folder


def _deadlines(value: Any) -> Deadlines:
    names = tuple(field.name for field in fields(Deadlines))
    found = _mapping({} if value is None else value, "deadlines", names)
    for key, seconds in found.items():
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not number or not 0 < seconds < math.inf:
            raise ValueError(f"deadlines: {key}: expected seconds above 0, found {seconds!r}")
    deadlines = Deadlines(**{key: float(seconds) for key, seconds in found.items()})
    if deadlines.silent <= deadlines.heartbeat:
        raise ValueError(
            f"deadlines: silent: expected more than the heartbeat of {deadlines.heartbeat:g}, "
            f"found {deadlines.silent:g}"
        )
    if deadlines.give_up <= deadlines.returning:
        raise ValueError(
            f"deadlines: give_up: expected more than returning, {deadlines.returning:g}, or no client ever drops out; "
            f"found {deadlines.give_up:g}"
        )
    return deadlines


def _kind(value: Any) -> str:
    return "nothing" if value is None or value == [] else f"a {type(value).__name__}"
