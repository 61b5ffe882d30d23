"""A walking figure of the 15 joints: rigid bones, and angles that are sums of harmonics of the step.

The idea is that of sum-of-harmonics walkers (Troje 2002, Decomposing biological motion, Journal of Vision 2(5):2);
here the harmonics are of the angles of the joints, not of their places, so that every bone keeps its length. The legs'
angles at normal pace are three harmonics drawn through the usual curves of level walking (as in Winter 2009,
Biomechanics and Motor Control of Human Movement). The pelvis is carried by whichever foot is lower, which therefore
stays where it stands.

x is forward, y left, z up; lengths are in metres, angles in degrees unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_prep.skeleton import JOINTS

# Mean, then amplitude and phase of each harmonic, degrees and radians; the phase is 0 as the heel strikes.
_HIP = (14.7, ((19.1, -0.18), (4.1, -2.59), (1.3, 1.37)))
_KNEE = (21.9, ((17.1, -1.73), (16.7, 2.65), (4.8, 1.33)))
_ANKLE_HEIGHT = 0.08
_SOFTNESS = 0.015
ANGLES = (
    "RHip", "LHip", "RKnee", "LKnee", "RShoulder", "LShoulder", "RElbow", "LElbow", "Raised", "Lean", "Sway", "Head",
    "Hips", "Shoulders",
)  # fmt: skip
"""What turns: flexions of limbs, how far the shoulders are raised, the trunk's lean forward and sway to the left, the
head's lean forward against the trunk, and the turns to the left of hips and shoulders.
"""


@dataclass(frozen=True)
class Body:
    """Lengths of bones."""

    thigh: float = 0.42
    shank: float = 0.41
    hips: float = 0.18
    trunk: float = 0.50
    neck: float = 0.16
    shoulders: float = 0.36
    upper_arm: float = 0.29
    forearm: float = 0.25


@dataclass(frozen=True)
class Style:
    """How somebody walks, or how an emotion changes it.

    Attributes:
        cadence: Gait cycles per second.
        stride: Swing of the legs, 1 at normal pace.
        bounce: Bending of the standing and the swinging knee, 1 at normal pace.
        arm_swing: Of the upper arms to each side of their mean.
        elbow: Mean flexion of the elbows.
        shoulders: How far the shoulders are above the neck's foot.
        twist: Turn of the shoulders against the hips.
        lean: Of the trunk, forward.
        head: Of the head against the trunk, forward.
        sway: Of the trunk to both sides.
    """

    cadence: float = 0.0
    stride: float = 0.0
    bounce: float = 0.0
    arm_swing: float = 0.0
    elbow: float = 0.0
    shoulders: float = 0.0
    twist: float = 0.0
    lean: float = 0.0
    head: float = 0.0
    sway: float = 0.0

    def vector(self) -> np.ndarray:
        """Its numbers in the order of the attributes."""
        return np.array([getattr(self, name) for name in self.__dataclass_fields__])


def style_of(vector: np.ndarray) -> Style:
    """A style from `Style.vector`."""
    return Style(*map(float, vector))


def angles_at(phase: np.ndarray, style: Style, asymmetry: float = 0.0) -> dict[str, np.ndarray]:
    """All `ANGLES` at phases of the gait cycle.

    Args:
        phase: ``[time]`` radians; 0 as the right heel strikes.
        style: How the figure walks.
        asymmetry: By which part of it the right limbs swing further than the mean, and the left less far.
    """
    made: dict[str, np.ndarray] = {}
    for side, own, more in (("R", phase, 1 + asymmetry), ("L", phase + np.pi, 1 - asymmetry)):
        made[f"{side}Hip"] = _harmonics(own, _HIP, style.stride * more)
        made[f"{side}Knee"] = np.maximum(_harmonics(own, _KNEE, (0.5 + 0.5 * style.stride) * more, style.bounce), 1.0)
        # An arm swings with the other side's leg, its elbow somewhat later.
        made[f"{side}Shoulder"] = style.arm_swing * more * np.cos(own + np.pi - 0.2) - 2
        made[f"{side}Elbow"] = np.maximum(style.elbow + 0.45 * style.arm_swing * more * np.cos(own + np.pi - 0.6), 1.0)
    made["Raised"] = np.full_like(phase, style.shoulders)
    made["Lean"] = style.lean + 1.5 * style.stride * np.cos(2 * phase - 0.8)
    made["Sway"] = -style.sway * np.cos(phase - 1.3)
    made["Head"] = style.head - 1.0 * style.stride * np.cos(2 * phase - 0.8)
    # The right side is in front as the right heel strikes, and the shoulders turn against the hips.
    made["Hips"] = 4.0 * style.stride * np.cos(phase)
    made["Shoulders"] = -style.twist * np.cos(phase - 0.2)
    return made


def _harmonics(
    phase: np.ndarray, curve: tuple[float, tuple[tuple[float, float], ...]], swing: float, second: float = 1.0
) -> np.ndarray:
    mean, harmonics = curve
    weights = (swing, swing * second, swing)
    parts = (
        weight * size * np.cos(number * phase - shift)
        for number, (weight, (size, shift)) in enumerate(zip(weights, harmonics, strict=True), start=1)
    )
    return np.asarray(mean + sum(parts))


def joints_at(angles: Mapping[str, np.ndarray], body: Body, frame_rate: float) -> np.ndarray:
    """Places of all joints of a figure that walks along x over a level floor.

    Args:
        angles: `ANGLES` -> ``[time]`` degrees.
        body: Its bones.
        frame_rate: Frames per second.

    Returns:
        ``[time, joint, 3]`` metres, in the order of `data_prep.skeleton.JOINTS`.
    """
    turns = {name: np.radians(angle) for name, angle in angles.items()}
    places: dict[str, np.ndarray] = {"Pelvis": np.zeros((len(turns["Lean"]), 3))}
    places["Neck"] = body.trunk * _upright(turns["Lean"], turns["Sway"])
    places["Head"] = places["Neck"] + body.neck * _upright(turns["Lean"] + turns["Head"], 0.3 * turns["Sway"])
    for side, left in (("L", 1), ("R", -1)):
        hips, shoulders = turns["Hips"], turns["Shoulders"]
        thigh = turns[f"{side}Hip"]
        places[f"{side}Hip"] = 0.5 * body.hips * left * _left(hips, np.zeros_like(hips))
        knee = places[f"{side}Hip"] + body.thigh * _limb(thigh, 0.02 * left, hips)
        places[f"{side}Knee"] = knee
        places[f"{side}Ankle"] = knee + body.shank * _limb(thigh - turns[f"{side}Knee"], -0.01 * left, hips)
        across = 0.5 * body.shoulders * left * _left(shoulders, left * turns["Raised"])
        places[f"{side}Shoulder"] = places["Neck"] + across
        arm = turns[f"{side}Shoulder"]
        elbow = places[f"{side}Shoulder"] + body.upper_arm * _limb(arm, 0.15 * left, shoulders)
        places[f"{side}Elbow"] = elbow
        places[f"{side}Wrist"] = elbow + body.forearm * _limb(arm + turns[f"{side}Elbow"], 0.05 * left, shoulders)
    still = np.stack([places[name] for name in JOINTS], axis=1)
    return still + _carried(places["RAnkle"], places["LAnkle"], frame_rate)[:, np.newaxis]


def _upright(forward: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Unit vectors up, leaning."""
    return np.stack([np.sin(forward) * np.cos(left), np.sin(left), np.cos(forward) * np.cos(left)], axis=1)


def _left(turn: np.ndarray, raised: np.ndarray) -> np.ndarray:
    """Unit vectors to the left, turned to the left and raised."""
    flat = np.cos(raised)
    return np.stack([-np.sin(turn) * flat, np.cos(turn) * flat, np.sin(raised)], axis=1)


def _limb(forward: np.ndarray, outward: float, turn: np.ndarray) -> np.ndarray:
    """Unit vectors down, swung forward and to the left, then turned to the left."""
    x, y = np.sin(forward) * np.cos(outward), np.full_like(forward, np.sin(outward))
    turned = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    return np.stack([*turned, -np.cos(forward) * np.cos(outward)], axis=1)


def _carried(right: np.ndarray, left: np.ndarray, frame_rate: float) -> np.ndarray:
    """Where the pelvis is: above the lower ankle, which does not move; smoothly from one to the other."""
    ankles = np.stack([right, left])
    lower = np.exp((ankles[:, :, 2].min(axis=0) - ankles[:, :, 2]) / _SOFTNESS)
    weights = (lower / lower.sum(axis=0))[:, :, np.newaxis]
    moved = -(weights * np.gradient(ankles, 1 / frame_rate, axis=1)).sum(axis=0)[:, :2] / frame_rate
    height = _ANKLE_HEIGHT - (weights * ankles).sum(axis=0)[:, 2]
    return np.column_stack([np.cumsum(moved, axis=0), height])
