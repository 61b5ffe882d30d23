"""Studies over workers that hold the data: what the driver learns of them, refuses, and keeps for a resume.

The driver knows ids, partitions, groups and numbers of frames. Sequences, gold standards and predictions stay with the
workers; what leaves them are sums of updates over clients, and each client's statistics where it is scored.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tff_affect.cohort_catalog import catalog
from tff_affect.cohort_types import CohortManifest
from tff_affect.config import PRIVATE_FEDERATED, StudyConfig
from tff_affect.errors import InputError, RunError
from tff_affect.learning.placement import Placement
from tff_affect.learning.runtime import RemoteWorkers
from tff_affect.progress import Progress
from tff_affect.remote_cohort import RemoteCohort
from tff_affect.run_folder import STUDY, WORKERS, check_unlocked, read_json
from tff_affect.runs.study import run_study
from tff_affect.served_data import read_catalog
from tff_affect.splits import make_splits
from tff_affect.workers import certificates
from tff_affect.workers.hosts import Hosts, read_hosts

_LOG = logging.getLogger(__name__)
_METHODS = ("federated", PRIVATE_FEDERATED)
_NOT_REMOTE = {
    "distributed": "is simulated by a driver that sees every update, which must not happen beyond a simulation",
    "local": "draws noise for whoever fills a round up, and once more where a lost part of a round is computed again, "
    "which its epsilon does not count",
}


def check_remote(config: StudyConfig) -> None:
    """Refuses what would need the data, or every client's update, on the driver's machine.

    Raises:
        InputError: With the reason.
    """
    for method in config.rows:
        if method not in _METHODS:
            raise InputError(
                f"methods: {method!r} reads the clients' data in one place, and they stay with the workers; "
                "set -o methods=[federated]"
            )
    if config.postprocess:
        raise InputError(
            "postprocess: the chain is fitted on predictions, and those stay with the workers; leave it out"
        )
    if config.privacy.enabled and config.privacy.mechanism in _NOT_REMOTE:
        raise InputError(
            f"privacy.mechanism: {config.privacy.mechanism!r} {_NOT_REMOTE[config.privacy.mechanism]}; choose fixed, "
            "adaptive or tree"
        )


def run_remote_study(
    config: StudyConfig,
    hosts_file: Path,
    folder: Path,
    resume: bool = False,
    progress: Progress | None = None,
    kept: Mapping[str, Any] | None = None,
) -> RemoteCohort:
    """Runs, or continues, a study over workers.

    Args:
        config: What to run; ``data.cohort`` only names the data.
        hosts_file: The workers, as `tff_affect.workers.hosts` describes.
        folder: Where.
        resume: Continue what is there; then workers may be missing as long as somebody holds the clients.
        progress: Shows how far it is.
        kept: What a new study's folder keeps for those who resume it, beside its settings and workers.

    Returns:
        What the driver knows of the cohort.

    Raises:
        InputError: For anything wrong with the workers' data, configuration or folder.
        RunError: If workers do not answer.
    """
    hosts = read_hosts(hosts_file)
    check_remote(config)
    check_unlocked(folder)
    if hosts.certificates is not None:
        certificates.check(hosts.certificates, "driver")
    shown = progress or Progress()
    with _connected(hosts) as workers:
        cohort = known_cohort(workers, hosts, hosts_file, folder if resume else None)
        for host in hosts.workers:
            workers.accept(host.name, partial(_require_known, cohort, host.name, hosts_file))
        placement = placement_of(cohort, hosts)
        run_study(
            config, cohort, make_splits(cohort, config.split), folder, resume, shown,
            runtime=lambda: workers.computing(placement), kept={WORKERS: cohort.to_json(), **(kept or {})},
        )  # fmt: skip
        traffic = workers.traffic
        shown.say(f"workers: {traffic.sent / 1e6:.1f} MB sent to them, {traffic.received / 1e6:.1f} MB received")
    return cohort


@contextmanager
def _connected(hosts: Hosts) -> Iterator[RemoteWorkers]:
    workers = RemoteWorkers(hosts)
    try:
        yield workers
    finally:
        workers.close()


def placement_of(cohort: RemoteCohort, hosts: Hosts) -> Placement:
    """Who holds whom, by the numbers of the workers in ``hosts``; a client's frames are its load."""
    numbers = {host.name: number for number, host in enumerate(hosts.workers)}
    holders = {client: tuple(sorted(numbers[name] for name in names)) for client, names in cohort.holders.items()}
    frames = {entry.subject: float(entry.frames) for entry in cohort.manifest.subjects}
    return Placement(len(hosts.workers), holders, frames)


def known_cohort(workers: RemoteWorkers, hosts: Hosts, hosts_file: Path, begun: Path | None) -> RemoteCohort:
    """What the workers hold together; of a study that was begun, what they held then.

    Args:
        workers: Are asked.
        hosts: Their names.
        hosts_file: For messages.
        begun: The folder of a study to resume; None for a new one, for which all workers have to answer.

    Raises:
        InputError: If their data do not go together, or are not those that the study was begun with.
        RunError: If a worker of a new study, or every worker, does not answer.
    """
    kept = _kept(begun, hosts, hosts_file)
    answers, silent = workers.ask(read_catalog(), hosts.deadlines.returning)
    said = "; ".join(f"worker {name}: {reason}" for name, reason in sorted(silent.items()))
    if silent and (kept is None or not answers):
        raise RunError(f"not all workers answer: {said}; start them, or see 'tff-affect doctor --workers {hosts_file}'")
    if silent:
        _LOG.warning("going on without some workers: %s", said)
    catalogs = {name: catalog(text, f"catalogue of worker {name}") for name, text in answers.items()}
    if kept is None:
        return RemoteCohort.merge(catalogs, hosts_file)
    for name, manifest in catalogs.items():
        _require_the_same(kept, name, manifest, hosts_file)
    return kept


def _require_known(known: RemoteCohort, worker: str, hosts_file: Path) -> None:
    """Raises `InputError` if the worker that computes now holds other tables than those that the study knows."""
    found = catalog(read_catalog()(), f"catalogue of worker {worker}")
    _require_the_same(known, worker, found, hosts_file)


def _kept(begun: Path | None, hosts: Hosts, hosts_file: Path) -> RemoteCohort | None:
    file = None if begun is None else begun / STUDY
    if file is None or not file.is_file():
        return None
    cohort = RemoteCohort.from_json(read_json(file).get(WORKERS), file)
    then, now = {name for names in cohort.holders.values() for name in names}, {host.name for host in hosts.workers}
    if then != now:
        raise InputError(
            f"expected the workers that the study was begun with, {', '.join(sorted(then))}, found "
            f"{', '.join(sorted(now))}; name them as before",
            file=hosts_file,
        )
    return cohort


def _require_the_same(kept: RemoteCohort, worker: str, manifest: CohortManifest, hosts_file: Path) -> None:
    """Raises `InputError` if a worker holds another table of a subject than when the study was begun."""
    before = {entry.subject: entry.sha256 for entry in kept.manifest.subjects}
    for entry in manifest.subjects:
        if before.get(entry.subject, entry.sha256) != entry.sha256:
            raise InputError(
                f"worker {worker} holds another table than when the study was begun; let it serve that one, or name a "
                "new folder",
                file=hosts_file,
                subject=entry.subject,
            )
