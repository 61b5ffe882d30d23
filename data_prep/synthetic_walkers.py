"""Made-up walkers: SYNTHETIC people whose identity and emotion are known, and known apart.

A person is a body (lengths of bones), a way of walking (pace, stride, arm swing, posture, asymmetry) and small
harmonics of every angle that are nobody else's. An emotion changes the way of walking by what `EMOTIONS` says, in each
person more or less strongly, and in the same measures in which people differ, so that it is not told without error. A
recording differs from the next by its mood and by slow wandering of all angles. Bones keep their lengths.

What is planted is known: `expressiveness` says how far emotion moves each joint, `effect_size` how far that is beside
how people differ, and ``parts`` can confine it to parts of the body, so that an explanation of where a model sees
emotion can be checked.

Everything random derives from ``(seed, purpose, person, emotion, take)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from data_prep.mocap import gait_set
from data_prep.skeleton import BONES, JOINTS
from data_prep.walk_file import CycleOptions, Cycles, cut_cycles
from data_prep.walk_layouts import WalkFile
from data_prep.walker_model import ANGLES, Body, Style, angles_at, joints_at, style_of
from tff_affect.errors import InputError
from tff_affect.gait_set import GaitSet

NAME = "SYNTHETIC walkers"
FRAME_RATE = 60.0
_PERSON, _STRENGTH, _TAKE = 31, 32, 33
EMOTIONS: Mapping[str, Style] = {
    "angry": Style(0.10, 0.14, 0.05, arm_swing=7, elbow=14, shoulders=5, twist=3, lean=5, head=3, sway=1),
    "happy": Style(0.05, 0.10, 0.20, arm_swing=11, elbow=7, shoulders=2, twist=4, lean=-2, head=-6, sway=2),
    "neutral": Style(),
    "sad": Style(-0.12, -0.18, -0.15, arm_swing=-9, elbow=-4, shoulders=-4, twist=-3, lean=4, head=12, sway=1),
}
"""What an emotion adds to a way of walking at full strength."""
PARTS: Mapping[str, tuple[str, ...]] = {
    "legs": ("cadence", "stride", "bounce"),
    "arms": ("arm_swing", "elbow"),
    "trunk": ("shoulders", "twist", "lean", "sway"),
    "head": ("head",),
}
"""Parts of the body -> what of a way of walking is theirs."""
_USUAL = Style(0.92, 1.0, 1.0, arm_swing=17, elbow=20, shoulders=-14, twist=6, lean=4, head=12, sway=2)
_BETWEEN = Style(0.05, 0.07, 0.10, arm_swing=4, elbow=7, shoulders=3, twist=1.5, lean=2.5, head=5, sway=0.8)
_LEAST = Style(0.6, 0.5, 0.3, arm_swing=1, elbow=3, shoulders=-35, twist=0, lean=-15, head=-20, sway=0)
_HARMONICS = 3
_PEOPLE_OF_SPREAD = 64
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class SyntheticWalkersConfig:
    """What makes a set of walkers; equal configurations make equal cycles.

    Attributes:
        people: How many.
        takes: Recordings of each person and emotion.
        cycles: Gait cycles of each recording, about.
        seed: Of everything random.
        strength: Range in which a person shows an emotion; 1 as `EMOTIONS` says.
        parts: Parts of the body in which emotion shows, of `PARTS`.
        mood: How much recordings of one person and emotion differ, as a part of how people differ.
        wandering: Standard deviation of the slow wandering of each angle, degrees.
    """

    people: int = 30
    takes: int = 3
    cycles: int = 4
    seed: int = 0
    strength: tuple[float, float] = (0.3, 1.1)
    parts: tuple[str, ...] = tuple(PARTS)
    mood: float = 0.35
    wandering: float = 1.0

    def __post_init__(self) -> None:
        for name in ("people", "takes", "cycles"):
            if getattr(self, name) < 1:
                raise InputError(f"walkers: {name}: expected at least 1, found {getattr(self, name)}")
        if not set(self.parts) <= set(PARTS):
            raise InputError(f"walkers: parts: expected some of {', '.join(PARTS)}, found {', '.join(self.parts)}")
        if not 0 <= self.strength[0] <= self.strength[1] <= 2:
            raise InputError(f"walkers: strength: expected a range within 0 to 2, found {self.strength}")
        if self.mood < 0 or self.wandering < 0:
            raise InputError("walkers: expected a mood and a wandering of at least 0")

    def change(self, emotion: str) -> np.ndarray:
        """What an emotion adds at full strength in the parts of the body in which it shows, as `Style.vector`."""
        shown = {name for part in self.parts for name in PARTS[part]}
        return EMOTIONS[emotion].vector() * [name in shown for name in Style.__dataclass_fields__]


@dataclass(frozen=True, eq=False)
class _Walker:
    """A person: a body, a way of walking, and what is nobody else's."""

    body: Body
    style: np.ndarray
    asymmetry: float
    sizes: np.ndarray
    shifts: np.ndarray

    @classmethod
    def drawn(cls, config: SyntheticWalkersConfig, person: int) -> _Walker:
        rng = np.random.default_rng([config.seed, _PERSON, person])
        tall = 1 + 0.06 * rng.normal()
        lengths = {name: getattr(Body, name) * tall * (1 + 0.04 * rng.normal()) for name in Body.__dataclass_fields__}
        style = _USUAL.vector() + _BETWEEN.vector() * rng.normal(size=len(_USUAL.vector()))
        shape = len(ANGLES), _HARMONICS
        sizes = np.abs(rng.normal(size=shape)) * [1.2, 0.8, 0.4]
        return cls(Body(**lengths), style, 0.06 * rng.normal(), sizes, rng.uniform(0, 2 * np.pi, shape))


def draw_walkers(config: SyntheticWalkersConfig, options: CycleOptions | None = None) -> GaitSet:
    """The gait cycles of all people, each with every emotion in equally many recordings.

    They are cut and normalised as recordings of real people are.
    """
    options = options or CycleOptions()
    walks = []
    for person in range(config.people):
        for emotion in EMOTIONS:
            for take in range(config.takes):
                file = WalkFile(f"S{person:03d}/{emotion}/{take}.csv", f"S{person:03d}", emotion)
                walks.append((file, cut_cycles(draw_walk(config, person, emotion, take), FRAME_RATE, options)))
    return gait_set(NAME, walks, synthetic=True)


def draw_walk(config: SyntheticWalkersConfig, person: int, emotion: str, take: int) -> np.ndarray:
    """One recording of a person.

    Returns:
        ``[time, joint, 3]`` metres at `FRAME_RATE`, in the order of `data_prep.skeleton.JOINTS`; the walk goes along x.
    """
    walker = _Walker.drawn(config, person)
    number = list(EMOTIONS).index(emotion)
    strength = np.random.default_rng([config.seed, _STRENGTH, person, number]).uniform(*config.strength)
    rng = np.random.default_rng([config.seed, _TAKE, person, number, take])
    mood = config.mood * _BETWEEN.vector() * rng.normal(size=len(walker.style))
    style = style_of(np.maximum(walker.style + strength * config.change(emotion) + mood, _LEAST.vector()))
    return _walk(config, walker, style, rng)


def _walk(config: SyntheticWalkersConfig, walker: _Walker, style: Style, rng: np.random.Generator) -> np.ndarray:
    # A cycle is cut between two stances, which lie between three swings: two more are under way at the ends.
    time = np.arange(round((config.cycles + 2.3) / style.cadence * FRAME_RATE)) / FRAME_RATE
    phase = 2 * np.pi * (style.cadence * time + rng.uniform()) + 0.1 * config.wandering * _wander(time, 1, rng)[0]
    angles = angles_at(phase, style, walker.asymmetry)
    wandering = config.wandering * _wander(time, len(ANGLES), rng)
    for row, name in enumerate(ANGLES):
        own = walker.sizes[row] * np.cos(np.outer(phase, np.arange(1, _HARMONICS + 1)) - walker.shifts[row])
        angles[name] = angles[name] + own.sum(axis=1) + wandering[row]
    return joints_at(angles, walker.body, FRAME_RATE)


def _wander(time: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    """``[row, time]`` slow movements of unit variance, in no time with the steps."""
    rates, shifts = rng.uniform(0.05, 0.6, (2, rows, 3, 1)) * [[[[1.0]]], [[[2 * np.pi / 0.55]]]]
    return np.asarray(np.sqrt(2 / 3) * np.sin(2 * np.pi * rates * time + shifts).sum(axis=1))


def expressiveness(
    joint: str, config: SyntheticWalkersConfig | None = None, options: CycleOptions | None = None
) -> float:
    """How far emotion moves a joint: what an explanation of a model should find, as a rank over joints.

    It is the root mean square over emotions and the cycle of the distance between the joint's place with an emotion and
    its mean place over emotions, for a person who is usual in everything and shows every emotion with the middle
    strength, without mood and wandering.

    Args:
        joint: Of `data_prep.skeleton.JOINTS`.
        config: Of which strength and parts count.
        options: How cycles are normalised; by default the pelvis is the origin, and its own expressiveness is 0.

    Returns:
        Metres.

    Raises:
        InputError: If there is no such joint.
    """
    if joint not in JOINTS:
        raise InputError(f"walkers: expected a joint of {', '.join(JOINTS)}, found {joint!r}")
    config = replace(config or SyntheticWalkersConfig(), people=1, takes=1, cycles=3, seed=0, mood=0.0, wandering=0.0)
    return float(_expressiveness(config, options or CycleOptions())[JOINTS.index(joint)])


@cache
def _expressiveness(config: SyntheticWalkersConfig, options: CycleOptions) -> np.ndarray:
    return np.sqrt((_moved(config, options) ** 2).sum(axis=3).mean(axis=(0, 1)))


def effect_size(
    joint: str,
    config: SyntheticWalkersConfig | None = None,
    options: CycleOptions | None = None,
    directions: bool = False,
) -> float:
    """How far emotion moves a joint beside how far people without it differ there: what a model has to tell it by.

    For each coordinate it is the root mean square of what `expressiveness` measures over the standard deviation of
    cycles of neutral walkers about their mean gait: Cohen's f (1988, Statistical power analysis for the behavioral
    sciences). Those of the three coordinates are added as squares. A model that sees numbers in deviations, as those of
    `tff_affect.gait` do, should find joints by this; one that need not use all that it could finds fewer.

    Args:
        joint: Of `data_prep.skeleton.JOINTS`.
        config: Of which strength, parts, mood and wandering count.
        options: How cycles are normalised.
        directions: Whether it is of the direction of the bone that ends at the joint, on its way from the pelvis, and
            not of the joint's place: then what carries a joint is not the joint's own.

    Returns:
        Without a unit; 0 for a joint that hardly moves in anybody, such as the pelvis where it is the origin.

    Raises:
        InputError: If there is no such joint.
    """
    if joint not in JOINTS:
        raise InputError(f"walkers: expected a joint of {', '.join(JOINTS)}, found {joint!r}")
    config, options, number = config or SyntheticWalkersConfig(), options or CycleOptions(), JOINTS.index(joint)
    usual = replace(config, people=1, takes=1, cycles=3, seed=0, mood=0.0, wandering=0.0)
    moved = np.sqrt((_moved(usual, options, directions)[:, :, number] ** 2).mean(axis=(0, 1)))
    people = replace(config, people=1, takes=1, cycles=3, seed=0, strength=(0.0, 0.0), parts=())
    spread = _spread(people, options, directions)[number]
    moves = spread > _LEAST_SPREAD
    return float(np.linalg.norm(moved[moves] / spread[moves]))


@cache
def _spread(config: SyntheticWalkersConfig, options: CycleOptions, directions: bool) -> np.ndarray:
    """``[joint, 3]``: standard deviation of neutral cycles of many people about their mean gait."""
    walks = (draw_walk(config, person, "neutral", 0) for person in range(_PEOPLE_OF_SPREAD))
    cycles = np.concatenate([cut_cycles(walk, FRAME_RATE, options).motions for walk in walks]).astype(np.float64)
    seen = _directions(cycles) if directions else cycles
    return np.asarray(np.sqrt(seen.var(axis=0).mean(axis=0)))


@cache
def _from_the_pelvis() -> tuple[tuple[int, int], ...]:
    """Bones as two numbers of joints, the one nearer to the pelvis first."""
    reached, left, found = {JOINTS.index("Pelvis")}, list(BONES), []
    while left:
        bone = next(bone for bone in left if reached & set(bone))
        left.remove(bone)
        found.append(bone if bone[0] in reached else bone[::-1])
        reached.update(bone)
    return tuple(found)


def _directions(motions: np.ndarray) -> np.ndarray:
    """``[..., joint, 3]`` unit vectors to each joint from the one that carries it; 0 for the pelvis."""
    near, far = np.array(_from_the_pelvis()).T
    vectors = motions[..., far, :] - motions[..., near, :]
    found = np.zeros_like(motions)
    found[..., far, :] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


@cache
def _moved(config: SyntheticWalkersConfig, options: CycleOptions, directions: bool = False) -> np.ndarray:
    """``[emotion, time, joint, 3]`` from the mean over emotions, of a person who is usual in everything."""
    shape = len(ANGLES), _HARMONICS
    usual = _Walker(Body(), _USUAL.vector(), 0.0, np.zeros(shape), np.zeros(shape))
    middle = np.mean(config.strength)
    means = []
    for emotion in EMOTIONS:
        style = style_of(usual.style + middle * config.change(emotion))
        found: Cycles = cut_cycles(_walk(config, usual, style, np.random.default_rng(0)), FRAME_RATE, options)
        means.append((_directions(found.motions) if directions else found.motions).mean(axis=0))
    return np.asarray(np.stack(means) - np.mean(means, axis=0))
