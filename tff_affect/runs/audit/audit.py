"""The audit: every attack on what a run, or a cohort alone, shows, put next to what was claimed.

Attacks on features need the cohort alone. Those on models, updates and guarantees need a run; shadow runs are trained
with its own settings. The order is that of cost, so that an audit that is cut off has said something.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tff_affect.client_data import StagedCohort
from tff_affect.cohort import Cohort
from tff_affect.config import PRIVATE_FEDERATED
from tff_affect.errors import InputError
from tff_affect.progress import Progress
from tff_affect.runs.audit.audited import AuditedRun
from tff_affect.runs.audit.claims import claim_steps
from tff_affect.runs.audit.client_updates import UpdateSettings
from tff_affect.runs.audit.exposure import Surface
from tff_affect.runs.audit.folder import common_facts, depends_on, features_of, own_folder, write_result
from tff_affect.runs.audit.membership import SHADOWS, MembershipAttack
from tff_affect.runs.audit.model_exposure import ModelSurfaces
from tff_affect.runs.audit.rebuilding import inversion_steps
from tff_affect.runs.audit.recognition import recognition_steps
from tff_affect.runs.audit.result import AuditResult
from tff_affect.runs.audit.settings import AuditConfig
from tff_affect.runs.audit.steps import Outcome, Step, carry_out
from tff_affect.runs.learners import SOLVED


def audit_cohort(cohort: Cohort, folder: Path, config: AuditConfig, progress: Progress) -> AuditResult:
    """Attacks what a cohort's features alone give away.

    Args:
        cohort: The cohort.
        folder: Where results go; what an earlier audit left there is used.
        config: What to do; attacks that need a run are not carried out.
        progress: Shows how far it is.

    Raises:
        InputError: If the folder holds something else, or another process works on it.
    """
    facts = common_facts(cohort, config)
    with own_folder(folder):
        steps = list(_recognition(features_of(cohort, config).surfaces(), cohort, config))
        return write_result(folder, facts, carry_out(steps, folder, depends_on(config, cohort), progress))


def audit_study(
    runs: Sequence[AuditedRun], folder: Path, config: AuditConfig, progress: Progress, processes: int = 1
) -> AuditResult:
    """Attacks what a study gives away: features, models and updates of its first run, and the guarantee of each run.

    Args:
        runs: The study's.
        folder: Where results and shadow runs go; what an earlier audit left there is used.
        config: What to do.
        progress: Shows how far it is.
        processes: Shadow runs trained side by side; 0 is one for each core.

    Raises:
        InputError: If the folder holds something else, or another process works on it.
    """
    run = runs[0]
    split = run.split
    facts = replace(
        common_facts(run.cohort, config),
        run=_named(runs),
        train=len(split.train),
        test=len(split.test),
        shadows=config.shadows if "membership" in config.attacks else 0,
    )
    with own_folder(folder):
        depends = depends_on(config, run.cohort) | {"run": run.fingerprint}
        with run.staged() as staged:
            found = carry_out(list(_steps(runs, staged, config)), folder, depends, progress)
            if "membership" in config.attacks:
                attack = MembershipAttack(run, staged, folder / SHADOWS, config.shadows, config.seed)
                try:
                    attack.train(processes, progress)
                    found = found.joined(
                        carry_out(list(attack.steps()), folder, depends, progress, "audit of membership")
                    )
                except InputError as error:
                    found = found.joined(Outcome((), {"membership": str(error)}))
            found = found.joined(Outcome((), _not_attacked(run, config)))
        return write_result(folder, facts, found)


def _named(runs: Sequence[AuditedRun]) -> str:
    name = runs[0].name
    return name if len(runs) == 1 else f"{name}, and the guarantees of all {len(runs)} runs"


def _not_attacked(run: AuditedRun, config: AuditConfig) -> dict[str, str]:
    """Attack -> why there was nothing to attack."""
    found = {}
    if run.config.model.name in SOLVED:
        found["models and updates"] = f"{run.config.model.name} is solved from sums: no gradient is sent"
    elif not attacked_methods(run):
        found["models and updates"] = "the run kept no weights of federated training"
    if "epsilon" in config.attacks and PRIVATE_FEDERATED not in run.methods:
        found["epsilon"] = "the run has no federated training with differential privacy"
    privacy = run.config.privacy
    if PRIVATE_FEDERATED in run.methods and not UpdateSettings(run.config, PRIVATE_FEDERATED).are_seen:
        found[f'updates of "{PRIVATE_FEDERATED}"'] = f"mechanism {privacy.mechanism}: nobody sees a single one"
    return found


def attacked_methods(run: AuditedRun) -> list[str]:
    """Methods whose model and updates are attacked: those trained by rounds, from steps of gradient descent."""
    if run.config.model.name in SOLVED:
        return []
    return [method for method in run.methods if method in ("federated", PRIVATE_FEDERATED)]


def _steps(runs: Sequence[AuditedRun], staged: StagedCohort, config: AuditConfig) -> Iterator[Step]:
    run = runs[0]
    features = features_of(run.cohort, config)
    if config.features:
        yield from _recognition(features.surfaces(), run.cohort, config)
    for method in attacked_methods(run):
        shown = ModelSurfaces(run, method, staged, features, config.most_people)
        yield from _recognition((*shown.outputs(), *shown.updates()), run.cohort, config)
        if "inversion" in config.attacks:
            yield from inversion_steps(run, method, staged, config.victims, config.seed)
    if "epsilon" in config.attacks:
        yield from claim_steps([each for each in runs if PRIVATE_FEDERATED in each.methods], config.seed)


def _recognition(surfaces: Iterable[Surface], cohort: Cohort, config: AuditConfig) -> Iterator[Step]:
    return recognition_steps(surfaces, cohort, config.attacks, config.seed)
