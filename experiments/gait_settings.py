"""Settings of the gait experiments: which walks, how people are divided, what is trained, what is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from data_prep.mocap import GaitOptions
from data_prep.synthetic_walkers import SyntheticWalkersConfig
from experiments.settings import packaged_settings
from tff_affect.config_checks import above_zero, at_least
from tff_affect.errors import InputError
from tff_affect.gait.config import FACTOR, LOSSES, GaitConfig
from tff_affect.gait.federated_config import FederatedGaitConfig
from tff_affect.gait_set import GaitSet
from tff_affect.streams import stream

SETTINGS = "gait_disentanglement.yaml"
_LEAST_PEOPLE = 3


@dataclass(frozen=True)
class DrawnWalkersConfig:
    """Walkers that are drawn where no folder is named; they are SYNTHETIC.

    Attributes:
        people: How many.
        takes: Recordings of each person and emotion.
        cycles: Gait cycles of each recording, about.
        seed: Of everything random.
    """

    people: int = 48
    takes: int = 3
    cycles: int = 4
    seed: int = 11


@dataclass(frozen=True)
class GaitStudyConfig:
    """What a study compares.

    Attributes:
        strangers: Share of people on whom nothing is trained, by whom identity, drawing and swaps are judged.
        seeds: Of division, training and attacks.
        leave_one_out: Whether emotion is read in each of the other people by networks and learners that never saw them.
        shallow: Whether shallow learners are among those.
        federated: Whether networks are trained where gaits stay with their people, too.
        ablations: Losses that are left out by turns, ``noise`` for that of emotion codes, ``game`` for all losses but
            that of emotions.
        ablation_seeds: With how many of the seeds, the first ones, losses are left out.
        reversal: Weight of gradient reversal in the network that it is compared with.
    """

    strangers: float = 0.5
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    leave_one_out: bool = True
    shallow: bool = True
    federated: bool = False
    ablations: list[str] = field(default_factory=lambda: [*LOSSES, "noise", "game"])
    ablation_seeds: int = 1
    reversal: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.strangers < 1:
            raise InputError(f"study.strangers: expected a share between 0 and 1, found {self.strangers:g}")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"study.seeds: expected different seeds of at least 0, found {list(self.seeds)}")
        above_zero("study.reversal", self.reversal)
        at_least("study.ablation_seeds", self.ablation_seeds, 0)
        known = (*LOSSES, "noise", "game")
        for name in self.ablations:
            if name not in known:
                raise InputError(f"study.ablations: expected some of {', '.join(known)}, found {name!r}")
        if len(set(self.ablations)) < len(self.ablations):
            raise InputError(f"study.ablations: expected none twice, found {', '.join(self.ablations)}")


@dataclass(frozen=True)
class GaitExperiment:
    """All settings of training on gaits, and of a study.

    Attributes:
        walks: How a folder of walks is read; samples and normalisation are those of drawn walkers too.
        drawn: What is drawn where there is no folder.
        gait: What is trained.
        federated: Rounds where gaits stay with their people.
        study: What a study compares.
    """

    walks: GaitOptions = field(default_factory=lambda: GaitOptions(samples=32))
    drawn: DrawnWalkersConfig = field(default_factory=DrawnWalkersConfig)
    gait: GaitConfig = field(default_factory=GaitConfig)
    federated: FederatedGaitConfig = field(default_factory=FederatedGaitConfig)
    study: GaitStudyConfig = field(default_factory=GaitStudyConfig)

    def __post_init__(self) -> None:
        if self.walks.samples % FACTOR:
            raise InputError(f"walks.samples: expected a multiple of {FACTOR}, found {self.walks.samples}")
        if not self.walks.root:
            raise InputError("walks.root: expected true: only around the pelvis does a cycle end where it begins")
        if self.gait.mirrored and not self.walks.heading:
            raise InputError("gait.mirrored: expected cycles of one heading; set walks.heading=true or it to false")


def gait_experiment(overrides: Sequence[str] = (), walks: Mapping[str, Any] | None = None) -> GaitExperiment:
    """The settings that come with the experiments.

    Args:
        overrides: Dotted settings such as ``gait.steps=500``; they win over the file.
        walks: Settings of how walks are read, as they are, such as paths; they win over all.

    Raises:
        InputError: For a setting that is unknown, of the wrong type or out of range.
    """
    found = packaged_settings(GaitExperiment, SETTINGS, overrides)
    return replace(found, walks=replace(found.walks, **(walks or {})))


def preparation(walks: GaitOptions) -> dict[str, Any]:
    """How walks become cycles, without where they or a map of their joints lie."""
    return asdict(walks) | {"layout": None, "joint_map": None}


def walkers(drawn: DrawnWalkersConfig) -> SyntheticWalkersConfig:
    """The walkers that settings describe."""
    return SyntheticWalkersConfig(drawn.people, drawn.takes, drawn.cycles, drawn.seed)


def divide(gaits: GaitSet, config: GaitStudyConfig, seed: int) -> tuple[GaitSet, GaitSet]:
    """Divides people at random into those of the study and strangers, by whom nothing is trained.

    Raises:
        InputError: If there are too few for three of each.
    """
    order = stream(seed, "strangers").permutation(gaits.people)
    count = round(config.strangers * len(order))
    if min(count, len(order) - count) < _LEAST_PEOPLE:
        raise InputError(
            f"gait: expected {_LEAST_PEOPLE} people or more in the study and as many strangers, found "
            f"{len(order) - count} and {count}; give more people or another share (study.strangers)"
        )
    return gaits.of(order[count:]), gaits.of(order[:count])
