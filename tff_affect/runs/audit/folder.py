"""The folder of an audit, and what its steps depend on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tff_affect.cohort import Cohort
from tff_affect.config import METHODS
from tff_affect.errors import InputError
from tff_affect.run_folder import environment, locked
from tff_affect.runs.audit.exposure import FeatureSurfaces, drawn
from tff_affect.runs.audit.recognition import attributes_of
from tff_affect.runs.audit.result import AuditFacts, AuditResult
from tff_affect.runs.audit.settings import AuditConfig
from tff_affect.runs.audit.steps import STEPS, Outcome

_OF_SINGLE_STEPS = ("attacks", "shadows", "victims", "features", "most_runs")


def features_of(cohort: Cohort, config: AuditConfig) -> FeatureSurfaces:
    """What the cohort shows of those who are attacked."""
    return FeatureSurfaces(cohort, drawn(cohort, cohort.subjects, config.most_people, config.seed), config.seconds)


def common_facts(cohort: Cohort, config: AuditConfig) -> AuditFacts:
    """What is said of every audit."""
    manifest, window = cohort.manifest, features_of(cohort, config).span
    return AuditFacts(manifest.name, manifest.synthetic, len(cohort.subjects), seed=config.seed, window=window)


def depends_on(config: AuditConfig, cohort: Cohort) -> dict[str, Any]:
    """What every step depends on; which others there are, and shadow runs, are the concern of single ones."""
    settings = {k: v for k, v in asdict(config).items() if k not in _OF_SINGLE_STEPS}
    software = {name: version for name, version in environment().items() if name != "cores"}
    return {"settings": settings, "cohort": cohort.content_sha256, "groups": attributes_of(cohort), **software}


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps a second audit out of it.

    Raises:
        InputError: If it holds something else, or another process works on it.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("expected a folder for the audit, found a file; name another with --out", file=folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / STEPS).is_dir():
        raise InputError("the folder is not empty and holds no audit; name a new one with --out", file=folder)
    (folder / STEPS).mkdir(parents=True, exist_ok=True)
    with locked(folder):
        yield


def write_result(folder: Path, facts: AuditFacts, found: Outcome) -> AuditResult:
    """Writes ``audit.json`` and returns what it says."""
    sessions = {finding.details["session"] for finding in found.findings if "session" in finding.details}
    found_methods = {finding.method for finding in found.findings}
    facts = replace(
        facts,
        session=" and ".join(sorted(sessions)) or facts.session,
        methods=tuple(method for method in METHODS if method in found_methods),
    )
    AuditResult(facts, found.findings, found.left_out).write(folder)
    return AuditResult.read(folder)
