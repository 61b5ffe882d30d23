"""A sweep of privacy: studies over noise, clipping norm, cohorts and seeds, each carried out once.

Each point and seed is a study of its own in ``points/<hash>``, the hash being that of all that it depends on: cohort,
settings and software. A sweep that was cut off, or that is asked for more points, carries out what is not there yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from tff_affect.cohort import Cohort
from tff_affect.config import PRIVATE_FEDERATED, StudyConfig
from tff_affect.errors import InputError
from tff_affect.privacy.planner import Question, make_plan
from tff_affect.privacy_config import PrivacyConfig
from tff_affect.progress import Progress
from tff_affect.splits import Split, make_splits

POINTS, COHORTS = "points", "cohorts"
_FEW_CLIENTS, _SHARE = 100, 0.1


@dataclass(frozen=True)
class SweepGrid:
    """The points of a sweep; without privacy comes by itself.

    Attributes:
        epsilons: Guarantees for which the noise is searched; of each cohort by itself.
        noise_multipliers: Noise as it is.
        clipping_norms: Largest norm of a client's update.
        seeds: Runs of each point, with seeds 0 to seeds - 1.
    """

    epsilons: tuple[float, ...] = ()
    noise_multipliers: tuple[float, ...] = ()
    clipping_norms: tuple[float, ...] = (1.0,)
    seeds: int = 5

    def __post_init__(self) -> None:
        if not self.epsilons and not self.noise_multipliers:
            raise InputError("sweep: expected at least one epsilon or one noise multiplier, found none")
        for name in ("epsilons", "noise_multipliers", "clipping_norms"):
            values = getattr(self, name)
            if len(set(values)) != len(values) or any(not value > 0 for value in values):
                raise InputError(f"sweep {name}: expected numbers above 0 and none twice, found {list(values)}")
        if not self.clipping_norms or self.seeds < 1:
            raise InputError("sweep: expected at least one clipping norm and one seed")


@dataclass(frozen=True)
class Point:
    """One study of a sweep.

    Attributes:
        name: Of its settings, the same for all of its seeds.
        config: Of one seed.
        folder: Where it is.
        cohort: Whose.
        split: Who trains, develops and tests.
    """

    name: str
    config: StudyConfig
    folder: Path
    cohort: Cohort
    split: Split


def points_of(folder: Path, cohort: Cohort, base: StudyConfig, grid: SweepGrid) -> list[Point]:
    """All studies of one cohort, those without privacy first.

    Args:
        folder: The sweep's.
        cohort: The cohort.
        base: What all points share. With ``training.clients_per_round`` 0 a round takes all of up to 100 training
            subjects, 100 of up to 1,000, and a tenth of more.
        grid: What they differ in.

    Raises:
        InputError: If the split is not a single one, or a setting is refused.
    """
    splits = make_splits(cohort, base.split)
    if len(splits) != 1:
        raise InputError("split.scheme: a sweep compares points on one split; expected holdout or fixed")
    training = base.training
    if not training.clients_per_round:
        clients = len(splits[0].train)
        taken = max(_FEW_CLIENTS, round(_SHARE * clients))
        training = replace(training, clients_per_round=taken if taken < clients else 0)
    shared = replace(base, training=training, methods=["federated"], privacy=PrivacyConfig())
    settings = [("no privacy", shared)]
    for privacy in _privacies(base.privacy, shared, splits[0], grid):
        name = f"noise {privacy.noise_multiplier:g}, clip {privacy.clipping_norm:g}"
        settings.append((name, replace(shared, methods=[PRIVATE_FEDERATED], privacy=privacy)))
    return [
        _point(folder, name, replace(config, seeds=[seed]), cohort, splits[0])
        for name, config in settings
        for seed in range(grid.seeds)
    ]


def _privacies(base: PrivacyConfig, config: StudyConfig, split: Split, grid: SweepGrid) -> Iterator[PrivacyConfig]:
    noises = list(grid.noise_multipliers)
    for epsilon in grid.epsilons:
        question = Question(
            len(split.train), config.training.rounds, epsilon, config.training.clients_per_round,
            privacy=replace(base, noise_multiplier=None),
        )  # fmt: skip
        noises.append(make_plan(question, cohorts=()).guarantee.noise_multiplier)
    for noise, norm in product(sorted(set(noises)), grid.clipping_norms):
        yield replace(base, noise_multiplier=noise, clipping_norm=norm)


def _point(folder: Path, name: str, config: StudyConfig, cohort: Cohort, split: Split) -> Point:
    from tff_affect.runs.study import study_facts

    facts = json.dumps(study_facts(config, cohort), sort_keys=True)
    place = folder / POINTS / hashlib.sha256(facts.encode()).hexdigest()[:16]
    return Point(name, config, place, cohort, split)


def run_points(points: Sequence[Point], processes: int, progress: Progress) -> None:
    """Carries out what is not there yet; points of one cohort share its staged sequences.

    Raises:
        InputError: For anything wrong with a point's settings or folder.
    """
    from tff_affect.runs.study import run_studies

    for path in dict.fromkeys(point.cohort.path for point in points):
        own = [point for point in points if point.cohort.path == path]
        studies = {point.folder: point.config for point in own}
        run_studies(studies, own[0].cohort, [own[0].split], True, progress, processes=processes)


def check_sweep_folder(folder: Path) -> None:
    """Refuses a folder that holds something else.

    Raises:
        InputError: Then.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("expected a folder, found a file", file=folder)
    found = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if found and not found & {POINTS, COHORTS}:
        raise InputError("the folder is not empty and holds no sweep; name a new one", file=folder)
