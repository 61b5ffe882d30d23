"""Attacks on runs, cohorts and sweeps, and protections compared by what attacks find of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from experiments.sweep import POINTS
from tff_affect.cohort import MANIFEST, Cohort
from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import run_folders
from tff_affect.progress import Progress
from tff_affect.runs.audit.result import AuditResult
from tff_affect.runs.audit.settings import ATTACKS, AUDIT_FOLDER, AuditConfig


@dataclass(frozen=True)
class AuditRequest:
    """What to attack.

    Attributes:
        source: A study's folder, one of its runs, a cohort's folder, or a sweep's.
        out: Where results go; ``audit`` in the study or sweep by default. Of a cohort it has to be named.
        cohort: The run's cohort, where it does not lie where it lay.
        config: Which attacks, and how.
    """

    source: Path
    out: Path | None = None
    cohort: Path | None = None
    config: AuditConfig = field(default_factory=AuditConfig)


def audit(request: AuditRequest, progress: Progress, processes: int = 1) -> tuple[AuditResult, Path]:
    """Carries out an audit, and writes its page.

    Returns:
        What was found, and the page.

    Raises:
        InputError: If there is nothing to attack here, or the folder holds something else.
    """
    source, config = request.source, request.config
    folder = request.out or source / AUDIT_FOLDER
    if (source / MANIFEST).is_file():
        if request.out is None:
            raise InputError("name a folder for the audit of a cohort with --out; nothing is written into a cohort")
        cohort = Cohort.open(source)
        from tff_affect.runs.audit.audit import audit_cohort

        return _with_page(folder, audit_cohort(cohort, folder, config, progress))
    if not (source / POINTS).is_dir():
        # TensorFlow is imported below: that there is no run is said first, and fast.
        run_folders(source)
    from tff_affect.runs.audit.audit import audit_study
    from tff_affect.runs.audit.audited import AuditedRun

    if (source / POINTS).is_dir():
        from tff_affect.runs.audit.claims import audit_claims

        if config.attacks not in (ATTACKS, ("epsilon",)):
            raise InputError("expected --attack epsilon or none: of a sweep the guarantees alone are attacked")
        points = sorted(entry for entry in (source / POINTS).iterdir() if entry.is_dir())
        return _with_page(folder, audit_claims(points, folder, config, progress, request.cohort))
    runs = AuditedRun.of_study(source, request.cohort)
    return _with_page(folder, audit_study(runs, folder, config, progress, processes))


def _with_page(folder: Path, result: AuditResult) -> tuple[AuditResult, Path]:
    from tff_affect.report.audit_page import write_audit_page

    return result, write_audit_page(folder, result)
