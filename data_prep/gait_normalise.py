"""Walks made comparable: gaps filled, and what is of the room or of the body, not of the movement, taken out.

The place in the room, the direction of walking and the size of the body can each be left in: the latter carries
identity, and so do, in a small set, the former.
"""

from __future__ import annotations

import numpy as np

from data_prep.skeleton import HEAD, JOINTS, NECK, PELVIS
from tff_affect.errors import InputError

STANDARD_SIZE = 1.4
"""Metres from the ankle to the head along the bones, of a body of standard size."""
_SIZES = (0.5, 2.3)
# How far a joint may be from the pelvis, in sizes of the body: a raised wrist is at about 0.8.
_REACH = 1.5
_LEAST_STEP = 0.1
_LEFT, _RIGHT = ([JOINTS.index(f"{side}{joint}") for joint in ("Hip", "Knee", "Ankle")] for side in "LR")
_SIDES = [[JOINTS.index(f"{side}{joint}") for joint in ("Hip", "Shoulder")] for side in "LR"]


def fill_gaps(joints: np.ndarray, frame_rate: float, longest: float) -> tuple[np.ndarray, int]:
    """Fills short gaps by monotone cubic interpolation (PCHIP); incomplete frames at both ends are cut off.

    Args:
        joints: ``[time, joint, 3]``, NaN where a joint was not seen.
        frame_rate: Frames per second.
        longest: The longest gap that is filled, seconds.

    Returns:
        ``[time, joint, 3]`` without NaN; the number of the first frame that is left.

    Raises:
        InputError: If a gap is longer, with its joint, or nothing is left.
    """
    from scipy.interpolate import PchipInterpolator

    missing = np.isnan(joints).any(axis=2)
    complete = np.flatnonzero(~missing.any(axis=1))
    if len(complete) < 2:
        never = [name for name, gone in zip(JOINTS, missing.all(axis=0), strict=True) if gone]
        why = f"{', '.join(never)} never seen" if never else "some joint is missing in every frame"
        raise InputError(f"expected frames with all joints, found {len(complete)}: {why}")
    first, last = int(complete[0]), int(complete[-1])
    filled, missing = joints[first : last + 1].copy(), missing[first : last + 1]
    frames = np.arange(len(filled))
    for joint in np.flatnonzero(missing.any(axis=0)):
        start, length = _longest_run(missing[:, joint])
        if length > longest * frame_rate:
            found = f"{JOINTS[joint]} is missing for {length / frame_rate:.2f} s from frame {first + start}"
            raise InputError(f"{found}; at most {longest:g} s are filled")
        seen = ~missing[:, joint]
        filled[~seen, joint] = PchipInterpolator(frames[seen], filled[seen, joint])(frames[~seen])
    return filled, first


def _longest_run(flags: np.ndarray) -> tuple[int, int]:
    """First number and length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    lengths = edges[1::2] - edges[::2]
    longest = int(np.argmax(lengths))
    return int(edges[2 * longest]), int(lengths[longest])


def body_size(joints: np.ndarray) -> float:
    """Metres from ankle to head along the bones, whatever the posture: the median over time, the legs' mean."""
    legs = np.mean([_length(joints, *leg) for leg in (_LEFT, _RIGHT)], axis=0)
    return float(np.median(legs + _length(joints, PELVIS, NECK, HEAD)))


def _length(joints: np.ndarray, *chain: int) -> np.ndarray:
    return np.linalg.norm(np.diff(joints[:, chain], axis=1), axis=2).sum(axis=1)


def check_body(joints: np.ndarray) -> None:
    """Checks that joints are of one upright body in metres.

    Raises:
        InputError: If the unit or the axis that points up is wrong, or a joint flies off from the others.
    """
    size = body_size(joints)
    if not _SIZES[0] <= size <= _SIZES[1]:
        reason = f"expected a body of {_SIZES[0]} to {_SIZES[1]} m from ankle to head, found {size:.3g} m"
        raise InputError(f"{reason}; see metres_per_unit of the joint map")
    ankles = joints[:, [_LEFT[-1], _RIGHT[-1]], 2].mean(axis=1)
    if np.median(joints[:, HEAD, 2] - ankles) < 0.4 * size:
        raise InputError("expected a body with its head above its ankles, found none; see up of the joint map")
    away = np.linalg.norm(joints - joints[:, PELVIS : PELVIS + 1], axis=2)
    if away.max() > _REACH * size:
        frame, joint = np.unravel_index(np.argmax(away), away.shape)
        reason = (
            f"expected all joints together, found {JOINTS[joint]} {away.max():.3g} m from the pelvis in frame {frame}"
        )
        raise InputError(f"{reason}; mark it as missing")


def is_static(joints: np.ndarray) -> bool:
    """Whether nobody walks: the ankles keep their places to each other within 10 cm."""
    between = joints[:, _LEFT[-1]] - joints[:, _RIGHT[-1]]
    return float(np.ptp(between, axis=0).max()) < _LEAST_STEP


def facing(joints: np.ndarray) -> float:
    """Where the body faces on average, radians from x towards y: across the hips and the shoulders."""
    left, right = (joints[:, side].mean(axis=(0, 1)) for side in _SIDES)
    across = left - right
    return float(np.arctan2(-across[0], across[1]))


def walks_backwards(joints: np.ndarray) -> bool:
    """Whether a body goes at least half a metre to where its back is: left and right may be exchanged."""
    way = joints[-1, PELVIS, :2] - joints[0, PELVIS, :2]
    angle = facing(joints)
    return float(way @ [np.cos(angle), np.sin(angle)]) < -0.5


def turned(joints: np.ndarray, angle: float) -> np.ndarray:
    """Joints turned about the vertical axis by an angle in radians, counter-clockwise as seen from above."""
    cos, sin = np.cos(angle), np.sin(angle)
    return joints @ np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def normalise(cycle: np.ndarray, root: bool = True, heading: bool = True, size: float | None = None) -> np.ndarray:
    """One gait cycle without what is not of the movement.

    Args:
        cycle: ``[time, joint, 3]`` metres, z up.
        root: Whether the pelvis becomes the origin in every frame.
        heading: Whether the cycle is turned about the vertical axis so that the body faces x, and left is y.
        size: The body's `body_size`; it becomes `STANDARD_SIZE`. None: it stays.

    Returns:
        ``[time, joint, 3]`` metres, z up.
    """
    angle = facing(cycle)
    made = cycle - cycle[:, PELVIS : PELVIS + 1] if root else cycle
    made = turned(made, -angle) if heading else made
    return made if size is None else made * (STANDARD_SIZE / size)
