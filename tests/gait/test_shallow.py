"""Shallow readers of emotion: against scikit-learn, and nothing learned from whom they read."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from tff_affect.config import SplitConfig
from tff_affect.emotion_scores import confusion
from tff_affect.errors import InputError
from tff_affect.gait.features import NAMES, gait_features
from tff_affect.gait.shallow import REPRESENTATIONS, raw_joints, read_others, read_shallow, shallow_families
from tff_affect.gait_set import GaitSet
from tff_affect.privacy.audit import attackers
from tff_affect.privacy.audit.attackers import Family, Scores
from tff_affect.privacy.audit.samples import Owned, Samples

FOLDS = SplitConfig("k-fold", folds=3)


@cache
def walkers() -> GaitSet:
    return draw_walkers(SyntheticWalkersConfig(people=6, takes=2, cycles=2, strength=(0.8, 1.1)))


def labelled(subjects: Sequence[str], emotions: Sequence[str]) -> tuple[GaitSet, np.ndarray]:
    """Cycles without movement, and the number of each person."""
    count = len(subjects)
    spans = np.tile([0.0, 1.0], (count, 1))
    gaits = GaitSet(
        "toy", np.zeros((count, 8, 1, 3)), ("Head",), (), tuple(subjects), tuple(emotions), ("1",) * count, spans
    )
    return gaits, gaits.person.astype(float)


def test_what_logistic_regression_reads_is_what_scikit_learn_does_left_out_by_person() -> None:
    gaits, seen = walkers(), gait_features(walkers())
    family = Family("one", (attackers.logistic().candidates[2],))
    found = read_shallow(gaits, seen, 0, families=[family])["one"]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=200, tol=1e-3))
    shown = gaits.emotion(gaits.classes)
    named = cross_val_predict(model, seen, shown, groups=gaits.person, cv=LeaveOneGroupOut())
    np.testing.assert_array_equal(found.confusion, confusion(shown, named, 4))
    assert found.uar > 0.5
    assert (found.people, found.samples, found.chance) == (6, len(gaits), 0.25)


def test_all_families_read_both_kinds_of_vectors() -> None:
    gaits = walkers()
    quick = [Family(family.name, family.candidates[1:2] or family.candidates) for family in shallow_families()]
    assert len(quick) == 3
    quick[2] = attackers.plain_forest(20)
    for name, represent in REPRESENTATIONS.items():
        found = read_shallow(gaits, represent(gaits), 0, FOLDS, quick)
        assert set(found) == {"logistic regression", "support vectors", "random forest"}
        assert max(one.uar for one in found.values()) > 0.5, name
    assert gait_features(gaits).shape[1] == len(NAMES)


def test_raw_joints_are_all_places_in_their_order_and_the_duration() -> None:
    gaits, raw = walkers(), raw_joints(walkers())
    assert (raw.shape, raw.dtype) == ((len(gaits), 64 * 15 * 3 + 1), np.float64)
    for cycle, at, joint, axis in ((0, 0, 0, 0), (3, 17, 4, 2), (len(gaits) - 1, 63, 14, 1)):
        assert raw[cycle, 45 * at + 3 * joint + axis] == gaits.motions[cycle, at, joint, axis]
    np.testing.assert_array_equal(raw[:, -1], [end - start for start, end in gaits.spans])


def test_whoever_is_read_is_never_learned_from_and_settings_are_chosen_between_people() -> None:
    """Vectors are people's numbers: learners tell of whom they learned, and whom they read."""
    gaits, seen = labelled(list("AABBCCDDEE"), ["happy", "sad"] * 5)
    met: list[tuple[set[float], set[float]]] = []

    def spy(known: Owned, seed: int) -> Scores:
        taught = set(known.samples.vectors[:, 0])

        def scores(samples: Samples) -> np.ndarray:
            met.append((taught, set(samples.vectors[:, 0])))
            return np.zeros((len(samples), known.people))

        return scores

    read_shallow(gaits, seen[:, np.newaxis], 0, families=[Family("spy", (spy, spy))])
    assert all(not taught & read for taught, read in met)
    # Of five people each is read once, by four; before, two candidates are judged in three folds of those four.
    assert len(met) == 5 * (2 * 3 + 1)
    assert [len(taught) for taught, _ in met].count(4) == 5
    last = [(taught, read) for taught, read in met if len(taught) == 4]
    assert set().union(*(read for _, read in last)) == set(range(5))


def test_the_better_candidate_is_chosen() -> None:
    gaits, _ = labelled(list("AABBCCDD"), ["happy", "sad"] * 4)
    seen = gaits.emotion(gaits.classes)[:, np.newaxis].astype(float)

    def right(known: Owned, seed: int) -> Scores:
        return lambda samples: np.eye(2)[samples.vectors[:, 0].astype(int)]

    def wrong(known: Owned, seed: int) -> Scores:
        return lambda samples: -np.eye(2)[samples.vectors[:, 0].astype(int)]

    found = read_shallow(gaits, seen, 0, families=[Family("two", (wrong, right)), Family("wrong", (wrong,))])
    assert (found["two"].accuracy, found["wrong"].accuracy) == (1.0, 0.0)


def test_others_are_read_by_the_better_of_all_learners_taught_by_all_that_are_known() -> None:
    known, _ = labelled(list("AABBCCDD"), ["happy", "sad"] * 4)
    number = known.emotion(known.classes).astype(float)
    taught: list[int] = []

    def right(owned: Owned, seed: int) -> Scores:
        taught.append(len(owned.samples))
        return lambda samples: np.eye(2)[samples.vectors[:, 0].astype(int)]

    def wrong(owned: Owned, seed: int) -> Scores:
        return lambda samples: -np.eye(2)[samples.vectors[:, 0].astype(int)]

    shown = [np.array([[1.0], [0.0], [1.0]]), np.array([[0.0]])]
    for families in ([Family("a", (wrong,)), Family("b", (right,))], [Family("c", (right, wrong))]):
        taught.clear()
        first, second = read_others(known, number[:, np.newaxis], shown, 0, families)
        assert (first.tolist(), second.tolist()) == ([1, 0, 1], [0])
        # Chosen in three folds of people, in none of which everybody teaches.
        assert max(taught[:3]) < len(known)
        assert set(taught[3:]) == {len(known)}


def test_emotions_mixed_within_people_are_read_by_chance() -> None:
    gaits = walkers()
    rng = np.random.default_rng(0)
    mixed = np.array(gaits.emotions)
    for person in range(6):
        own = gaits.person == person
        mixed[own] = rng.permutation(mixed[own])
    fake = GaitSet(
        "mixed", gaits.motions, gaits.joints, gaits.bones, gaits.subjects, tuple(mixed.tolist()), gaits.takes,
        gaits.spans,
    )  # fmt: skip
    family = Family("one", attackers.logistic().candidates[:1])
    found = read_shallow(fake, gait_features(gaits), 0, families=[family])["one"]
    # Two standard errors of about a hundred guesses.
    assert found.uar == pytest.approx(0.25, abs=0.1)


def test_what_cannot_be_read_is_refused() -> None:
    gaits, seen = walkers(), gait_features(walkers())
    with pytest.raises(InputError, match=r"scheme: expected one of loso, k-fold, found 'holdout'"):
        read_shallow(gaits, seen, 0, SplitConfig("holdout"))
    with pytest.raises(InputError, match=rf"expected vectors of {len(gaits)} cycles, found 3"):
        read_shallow(gaits, seen[:3], 0)
    with pytest.raises(InputError, match="expected finite vectors"):
        read_shallow(gaits, seen * np.nan, 0)
    alike, vectors = labelled(list("ABC"), ["sad"] * 3)
    with pytest.raises(InputError, match="two emotions or more, found 1"):
        read_shallow(alike, vectors[:, np.newaxis], 0)
    single, vectors = labelled(list("AABBCC"), ["happy", "sad", "happy", "sad", "happy", "bored"])
    with pytest.raises(InputError, match="found 'bored', which nobody shows"):
        read_shallow(single, vectors[:, np.newaxis], 0)
    with pytest.raises(InputError, match="no subject"):
        read_shallow(*(labelled(list("AABB"), ["happy", "sad"] * 2)[0], np.zeros((4, 1))), 0)
