"""What two studies must have in common before their numbers stand side by side.

The same cohort (by content), label dimensions, protocol and splits, and the same scored frames and gold standard of
each test client. Model, training and privacy may differ: these are what is compared. Seeds of training may differ too;
then the seeds that all have are compared.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import read_study, run_folders
from tff_affect.run_folder import COHORT, SPLIT, STUDY, read_json
from tff_affect.splits import read_partitions

PROTOCOL = {
    "window": "frames per window",
    "hop": "frames from window to window",
    "target": "what a target stands for",
    "scaling": "how features are scaled",
    "target_delay": "annotation delay",
    "minimum_valid": "share of valid frames that a window needs",
}
"""Settings of ``data`` that change which frames are scored, or what a model is told of them -> words for them."""
_PARTITIONS = ("train", "development", "test")
_GOLD = ("n", "mean_gold", "m2_gold")
_CLOSE = 1e-6
Run = tuple[int, int]


@dataclass(frozen=True)
class ComparedStudy:
    """A study as it is compared.

    Attributes:
        name: The folder's name, with a number where another study has the same; never a path.
        folder: The folder.
        cohort: The cohort's name.
        synthetic: Whether the cohort is generated.
        settings: ``study.json``.
        runs: Folder of each run, by seed and fold.
        results: Of all runs, as `tff_affect.evaluation.per_client.read_study` gives them.
    """

    name: str
    folder: Path
    cohort: str
    synthetic: bool
    settings: Mapping[str, Any]
    runs: Mapping[Run, Path]
    results: pd.DataFrame

    @property
    def seeds(self) -> set[int]:
        """Seeds with results."""
        return {seed for seed, _ in self.runs}

    @property
    def dimensions(self) -> list[str]:
        """Label dimensions, in the order of the results."""
        return list(dict.fromkeys(self.results["dimension"]))

    def of_seeds(self, seeds: Sequence[int]) -> ComparedStudy:
        """The study as if it had only these seeds."""
        runs = {run: folder for run, folder in self.runs.items() if run[0] in seeds}
        results = self.results[self.results["seed"].isin(list(seeds))]
        return ComparedStudy(self.name, self.folder, self.cohort, self.synthetic, self.settings, runs, results)


def open_studies(folders: Sequence[Path]) -> list[ComparedStudy]:
    """Reads studies; a run of a study counts as a study of that run alone.

    Raises:
        InputError: If one is no finished study, or is named twice.
    """
    places = [Path(folder).resolve() for folder in folders]
    twice = next((folder for i, folder in enumerate(folders) if places[i] in places[:i]), None)
    if twice is not None:
        raise InputError("named twice; expected different studies", file=twice)
    return [_open(Path(folder), name) for folder, name in zip(folders, study_names(places), strict=True)]


def study_names(places: Sequence[Path]) -> list[str]:
    """What studies are called: their folders' names, those after the first of a name with a number."""
    names: list[str] = []
    for place in places:
        base = "".join(letter if letter.isprintable() else "?" for letter in place.name) or "study"
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base} ({number})"
        names.append(name)
    return names


def _open(folder: Path, name: str) -> ComparedStudy:
    results = read_study(folder)
    runs = {(seed, fold): place for seed, fold, place in run_folders(folder)}
    # One run's facts are those of its study, a folder above.
    home = folder if (folder / STUDY).is_file() else folder.resolve().parent
    home = home if (home / STUDY).is_file() else folder
    settings, facts = read_json(home / STUDY), read_json(home / COHORT)
    for found, file, keys in (
        (settings, home / STUDY, ("cohort", "data", "split", "postprocess")),
        (facts, home / COHORT, ("name", "synthetic")),
    ):
        absent = next((key for key in keys if not isinstance(found, dict) or key not in found), None)
        if absent is not None:
            raise InputError(f"expected {absent!r}, as training writes it; train into a new folder", file=file)
    if not isinstance(settings["data"], dict) or not isinstance(facts["synthetic"], bool):
        raise InputError("expected what training writes; train into a new folder", file=home / STUDY)
    steps = settings["postprocess"]
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        raise InputError(
            f"postprocess: expected a list of names, found {reprlib.repr(steps)}; train into a new folder",
            file=home / STUDY,
        )
    return ComparedStudy(name, folder, str(facts["name"]), facts["synthetic"], settings, runs, results)


def comparable(studies: Sequence[ComparedStudy], kind: str | None = None) -> list[ComparedStudy]:
    """The studies, with the seeds that all of them have.

    Args:
        studies: At least two, as `open_studies` gives them.
        kind: The kind of numbers that is compared, where it is one; post-processing may differ unless it is that.

    Raises:
        InputError: For the first thing that two of them do not have in common, with both values.
    """
    seeds = sorted(set.intersection(*(study.seeds for study in studies)))
    first, *others = studies
    for other in others:
        _require_protocol(first, other, kind)
    if not seeds:
        shown = "; ".join(f"{study.name}: {', '.join(map(str, sorted(study.seeds)))}" for study in studies)
        raise InputError(f"expected seeds in common, found none ({shown}); train the same seeds")
    first, *others = shared = [study.of_seeds(seeds) for study in studies]
    for other in others:
        _require_splits(first, other)
        _require_gold(first, other)
    return shared


def _refuse(what: str, first: ComparedStudy, other: ComparedStudy, values: tuple[object, object]) -> None:
    """Raises `InputError` unless both values are equal."""
    if values[0] != values[1]:
        raise InputError(
            f"cannot compare studies that differ in {what}: {first.name} has {values[0]}, {other.name} has "
            f"{values[1]}; compare studies that have it in common"
        )


def _require_protocol(first: ComparedStudy, other: ComparedStudy, kind: str | None) -> None:
    hashes = [str(study.settings["cohort"]) for study in (first, other)]
    shown = [f"{study.cohort} ({found[:12]})" for study, found in zip((first, other), hashes, strict=True)]
    if hashes[0] != hashes[1]:
        _refuse("cohort (by content)", first, other, (shown[0], shown[1]))
    _refuse("label dimensions", first, other, (", ".join(first.dimensions), ", ".join(other.dimensions)))
    for setting, words in PROTOCOL.items():
        values = [study.settings["data"].get(setting) for study in (first, other)]
        _refuse(f"{words} (data.{setting})", first, other, (values[0], values[1]))
    delays = [study.settings.get("delays") for study in (first, other)]
    _refuse("the annotation delay of each split", first, other, (delays[0], delays[1]))
    if kind in (None, "post-processed"):
        chains = [", ".join(study.settings["postprocess"]) or "none" for study in (first, other)]
        hint = " (--kind measured compares the predictions before it)" if kind is None else ""
        _refuse(f"post-processing{hint}", first, other, (chains[0], chains[1]))


def _require_splits(first: ComparedStudy, other: ComparedStudy) -> None:
    for seed in sorted(first.seeds):
        folds = [sorted(fold for s, fold in study.runs if s == seed) for study in (first, other)]
        shown = [f"folds {', '.join(map(str, found))}" for found in folds]
        _refuse(f"folds of seed {seed} (is one unfinished?)", first, other, (shown[0], shown[1]))
    for run, folder in first.runs.items():
        a, b = _split(folder / SPLIT), _split(other.runs[run] / SPLIT)
        for partition in _PARTITIONS:
            _require_clients(first, other, f"seed {run[0]}, fold {run[1]}, partition {partition}", a, b, partition)


def _require_clients(
    first: ComparedStudy, other: ComparedStudy, where: str, a: Mapping[str, str], b: Mapping[str, str], partition: str
) -> None:
    for client in sorted({name for name, part in (*a.items(), *b.items()) if part == partition}):
        words = [found.get(client, "no partition") for found in (a, b)]
        if words[0] != words[1]:
            raise InputError(
                f"cannot compare studies of different splits: {where}: client {client} is in {words[0]} of "
                f"{first.name}, in {words[1]} of {other.name}; train both on one split (split.seed, split.scheme, "
                "split.folds)"
            )


def _split(file: Path) -> dict[str, str]:
    """The partition of each client."""
    return {client: name for name, clients in read_partitions(file).items() for client in clients}


def _require_gold(first: ComparedStudy, other: ComparedStudy) -> None:
    """Whatever the settings say, numbers of one client are of the same frames and the same gold standard."""
    a, b = (_gold(study.results) for study in (first, other))
    both = a.join(b, lsuffix="_a", rsuffix="_b", how="inner")
    for column in _GOLD:
        left, right = both[f"{column}_a"].to_numpy(), both[f"{column}_b"].to_numpy()
        wrong = np.flatnonzero(~np.isclose(left, right, rtol=_CLOSE, atol=_CLOSE, equal_nan=True))
        if len(wrong):
            client, dimension = both.index[wrong[0]]
            what = "scored frames" if column == "n" else "gold standard"
            values = (f"{column} {left[wrong[0]]:.10g}", f"{right[wrong[0]]:.10g}")
            _refuse(f"{what} of client {client}, {dimension}", first, other, values)


def _gold(results: pd.DataFrame) -> pd.DataFrame:
    measured = results[results["kind"] == "measured"]
    return measured.groupby(["client", "dimension"])[list(_GOLD)].first()
