from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.planted_importance import OPTIONS, Numbers, readers
from data_prep.skeleton import JOINTS
from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers


def test_numbers_of_a_joint_change_with_its_bone_alone() -> None:
    gaits = draw_walkers(SyntheticWalkersConfig(people=1, takes=1, cycles=2), OPTIONS)
    wrist = JOINTS.index("RWrist")
    moved = gaits.motions.copy()
    moved[:, ::2, wrist] += [0.05, 0, 0]
    before, after = Numbers.of(gaits), Numbers.of(replace(gaits, motions=moved))
    changed = ~np.isclose(before.values, after.values).all(axis=0)
    assert set(before.joints[changed]) == {wrist}
    assert before.joints[-1] == -1


def test_readers_that_are_held_read_joints_one_by_one() -> None:
    free, held = readers(24, 5, (1.0, 3e-4))
    assert free.accuracy > 0.4
    assert held.planted > max(0.4, free.planted)
