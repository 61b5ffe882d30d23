"""A study: every way of training, over seeds and folds, into one folder that survives being cut off."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tff_affect.client_data import check_windows
from tff_affect.cohort import Cohort
from tff_affect.config import METHODS, StudyConfig, save_config
from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import RESULTS, read_results, write_results
from tff_affect.learning.runtime import local_runtime
from tff_affect.learning.scaling import stage_for_split
from tff_affect.methods import Learners, Row, Run
from tff_affect.progress import Progress
from tff_affect.run_folder import (
    CONFIG,
    ENVIRONMENT,
    SPLIT,
    STUDY,
    RunFolder,
    environment,
    locked,
    read_json,
    write_json,
)
from tff_affect.splits import Split
from tff_affect.staging import staging_folder

Ceiling = Callable[[Split], list[Row]]


def run_study(
    config: StudyConfig,
    cohort: Cohort,
    splits: Sequence[Split],
    folder: Path,
    resume: bool = False,
    progress: Progress | None = None,
    ceiling: Ceiling | None = None,
) -> list[Path]:
    """Runs, or continues, a study.

    Args:
        config: What to run.
        cohort: The cohort that ``config.data.cohort`` names, opened.
        splits: Its splits, as `make_splits` gives them.
        folder: Where; new, or with ``resume`` that of the same study.
        resume: Continue what is there.
        progress: Shows how far it is.
        ceiling: For a SYNTHETIC cohort: rows of kind ``attainable`` for a split's test clients.

    Returns:
        The run folders.

    Raises:
        InputError: For anything wrong with the windows or the folder; nothing is written then.
    """
    if not cohort.manifest.labels:
        raise InputError("the cohort has no labels to learn; convert its source with --labels", file=cohort.path)
    facts = _facts(config, cohort)
    _check_folder(folder, facts, resume)
    runs: list[Path] = []
    learners: Learners | None = None
    with ExitStack() as stack:
        private = stack.enter_context(staging_folder())
        stack.enter_context(local_runtime())
        for fold, split in enumerate(splits):
            if learners is None or config.data.scaling == "federated":
                place = private / str(fold)
                place.mkdir(mode=0o700)
                learners = Learners.build(stage_for_split(cohort, place, config.data, split.train), config)
            if not runs:
                check_windows(learners.staged, sorted({client for each in splits for client in each.train}))
                _start_folder(folder, config, facts)
                stack.enter_context(locked(folder))
                _check_folder(folder, facts, resume=True)
            for seed in config.seeds:
                name = _run_name(config, splits, seed, fold)
                run_folder = RunFolder(folder / name, cohort.manifest.labels)
                run = Run(name or "run", config, seed, split, cohort, learners, run_folder, progress or Progress())
                _finish(run, ceiling)
                runs.append(run_folder.path)
    return runs


def _facts(config: StudyConfig, cohort: Cohort) -> dict[str, Any]:
    """What must be the same for a study to go on: settings, data wherever they lie, and software."""
    software = {name: version for name, version in environment().items() if name != "cores"}
    settings = asdict(replace(config, data=replace(config.data, cohort="")))
    return {"cohort": cohort.content_sha256, "environment": software, **settings}


def _run_name(config: StudyConfig, splits: Sequence[Split], seed: int, fold: int) -> str:
    if len(splits) > 1:
        return f"seed-{seed}_fold-{fold}"
    return f"seed-{seed}" if len(config.seeds) > 1 else ""


def _check_folder(folder: Path, facts: dict[str, Any], resume: bool) -> None:
    """Raises `InputError` unless the folder is new, or holds this very study and may be resumed."""
    _require_writable(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not resume:
        raise InputError("the folder is not empty; name a new one, or add --resume to continue a study", file=folder)
    file = folder / STUDY
    if not file.is_file():
        raise InputError("there is no study to resume here", file=folder)
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


def _require_writable(folder: Path) -> None:
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise InputError("cannot write here; name a folder that can be made or is yours", file=folder)


def _start_folder(folder: Path, config: StudyConfig, facts: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=folder) from error
    # First what a study is known by: a driver that is killed between two of these files can be resumed.
    if not (folder / STUDY).is_file():
        write_json(folder / STUDY, facts)
    if not (folder / CONFIG).is_file():
        save_config(config, folder / CONFIG)
    if not (folder / ENVIRONMENT).is_file():
        write_json(folder / ENVIRONMENT, environment())


def _finish(run: Run, ceiling: Ceiling | None) -> None:
    """Computes the methods of a run that are not in its results yet."""
    file = run.folder.path / RESULTS
    run.split.write(run.folder.path / SPLIT)
    rows: list[Row] = read_results(file).to_dict("records") if file.is_file() else []  # type: ignore[assignment]
    done = {row["method"] for row in rows if row["kind"] == "measured"}
    if ceiling is not None and not done:
        rows = [row for row in ceiling(run.split) if row["method"] in run.config.methods]
    for method in (m for m in METHODS if m in run.config.methods and m not in done):
        rows += run.rows(method)
        write_results(file, sorted(rows, key=_row_order))


def _row_order(row: Mapping[str, Any]) -> tuple[int, str, str, str]:
    return METHODS.index(row["method"]), row["kind"], row["model"], row["client"]
