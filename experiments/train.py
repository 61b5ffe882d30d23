"""Train, summarise, report: what ``tff-affect train`` and ``tff-affect demo`` run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.attainable import ceiling_of
from experiments.report import facts_of
from tff_affect.atomic import replace_text
from tff_affect.cohort import Cohort
from tff_affect.config import StudyConfig
from tff_affect.errors import InputError
from tff_affect.evaluation.comparison import compare_methods
from tff_affect.evaluation.fairness import ccc_by_group, read_groups
from tff_affect.evaluation.per_client import read_study, run_folders, summarise
from tff_affect.evaluation.statistics import PairedComparison
from tff_affect.progress import STARTING, Progress
from tff_affect.report.html import write_report
from tff_affect.report.model_card import write_model_card
from tff_affect.report.privacy import StudyPrivacy, read_privacy
from tff_affect.report.study import CohortFacts, leading_method
from tff_affect.report.tables import headline_records, write_summary
from tff_affect.run_folder import COHORT, GROUPS, STUDY, TENSORBOARD, WORKERS, holds_study, read_json, write_json
from tff_affect.runs.cohort_tables import write_cohort_tables
from tff_affect.splits import Split, make_splits
from tff_affect.staging import private_temporary_files

SUMMARY, FAIRNESS = "summary.csv", "fairness.csv"


@dataclass(frozen=True)
class Outcome:
    """A finished study.

    Attributes:
        facts: Of its cohort.
        summary: As `tff_affect.evaluation.per_client.summarise` gives it.
        records: Of the headline table.
        comparisons: Federated against local-only, per dimension where both are there.
        leading: The federated method that is compared: the private one where it is the only one.
        privacy: What the private methods guarantee.
        report: The HTML file.
    """

    facts: CohortFacts
    summary: pd.DataFrame
    records: list[dict[str, Any]]
    comparisons: dict[str, PairedComparison]
    leading: str
    privacy: StudyPrivacy
    report: Path


def train(
    config: StudyConfig,
    folder: Path,
    resume: bool = False,
    progress: Progress | None = None,
    processes: int = 1,
    delay_of: Callable[[Split], float] | None = None,
    hosts: Path | None = None,
    tensorboard: bool = False,
) -> Outcome:
    """Runs or resumes a study and writes its tables and ``report.html`` into its folder.

    Beside ``summary.csv`` these are ``groups.csv`` and ``quality.csv`` of its cohort, and ``fairness.csv`` where the
    cohort names groups.

    Args:
        config: What to run.
        folder: Where.
        resume: Continue what is there.
        progress: Shows how far it is.
        processes: Runs carried out side by side.
        delay_of: Each split's own annotation delay; ``data.target_delay`` for all by default.
        hosts: The file that lists the workers, where those hold the data; ``config.data.cohort`` is not read then.
        tensorboard: Have rounds written for TensorBoard too; a study goes on as it began, with or without.

    Raises:
        InputError: For anything wrong with cohort, configuration or folder.
    """
    progress = progress or Progress()
    _require_way(folder, resume, hosts, tensorboard)
    kept = {TENSORBOARD: True} if tensorboard else {}
    with private_temporary_files():
        if hosts is None:
            cohort = _train_here(config, folder, resume, progress, processes, delay_of, kept)
        else:
            holds_study(folder, resume)
            progress.say(STARTING)
            from tff_affect.runs.remote import run_remote_study

            cohort = run_remote_study(config, hosts, folder, resume, progress, kept)
    manifest = cohort.manifest
    facts = CohortFacts(
        manifest.name, manifest.synthetic, len(manifest.subjects), manifest.frame_rate, manifest.time_unit,
        manifest.features, manifest.feature_scale, manifest.labels,
    )  # fmt: skip
    write_cohort_tables(cohort, folder)
    write_json(folder / COHORT, vars(facts))
    return evaluate(folder)


def _require_way(folder: Path, resume: bool, hosts: Path | None, tensorboard: bool) -> None:
    """Raises `InputError` where a study of workers is resumed without them, or another one with them; so with logs."""
    file = folder / STUDY
    if not resume or not file.is_file():
        return
    begun = read_json(file)
    over_workers = WORKERS in begun
    if over_workers and hosts is None:
        raise InputError("the study here runs over workers; name them by --workers HOSTS.yaml", file=folder)
    if hosts is not None and not over_workers:
        raise InputError("the study here runs on one machine; leave --workers out, or name a new folder", file=folder)
    if tensorboard and TENSORBOARD not in begun:
        raise InputError("the study here was begun without --tensorboard; leave it out", file=folder)


def _train_here(
    config: StudyConfig,
    folder: Path,
    resume: bool,
    progress: Progress,
    processes: int,
    delay_of: Callable[[Split], float] | None,
    kept: Mapping[str, Any],
) -> Cohort:
    # TensorFlow is imported here: what is wrong with folder and cohort is said first, and fast.
    holds_study(folder, resume)
    cohort = Cohort.open(config.data.cohort)
    splits = make_splits(cohort, config.split)
    progress.say(STARTING)
    from tff_affect.runs.study import run_study

    ceiling = ceiling_of(cohort, config.data, config.rows)
    run_study(config, cohort, splits, folder, resume, progress, ceiling, processes, delay_of, kept=kept)
    return cohort


def evaluate(folder: Path) -> Outcome:
    """Summarises a study from its run folders and writes table and report anew.

    Raises:
        InputError: If the folder holds no finished run.
    """
    results = read_study(folder)
    facts = facts_of(folder)
    privacy, leading = read_privacy(run_folders(folder), results), leading_method(results)
    dimensions = list(dict.fromkeys(results["dimension"]))
    summary = summarise(results, dimensions)
    tests = {d: compare_methods(results, d, leading, "local-only") for d in dimensions}
    records = headline_records(summary, facts.synthetic, privacy)
    write_summary(folder / SUMMARY, records)
    _write_fairness(folder, results, dimensions, facts.synthetic)
    write_model_card(folder, folder, facts)
    comparisons = {d: test for d, test in tests.items() if test is not None}
    return Outcome(facts, summary, records, comparisons, leading, privacy, write_report(folder, facts))


def _write_fairness(folder: Path, results: pd.DataFrame, dimensions: Sequence[str], synthetic: bool) -> None:
    groups = read_groups(folder / GROUPS)
    if groups is not None:
        table = ccc_by_group(results, groups, dimensions).assign(synthetic=synthetic)
        replace_text(folder / FAIRNESS, table.to_csv(index=False, lineterminator="\n"))
