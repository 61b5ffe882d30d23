"""Protections compared: one training without any, federated, and with differential privacy, under the same attacks.

Each protection is a study of one seed on one split; each is audited by itself. What a server gets without protection
are the features themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from data_prep.synthetic import synthetic_config_of, write_synthetic_cohort
from experiments.demo import COHORT as DEMO_COHORT
from experiments.settings import packaged_config
from tff_affect.atomic import replace_text
from tff_affect.cohort import Cohort
from tff_affect.config import PRIVATE_FEDERATED, StudyConfig
from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import client_means, read_study
from tff_affect.privacy.audit.finding import Finding
from tff_affect.privacy_config import PrivacyConfig
from tff_affect.progress import Progress
from tff_affect.report.protections import write_protections
from tff_affect.runs.audit.result import AuditResult
from tff_affect.runs.audit.settings import AuditConfig
from tff_affect.splits import make_splits

SETTINGS = "privacy_audit.yaml"
TABLE = "protections.csv"
UNPROTECTED, FIRST_ROUND, UNSEEN = "plain", "in the first round", "no update is seen"
STUDIES, AUDITS, COHORT_FOLDER = "studies", "audits", "cohort"
COMPARED = ("re-identification", "attribute", "inversion", "epsilon", "membership")
_LEVELS = 3


@dataclass(frozen=True)
class Protection:
    """One way of protecting, and the study that uses it.

    Attributes:
        name: In words.
        study: Name of the study's folder.
        method: Row of its results table.
        config: Of the study.
    """

    name: str
    study: str
    method: str
    config: StudyConfig


@dataclass(frozen=True)
class ProtectionsRequest:
    """What to compare.

    Attributes:
        cohort: The cohort's folder.
        noise_multipliers: Three, of differential privacy for subjects, and the middle one also for windows.
        clipping_norm: Largest norm of a client's update, and of a window's gradient.
        audit: Settings of the audits.
        overrides: Dotted settings of all studies.
    """

    cohort: Path
    noise_multipliers: tuple[float, ...] = (0.5, 2.0, 8.0)
    clipping_norm: float = 0.3
    audit: AuditConfig = field(default_factory=AuditConfig)
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        noises = self.noise_multipliers
        if len(set(noises)) != _LEVELS or not all(noise > 0 for noise in noises):
            raise InputError(f"protections: expected {_LEVELS} noise multipliers above 0, found {list(noises)}")


def protections(base: StudyConfig, request: ProtectionsRequest) -> list[Protection]:
    """The protections, the weakest first."""
    plain = replace(base, methods=["centralised", "federated"], privacy=PrivacyConfig())
    found = [
        Protection("none: one trainer has all features", UNPROTECTED, "centralised", plain),
        Protection("federated", UNPROTECTED, "federated", plain),
    ]
    noises = sorted(request.noise_multipliers)
    private = [("user", noise) for noise in noises] + [("window", noises[1])]
    for level, noise in private:
        privacy = replace(
            base.privacy, noise_multiplier=noise, clipping_norm=request.clipping_norm, level=level,
            reproducible_noise=True,
        )  # fmt: skip
        unit = "subjects" if level == "user" else "windows"
        config = replace(base, methods=[PRIVATE_FEDERATED], privacy=privacy)
        name = f"federated + DP for {unit}, noise {noise:g}"
        found.append(Protection(name, f"{level}-{noise:g}", PRIVATE_FEDERATED, config))
    return found


def check_comparison(folder: Path, request: ProtectionsRequest) -> None:
    """Refuses settings that are wrong, and a folder that holds something else, before anything is written.

    Raises:
        InputError: Then.
    """
    protections(packaged_config(SETTINGS, request.cohort, request.overrides), request)
    if folder.exists() and not folder.is_dir():
        raise InputError("expected a folder, found a file; name another", file=folder)
    # What begins with a dot is left of a cohort that was being generated when the comparison was cut off.
    found = {entry.name for entry in folder.glob("[!.]*")} if folder.is_dir() else set()
    if found and STUDIES not in found and found != {COHORT_FOLDER}:
        raise InputError("the folder is not empty and holds no comparison; name a new one", file=folder)


def demo_cohort(folder: Path, progress: Progress) -> Path:
    """The demo's SYNTHETIC cohort in ``folder/cohort``; one that is there is kept.

    Raises:
        InputError: If what is there is another cohort.
    """
    place = folder / COHORT_FOLDER
    if not place.exists():
        progress.say("generating the SYNTHETIC cohort")
        write_synthetic_cohort(place, DEMO_COHORT)
    elif synthetic_config_of(Cohort.open(place, verify=False)) != DEMO_COHORT:
        raise InputError("expected the SYNTHETIC cohort of the demo, found another; name a new folder", file=place)
    return place


def compare_protections(folder: Path, request: ProtectionsRequest, progress: Progress, processes: int) -> pd.DataFrame:
    """Trains and attacks what is not there yet, and writes ``protections.csv``, a page and a figure.

    Returns:
        A row for each protection.

    Raises:
        InputError: For anything wrong with cohort, settings or folder.
    """
    cohort = Cohort.open(request.cohort)
    base = packaged_config(SETTINGS, request.cohort, request.overrides)
    splits = make_splits(cohort, base.split)
    if len(splits) != 1 or len(base.seeds) != 1:
        raise InputError("protections: expected one split and one seed, found several; use holdout and one seed")
    from tff_affect.runs.audit.audit import audit_study
    from tff_affect.runs.audit.audited import AuditedRun
    from tff_affect.runs.study import run_studies

    compared = protections(base, request)
    studies = {folder / STUDIES / p.study: p.config for p in compared}
    run_studies(studies, cohort, splits, True, progress, processes=processes)
    audits = {}
    for study in studies:
        progress.say(f"attacking {study.name}")
        config = replace(request.audit, features=study.name == UNPROTECTED)
        place = folder / AUDITS / study.name
        audits[study.name] = audit_study(AuditedRun.of_study(study), place, config, progress, processes)
    rows = [_row(p, folder / STUDIES / p.study, audits) for p in compared]
    table = pd.DataFrame(rows).assign(cohort=cohort.manifest.name, synthetic=cohort.manifest.synthetic)
    replace_text(folder / TABLE, table.to_csv(index=False))
    write_protections(folder, table)
    return table


def _row(protection: Protection, study: Path, audits: dict[str, AuditResult]) -> dict[str, Any]:
    findings = audits[protection.study].findings
    results = client_means(read_study(study))
    scores = results[(results["method"] == protection.method) & (results["kind"] == "measured")]
    row: dict[str, Any] = {"protection": protection.name, "method": protection.method, "ccc": scores["ccc"].mean()}
    for name, finding in _measures(protection, audits):
        row |= {name: finding.value, f"{name}_chance": finding.chance, f"{name}_p": finding.p}
    for finding in _of(findings, "epsilon", protection.method):
        row |= {"epsilon": finding.details["claimed"], "epsilon_measured": finding.value, "refuted": finding.refuted}
    return row


def _measures(protection: Protection, audits: dict[str, AuditResult]) -> Iterator[tuple[str, Finding]]:
    """What attacks find in what the server gets: features, or updates of the first round; and membership.

    Of several findings, as of several attributes, the strongest, with its p multiplied by their number (Bonferroni).

    Central privacy leaves updates as they are: those of the first round are plain training's.
    """
    from tff_affect.runs.audit.client_updates import UpdateSettings

    findings, method, seen = audits[protection.study].findings, protection.method, FIRST_ROUND
    if method == "centralised":
        method, seen = "", "action units"
    elif not (sent := UpdateSettings(protection.config, method)).are_seen:
        method = UNSEEN
    elif not sent.private_level:
        findings, method = audits[UNPROTECTED].findings, "federated"
    for attack, name in (("re-identification", "recognised"), ("attribute", "attribute"), ("inversion", "rebuilt")):
        # Not those of other views, such as standardised features.
        found = [f for f in _of(findings, attack, method) if seen in f.target and "standardised" not in f.target]
        if found:
            best = max(found, key=lambda finding: finding.advantage)
            yield name, best if best.p is None else replace(best, p=min(1.0, len(found) * best.p))
    for finding in _of(audits[protection.study].findings, "membership", protection.method):
        if finding.target.startswith("training"):
            yield "member", finding


def _of(findings: Sequence[Finding], attack: str, method: str) -> list[Finding]:
    return [finding for finding in findings if (finding.attack, finding.method) == (attack, method)]
