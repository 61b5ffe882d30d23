"""Are the workers of a ``hosts.yaml`` fit for a study, and do they refuse whoever is no driver?"""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

from tff_affect.doctor import Check
from tff_affect.errors import AffectError, InputError
from tff_affect.workers import certificates
from tff_affect.workers.hosts import AUTHORITY, Host, Hosts, read_hosts, split_address

_SECONDS_TO_REFUSE = 10.0
_DAYS_OF_WARNING = 14
# What a client of HTTP/2 says first, without TLS.
_PLAIN_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_SERVE = "start it: tff-affect worker serve COHORT --listen HOST:PORT --certificates DIR"


def diagnose_workers(hosts_file: Path, seconds: float = 20.0) -> list[Check]:
    """Looks at the driver's certificate, and at each worker from here.

    Args:
        hosts_file: The workers.
        seconds: How long workers that do not answer are waited for.

    Raises:
        InputError: For a ``hosts.yaml`` that cannot be read.
    """
    hosts = read_hosts(hosts_file)
    checks = [_check_certificate(hosts.certificates)] if hosts.certificates is not None else []
    checks += _check_answers(hosts, hosts_file, seconds)
    for host in hosts.workers:
        if hosts.certificates is None:
            checks.append(Check(f"worker {host.name}, TLS", True, "none, on loopback", "none is asked for"))
        else:
            checks += [_check_stranger(host, hosts.certificates), _check_plain(host)]
    return checks


def _check_certificate(folder: Path) -> Check:
    expected = f"a driver's, good for {_DAYS_OF_WARNING} days"
    fix = "tff-affect worker cert driver DIR --rotate, with the authority's folder, and copy it"
    try:
        found = certificates.check(folder, "driver")
    except InputError as error:
        return Check("driver's certificate", False, str(error), expected, fix)
    left = found.days_left
    ok = left >= _DAYS_OF_WARNING
    return Check("driver's certificate", ok, f"good for {left} days", expected, "" if ok else fix)


def _check_answers(hosts: Hosts, hosts_file: Path, seconds: float) -> list[Check]:
    """Whether workers answer, how soon, and whether their data make one cohort."""
    from tff_affect.cohort_catalog import catalog
    from tff_affect.learning.runtime import RemoteWorkers
    from tff_affect.remote_cohort import RemoteCohort
    from tff_affect.served_data import read_catalog

    workers = RemoteWorkers(hosts)
    checks: list[Check] = []
    held = {}
    try:
        question = read_catalog()
        answers, silent = workers.ask(question, seconds)
        for host in hosts.workers:
            if host.name in silent:
                checks.append(Check(f"worker {host.name}", False, silent[host.name], "an answer", _SERVE))
                continue
            started = time.monotonic()
            workers.ask(question, 0.0, [host.name])
            delay = 1000 * (time.monotonic() - started)
            held[host.name] = catalog(answers[host.name], f"catalogue of worker {host.name}")
            found = f"{len(held[host.name].subjects)} subjects, answers in {delay:.0f} ms"
            checks.append(Check(f"worker {host.name}", True, found, "an answer"))
        cohort = RemoteCohort.merge(held, hosts_file) if held else None
    except AffectError as error:
        return [*checks, Check("the workers' data", False, str(error), "one cohort", "let all serve one conversion")]
    finally:
        workers.close()
    if cohort is not None:
        copies = sum(len(names) > 1 for names in cohort.holders.values())
        found = f"{len(cohort.subjects)} subjects, {copies} of them with several workers"
        checks.append(Check("the workers' data", True, found, "one cohort"))
    return checks


def _check_stranger(host: Host, folder: Path) -> Check:
    """Whether somebody without a certificate is refused."""
    context = ssl.create_default_context(cafile=str(folder / AUTHORITY))
    context.set_alpn_protocols(["h2"])
    return _check_refusal(host, "without a certificate", context)


def _check_plain(host: Host) -> Check:
    """Whether somebody without TLS is refused."""
    return _check_refusal(host, "without TLS", None)


def _check_refusal(host: Host, kind: str, context: ssl.SSLContext | None) -> Check:
    name, expected = f"worker {host.name}, a stranger {kind}", f"refused within {_SECONDS_TO_REFUSE:g} s"
    try:
        answer = _greeted(split_address(host.address), context)
    except (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError) as error:
        return Check(name, False, f"cannot be tried: {error.strerror or error}", expected, _SERVE)
    except TimeoutError:
        return Check(name, False, "is kept waiting", expected, "put 'tff-affect worker serve' in front, with TLS")
    except OSError as error:
        return Check(name, True, f"refused ({getattr(error, 'reason', None) or error.strerror or 'closed'})", expected)
    if not answer:
        return Check(name, True, "refused (closed)", expected)
    fix = "anybody can compute there: serve with --certificates, and close the worker's own port by a firewall"
    return Check(name, False, "is answered", expected, fix)


def _greeted(address: tuple[str, int], context: ssl.SSLContext | None) -> bytes:
    """What comes back when HTTP/2 is begun; empty where the connection is closed."""
    with socket.create_connection(address, _SECONDS_TO_REFUSE) as line:
        if context is None:
            return _answer(line)
        with context.wrap_socket(line, server_hostname=address[0]) as secure:
            return _answer(secure)


def _answer(stream: socket.socket) -> bytes:
    # TLS 1.3 refuses a certificate only after the handshake: what is read then says so.
    stream.sendall(_PLAIN_GREETING)
    return stream.recv(1024)
