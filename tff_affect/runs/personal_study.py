"""Personalisation of a finished study: every run of it, every way, into a folder that survives being cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from tff_affect.cohort import Cohort
from tff_affect.errors import DivergedError, InputError
from tff_affect.evaluation.per_client import run_folders
from tff_affect.evaluation.personalised import rows_of, write_personalised
from tff_affect.learning.personalization_config import WAYS, PersonalizationConfig
from tff_affect.learning.runtime import local_runtime
from tff_affect.models.network import Network
from tff_affect.progress import Progress, Task
from tff_affect.run_folder import STUDY, WORKERS, check_unlocked, locked, read_json, write_json
from tff_affect.runs.audit.audited import AuditedRun
from tff_affect.runs.expected import missing_runs, named_runs
from tff_affect.runs.learners import SOLVED
from tff_affect.runs.personal import BEFORE, Personalizer, PersonalRun
from tff_affect.runs.personal_parts import PARTS, Part
from tff_affect.runs.planned import DELAY, PlannedRun, StagingRooms
from tff_affect.splits import Split
from tff_affect.staging import staging_folder

SETTINGS = "settings.json"


@dataclass(frozen=True)
class PersonalStudy:
    """A study whose runs can be personalised, all of which was checked.

    Attributes:
        runs: Its runs.
        folds: Number of the split of each.
        personal: What is tried.
    """

    runs: tuple[AuditedRun, ...]
    folds: tuple[int, ...]
    personal: PersonalizationConfig

    @classmethod
    def open(cls, study: Path, personal: PersonalizationConfig, cohort: Path | None = None) -> PersonalStudy:
        """Opens a finished study.

        Args:
            study: Its folder.
            personal: What is tried.
            cohort: Where its cohort lies now; where it lay by default.

        Raises:
            InputError: If a run of it is missing, the cohort is gone or another one, workers hold the data, or there
                is no model that can be adapted.
        """
        for place in (study, study.parent):
            if (place / STUDY).is_file() and WORKERS in read_json(place / STUDY):
                raise InputError("its workers hold the data; personalisation needs a study of one machine", file=study)
        missing = missing_runs(study)
        if missing:
            raise InputError(
                f"the study is unfinished: there are no results of {named_runs(missing)}; finish it with 'tff-affect "
                "train FOLDER --resume'",
                file=study,
            )
        runs = AuditedRun.of_study(study, cohort)
        found = cls(tuple(runs), tuple(fold for _, fold, _ in run_folders(study)), personal)
        name = runs[0].config.model.name
        if name in SOLVED:
            raise InputError(f"model.name: {name} is solved from sums, not trained by steps; nothing can be fine-tuned")
        for run in runs:
            if personal.method not in run.methods:
                kept = ", ".join(m for m in run.methods if m.startswith("federated")) or "none"
                raise InputError(
                    f"expected the weights of {personal.method!r}, found those of: {kept}; name another --method, or "
                    "run the study to its end",
                    file=run.folder,
                )
        return found

    @property
    def cohort(self) -> Cohort:
        """The study's."""
        return self.runs[0].cohort

    @property
    def gap(self) -> int:
        """Frames left out after the support part, beside the annotation delay."""
        return round(self.personal.gap * self.cohort.manifest.frame_rate)

    def personalise(self, folder: Path, progress: Progress) -> pd.DataFrame:
        """Carries out what is not there yet, and writes ``personalised.csv`` and ``settings.json``.

        Further ways that an earlier personalisation with the same settings carried out for every run stay in them.

        Args:
            folder: New, empty, or of an earlier personalisation.
            progress: Shows how far it is.

        Returns:
            The table, as of `tff_affect.evaluation.personalised.read_personalised`.

        Raises:
            InputError: If the folder holds something else, another process works on it, or recordings are too short.
            DivergedError: If adaptation left the finite numbers.
        """
        _require_own(folder)
        with ExitStack() as stack:
            if self.runs[0].config.data.scaling == "federated":
                stack.enter_context(local_runtime())
            staged = _Staged(self, stack.enter_context(staging_folder()))
            parted = [staged.parted(place) for place in range(len(self.runs))]
            for run, (personalizer, split, _) in zip(self.runs, parted, strict=True):
                self._run(run, split, personalizer)
            # From here on nothing is refused that is wrong with the study: a folder is made, or changed.
            stack.enter_context(_own_folder(folder))
            ways = self._ways(folder, parted)
            left_out = {name: reason for _, _, faults in parted for name, reason in faults.items()}
            if self.runs[0].config.data.scaling != "federated" and self._left(folder, parted):
                stack.enter_context(local_runtime())
            rows, choices = self._rows(folder, parted, ways, progress)
            frame = write_personalised(folder, rows)
            write_json(folder / SETTINGS, self._settings(ways, choices, left_out))
        return frame

    def _part(self, folder: Path, run: AuditedRun, way: str, split: Split) -> Part:
        return Part.of(folder, run, way, split.test, self.personal)

    def _ways(self, folder: Path, parted: Sequence[_Parted]) -> tuple[str, ...]:
        """Those asked for, and those that are there already for every run, in the order of ``WAYS``."""

        def is_kept(way: str) -> bool:
            parts = zip(self.runs, parted, strict=True)
            return all(self._part(folder, run, way, split).read() is not None for run, (_, split, _) in parts)

        return tuple(way for way in WAYS if way in self.personal.ways or is_kept(way))

    def _left(self, folder: Path, parted: Sequence[_Parted]) -> bool:
        return any(
            self._part(folder, run, way, split).read() is None
            for run, (_, split, _) in zip(self.runs, parted, strict=True)
            for way in (BEFORE, *self.personal.ways)
        )

    def _rows(
        self, folder: Path, parted: Sequence[_Parted], ways: Sequence[str], progress: Progress
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        rows: list[dict[str, Any]] = []
        choices: list[dict[str, Any]] = []
        with progress.task("personalisation", (1 + len(ways)) * len(self.runs)) as task:
            for run, fold, (personalizer, split, _) in zip(self.runs, self.folds, parted, strict=True):
                found = {
                    way: self._kept_or_done(folder, run, way, personalizer, split, task) for way in (BEFORE, *ways)
                }
                for way in ways:
                    before, after = (found[each]["statistics"] for each in (BEFORE, way))
                    _require_same_frames(before, after, way)
                    labels = run.cohort.manifest.labels
                    rows += rows_of(run.seed, fold, way, split.test, labels, before, after)
                    choices.append({"seed": run.seed, "fold": fold, "way": way, **found[way]["chosen"]})
        return rows, choices

    def _kept_or_done(
        self, folder: Path, run: AuditedRun, way: str, personalizer: Personalizer, split: Split, task: Task
    ) -> dict[str, Any]:
        part, name = self._part(folder, run, way, split), f"{run.name} {way}"
        found = part.read()
        if found is None:
            task.advance(name, steps=0)
            done = personalizer.scored(way, self._run(run, split, personalizer), _rounds_of(task, name))
            part.write(done.statistics, done.chosen)
            found = {"statistics": done.statistics, "chosen": dict(done.chosen)}
        task.advance(name)
        return found

    def _run(self, run: AuditedRun, split: Split, personalizer: Personalizer) -> PersonalRun:
        weights, config = run.weights(self.personal.method), run.trained_as(self.personal.method)
        expected = [tuple(spec.shape) for spec in Network(config.model, personalizer.shape).weight_specs]
        if [w.shape for w in weights] != expected:
            raise InputError("expected weights of the study's network, found others; train it again", file=run.folder)
        return PersonalRun(run.seed, split, config, weights)

    def _settings(
        self, ways: Sequence[str], choices: Sequence[dict[str, Any]], left_out: dict[str, str]
    ) -> dict[str, Any]:
        manifest = self.cohort.manifest
        return {
            "cohort": manifest.name,
            "synthetic": manifest.synthetic,
            "time_unit": manifest.time_unit,
            "method": self.personal.method,
            "share": self.personal.share,
            "gap": self.personal.gap,
            "annotation_delay": sorted({run.config.data.target_delay for run in self.runs}),
            "scaling": self.runs[0].config.data.scaling,
            "ways": list(ways),
            "learning_rates": list(self.personal.learning_rates),
            "passes": list(self.personal.passes),
            "clusters": self.personal.clusters,
            "reconstruction_passes": self.personal.reconstruction_passes,
            "left_out": left_out,
            "choices": list(choices),
        }


_Parted = tuple[Personalizer, Split, dict[str, str]]
"""What carries out a run's ways, its split without clients whose recordings are too short, and why these are."""


class _Staged:
    """Staged sequences, and what is built on them, shared by all runs that can."""

    def __init__(self, study: PersonalStudy, private: Path) -> None:
        self._study = study
        training = sorted({client for run in study.runs for client in run.split.train})
        data = study.runs[0].config.data
        self._rooms = StagingRooms(study.cohort, data, private, training)
        self._built: dict[Path, Personalizer] = {}

    def parted(self, place: int) -> _Parted:
        """For a run, by its place in the study."""
        study, run = self._study, self._study.runs[place]
        delay = run.config.data.target_delay if (run.folder / DELAY).is_file() else None
        staged = self._rooms.staged(PlannedRun(run.name, study.folds[place], run.seed, run.split, delay))
        if staged.folder not in self._built:
            self._built[staged.folder] = Personalizer(staged, run.config, study.personal, study.gap)
        found = self._built[staged.folder]
        faults = found.faults([*run.split.train, *run.split.development, *run.split.test])
        return found, _without(run.split, faults), faults


def _without(split: Split, faults: dict[str, str]) -> Split:
    """The split of those whose recordings can be parted."""
    for name in ("train", "development", "test"):
        clients = getattr(split, name)
        if all(client in faults for client in clients):
            raise InputError(
                f"every {name} client's recording is too short to be parted: {faults[clients[0]]}; change --share, or "
                "train with shorter windows",
                subject=clients[0],
            )
        split = replace(split, **{name: tuple(client for client in clients if client not in faults)})
    return split


def _require_same_frames(before: Any, after: Any, way: str) -> None:
    if (before[..., 0] != after[..., 0]).any():
        raise DivergedError(f"{way}: a test client's adapted model is no longer finite; offer smaller learning rates")


def _rounds_of(task: Task, name: str) -> Callable[[], None]:
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        task.advance(f"{name}, round {done}", steps=0)

    return advance


def _require_own(folder: Path) -> None:
    """Raises `InputError` if the folder holds something else, or another process works on it; nothing is written."""
    if folder.exists() and not folder.is_dir():
        raise InputError(
            "expected a folder for the personalisation, found a file; name another with --out", file=folder
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / PARTS).is_dir():
        raise InputError("the folder is not empty and holds no personalisation; name a new one with --out", file=folder)
    check_unlocked(folder)


@contextmanager
def _own_folder(folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps a second personalisation out of it.

    Raises:
        InputError: If it cannot be made, or another process works on it.
    """
    try:
        (folder / PARTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=folder) from error
    with locked(folder):
        yield
