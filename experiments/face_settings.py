"""Settings of the face anonymiser: which faces, how people are divided, what is trained, how it is attacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from data_prep.faces import FaceOptions
from experiments.settings import packaged_settings
from tff_affect.anonymizer.config import FACTOR, OBJECTIVES, AnonymizerConfig, FederatedConfig
from tff_affect.anonymizer.evaluation import AttackConfig
from tff_affect.config import SplitConfig
from tff_affect.config_checks import above_zero, choice
from tff_affect.emotion_scores import check_emotions
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet
from tff_affect.splits import Split, split_subjects

SETTINGS = "face_anonymizer.yaml"
_LEAST_PEOPLE = 5


@dataclass(frozen=True)
class DrawnConfig:
    """Faces that are drawn where no folder is named; they are SYNTHETIC.

    Attributes:
        people: How many.
        images: Of each person and emotion.
        seed: Of everything random.
    """

    people: int = 100
    images: int = 4
    seed: int = 0


@dataclass(frozen=True)
class DivisionConfig:
    """How people are divided; always whole people, anew for each seed.

    Attributes:
        test: Share of people tested.
        development: Share of the people who are not tested, by whom training is stopped.
    """

    test: float = 0.25
    development: float = 0.2

    def __post_init__(self) -> None:
        for name in ("test", "development"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(
                    f"division.{name}: expected a share between 0 and 1, which leaves people to train on, found "
                    f"{getattr(self, name):g}"
                )


@dataclass(frozen=True)
class FrontierConfig:
    """What a study compares.

    Attributes:
        objectives: Of the trained transformations.
        privacy_weights: Of each.
        single_task: Whether the networks for emotion only and for identity only are there.
        blur: Standard deviations, pixels.
        pixelate: Cells a side.
        noise: Standard deviations, where white is 1.
        seeds: Of split, training and attacks.
    """

    objectives: list[str] = field(default_factory=lambda: ["adversary"])
    privacy_weights: list[float] = field(default_factory=lambda: [0.25, 0.5])
    single_task: bool = True
    blur: list[float] = field(default_factory=lambda: [4.0, 16.0])
    pixelate: list[int] = field(default_factory=list)
    noise: list[float] = field(default_factory=lambda: [0.5])
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4])

    def __post_init__(self) -> None:
        for name in self.objectives:
            choice("frontier.objectives", name, OBJECTIVES)
        for name in ("objectives", "privacy_weights", "blur", "pixelate", "noise", "seeds"):
            values = getattr(self, name)
            # As files of parts are called.
            names = {value if isinstance(value, str) else f"{value:g}" for value in values}
            if len(names) != len(values):
                raise InputError(f"frontier.{name}: expected none twice, found {list(values)}")
        if not self.seeds or min(self.seeds) < 0:
            raise InputError(f"frontier.seeds: expected seeds of at least 0, found {list(self.seeds)}")
        if any(not weight > 0 for weight in self.privacy_weights):
            raise InputError(
                f"frontier.privacy_weights: expected numbers above 0, found {list(self.privacy_weights)}; what 0 "
                "gives is the network for emotion only: frontier.single_task"
            )


@dataclass(frozen=True)
class FaceConfig:
    """All settings of training an anonymiser, and of a study.

    Attributes:
        faces: How a folder of images is read; the size is that of drawn faces too.
        drawn: What is drawn where there is no folder.
        division: How people are divided.
        anonymizer: What is trained.
        federated: Rounds of the objective ``federated``.
        attacks: How it is judged.
        frontier: What a study compares.
    """

    faces: FaceOptions = field(default_factory=FaceOptions)
    drawn: DrawnConfig = field(default_factory=DrawnConfig)
    division: DivisionConfig = field(default_factory=DivisionConfig)
    anonymizer: AnonymizerConfig = field(default_factory=AnonymizerConfig)
    federated: FederatedConfig = field(default_factory=FederatedConfig)
    attacks: AttackConfig = field(default_factory=AttackConfig)
    frontier: FrontierConfig = field(default_factory=FrontierConfig)

    def __post_init__(self) -> None:
        if self.faces.size % FACTOR or self.faces.size < 2 * FACTOR:
            raise InputError(
                f"faces.size: expected a multiple of {FACTOR}, {2 * FACTOR} or more, found {self.faces.size}"
            )
        for name in ("blur", "noise"):
            for value in getattr(self.frontier, name):
                above_zero(f"frontier.{name}", value)
        for cells in self.frontier.pixelate:
            if not 1 <= cells <= self.faces.size:
                raise InputError(f"frontier.pixelate: expected 1 to {self.faces.size} cells, found {cells}")


def face_config(overrides: Sequence[str] = ()) -> FaceConfig:
    """The settings that come with the experiments.

    Args:
        overrides: Dotted settings such as ``anonymizer.steps=500``; they win over the file.

    Raises:
        InputError: For a setting that is unknown, of the wrong type or out of range.
    """
    return packaged_settings(FaceConfig, SETTINGS, overrides)


def divide(faces: FaceSet, config: DivisionConfig, seed: int) -> Split:
    """Divides people at random into those who train, develop and test.

    Raises:
        InputError: If there are too few, or some of the others show an emotion that nobody who trains does.
    """
    count = len(faces.people)
    if count >= _LEAST_PEOPLE:
        settings = SplitConfig("holdout", development=config.development, test=config.test, seed=seed)
        (split,) = split_subjects(faces.people, settings)
        if min(len(split.train), len(split.test)) > 1:
            for people in (split.development, split.test):
                check_emotions(faces.of(people), faces.of(split.train).classes)
            return split
    raise InputError(
        f"faces: expected enough people for two or more to test and to train on, found {count} in all; give more "
        "people or other shares (division.test)"
    )
