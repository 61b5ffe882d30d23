"""The runs of a study: which there are, what is left of each, and the staged sequences that they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tff_affect.client_data import StagedCohort, check_windows
from tff_affect.cohort import Cohort
from tff_affect.config import METHODS, DataConfig, StudyConfig
from tff_affect.evaluation.per_client import RESULTS, read_results
from tff_affect.learning.scaling import serve_for_split, stage_for_split
from tff_affect.remote_cohort import RemoteCohort
from tff_affect.runs.expected import run_name
from tff_affect.splits import Split

DELAY = "delay.json"
Row = dict[str, Any]
Ceiling = Callable[[Split], list[Row]]
DelayOf = Callable[[Split], float]


@dataclass(frozen=True)
class PlannedRun:
    """One seed on one split.

    Attributes:
        name: Its folder below the study's; empty where the study is this one run.
        fold: Number of the split.
        seed: Training seed.
        split: Who trains, develops and tests.
        delay: Time units by which the labels lag behaviour on this split; None for the configuration's.
    """

    name: str
    fold: int
    seed: int
    split: Split
    delay: float | None = None


def plan_runs(config: StudyConfig, splits: Sequence[Split], delays: Sequence[float] | None = None) -> list[PlannedRun]:
    """All runs of a study, fold by fold, so that runs of one split follow each other.

    Args:
        config: The study's configuration.
        splits: Its splits.
        delays: The annotation delay of each split; None where all have the configuration's.
    """
    counts = len(config.seeds), len(splits)
    return [
        PlannedRun(run_name(seed, fold, *counts), fold, seed, split, None if delays is None else delays[fold])
        for fold, split in enumerate(splits)
        for seed in config.seeds
    ]


def results_of(folder: Path) -> list[Row]:
    """Rows of a run's ``results.csv``; none where it has not got so far.

    Raises:
        InputError: If the file is unreadable.
    """
    file = folder / RESULTS
    return read_results(file).to_dict("records") if file.is_file() else []  # type: ignore[return-value]


def methods_left(config: StudyConfig, rows: Sequence[Row]) -> list[str]:
    """Methods of the configuration that a run's rows do not hold yet, in the order of ``METHODS``."""
    done = {row["method"] for row in rows if row["kind"] == "measured"}
    return [method for method in METHODS if method in config.rows and method not in done]


def runs_left(folder: Path, config: StudyConfig, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs of the study in ``folder`` that lack some method.

    Raises:
        InputError: If the results of one are unreadable.
    """
    return [run for run in runs if methods_left(config, results_of(folder / run.name))]


class StagingRooms:
    """Staged sequences, made once for all runs that can share them.

    Runs share a room unless scaling is fitted on each split's training clients, or their splits have other delays.

    Args:
        cohort: The cohort.
        data: The study's settings of windows and scaling.
        private: Folder for the rooms.
        training: Every client that trains in some run; each must have a window to learn from.
    """

    def __init__(self, cohort: Cohort, data: DataConfig, private: Path, training: Sequence[str]) -> None:
        self.private = private
        self._cohort, self._data = cohort, data
        self._training = tuple(training)
        self._rooms: dict[tuple[int, float | None], StagedCohort] = {}
        self._checked: set[float | None] = set()

    def staged(self, run: PlannedRun) -> StagedCohort:
        """The sequences of a run. Federated scaling needs a runtime.

        Raises:
            InputError: If a training client has no usable window, or the delay leaves a subject without labels.
        """
        key = (run.fold if self._data.scaling == "federated" else 0, run.delay)
        if key not in self._rooms:
            data = self._data if run.delay is None else replace(self._data, target_delay=run.delay)
            self._rooms[key] = self._prepared(data, run.split.train)
        if run.delay not in self._checked:
            check_windows(self._rooms[key], self._training)
            self._checked.add(run.delay)
        return self._rooms[key]

    def _prepared(self, data: DataConfig, train: Sequence[str]) -> StagedCohort:
        if isinstance(self._cohort, RemoteCohort):
            return serve_for_split(self._cohort, data, train)
        place = self.private / str(len(self._rooms))
        place.mkdir(mode=0o700)
        return stage_for_split(self._cohort, place, data, train)
