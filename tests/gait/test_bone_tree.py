"""Skeletons as trees of bones."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from data_prep.skeleton import BONES, JOINTS
from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from tff_affect.errors import InputError
from tff_affect.gait.bone_tree import BoneTree, bones_of
from tff_affect.gait_set import GaitSet

TREE = BoneTree.of(JOINTS, BONES)


@cache
def walkers() -> GaitSet:
    return draw_walkers(SyntheticWalkersConfig(people=2, takes=1, cycles=2))


def test_the_tree_puts_joints_where_their_bones_lead() -> None:
    motions = walkers().motions
    assert len(TREE.bones) == len(JOINTS) - 1
    np.testing.assert_allclose(np.einsum("jb,ntbc->ntjc", TREE.paths, TREE.vectors(motions)), motions, atol=1e-5)
    backwards = BoneTree.of(JOINTS, [bone[::-1] for bone in reversed(BONES)])
    assert {frozenset(bone) for bone in backwards.bones} == {frozenset(bone) for bone in BONES}
    seen = {backwards.root}
    for near, far in backwards.bones:
        assert near in seen
        seen.add(far)


@pytest.mark.parametrize(
    ("joints", "bones", "message"),
    [
        (("Head", "Neck"), ((0, 1),), "expected the joint Pelvis, found Head, Neck"),
        (("Pelvis", "Neck", "Head"), ((0, 1),), "found none for Head"),
        (("Pelvis", "Neck", "Head"), ((0, 1), (1, 2), (2, 0)), "found a ring of bones"),
        (("Pelvis", "Neck", "Head", "Nose"), ((0, 1), (2, 3)), "found none for Head"),
    ],
)
def test_bones_that_are_no_tree_are_refused(
    joints: tuple[str, ...], bones: tuple[tuple[int, int], ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        BoneTree.of(joints, bones)


def test_sets_that_cannot_be_put_together_are_refused() -> None:
    gaits = walkers()
    assert bones_of(gaits) == TREE
    with pytest.raises(InputError, match="Pelvis as the origin of every sample; read the walks with root=true"):
        bones_of(replace(gaits, motions=gaits.motions + np.float32(0.1)))
    flat = gaits.motions.copy()
    flat[3, 2, JOINTS.index("LWrist")] = flat[3, 2, JOINTS.index("LElbow")]
    with pytest.raises(InputError, match="found LElbow and LWrist in one place"):
        bones_of(replace(gaits, motions=flat))
    with pytest.raises(InputError, match="found NaN"):
        TREE.check(gaits.motions * np.nan)
    with pytest.raises(InputError, match=r"expected motions .* 15 joints"):
        TREE.check(gaits.motions[:, :, :14])
