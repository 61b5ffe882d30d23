"""Hand-made features of gait cycles: steps, pace, angles of joints, posture and how much the sides differ.

They are what studies of emotion in gait report (as in Roether, Omlor, Christensen and Giese 2009, Critical features for
the perception of emotion from gait, Journal of Vision 9(6):15); their definitions are this project's.

All are taken along the body's own axes, and relative to joints of the body, so that neither the place in the room nor
the direction of walking matters. Where the pelvis was made the origin, two things are lost, whatever is computed: how
far the body gets within a cycle, and how far the pelvis rises. Steps therefore stand in for the stride: the greatest
distance of the ankles along the heading, once with the left and once with the right one in front, and the speed is the
two together over the duration of the cycle. And bounce is how much the height of the pelvis above the lower ankle
varies. Where bodies were scaled to one size, metres are those of such a body.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tff_affect.errors import InputError
from tff_affect.gait_set import GaitSet

SIDES = ("left", "right")
LIMBS = ("hip", "knee", "shoulder", "elbow")
_ONE_SIDED = ("step_length", "arm_swing", *(f"{limb}_range" for limb in LIMBS))
UNITS: Mapping[str, str] = {
    "cadence": "steps/min",
    "speed": "m/s",
    **{f"step_length_{side}": "m" for side in SIDES},
    "step_width": "m",
    **{f"{limb}_{what}_{side}": "degrees" for limb in LIMBS for what in ("range", "mean") for side in SIDES},
    **{f"arm_swing_{side}": "m" for side in SIDES},
    "head_tilt": "degrees",
    "trunk_lean": "degrees",
    "trunk_sway": "degrees",
    "shoulders_raised": "degrees",
    "twist": "degrees",
    "bounce": "m",
    **{f"{name}_asymmetry": "1" for name in _ONE_SIDED},
}
"""Features, in their order -> unit.

- ``step_length_left``: how far the left ankle gets ahead of the right one; ``step_width``: how far it is to the left of
  it, on average.
- ``hip`` and ``shoulder``: angle of the thigh or the upper arm with the vertical, as seen from the side, positive to
  the front; ``knee`` and ``elbow``: flexion, 0 where the limb is straight. Of each, range over the cycle and mean.
- ``arm_swing``: range of the wrist along the heading, relative to the shoulder.
- ``head_tilt``: mean angle of the head against the trunk, and ``trunk_lean``: of the trunk with the vertical, both as
  seen from the side, positive to the front. ``trunk_sway``: range of the trunk's angle as seen from the front.
- ``shoulders_raised``: mean angle of the shoulders above the foot of the neck.
- ``twist``: range of the turn of the shoulders against the hips, as seen from above.
- ``asymmetry``: (left - right) / (left + right), from -1 to 1; 0 where neither side moves.
"""
NAMES = tuple(UNITS)
_JOINTS = (
    "Head", "Neck", "Pelvis", *(f"{s}{joint}" for s in "LR" for joint in ("Shoulder", "Elbow", "Wrist")),
    *(f"{s}{joint}" for s in "LR" for joint in ("Hip", "Knee", "Ankle")),
)  # fmt: skip

_Places = Mapping[str, np.ndarray]


def gait_features(gaits: GaitSet) -> np.ndarray:
    """The features of each cycle.

    Args:
        gaits: Of the common skeleton of 15 joints.

    Returns:
        ``[cycle, feature]`` float64, in the order and the units of `UNITS`.

    Raises:
        InputError: If a joint is missing.
    """
    missing = [joint for joint in _JOINTS if joint not in gaits.joints]
    if missing:
        raise InputError(f"gait features: expected the joint {missing[0]}, found {', '.join(gaits.joints)}")
    places = _along_the_body({joint: gaits.motions[:, :, gaits.joints.index(joint)] for joint in _JOINTS})
    found = {**_one_sided(places), **_posture(places)}
    found["cadence"] = 120 / gaits.durations
    found["speed"] = (found["step_length_left"] + found["step_length_right"]) / gaits.durations
    for name in _ONE_SIDED:
        left, right = (found[f"{name}_{side}"] for side in SIDES)
        both = left + right
        found[f"{name}_asymmetry"] = np.divide(left - right, both, out=np.zeros_like(both), where=both > 1e-9)
    return np.column_stack([found[name] for name in NAMES])


def _along_the_body(places: _Places) -> _Places:
    """``[cycle, time, 3]`` of each joint to the front, to the left and up, as hips and shoulders stand on average."""
    doubled = {joint: place.astype(np.float64) for joint, place in places.items()}
    across = sum((doubled[f"L{joint}"] - doubled[f"R{joint}"]).mean(axis=1)[:, :2] for joint in ("Hip", "Shoulder"))
    left = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    front = np.stack([left[:, 1], -left[:, 0]], axis=1)

    def turned(place: np.ndarray) -> np.ndarray:
        flat = [np.einsum("cta,ca->ct", place[:, :, :2], axis) for axis in (front, left)]
        return np.stack([*flat, place[:, :, 2]], axis=2)

    return {joint: turned(place) for joint, place in doubled.items()}


def _one_sided(places: _Places) -> dict[str, np.ndarray]:
    found = {}
    for side, other in (("left", "right"), ("right", "left")):
        own = {joint: places[f"{side[0].upper()}{joint}"] for joint in ("Hip", "Knee", "Shoulder", "Elbow", "Wrist")}
        ankle = places[f"{side[0].upper()}Ankle"]
        ahead = ankle - places[f"{other[0].upper()}Ankle"]
        found[f"step_length_{side}"] = np.maximum(ahead[:, :, 0].max(axis=1), 0)
        found[f"arm_swing_{side}"] = np.ptp((own["Wrist"] - own["Shoulder"])[:, :, 0], axis=1)
        thigh, upper_arm = own["Knee"] - own["Hip"], own["Elbow"] - own["Shoulder"]
        angles = {
            "hip": _swing(thigh),
            "knee": _between(thigh, ankle - own["Knee"]),
            "shoulder": _swing(upper_arm),
            "elbow": _between(upper_arm, own["Wrist"] - own["Elbow"]),
        }
        for limb, angle in angles.items():
            found[f"{limb}_range_{side}"] = np.ptp(angle, axis=1)
            found[f"{limb}_mean_{side}"] = angle.mean(axis=1)
    return found


def _posture(places: _Places) -> dict[str, np.ndarray]:
    trunk = places["Neck"] - places["Pelvis"]
    lean = _forward(trunk)
    ankles = np.stack([places["LAnkle"], places["RAnkle"]])
    across = {joint: places[f"L{joint}"] - places[f"R{joint}"] for joint in ("Hip", "Shoulder")}
    raised = [places[f"{side}Shoulder"] - places["Neck"] for side in "LR"]
    turn = {joint: _angle(-line[:, :, 0], line[:, :, 1]) for joint, line in across.items()}
    return {
        "step_width": (ankles[0] - ankles[1])[:, :, 1].mean(axis=1),
        "head_tilt": (_forward(places["Head"] - places["Neck"]) - lean).mean(axis=1),
        "trunk_lean": lean.mean(axis=1),
        "trunk_sway": np.ptp(_angle(trunk[:, :, 1], trunk[:, :, 2]), axis=1),
        "shoulders_raised": np.mean(
            [np.degrees(np.arctan2(line[:, :, 2], np.linalg.norm(line[:, :, :2], axis=2))) for line in raised],
            axis=(0, 2),
        ),
        "twist": np.ptp(turn["Shoulder"] - turn["Hip"], axis=1),
        "bounce": np.ptp(places["Pelvis"][:, :, 2] - ankles[:, :, :, 2].min(axis=0), axis=1),
    }


def _angle(over: np.ndarray, along: np.ndarray) -> np.ndarray:
    """``[cycle, time]`` degrees, without leaps of a whole turn."""
    return np.degrees(np.unwrap(np.arctan2(over, along), axis=1))


def _forward(up: np.ndarray) -> np.ndarray:
    """``[cycle, time]`` degrees by which ``[cycle, time, 3]`` leans to the front."""
    return _angle(up[:, :, 0], up[:, :, 2])


def _swing(down: np.ndarray) -> np.ndarray:
    """``[cycle, time]`` degrees by which a limb that hangs along ``[cycle, time, 3]`` is swung to the front."""
    return _angle(down[:, :, 0], -down[:, :, 2])


def _between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``[cycle, time]`` degrees between two bones; exact for limbs that are nearly straight, too."""
    cross = np.linalg.norm(np.cross(one, other), axis=2)
    return np.degrees(np.arctan2(cross, (one * other).sum(axis=2)))
