"""Gait cycles where they are, and nothing where nobody walks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_walks import walk

from data_prep.bvh_file import read_bvh
from data_prep.gait_cycles import find_cycles, resample
from data_prep.skeleton import JOINTS, fitting_map
from data_prep.walker_model import Body, Style, angles_at, joints_at
from tff_affect.errors import InputError

LEFT, RIGHT = JOINTS.index("LAnkle"), JOINTS.index("RAnkle")
USUAL = Style(0.9, 1.0, 1.0, arm_swing=15, elbow=20, shoulders=-12, twist=5, lean=4, head=10, sway=2)


def steady(cadence=0.9, seconds=8.0, rate=60.0, start=0.0):
    """A walk whose phase is known in every frame."""
    phase = 2 * np.pi * (cadence * np.arange(round(seconds * rate)) / rate + start)
    return joints_at(angles_at(phase, USUAL), Body(), rate)


@given(cadence=st.floats(0.55, 1.4), start=st.floats(0, 1), rate=st.sampled_from([30.0, 60.0, 120.0]))
def test_cycles_of_a_steady_walk_last_as_long_as_they_do(cadence, start, rate):
    found = find_cycles(steady(cadence, 8.0, rate, start), rate)
    np.testing.assert_allclose(np.diff(found.spans)[:, 0] / rate, 1 / cadence, atol=1.5 / rate)
    assert len(found.spans) in (int(8 * cadence) - 1, int(8 * cadence) - 2, int(8 * cadence) - 3)
    np.testing.assert_array_equal(found.spans[1:, 0], found.spans[:-1, 1])
    assert found.left_out == {}
    # At one phase of the walk each, and the foot stands there.
    phases = (found.spans[:, 0] / rate * cadence) % 1
    assert np.ptp(np.angle(np.exp(2j * np.pi * (phases - phases[0])))) < 2 * np.pi * 1.5 * cadence / rate


def test_noise_does_not_move_cycles_much():
    joints = steady()
    noisy = joints + 0.003 * np.random.default_rng(0).normal(size=joints.shape)
    np.testing.assert_allclose(find_cycles(noisy, 60.0).spans, find_cycles(joints, 60.0).spans, atol=2)


def test_resampling_keeps_the_path_and_evens_the_pace():
    joints = steady()
    spans = find_cycles(joints, 60.0).spans
    cycles = resample(joints, spans, 64)
    assert cycles.shape == (len(spans), 64, 15, 3)
    for cycle, (start, end) in zip(cycles, spans, strict=True):
        times = start + (end - start) * np.arange(64) / 64
        expected = [
            np.interp(times, np.arange(len(joints)), joints[:, joint, axis]) for joint in (0, 7) for axis in range(3)
        ]
        np.testing.assert_allclose(np.stack(expected, axis=1).reshape(64, 2, 3), cycle[:, [0, 7]], atol=2e-3)
    fast = resample(steady(1.3), find_cycles(steady(1.3), 60.0).spans, 64)
    centred = [of - of[:, :, 8:9] for of in (cycles, fast)]
    np.testing.assert_allclose(centred[0].mean(axis=0), centred[1].mean(axis=0), atol=0.03)


def test_turning_cycles_are_left_out():
    joints = steady(seconds=12.0)
    angle = np.clip((np.arange(len(joints)) - 350) / 60, 0, 1) * np.pi
    flat = (joints[..., 0] + 1j * joints[..., 1]) * np.exp(1j * angle)[:, np.newaxis]
    turning = np.stack([flat.real, flat.imag, joints[..., 2]], axis=-1)
    straight, found = find_cycles(joints, 60.0), find_cycles(turning, 60.0)
    assert list(found.left_out) == ["in which the body turns"]
    assert len(found.spans) + sum(found.left_out.values()) == len(straight.spans)
    assert not any(start < 350 and end > 410 for start, end in found.spans)


def test_a_pause_is_left_out():
    joints = steady(seconds=12.0)
    paused = np.concatenate([joints[:300], np.repeat(joints[300:301], 100, axis=0), joints[300:]])
    found = find_cycles(paused, 60.0)
    assert 1 <= sum(found.left_out.values()) <= 2
    assert found.left_out.keys() <= {"not of 0.5 to 2.5 s", "much shorter or longer than the others"}
    np.testing.assert_allclose(np.diff(found.spans) / 60, 1 / 0.9, atol=0.03)


@pytest.mark.parametrize(
    ("joints", "words"),
    [
        (np.repeat(steady()[:1], 300, axis=0), r"within 5\.0 s of walking, found none"),
        (steady(seconds=1.0), r"within 1\.0 s of walking, found none"),
        (steady(cadence=0.3, seconds=20.0), r"found \d not of 0\.5 to 2\.5 s"),
    ],
    ids=["a pose", "too short", "too slow"],
)
def test_where_no_cycle_is_complete_it_is_refused(joints, words):
    with pytest.raises(InputError, match=words):
        find_cycles(joints, 60.0)


def test_a_clipped_maximum_is_no_traceback():
    joints = steady()
    joints[..., 2] = np.minimum(joints[..., 2], 0.2 + np.arange(15) * 1e-6)
    with np.errstate(all="raise"):
        assert len(find_cycles(joints, 60.0).spans) >= 3


def test_made_up_people_are_cut_as_they_walk():
    found = find_cycles(walk(1, "sad"), 60.0)
    assert 2 <= len(found.spans) <= 5


@pytest.mark.parametrize(
    ("name", "count", "seconds"),
    [("angry_001", 3, 0.77), ("angry_002", 4, 1.16), ("happy_001", 5, 1.02), ("happy_002", 3, 0.89),
     ("normal_001", 4, 1.08), ("sad_001", 5, 1.64)],
)  # fmt: skip
def test_real_walks_are_cut_into_cycles(name, count, seconds, shared_data):
    """Between two maxima of the right ankle that were counted by eye; the left foot swings half a cycle later."""
    file = shared_data / "bvh" / f"dataset-1_walk_{name}.bvh"
    recorded = read_bvh(file)
    joints = fitting_map(recorded, file).apply(recorded)
    found = find_cycles(joints, recorded.frame_rate)
    assert len(found.spans) == count
    np.testing.assert_allclose(np.diff(found.spans)[:, 0] / recorded.frame_rate, seconds, rtol=0.09)
    cycles = resample(joints, found.spans, 64)
    lifts = [np.argmax(cycles[:, :, ankle, 2], axis=1) / 64 for ankle in (LEFT, RIGHT)]
    # In the middle of every cycle the right foot swings, whatever the emotion.
    np.testing.assert_allclose(lifts[1], 0.5, atol=0.04)
    between = np.angle(np.exp(2j * np.pi * (lifts[1] - lifts[0]))) / (2 * np.pi)
    np.testing.assert_allclose(np.abs(between), 0.5, atol=0.06)
    # Cycles of one walk are alike: their mean explains most of how a foot moves.
    foot = cycles[:, :, RIGHT] - cycles[:, :, JOINTS.index("Pelvis")]
    assert (foot - foot.mean(axis=0)).std() < 0.15 * (foot - foot.mean(axis=(0, 1))).std()
