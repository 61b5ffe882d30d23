"""Guarantees against canaries: of one run, or of the runs of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from tff_affect.cohort import Cohort
from tff_affect.config import PRIVATE_FEDERATED
from tff_affect.errors import InputError
from tff_affect.learning.runtime import local_runtime
from tff_affect.learning.sampling import derived_seed
from tff_affect.privacy.audit.epsilon_bound import LEVEL
from tff_affect.privacy.audit.finding import Finding
from tff_affect.progress import Progress
from tff_affect.run_folder import file_name
from tff_affect.runs.audit.audited import AuditedRun
from tff_affect.runs.audit.claim import read_claim
from tff_affect.runs.audit.epsilon import attack_claim
from tff_affect.runs.audit.folder import common_facts, depends_on, own_folder, write_result
from tff_affect.runs.audit.result import AuditResult
from tff_affect.runs.audit.settings import AuditConfig
from tff_affect.runs.audit.steps import Step, carry_out


def claim_steps(runs: Sequence[AuditedRun], seed: int) -> Iterator[Step]:
    """What each run claims, against what canaries measure of its mechanism, with noise of its own.

    The level of all claims together is that of one (Bonferroni): no true one is refuted, at 99 %.
    """
    level = 1 - (1 - LEVEL) / max(1, len(runs))
    for run in runs:
        work = partial(_attacked, run, derived_seed(seed, "audited run", run.name), level)
        yield Step(f"epsilon_{run.name}", f"epsilon of {run.name}", work, {"run": run.fingerprint, "level": level})


def _attacked(run: AuditedRun, seed: int, level: float) -> Sequence[Finding]:
    windows = run.config.privacy.level == "window"
    with run.staged() if windows else nullcontext() as staged, local_runtime():
        found = attack_claim(read_claim(run.folder, run.config, run.seed, staged), seed, level)
    return [replace(found, target=f"{found.target} of {run.name}")]


def audit_claims(
    points: Sequence[Path], folder: Path, config: AuditConfig, progress: Progress, cohort: Path | None = None
) -> AuditResult:
    """Checks the guarantees of runs of a sweep, all at 99 % together; nothing else is attacked.

    Args:
        points: Folders of the sweep's studies, of one run each.
        folder: Where results go; what an earlier audit left there is used.
        config: How many runs, and the seed.
        progress: Shows how far it is.
        cohort: Where the cohort of all lies now; where each lay by default.

    Raises:
        InputError: If no run is private, or the folder holds something else.
    """
    private = [point for point in points if (point / "weights" / f"{file_name(PRIVATE_FEDERATED)}.npz").is_file()]
    if not private:
        raise InputError("expected a sweep with a private run, found none")
    rng = np.random.default_rng(derived_seed(config.seed, "runs"))
    chosen = sorted(rng.choice(len(private), min(config.most_runs, len(private)), replace=False))
    open_cohort = cache(Cohort.open)
    runs = [run for n in chosen for run in AuditedRun.of_study(private[n], cohort, open_cohort)]
    cohorts = {run.cohort.path: run.cohort for run in runs}
    facts = replace(
        common_facts(runs[0].cohort, config),
        cohort=", ".join(dict.fromkeys(cohort.manifest.name for cohort in cohorts.values())),
        subjects=max(len(cohort.subjects) for cohort in cohorts.values()),
        synthetic=any(cohort.manifest.synthetic for cohort in cohorts.values()),
        run=f"{len(runs)} of {len(private)} private runs of a sweep",
    )
    with own_folder(folder):
        steps = list(claim_steps(runs, config.seed))
        return write_result(folder, facts, carry_out(steps, folder, depends_on(config, runs[0].cohort), progress))
