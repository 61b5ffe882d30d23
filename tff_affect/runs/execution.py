"""Carries out planned runs in this process, one after another."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from tff_affect.client_data import StagedCohort
from tff_affect.cohort import Cohort
from tff_affect.config import METHODS, StudyConfig
from tff_affect.evaluation.per_client import RESULTS, write_results
from tff_affect.progress import Progress
from tff_affect.run_folder import SCALING, SPLIT, STUDY, TENSORBOARD, RunFolder, read_json, write_json
from tff_affect.runs.checks import check_window_delta
from tff_affect.runs.methods import Learners, Run
from tff_affect.runs.planned import DELAY, Ceiling, PlannedRun, methods_left, results_of


class RunExecutor:
    """Finishes runs; what trains and evaluates is built once and serves all runs on the same staged sequences.

    Args:
        config: The study's configuration.
        cohort: Its cohort.
        study: The study's folder.
        progress: Shows how far a run is.
    """

    def __init__(self, config: StudyConfig, cohort: Cohort, study: Path, progress: Progress) -> None:
        self._config, self._cohort, self._study, self._progress = config, cohort, Path(study), progress
        self._learners: Learners | None = None

    def finish(self, run: PlannedRun, staged: StagedCohort, ceiling: Ceiling | None) -> None:
        """Computes the methods of a run that are not in its results yet."""
        folder = RunFolder(self._study / run.name, self._cohort.manifest.labels, self._tensorboard)
        self._describe(run, staged, folder)
        rows = results_of(folder.path)
        left = methods_left(self._config, rows)
        if ceiling is not None and not rows:
            rows = [row for row in ceiling(run.split) if row["method"] in self._config.rows]
        work = self._work(run, staged, folder) if left else None
        for method in left:
            rows += work.rows(method) if work is not None else []
            write_results(folder.path / RESULTS, sorted(rows, key=_row_order))

    @cached_property
    def _tensorboard(self) -> bool:
        file = self._study / STUDY
        return file.is_file() and bool(read_json(file).get(TENSORBOARD))

    def _describe(self, run: PlannedRun, staged: StagedCohort, folder: RunFolder) -> None:
        run.split.write(folder.path / SPLIT)
        if run.delay is not None:
            unit = self._cohort.manifest.time_unit
            write_json(folder.path / DELAY, {"delay": run.delay, "unit": unit, "frames": staged.delay})
        if staged.scaling is not None:
            write_json(folder.path / SCALING, staged.scaling.to_json())

    def _work(self, run: PlannedRun, staged: StagedCohort, folder: RunFolder) -> Run:
        check_window_delta(self._config, staged, run.split)
        if self._learners is None or self._learners.staged != staged:
            self._learners = Learners.build(staged, self._config)
        return Run(
            name=run.name or "run", config=self._config, seed=run.seed, split=run.split, cohort=self._cohort,
            learners=self._learners, folder=folder, progress=self._progress,
        )  # fmt: skip


class Executors:
    """The executor of the study at hand; that of another one takes its place.

    Args:
        cohort: The studies' cohort.
        progress: Shows how far a run is.
    """

    def __init__(self, cohort: Cohort, progress: Progress) -> None:
        self._cohort, self._progress = cohort, progress
        self._current: tuple[StudyConfig, Path, RunExecutor] | None = None

    def of(self, config: StudyConfig, study: Path) -> RunExecutor:
        """The executor of a study."""
        if self._current is None or self._current[:2] != (config, study):
            self._current = (config, study, RunExecutor(config, self._cohort, study, self._progress))
        return self._current[2]


def _row_order(row: Mapping[str, Any]) -> tuple[int, str, str, str]:
    return METHODS.index(row["method"]), row["kind"], row["model"], row["client"]
