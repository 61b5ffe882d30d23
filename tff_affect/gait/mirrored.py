"""Gaits as in a mirror: left limbs where right ones were, half a cycle later."""

from __future__ import annotations

import numpy as np

from tff_affect.errors import InputError

_OTHER = {"L": "R", "R": "L"}


def mirrored_joints(joints: tuple[str, ...]) -> list[int]:
    """Of each joint the number of that which stands for it in a mirror: ``LKnee`` for ``RKnee``, ``Head`` for itself.

    Raises:
        InputError: If there is a joint of one side alone, or none of a side.
    """
    order = []
    for joint in joints:
        sided = joint[:1] in _OTHER and joint[1:2].isupper()
        other = _OTHER[joint[0]] + joint[1:] if sided else joint
        if other not in joints:
            raise InputError(f"gait.mirrored: expected the joint {other} beside {joint}, found none; set it to false")
        order.append(joints.index(other))
    if order == list(range(len(joints))):
        raise InputError(f"gait.mirrored: expected joints such as LKnee and RKnee, found {', '.join(joints)}")
    return order


def mirrored(series: np.ndarray, order: list[int]) -> np.ndarray:
    """Series of a `GaitSet` as in a mirror along the heading, the cycle begun half a cycle later.

    Args:
        series: ``[cycle, time, joint x 3 + 1]``; y is left, as it is where cycles are turned to one heading.
        order: Of `mirrored_joints`.
    """
    count, samples, _ = series.shape
    places = series[:, :, :-1].reshape(count, samples, -1, 3)[:, :, order] * np.array([1, -1, 1], series.dtype)
    turned = np.roll(places, samples // 2, axis=1).reshape(count, samples, -1)
    return np.concatenate([turned, series[:, :, -1:]], axis=2)


def mirror_some(series: np.ndarray, turned: np.ndarray, order: list[int]) -> np.ndarray:
    """Series of which those that are marked by ``[cycle]`` are as in a mirror; see `mirrored`."""
    return np.where(turned[:, np.newaxis, np.newaxis], mirrored(series, order), series)
