"""Made-up walkers: emotion that can be learnt but not without error, people who are told by their bodies."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from data_prep.skeleton import BONES, JOINTS
from data_prep.synthetic_walkers import (
    EMOTIONS,
    PARTS,
    SyntheticWalkersConfig,
    draw_walk,
    draw_walkers,
    effect_size,
    expressiveness,
)
from data_prep.walk_file import CycleOptions
from tff_affect.errors import InputError

ARMS = {"LElbow", "LWrist", "RElbow", "RWrist"}


@pytest.fixture(scope="module")
def gaits():
    return draw_walkers(SyntheticWalkersConfig(people=12, takes=3, cycles=3))


def classifier():
    return make_pipeline(StandardScaler(), PCA(30, random_state=0), SVC(C=3))


def test_everybody_walks_with_every_emotion(gaits):
    assert gaits.synthetic
    assert gaits.name.startswith("SYNTHETIC")
    assert (len(gaits.people), gaits.classes) == (12, tuple(sorted(EMOTIONS)))
    cells = set(zip(gaits.subjects, gaits.emotions, gaits.takes, strict=True))
    assert len(cells) == len(set(gaits.takes)) == 12 * 4 * 3
    counts = np.bincount(gaits.take)
    assert counts.min() >= 2
    assert 0.7 < gaits.durations.min() < gaits.durations.max() < 1.8
    means = {emotion: gaits.durations[np.array(gaits.emotions) == emotion].mean() for emotion in gaits.classes}
    assert means["angry"] < means["neutral"] < means["sad"]


def test_bones_are_rigid(gaits):
    for one, other in BONES:
        length = np.linalg.norm(gaits.motions[:, :, one] - gaits.motions[:, :, other], axis=2)
        assert np.ptp(length, axis=1).max() < 5e-4
    walk = draw_walk(SyntheticWalkersConfig(), 3, "happy", 1)
    lengths = [np.linalg.norm(walk[:, one] - walk[:, other], axis=1) for one, other in BONES]
    assert max(map(np.ptp, lengths)) < 1e-12


def test_equal_configurations_make_equal_walks_and_others_do_not():
    config = SyntheticWalkersConfig(people=5, seed=4)
    walk = draw_walk(config, 2, "sad", 1)
    np.testing.assert_array_equal(walk, draw_walk(SyntheticWalkersConfig(people=300, takes=9, seed=4), 2, "sad", 1))
    others = (
        draw_walk(SyntheticWalkersConfig(seed=5), 2, "sad", 1), draw_walk(config, 1, "sad", 1),
        draw_walk(config, 2, "sad", 0), draw_walk(config, 2, "angry", 1),
    )  # fmt: skip
    for other in others:
        assert len(other) != len(walk) or np.abs(other - walk).max() > 0.01


def test_emotion_is_told_above_chance_in_unseen_people_and_not_without_error(gaits):
    flat = gaits.motions[:, ::4].reshape(len(gaits), -1)
    right = cross_val_score(classifier(), flat, np.array(gaits.emotions), groups=gaits.person, cv=GroupKFold(6)).mean()
    assert 0.45 < right < 0.95


def test_people_are_told_from_unseen_recordings(gaits):
    flat = gaits.motions[:, ::4].reshape(len(gaits), -1)
    last = np.array([take.endswith("/2.csv") for take in gaits.takes])
    assert classifier().fit(flat[~last], gaits.person[~last]).score(flat[last], gaits.person[last]) > 0.95


def test_expressiveness_ranks_joints_as_measured_between_emotions(gaits):
    planted = np.array([expressiveness(joint) for joint in JOINTS])
    assert JOINTS[int(np.argmax(planted))] in ("LWrist", "RWrist")
    assert planted[JOINTS.index("Pelvis")] == pytest.approx(0, abs=1e-6)
    emotions = np.array(gaits.emotions)
    means = np.stack([gaits.motions[emotions == emotion].mean(axis=0) for emotion in gaits.classes])
    measured = np.sqrt(((means - means.mean(axis=0)) ** 2).sum(axis=3).mean(axis=(0, 1)))
    ranks = [np.argsort(np.argsort(of)) for of in (planted, measured)]
    assert np.corrcoef(*ranks)[0, 1] > 0.85


def test_emotion_can_be_confined_to_parts_of_the_body():
    arms = SyntheticWalkersConfig(parts=("arms",))
    found = {joint: expressiveness(joint, arms) for joint in JOINTS}
    assert {joint for joint, value in found.items() if value > 1e-3} == ARMS
    none = SyntheticWalkersConfig(parts=())
    assert max(expressiveness(joint, none) for joint in JOINTS) < 1e-6
    np.testing.assert_array_equal(draw_walk(none, 0, "neutral", 0).shape[1:], (15, 3))
    head = SyntheticWalkersConfig(parts=("head",))
    assert expressiveness("Head", head) > 10 * max(expressiveness(joint, head) for joint in JOINTS[1:])
    assert expressiveness("LWrist", SyntheticWalkersConfig(strength=(1.0, 1.0))) > expressiveness("LWrist")
    assert set().union(*PARTS.values()) == set(EMOTIONS["sad"].__dataclass_fields__)


@pytest.mark.parametrize("directions", [False, True])
def test_effect_size_is_as_measured_in_people(gaits, directions):
    planted = np.array([effect_size(joint, directions=directions) for joint in JOINTS])
    assert planted[JOINTS.index("Pelvis")] == 0
    seen = bone_directions(gaits.motions) if directions else gaits.motions
    emotions = np.array(gaits.emotions)
    means = np.stack([seen[emotions == emotion].mean(axis=0) for emotion in gaits.classes])
    within = np.sqrt(np.mean([seen[emotions == one].var(axis=0) for one in gaits.classes], axis=(0, 1)))
    between = np.sqrt(means.var(axis=0).mean(axis=0))
    measured = np.sqrt((np.where(within > 1e-3, between / np.maximum(within, 1e-3), 0) ** 2).sum(axis=1))
    assert np.corrcoef(planted, measured)[0, 1] > 0.85


def bone_directions(motions):
    found = np.zeros_like(motions)
    carried = (("Pelvis", "Neck"), ("Neck", "Head"))
    for side in "LR":
        arm, leg = (("Neck", "Shoulder", "Elbow", "Wrist"), ("Pelvis", "Hip", "Knee", "Ankle"))
        for chain in (arm, leg):
            names = (chain[0], *(side + name for name in chain[1:]))
            carried += tuple(pairwise(names))
    for near, far in carried:
        vectors = motions[:, :, JOINTS.index(far)] - motions[:, :, JOINTS.index(near)]
        found[:, :, JOINTS.index(far)] = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    return found


def test_effect_size_has_no_unit_and_falls_as_people_differ_more():
    smaller = CycleOptions(size=False)
    assert effect_size("Head", options=smaller) < effect_size("Head")
    by_size = [effect_size("LWrist", options=options, directions=True) for options in (smaller, None)]
    assert by_size[0] == pytest.approx(by_size[1], rel=1e-3)
    assert effect_size("Head", SyntheticWalkersConfig(mood=1.5)) < effect_size("Head")
    assert effect_size("Head", SyntheticWalkersConfig(strength=(1.0, 1.0))) > effect_size("Head")


def test_effect_size_is_confined_as_emotion_is_and_ranks_joints_otherwise_than_metres():
    arms = SyntheticWalkersConfig(parts=("arms",))
    for directions in (False, True):
        assert {joint for joint in JOINTS if effect_size(joint, arms, directions=directions) > 0.05} == ARMS
    assert max(effect_size(joint, SyntheticWalkersConfig(parts=())) for joint in JOINTS) < 1e-3
    # Metres of a wrist are many, and say little: wrists differ by more.
    trunk = SyntheticWalkersConfig(parts=("trunk",))
    assert expressiveness("LWrist", trunk) > expressiveness("LShoulder", trunk)
    assert effect_size("LWrist", trunk) < effect_size("LShoulder", trunk)


def test_options_reach_the_cycles():
    config = SyntheticWalkersConfig(people=1, takes=1, cycles=2)
    plain = draw_walkers(config, CycleOptions(samples=20, root=False))
    assert plain.motions.shape[1] == 20
    assert np.ptp(plain.motions[:, :, JOINTS.index("Pelvis"), 0]) > 0.5


WRONG = {
    "people": ({"people": 0}, "people: expected at least 1, found 0"),
    "takes": ({"takes": -1}, "takes: expected at least 1"),
    "parts": ({"parts": ("tail",)}, "parts: expected some of legs, arms, trunk, head, found tail"),
    "strength": ({"strength": (1.0, 0.5)}, "strength: expected a range within 0 to 2"),
    "mood": ({"mood": -1.0}, "a mood and a wandering of at least 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_configurations_are_refused(name):
    with pytest.raises(InputError, match=WRONG[name][1]):
        SyntheticWalkersConfig(**WRONG[name][0])
    with pytest.raises(InputError, match=r"expected a joint of Head, Neck, .* found 'Tail'"):
        expressiveness("Tail")
    with pytest.raises(InputError, match=r"expected a joint of Head, Neck, .* found 'Tail'"):
        effect_size("Tail")
