"""Who walks: known by some recordings, found in others."""

from functools import cache

import numpy as np
import pytest

from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from tff_affect.errors import InputError
from tff_affect.gait.features import gait_features
from tff_affect.gait.identity import attack_identity, exposed_gaits, identity_families
from tff_affect.gait_set import GaitSet
from tff_affect.privacy.audit import attackers


@cache
def walkers() -> GaitSet:
    return draw_walkers(SyntheticWalkersConfig(people=9, takes=2, cycles=2))


def test_no_recording_is_on_both_sides_and_each_side_has_most_emotions() -> None:
    gaits = walkers()
    rows = np.arange(len(gaits))[:, np.newaxis]
    exposed = exposed_gaits(gaits, rows, 3)
    assert exposed.people == gaits.people
    met = np.concatenate([part.vectors for part in (*exposed.enrolment, *exposed.probe)])
    assert sorted(met[:, 0]) == list(range(len(gaits)))
    for number, (known, unknown) in enumerate(zip(exposed.enrolment, exposed.probe, strict=True)):
        sides = [part.vectors[:, 0].astype(int) for part in (known, unknown)]
        assert all(set(gaits.person[side]) == {number} for side in sides)
        takes = [set(gaits.take[side]) for side in sides]
        assert [len(one) for one in takes] == [5, 3]
        assert not takes[0] & takes[1]
        assert all(len(set(np.array(gaits.emotions)[side])) >= 3 for side in sides)


def test_the_division_depends_on_the_seed_and_not_on_what_is_seen() -> None:
    gaits = walkers()
    one, other = (
        exposed_gaits(gaits, np.arange(len(gaits))[:, np.newaxis], 3),
        exposed_gaits(gaits, gait_features(gaits), 3),
    )
    for rows, vectors in zip(one.probe, other.probe, strict=True):
        np.testing.assert_array_equal(gait_features(gaits)[rows.vectors[:, 0].astype(int)], vectors.vectors)
    again = exposed_gaits(gaits, np.arange(len(gaits))[:, np.newaxis], 4)
    assert any(set(a.vectors[:, 0]) != set(b.vectors[:, 0]) for a, b in zip(one.probe, again.probe, strict=True))
    assert one.known.samples.sequences is None
    seen = exposed_gaits(gaits, gait_features(gaits), 3, sequences=True)
    assert seen.known.samples.sequences is not None
    assert seen.known.samples.sequences.shape[1:] == (64, 45)


def test_bodies_are_recognised_and_constants_are_not() -> None:
    gaits = walkers()
    linear = [attackers.discriminant(), attackers.nearest_mean()]
    found = attack_identity(gaits, gait_features(gaits), 0, linear)
    assert found.known.attackers[found.known.strongest].top1 > 0.8
    assert found.unknown is not None
    assert found.unknown.attackers[found.unknown.strongest].auc > 0.8
    few = gaits.of(gaits.people[:4])
    none = attack_identity(few, np.ones((len(few), 2)), 0, [attackers.nearest_mean()])
    assert none.known.attackers[none.known.strongest].top1 == pytest.approx(0.25)
    assert none.unknown is None
    assert len({family.name for family in identity_families()}) == 5


def test_people_with_a_single_recording_are_left_out_and_named() -> None:
    gaits = walkers()
    single = gaits.part((gaits.person != 0) | (np.array(gaits.takes) == gaits.takes[0]))
    exposed = exposed_gaits(single, gait_features(single), 0)
    assert exposed.people == gaits.people[1:]
    assert exposed.left_out == {"S000": "1 recording, expected at least 2"}
    alone = single.of(gaits.people[:2])
    with pytest.raises(InputError, match=r"at least two people .* found 1.*S000: 1 recording"):
        attack_identity(alone, gait_features(alone), 0)
    with pytest.raises(InputError, match=r"expected vectors of \d+ cycles, found 2"):
        exposed_gaits(gaits, np.zeros((2, 2)), 0)
    with pytest.raises(InputError, match="finite"):
        exposed_gaits(gaits, np.full((len(gaits), 2), np.nan), 0)
