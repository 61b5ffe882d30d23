"""Which runs a study has by its settings, and which of them are not there: a study that was cut off is no whole one."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import RESULTS, run_folders
from tff_affect.run_folder import SPLIT, STUDY, read_json
from tff_affect.splits import read_partitions

_SHOWN = 4


def run_name(seed: int, fold: int, seeds: int, folds: int) -> str:
    """A run's folder below the study's; empty where the study is this one run.

    Args:
        seed: Training seed.
        fold: Number of the split.
        seeds: How many the study has.
        folds: How many splits.
    """
    if folds > 1:
        return f"seed-{seed}_fold-{fold}"
    return f"seed-{seed}" if seeds > 1 else ""


def missing_runs(study: Path) -> list[str]:
    """Names of the runs that a study's settings ask for and that have no results, fold by fold.

    Args:
        study: The study's folder. That of a single run of several has no ``study.json``, and misses nothing.

    Raises:
        InputError: If ``study.json`` names no seeds or folds as training writes them, or a split is unreadable.
    """
    file = study / STUDY
    settings = read_json(file) if file.is_file() else {}
    if not isinstance(settings, dict):
        raise InputError("expected the settings of a study; train into a new folder", file=file)
    if "seeds" not in settings or "split" not in settings:
        return []
    seeds, folds = settings["seeds"], _folds(settings["split"], study)
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise _wrong("seeds", seeds, file)
    names = [run_name(seed, fold, len(seeds), folds) for fold in range(folds) for seed in seeds]
    return [name for name in names if not (study / name / RESULTS).is_file()]


def named_runs(names: Sequence[str]) -> str:
    """The first few, for a message."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _folds(split: Any, study: Path) -> int:
    scheme = split.get("scheme") if isinstance(split, dict) else None
    if not isinstance(scheme, str):
        raise _wrong("split", split, study / STUDY)
    if scheme == "k-fold":
        folds = split.get("folds")
        if type(folds) is not int or not 1 < folds <= 10_000:
            raise _wrong("split.folds", folds, study / STUDY)
        return folds
    if scheme == "loso":
        _, _, run = run_folders(study)[0]
        if not (run / SPLIT).is_file():
            return 0
        # Every subject is in some partition of every split, and tested in one.
        return len({each for part in read_partitions(run / SPLIT).values() for each in part})
    return 1


def _wrong(name: str, value: Any, file: Path) -> InputError:
    return InputError(f"{name}: expected what training writes, found {reprlib.repr(value)}; do not edit it", file=file)
