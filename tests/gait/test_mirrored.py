"""Gaits in a mirror: against one written out, twice is once around, and the sides change places."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.skeleton import JOINTS
from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.errors import InputError
from tff_affect.gait.features import NAMES, gait_features
from tff_affect.gait.mirrored import mirror_some, mirrored, mirrored_joints
from tff_affect.gait_set import GaitSet

TOY = ("RHip", "Head", "LHip", "Rib", "RKnee", "LKnee")
TOY_ORDER = [2, 1, 0, 3, 5, 4]


@cache
def walkers() -> GaitSet:
    return draw_walkers(SyntheticWalkersConfig(people=8, takes=1, cycles=2), CycleOptions(samples=32))


def random_series(cycles: int, samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(cycles, samples, 3 * len(TOY) + 1)).astype(np.float32)


def test_each_joint_stands_for_that_of_the_other_side() -> None:
    assert mirrored_joints(TOY) == TOY_ORDER
    order = mirrored_joints(JOINTS)
    assert [JOINTS[order[JOINTS.index(joint)]] for joint in ("LWrist", "RAnkle", "Pelvis", "Head")] == [
        "RWrist", "LAnkle", "Pelvis", "Head",
    ]  # fmt: skip
    with pytest.raises(InputError, match="expected the joint LKnee beside RKnee, found none; set it to false"):
        mirrored_joints(TOY[:5])


def test_a_mirror_agrees_with_one_written_out() -> None:
    series = random_series(2, 8)
    found = mirrored(series, TOY_ORDER)
    assert (found.shape, found.dtype) == (series.shape, np.float32)
    for at in range(8):
        for joint, other in enumerate(TOY_ORDER):
            x, y, z = (series[:, (at + 4) % 8, 3 * other + axis] for axis in range(3))
            np.testing.assert_array_equal(found[:, at, 3 * joint : 3 * joint + 3], np.stack([x, -y, z], axis=1))
    np.testing.assert_array_equal(found[:, :, -1], series[:, :, -1])


@given(cycles=st.integers(1, 4), samples=st.integers(1, 8).map(lambda half: 2 * half), seed=st.integers(0, 99))
def test_a_mirror_in_a_mirror_is_once_around_the_cycle(cycles: int, samples: int, seed: int) -> None:
    series = random_series(cycles, samples, seed)
    once = mirrored(series, TOY_ORDER)
    assert (once != series).any()
    np.testing.assert_array_equal(mirrored(once, TOY_ORDER), np.roll(series, samples, axis=1))


def test_only_marked_cycles_are_in_a_mirror() -> None:
    series, turned = random_series(4, 8), np.array([True, False, False, True])
    found = mirror_some(series, turned, TOY_ORDER)
    np.testing.assert_array_equal(found[~turned], series[~turned])
    np.testing.assert_array_equal(found[turned], mirrored(series[turned], TOY_ORDER))


def test_features_of_the_sides_change_places() -> None:
    gaits = walkers()
    turned = gaits.with_series(mirrored(gaits.series, mirrored_joints(gaits.joints)))
    found = dict(zip(NAMES, gait_features(turned).T, strict=True))
    own = dict(zip(NAMES, gait_features(gaits).T, strict=True))
    for name, values in own.items():
        other = name.replace("left", "*").replace("right", "left").replace("*", "right")
        sign = -1 if name.endswith("_asymmetry") else 1
        np.testing.assert_allclose(found[other], sign * values, atol=1e-3, rtol=1e-5, err_msg=name)
    assert np.abs(own["knee_range_left"] - own["knee_range_right"]).max() > 1


def test_a_cycle_in_a_mirror_begins_with_the_same_foot() -> None:
    """Half a cycle later, the mirrored mean gait is nearly the mean gait; at the same time it is far from it."""
    series = walkers().series
    turned = mirrored(series, mirrored_joints(JOINTS))
    mean = series.mean(axis=0)

    def missed(other: np.ndarray) -> float:
        return float(np.mean((other.mean(axis=0) - mean)[:, :-1] ** 2))

    assert 20 * missed(turned) < missed(np.roll(turned, 16, axis=1))
