"""Studies: every way of training, over seeds and folds, each into a folder that survives being cut off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tff_affect.cohort import Cohort
from tff_affect.config import DataConfig, StudyConfig
from tff_affect.config_file import save_config
from tff_affect.errors import InputError
from tff_affect.learning.runtime import local_runtime
from tff_affect.processes import resolved_processes
from tff_affect.progress import Progress
from tff_affect.run_folder import (
    CONFIG,
    ENVIRONMENT,
    STUDY,
    check_unlocked,
    environment,
    holds_study,
    locked,
    read_json,
    write_json,
)
from tff_affect.runs.checks import check_guarantees, check_model
from tff_affect.runs.execution import Executors
from tff_affect.runs.parallel import Assignment, run_in_parallel
from tff_affect.runs.planned import Ceiling, DelayOf, PlannedRun, StagingRooms, plan_runs, results_of, runs_left
from tff_affect.splits import Split
from tff_affect.staging import staging_folder

_DELAYS = "delays"
Runtime = Callable[[], AbstractContextManager[Any]]
"""Makes what installs a context of TensorFlow Federated."""


def run_study(
    config: StudyConfig,
    cohort: Cohort,
    splits: Sequence[Split],
    folder: Path,
    resume: bool = False,
    progress: Progress | None = None,
    ceiling: Ceiling | None = None,
    processes: int = 1,
    delay_of: DelayOf | None = None,
    runtime: Runtime = local_runtime,
    kept: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Runs, or continues, one study; see `run_studies`.

    Returns:
        The run folders.
    """
    runs = run_studies({folder: config}, cohort, splits, resume, progress, ceiling, processes, delay_of, runtime, kept)
    return [folder / run.name for run in runs[folder]]


def run_studies(
    studies: Mapping[Path, StudyConfig],
    cohort: Cohort,
    splits: Sequence[Split],
    resume: bool = False,
    progress: Progress | None = None,
    ceiling: Ceiling | None = None,
    processes: int = 1,
    delay_of: DelayOf | None = None,
    runtime: Runtime = local_runtime,
    kept: Mapping[str, Any] | None = None,
) -> dict[Path, list[PlannedRun]]:
    """Runs, or continues, studies that share cohort, windows and splits.

    Args:
        studies: Folder -> what to run there; a folder is new, or with ``resume`` that of the same study.
        cohort: The cohort that ``config.data.cohort`` names, opened.
        splits: Its splits, as `make_splits` gives them.
        resume: Continue what is there.
        progress: Shows how far it is.
        ceiling: For a SYNTHETIC cohort: rows of kind ``attainable`` for a split's test clients.
        processes: Runs carried out side by side, each in a process of its own; 0 is one for each core. The
            results are those of one process.
        delay_of: A split's annotation delay in time units, found without its test clients; ``data.target_delay`` for
            all by default. Written to each run's ``delay.json``; a study that is resumed keeps those it began with.
        runtime: In what computations run where they run in this process.
        kept: What a new study's folder keeps for those who resume it, beside its settings.

    Returns:
        The runs of each study.

    Raises:
        InputError: For anything wrong with the windows or a folder; nothing is written then.
    """
    processes = resolved_processes(processes)
    if not cohort.manifest.labels:
        raise InputError("the cohort has no labels to learn; convert its source with --labels", file=cohort.path)
    begun = [_Study.begin(folder, config, cohort, splits, resume, delay_of) for folder, config in studies.items()]
    left = [(study, run) for study in begun for run in study.left]
    parallel = processes > 1 and len(left) > 1
    with ExitStack() as stack:
        if left:
            data = left[0][0].config.data
            rooms = _rooms(stack, data, cohort, splits)
            if not parallel or data.scaling == "federated":
                stack.enter_context(runtime())
            rooms.staged(left[0][1])
        for study in begun:
            if study.left:
                _start_folder(study, kept or {})
            stack.enter_context(locked(study.folder))
            _check_folder(study.folder, study.facts, resume=True)
        if left:
            work = _Work(cohort, progress or Progress(), ceiling, rooms)
            work.do([(study, run) for study in begun for run in study.left], processes if parallel else 1)
    return {study.folder: study.runs for study in begun}


@dataclass(frozen=True)
class _Study:
    """A study whose settings were checked, and whose folder is new or its own.

    Attributes:
        folder: Where it is.
        config: What it runs.
        facts: What must be the same for it to go on.
        delays: Each split's own annotation delay; None where all have the settings'.
        runs: All of its runs.
    """

    folder: Path
    config: StudyConfig
    facts: dict[str, Any]
    delays: list[float] | None
    runs: list[PlannedRun]

    @classmethod
    def begin(
        cls,
        folder: Path,
        config: StudyConfig,
        cohort: Cohort,
        splits: Sequence[Split],
        resume: bool,
        delay_of: DelayOf | None,
    ) -> _Study:
        """Checks all that can be checked before anything is written."""
        check_model(config)
        facts = study_facts(config, cohort)
        _check_folder(folder, facts, resume)
        check_unlocked(folder)
        delays = _delays(folder, splits, delay_of)
        check_guarantees(config, splits)
        return cls(folder, config, facts, delays, plan_runs(config, splits, delays))

    @property
    def left(self) -> list[PlannedRun]:
        """The runs that lack some method, as their folders say now."""
        return runs_left(self.folder, self.config, self.runs)


def _rooms(stack: ExitStack, data: DataConfig, cohort: Cohort, splits: Sequence[Split]) -> StagingRooms:
    training = sorted({client for split in splits for client in split.train})
    return StagingRooms(cohort, data, stack.enter_context(staging_folder()), training)


@dataclass(frozen=True)
class _Work:
    """What carrying out studies' runs takes, in this process or in others."""

    cohort: Cohort
    progress: Progress
    ceiling: Ceiling | None
    rooms: StagingRooms

    def do(self, runs: Sequence[tuple[_Study, PlannedRun]], processes: int) -> None:
        """Carries out the runs."""
        if processes > 1:
            assignments = [partial(self._assignment, study, run) for study, run in runs]
            run_in_parallel(assignments, self.cohort.path, self.rooms.private, processes, self.progress)
            return
        executors = Executors(self.cohort, self.progress)
        for study, run in runs:
            executors.of(study.config, study.folder).finish(run, self.rooms.staged(run), self.ceiling)

    def _assignment(self, study: _Study, run: PlannedRun) -> Assignment:
        begun = bool(results_of(study.folder / run.name))
        rows = None if self.ceiling is None or begun else self.ceiling(run.split)
        return Assignment(study.config, study.folder, run, self.rooms.staged(run), rows)


def _delays(folder: Path, splits: Sequence[Split], delay_of: DelayOf | None) -> list[float] | None:
    """Each split's own delay: of a study that was begun, those it began with; None where all have the settings'."""
    file = folder / STUDY
    if not file.is_file():
        return None if delay_of is None else [float(delay_of(split)) for split in splits]
    found = read_json(file).get(_DELAYS)
    if found is None and delay_of is not None:
        raise InputError("the study here was started without a delay for each split; name a new folder", file=folder)
    return found


def study_facts(config: StudyConfig, cohort: Cohort) -> dict[str, Any]:
    """What must be the same for a study to go on: settings, data wherever they lie, and software."""
    software = {name: version for name, version in environment().items() if name != "cores"}
    settings = asdict(replace(config, data=replace(config.data, cohort="")))
    return {"cohort": cohort.content_sha256, "environment": software, **settings}


def _check_folder(folder: Path, facts: dict[str, Any], resume: bool) -> None:
    """Raises `InputError` unless the folder is new, or holds this very study and may be resumed."""
    if not holds_study(folder, resume):
        return
    file = folder / STUDY
    found = read_json(file)
    if not isinstance(found, dict):
        raise InputError("expected the settings of a study", file=file)
    differing = [key for key in facts if found.get(key) != facts[key]]
    if differing:
        raise InputError(
            f"the study here was started with another setting of {differing[0]!r}; "
            "resume it unchanged, or name a new folder",
            file=folder,
        )


def _start_folder(study: _Study, kept: Mapping[str, Any]) -> None:
    delays = {} if study.delays is None else {_DELAYS: study.delays}
    folder, facts = study.folder, study.facts | delays | dict(kept)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=folder) from error
    # First what a study is known by: a driver that is killed between two of these files can be resumed.
    if not (folder / STUDY).is_file():
        write_json(folder / STUDY, facts)
    if not (folder / CONFIG).is_file():
        save_config(study.config, folder / CONFIG)
    if not (folder / ENVIRONMENT).is_file():
        write_json(folder / ENVIRONMENT, environment())
