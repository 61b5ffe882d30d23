"""Bones as a tree that grows from the pelvis, so that a body can be put together from directions and lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tff_affect.errors import InputError
from tff_affect.gait_set import GaitSet

ROOT = "Pelvis"
_ROOTED = 1e-4
_LEAST_LENGTH = 1e-3


@dataclass(frozen=True)
class BoneTree:
    """Bones, each after the one that it grows from.

    Attributes:
        joints: Names of all joints.
        root: Number of the joint that is the origin.
        bones: Numbers of two joints, the one nearer to the root first.
    """

    joints: tuple[str, ...]
    root: int
    bones: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, joints: Sequence[str], bones: Sequence[tuple[int, int]]) -> BoneTree:
        """The tree of a skeleton.

        Raises:
            InputError: If there is no pelvis, or bones do not connect each joint with it in just one way.
        """
        if ROOT not in joints:
            raise InputError(f"gait: expected the joint {ROOT}, found {', '.join(joints)}")
        root = joints.index(ROOT)
        reached, grown, left = {root}, [], list(bones)
        while left:
            bone = next((bone for bone in left if (bone[0] in reached) != (bone[1] in reached)), None)
            if bone is None:
                break
            left.remove(bone)
            near, far = bone if bone[0] in reached else bone[::-1]
            grown.append((near, far))
            reached.add(far)
        if left or len(reached) < len(joints):
            lost = next((name for number, name in enumerate(joints) if number not in reached), None)
            found = f"none for {lost}" if lost else "a ring of bones"
            raise InputError(f"gait: expected bones that connect each joint with {ROOT} in one way, found {found}")
        return cls(tuple(joints), root, tuple(grown))

    @cached_property
    def paths(self) -> np.ndarray:
        """``[joint, bone]`` float32: 1 where a bone is on the way from the root to a joint, otherwise 0."""
        paths = np.zeros((len(self.joints), len(self.bones)), np.float32)
        for number, (near, far) in enumerate(self.bones):
            paths[far] = paths[near]
            paths[far, number] = 1
        return paths

    def vectors(self, motions: np.ndarray) -> np.ndarray:
        """``[cycle, time, bone, 3]`` metres from ``[cycle, time, joint, 3]``."""
        near, far = np.array(self.bones).T
        return motions[:, :, far] - motions[:, :, near]

    def check(self, motions: np.ndarray) -> None:
        """Checks that motions are of this skeleton, with the pelvis as the origin.

        Only there is the end of a cycle where its beginning is.

        Raises:
            InputError: If they are not, or a place is NaN or infinite.
        """
        if motions.ndim != 4 or motions.shape[2:] != (len(self.joints), 3):
            raise InputError(
                f"gait: expected motions [cycle, time, {len(self.joints)} joints, 3], found {list(motions.shape)}"
            )
        if not np.isfinite(motions).all():
            raise InputError("gait: expected places of all joints in every sample, found NaN or infinity")
        if len(motions) and np.abs(motions[:, :, self.root]).max() > _ROOTED:
            raise InputError(f"gait: expected {ROOT} as the origin of every sample; read the walks with root=true")


def bones_of(gaits: GaitSet) -> BoneTree:
    """The tree of a set's bones, of which none is without a length.

    Raises:
        InputError: As of `BoneTree.of` and `BoneTree.check`, or if two joints of a bone are in one place.
    """
    tree = BoneTree.of(gaits.joints, gaits.bones)
    tree.check(gaits.motions)
    if len(gaits):
        lengths = np.linalg.norm(tree.vectors(gaits.motions), axis=3).min(axis=(0, 1))
        if lengths.min() < _LEAST_LENGTH:
            near, far = (gaits.joints[joint] for joint in tree.bones[int(lengths.argmin())])
            raise InputError(f"gait: expected joints apart from each other, found {near} and {far} in one place")
    return tree
