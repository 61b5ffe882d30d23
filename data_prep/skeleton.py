"""The common skeleton of 15 joints, and maps from other skeletons and sets of markers to it.

The joints and their order are those of the Glasgow Body Movement Library (Ma, Paterson & Pollick 2006). Positions are
in metres, z up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.point_motion import PointMotion
from tff_affect.errors import InputError

JOINTS = (
    "Head", "Neck", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist", "Pelvis", "LHip", "LKnee",
    "LAnkle", "RHip", "RKnee", "RAnkle",
)  # fmt: skip
PELVIS, NECK, HEAD = JOINTS.index("Pelvis"), JOINTS.index("Neck"), JOINTS.index("Head")
_BONES = (
    ("Head", "Neck"), ("Neck", "LShoulder"), ("LShoulder", "LElbow"), ("LElbow", "LWrist"), ("Neck", "RShoulder"),
    ("RShoulder", "RElbow"), ("RElbow", "RWrist"), ("Neck", "Pelvis"), ("Pelvis", "LHip"), ("LHip", "LKnee"),
    ("LKnee", "LAnkle"), ("Pelvis", "RHip"), ("RHip", "RKnee"), ("RKnee", "RAnkle"),
)  # fmt: skip
BONES = tuple((JOINTS.index(one), JOINTS.index(other)) for one, other in _BONES)
"""Pairs of numbers of joints."""
PACKAGED = Path(__file__).parent / "skeletons"
_KEYS = ("name", "up", "metres_per_unit", "joints")
# Axes of a file -> x, y, z up, right-handed.
_TURNS = {"x": (1, 2, 0), "y": (2, 0, 1), "z": (0, 1, 2)}


@dataclass(frozen=True)
class JointMap:
    """How the points of a file become the 15 joints.

    Attributes:
        name: What it is for.
        up: The axis of the file that points up: ``x``, ``y`` or ``z``.
        metres_per_unit: The file's unit of length; where the file itself says its unit, that holds.
        joints: Joint -> the points whose mean it is.
    """

    name: str
    up: str
    metres_per_unit: float
    joints: Mapping[str, tuple[str, ...]]

    @property
    def points(self) -> frozenset[str]:
        """All points that it needs."""
        return frozenset(point for points in self.joints.values() for point in points)

    def apply(self, motion: PointMotion) -> np.ndarray:
        """The 15 joints of a motion that has all `points`.

        Returns:
            ``[time, joint, 3]`` metres, z up, in the order of `JOINTS`; NaN where one of a joint's points is.
        """
        found = {name: place for place, name in enumerate(motion.names)}
        means = [motion.positions[:, [found[point] for point in self.joints[joint]]].mean(axis=1) for joint in JOINTS]
        scale = self.metres_per_unit if motion.metres is None else motion.metres
        return scale * np.stack(means, axis=1)[:, :, _TURNS[self.up]]


def packaged_maps() -> tuple[str, ...]:
    """Names of the maps that come with the package."""
    return tuple(sorted(file.stem for file in PACKAGED.glob("*.yaml")))


def load_joint_map(name_or_file: str | Path) -> JointMap:
    """Reads a map from a YAML file, or one of `packaged_maps` by name.

    Raises:
        InputError: If there is no such map, it is not YAML, or it is wrong.
    """
    import yaml

    file = Path(name_or_file)
    if str(name_or_file) in packaged_maps() and not file.is_file():
        file = PACKAGED / f"{name_or_file}.yaml"
    if not os.path.isfile(file):
        reason = f"no such joint map; expected a YAML file or one of {', '.join(packaged_maps())}"
        raise InputError(reason, file=file)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    # A date that there is not is a ValueError.
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        raise InputError(f"not a readable YAML file: {str(error).splitlines()[0]}", file=file) from error
    return _checked(content, file)


def fitting_map(motion: PointMotion, file: Path, wanted: JointMap | None = None) -> JointMap:
    """The map that fits the names of a motion's points.

    Args:
        motion: A motion.
        file: Its file, for messages.
        wanted: The map to be used; None: the packaged one of which all points are there.

    Raises:
        InputError: If points are missing from the wanted map, or none or several of the packaged ones fit.
    """
    if wanted is not None:
        lacking = sorted(wanted.points.difference(motion.names))
        if lacking:
            reason = f"the joint map {wanted.name!r} needs {', '.join(map(repr, lacking[:4]))}; found {_seen(motion)}"
            raise InputError(reason, file=file)
        return wanted
    fitting = [one for one in _all_packaged() if one.points.issubset(motion.names)]
    if len(fitting) != 1:
        known = ", ".join(packaged_maps())
        which = " and ".join(one.name for one in fitting) + " fit" if fitting else f"none of {known} fits"
        raise InputError(f"{which} the points {_seen(motion)}; give a joint map as a YAML file", file=file)
    return fitting[0]


@cache
def _all_packaged() -> tuple[JointMap, ...]:
    return tuple(load_joint_map(name) for name in packaged_maps())


def _seen(motion: PointMotion) -> str:
    return ", ".join(motion.names[:8]) + (", ..." if len(motion.names) > 8 else "")


def _checked(content: Any, file: Path) -> JointMap:
    if not isinstance(content, dict) or set(content) != set(_KEYS):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"joint map: expected the keys {', '.join(_KEYS)}, found {found or 'none'}", file=file)
    unit, up, joints = content["metres_per_unit"], content["up"], content["joints"]
    if isinstance(unit, bool) or not isinstance(unit, int | float) or not 0 < unit < 100:
        raise InputError(f"joint map: expected a number of metres_per_unit above 0, found {unit!r}", file=file)
    if up not in _TURNS:
        raise InputError(f"joint map: expected up to be x, y or z, found {up!r}", file=file)
    if not isinstance(joints, dict) or set(joints) != set(JOINTS):
        wrong = sorted(set(JOINTS).symmetric_difference(map(str, joints if isinstance(joints, dict) else ())))
        raise InputError(f"joint map: expected the joints {', '.join(JOINTS)}; see {wrong[0]!r}", file=file)
    points = {joint: tuple(value) if isinstance(value, list) else (value,) for joint, value in joints.items()}
    for joint, names in points.items():
        if not names or not all(isinstance(name, str) for name in names):
            raise InputError(f"joint map: {joint}: expected a point or a list, found {joints[joint]!r}", file=file)
    return JointMap(str(content["name"]), up, float(unit), {joint: points[joint] for joint in JOINTS})
