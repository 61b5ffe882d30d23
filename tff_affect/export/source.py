"""What an export is made of: one trained network of a study's folder, and what has to be known to apply it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tff_affect.client_data import WindowShape, delay_in_frames
from tff_affect.cohort import Cohort, CohortManifest
from tff_affect.config import METHODS, StudyConfig
from tff_affect.config_file import load_config
from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import run_folders
from tff_affect.evaluation.postprocess import PostProcessing
from tff_affect.report.study import CohortFacts
from tff_affect.run_folder import COHORT, CONFIG, SCALING, STUDY, file_name, read_json, read_weights
from tff_affect.runs.planned import DELAY
from tff_affect.scaling import Scaling


@dataclass(frozen=True)
class TrainedRun:
    """One trained network.

    Attributes:
        study: The study's folder.
        folder: The run's.
        seed: Training seed.
        fold: Number of the split.
        method: Row of the results table.
        config: The study's, with the annotation delay of this run's split.
        facts: Of its cohort, with names of features and labels.
        weights: In Keras order.
        scaling: Mean and deviation of the training clients; None where scaling is another.
        chain: The post-processing fitted on the development clients; None where there is none.
    """

    study: Path
    folder: Path
    seed: int
    fold: int
    method: str
    config: StudyConfig
    facts: CohortFacts
    weights: list[np.ndarray]
    scaling: Scaling | None
    chain: PostProcessing | None

    @property
    def shape(self) -> WindowShape:
        """Of one window."""
        data = self.config.data
        return WindowShape(data.window, len(self.facts.features), len(self.facts.labels), data.target)

    @property
    def delay(self) -> int:
        """Frames by which the labels lag the features."""
        return delay_in_frames(_manifest(self.facts), self.config.data)


@dataclass(frozen=True)
class RunChoice:
    """Which network of a study.

    Attributes:
        method: Row of the results table.
        seed: Training seed; None is the first.
        fold: Number of the split; None is the first.
        cohort: The cohort's folder, where names of features are not kept.
    """

    method: str = "federated"
    seed: int | None = None
    fold: int | None = None
    cohort: Path | None = None


def read_trained_run(folder: Path, choice: RunChoice) -> TrainedRun:
    """Reads what an export is made of.

    Args:
        folder: A study's, or that of one of its runs.
        choice: Which network.

    Raises:
        InputError: If there is no such network, something of it was not kept, or the cohort is another one.
    """
    seed, fold, run = _chosen(folder, choice)
    home = next((place for place in (run, run.parent) if (place / CONFIG).is_file()), None)
    if home is None:
        raise InputError(f"expected {CONFIG} beside the run; name a folder that 'train' wrote", file=folder)
    config = load_config(home / CONFIG, cohort=choice.cohort)
    if (run / DELAY).is_file():
        config = replace(config, data=replace(config.data, target_delay=_delay(run / DELAY)))
    _require_weights(run, choice.method)
    weights = read_weights(run, choice.method)
    facts = _facts(home, choice.cohort)
    found = TrainedRun(home, run, seed, fold, choice.method, config, facts, weights, None, None)
    chain = _chain(run, choice.method, facts)
    scaling = _scaling(run / SCALING, len(facts.features)) if config.data.scaling == "federated" else None
    return replace(found, chain=chain, scaling=scaling)


def _chosen(folder: Path, choice: RunChoice) -> tuple[int, int, Path]:
    runs = run_folders(folder)
    kept = [
        (seed, fold, run)
        for seed, fold, run in runs
        if choice.seed in (None, seed) and choice.fold in (None, fold)
    ]  # fmt: skip
    if not kept:
        there = ", ".join(f"seed {seed} fold {fold}" for seed, fold, _ in runs)
        raise InputError(f"there is no run of seed {choice.seed}, fold {choice.fold}; there is {there}", file=folder)
    return kept[0]


def _require_weights(run: Path, method: str) -> None:
    kept = [name for name in METHODS if (run / "weights" / f"{file_name(name)}.npz").is_file()]
    if method not in kept:
        there = f"there are those of {', '.join(kept)}" if kept else "there are none; run the study to its end"
        raise InputError(f"no weights of {method!r} were kept; {there}", file=run)


def _delay(file: Path) -> float:
    try:
        return float(read_json(file)["delay"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("expected the delay that training wrote; train again", file=file) from error


def _facts(home: Path, place: Path | None) -> CohortFacts:
    if place is not None:
        manifest = _opened(place, home).manifest
        return CohortFacts(
            manifest.name, manifest.synthetic, len(manifest.subjects), manifest.frame_rate, manifest.time_unit,
            manifest.features, manifest.feature_scale, manifest.labels,
        )  # fmt: skip
    file = home / COHORT
    facts = CohortFacts.read(file)
    if not facts.features or not facts.labels or not facts.feature_scale:
        raise InputError(
            "the study is of a version that did not keep the names of the features; name its cohort with --cohort",
            file=file,
        )
    return facts


def _opened(place: Path, home: Path) -> Cohort:
    cohort = Cohort.open(place)
    if read_json(home / STUDY).get("cohort") != cohort.content_sha256:
        raise InputError(
            "expected the cohort that the run was trained on, found other data; name its folder with --cohort",
            file=place,
        )
    return cohort


def _chain(run: Path, method: str, facts: CohortFacts) -> PostProcessing | None:
    file = run / "postprocess" / f"{file_name(method)}.json"
    if not file.is_file():
        return None
    try:
        models = read_json(file)["models"][""]
        return PostProcessing.from_json({name: models[name] for name in facts.labels})
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError("expected the post-processing that training wrote; train again", file=file) from error


def _scaling(file: Path, features: int) -> Scaling:
    try:
        found = Scaling.from_json(read_json(file))
        if len(found.mean) != features:
            raise ValueError("those of other features")
    except ValueError as error:
        raise InputError(
            f"expected the scaling of {features} features that training wrote; train again", file=file
        ) from error
    return found


def _manifest(facts: CohortFacts) -> CohortManifest:
    return CohortManifest(
        facts.name, tuple(facts.features), facts.feature_scale, facts.frame_rate, tuple(facts.labels), facts.synthetic,
        facts.time_unit,
    )  # fmt: skip
