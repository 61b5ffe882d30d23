"""Train, summarise, report: what ``tff-affect train`` and ``tff-affect demo`` run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.attainable import ceiling_of
from tff_affect.cohort import Cohort
from tff_affect.config import StudyConfig
from tff_affect.errors import InputError
from tff_affect.evaluation.comparison import compare_methods
from tff_affect.evaluation.per_client import read_study, run_folders, summarise
from tff_affect.evaluation.statistics import PairedComparison
from tff_affect.progress import Progress
from tff_affect.report.html import write_report
from tff_affect.report.privacy import StudyPrivacy, read_privacy
from tff_affect.report.study import CohortFacts, leading_method
from tff_affect.report.tables import headline_records, write_summary
from tff_affect.run_folder import COHORT, STUDY, WORKERS, read_json, write_json
from tff_affect.splits import Split, make_splits
from tff_affect.staging import private_temporary_files

SUMMARY = "summary.csv"


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
) -> Outcome:
    """Runs or resumes a study and writes ``summary.csv`` and ``report.html`` into its folder.

    Args:
        config: What to run.
        folder: Where.
        resume: Continue what is there.
        progress: Shows how far it is.
        processes: Runs carried out side by side.
        delay_of: Each split's own annotation delay; ``data.target_delay`` for all by default.
        hosts: The file that lists the workers, where those hold the data; ``config.data.cohort`` is not read then.

    Raises:
        InputError: For anything wrong with cohort, configuration or folder.
    """
    _require_way(folder, resume, hosts)
    with private_temporary_files():
        if hosts is None:
            manifest = _train_here(config, folder, resume, progress, processes, delay_of).manifest
        else:
            from tff_affect.runs.remote import run_remote_study

            manifest = run_remote_study(config, hosts, folder, resume, progress).manifest
    facts = CohortFacts(
        manifest.name, manifest.synthetic, len(manifest.subjects), manifest.frame_rate, manifest.time_unit
    )
    write_json(folder / COHORT, vars(facts))
    return evaluate(folder)


def _require_way(folder: Path, resume: bool, hosts: Path | None) -> None:
    """Raises `InputError` where a study of workers is resumed without them, or another one with them."""
    file = folder / STUDY
    if not resume or not file.is_file():
        return
    over_workers = WORKERS in read_json(file)
    if over_workers and hosts is None:
        raise InputError("the study here runs over workers; name them by --workers HOSTS.yaml", file=folder)
    if hosts is not None and not over_workers:
        raise InputError("the study here runs on one machine; leave --workers out, or name a new folder", file=folder)


def _train_here(
    config: StudyConfig,
    folder: Path,
    resume: bool,
    progress: Progress | None,
    processes: int,
    delay_of: Callable[[Split], float] | None,
) -> Cohort:
    # TensorFlow is imported here: what is wrong with the cohort is said first, and fast.
    cohort = Cohort.open(config.data.cohort)
    splits = make_splits(cohort, config.split)
    from tff_affect.runs.study import run_study

    ceiling = ceiling_of(cohort, config.data, config.rows)
    run_study(config, cohort, splits, folder, resume, progress, ceiling, processes, delay_of)
    return cohort


def evaluate(folder: Path) -> Outcome:
    """Summarises a study from its run folders and writes table and report anew.

    Raises:
        InputError: If the folder holds no finished run.
    """
    results = read_study(folder)
    facts = _facts(folder)
    privacy, leading = read_privacy(run_folders(folder), results), leading_method(results)
    dimensions = list(dict.fromkeys(results["dimension"]))
    summary = summarise(results, dimensions)
    tests = {d: compare_methods(results, d, leading, "local-only") for d in dimensions}
    records = headline_records(summary, facts.synthetic, privacy)
    write_summary(folder / SUMMARY, records)
    comparisons = {d: test for d, test in tests.items() if test is not None}
    return Outcome(facts, summary, records, comparisons, leading, privacy, write_report(folder, facts))


def _facts(folder: Path) -> CohortFacts:
    file = folder / COHORT
    try:
        return CohortFacts(**read_json(file))
    except TypeError as error:
        raise InputError("expected the facts that training wrote; train into a new folder", file=file) from error
