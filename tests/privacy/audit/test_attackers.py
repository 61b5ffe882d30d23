"""Each family finds what is planted, is at chance where nothing is, and never learns from the probe."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sample_people import numbered, people
from scipy.signal import lfilter

from tff_affect.privacy.audit import attackers
from tff_affect.privacy.audit.attackers import Family, families, likeliest, top_share
from tff_affect.privacy.audit.exposed import Exposed, expose
from tff_affect.privacy.audit.samples import Owned, Samples
from tff_affect.privacy.identity_windows import Session

FAST = families(people(3, 1.0))
EACH = pytest.mark.parametrize("family", FAST, ids=lambda family: family.name)


def top1(family: Family, exposed: Exposed, seed: int = 0) -> float:
    return float(top_share(family.scores(exposed, seed), exposed.unknown).mean())


def test_likeliest_come_first_and_ties_go_to_the_lower_number() -> None:
    assert likeliest(np.array([[0.1, 0.5, 0.4], [2.0, 2.0, 3.0]])).tolist() == [[1, 2, 0], [2, 0, 1]]


def test_every_person_counts_alike() -> None:
    samples = Owned(Samples(np.zeros((5, 1))), np.array([0, 0, 0, 0, 1]))
    scores = -np.array([[0, 1, 2], [0, 2, 1], [0, 1, 2], [2, 1, 0], [2, 1, 0]], float)
    assert top_share(scores, samples) == pytest.approx([0.75, 0.0])
    assert top_share(scores, samples, 2) == pytest.approx([0.75, 1.0])


@EACH
@pytest.mark.parametrize("count", [2, 8])
def test_people_with_traits_of_their_own_are_named(family: Family, count: int) -> None:
    exposed = people(count, 3.0)
    scores = family.scores(exposed, 0)
    assert scores.shape == (4 * count, count)
    assert np.isfinite(scores).all()
    assert top1(family, exposed) > 0.85


@EACH
def test_a_number_written_on_everybody_is_read(family: Family) -> None:
    if family.name != attackers.BOOSTING:  # Its components hold too little of so many codes in few samples.
        assert top1(family, numbered(9)) == 1.0


@EACH
def test_people_alike_are_named_by_chance(family: Family) -> None:
    assert np.mean([top1(family, people(8, 0.0, seed), seed) for seed in range(4)]) == pytest.approx(1 / 8, abs=0.07)


@EACH
def test_wide_vectors_of_few_samples_are_told_apart(family: Family) -> None:
    """Updates: thousands of numbers, a few samples each."""
    exposed = people(6, 1.0, width=1500, enrolment=6, probe=2)
    assert top1(family, exposed) > (0.4 if family.name == attackers.BOOSTING else 0.9)


@EACH
def test_the_same_seed_gives_the_same_scores(family: Family) -> None:
    exposed = people(4, 0.5)
    assert np.array_equal(family.scores(exposed, 3), family.scores(exposed, 3))


@EACH
def test_scores_of_a_sample_depend_on_no_other_probe_sample(family: Family) -> None:
    """Nothing is fitted on the probe: half of it gets the scores that it gets among all."""
    exposed = people(4, 0.5)
    half = Exposed(exposed.people, exposed.enrolment, tuple(part.part(slice(2)) for part in exposed.probe))
    rows = np.tile([True, True, False, False], 4)
    assert family.scores(half, 0) == pytest.approx(family.scores(exposed, 0)[rows])


def test_settings_are_chosen_by_late_enrolment_samples() -> None:
    """The candidate that is right on the late ones wins, whatever it does elsewhere."""
    seen: list[int] = []

    def learner(wrong: bool) -> attackers.Learner:
        def learn(known: Owned, seed: int) -> attackers.Scores:
            seen.append(len(known.owner))
            return lambda samples: np.eye(3)[(samples.vectors[:, 0].astype(int) + wrong) % 3]

        return learn

    own = tuple(Samples(np.full((10, 1), float(person))) for person in range(3))
    exposed = Exposed(("A", "B", "C"), own, tuple(part.part(slice(4)) for part in own))
    found = Family("any", (learner(True), learner(False))).scores(exposed, 0)
    assert top_share(found, exposed.unknown).tolist() == [1.0, 1.0, 1.0]
    assert seen == [18, 18, 30]


def test_nearest_means_are_those_of_numpy() -> None:
    exposed = people(5, 1.0)
    found = attackers._nearest(False, "cosine", exposed.known, 0)(exposed.unknown.samples)
    centre = exposed.known.samples.vectors.mean(axis=0)
    means = np.array([part.vectors.mean(axis=0) for part in exposed.enrolment]) - centre
    vectors = exposed.unknown.samples.vectors - centre
    cosine = vectors @ means.T / np.linalg.norm(vectors, axis=1)[:, np.newaxis] / np.linalg.norm(means, axis=1)
    assert found == pytest.approx(cosine - 1)


def test_constant_features_are_survived() -> None:
    same = tuple(Samples(np.ones((4, 3))) for _ in range(4))
    for family in FAST:
        assert top1(family, Exposed(("A", "B", "C", "D"), same, same)) == 0.25


def paced(seed: int, count: int) -> Exposed:
    """Equal mean and deviation, a pace of each one's own in the order of frames; some frames are missing."""
    rng = np.random.default_rng(seed)

    def sessions() -> Iterator[tuple[str, list[Session]]]:
        for i, memory in enumerate(np.linspace(-0.9, 0.9, count)):
            noise = rng.normal(size=(900, 2))
            series = lfilter([np.sqrt(1 - memory**2)], [1, -memory], noise, axis=0)
            series[rng.random(900) < 0.05] = np.nan
            yield f"P{i}", [Session.of_array(series, 30)]

    return expose(dict(sessions()))


@pytest.mark.slow
def test_the_recurrent_network_hears_a_pace() -> None:
    exposed = paced(0, 3)
    network = families(exposed)[-1]
    assert network.needs_sequences
    scores = network.scores(exposed, 0)
    assert top_share(scores, exposed.unknown).mean() > 0.8


@pytest.mark.slow
def test_the_recurrent_network_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from tff_affect.privacy.audit import recurrent_attacker

    monkeypatch.setattr(recurrent_attacker, "_EPOCHS", 1)
    exposed = paced(1, 2)
    network = families(exposed)[-1]
    assert np.array_equal(network.scores(exposed, 0), network.scores(exposed, 0))


def test_long_series_are_averaged_over_stretches() -> None:
    from tff_affect.privacy.audit.recurrent_attacker import MOST_STEPS, _stretched

    series = np.random.default_rng(0).normal(size=(2, 2 * MOST_STEPS - 1, 3))
    series[0, 4, 1] = np.nan
    series[1, 6:8] = np.nan
    found = _stretched(series)
    assert found.shape == (2, MOST_STEPS, 3)
    assert found[0, 2] == pytest.approx(series[0, 5])
    assert found[0, 3] == pytest.approx(series[0, 6:8].mean(axis=0))
    assert np.isnan(found[1, 3]).all()
    assert found[1, -1] == pytest.approx(series[1, -1])
