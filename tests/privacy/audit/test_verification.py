"""The open set: who was never seen is told apart where traits are planted, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sample_people import people

from tff_affect.privacy.audit import pairs, verification
from tff_affect.privacy.audit.finding import Shown
from tff_affect.privacy.audit.pairs import Group, PairFamily, pair_families
from tff_affect.privacy.audit.verification import verification_finding, verify

EACH = pytest.mark.parametrize("family", pair_families(), ids=lambda family: family.name)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_RESAMPLES", 200)


@pytest.mark.slow
def test_people_alike_are_at_chance_by_the_strongest() -> None:
    found = [verify(people(12, 0.0, seed), seed) for seed in range(4)]
    kept = [one for one in found if one is not None]
    assert len(kept) == 4
    assert sum(not one.is_chance for one in kept) == 0
    assert sum(one.attackers[one.strongest].p <= 0.05 for one in kept) <= 1
    values = [figures.auc for one in kept for figures in one.attackers.values()]
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)
    assert "tells from noise whether" in verification_finding(kept[0], Shown("noise", "", "data", "noise")).sentence


def test_a_copied_identity_is_always_verified() -> None:
    """A code of many numbers on each sample, which background people have too, each their own."""
    found = verify(people(12, 50.0), 0)
    assert found is not None
    strongest = found.attackers[found.strongest]
    assert (strongest.auc, strongest.eer) == pytest.approx((1.0, 0.0))
    assert strongest.p == pytest.approx(1 / 10_000)
    assert not found.is_chance
    finding = verification_finding(found, Shown("codes", "", "data", "a code"))
    assert (finding.attack, finding.measure, finding.chance) == ("verification", "AUC", 0.5)
    assert "errs in 0.0 % of cases (guessing: 50 %; same session)" in finding.sentence
    assert finding.beats_chance
    assert json.loads(json.dumps(dict(finding.details), allow_nan=False))["eer"] == pytest.approx(0.0)


@EACH
def test_each_attacker_links_people_it_never_saw(family: PairFamily) -> None:
    exposed = people(40, 2.0, width=6)
    background, new = (Group(exposed.enrolment[part], exposed.probe[part]) for part in (slice(30), slice(30, 40)))
    for learn in family.candidates:
        scores = learn(background, 0)(new)
        assert scores.shape == (40, 10)
        own = new.probes.owner[:, np.newaxis] == np.arange(10)
        assert np.median(scores[own]) > np.quantile(scores[~own], 0.85)


@EACH
def test_wide_vectors_are_taken(family: PairFamily) -> None:
    exposed = people(6, 1.0, width=300, enrolment=3, probe=2)
    group = Group(exposed.enrolment, exposed.probe)
    assert all(np.isfinite(learn(group, 0)(group)).all() for learn in family.candidates)


def test_held_out_people_are_never_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sample holds its person's number: who is compared must not be among those learned from."""
    count, compared = 11, []

    def learn(background: Group, seed: int) -> pairs.Likeness:
        known = set(np.unique(background.owned.samples.vectors[:, 0]))

        def likeness(group: Group) -> np.ndarray:
            tested = set(np.unique(group.owned.samples.vectors[:, 0]))
            assert not known & tested
            compared.append((len(known), len(tested)))
            return np.random.default_rng(0).normal(size=(len(group.probes.owner), len(group.probe)))

        return likeness

    monkeypatch.setattr(verification, "pair_families", lambda: [PairFamily("any", (learn, learn))])
    exposed = people(count, 0.0)
    for number, parts in enumerate(zip(exposed.enrolment, exposed.probe, strict=True)):
        for samples in parts:
            samples.vectors[:] = number
    assert verify(exposed, 0) is not None
    assert sum(tested for known, tested in compared if known + tested == count) == count


def test_others_are_learned_from_in_every_fold_and_never_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sample holds its person's number; those beside are of 100 and more."""
    learned, judged = [], set()

    def learn(background: Group, seed: int) -> pairs.Likeness:
        learned.append(sum(np.unique(background.owned.samples.vectors[:, 0]) >= 100))

        def likeness(group: Group) -> np.ndarray:
            judged.update(np.unique(group.owned.samples.vectors[:, 0]))
            return np.random.default_rng(0).normal(size=(len(group.probes.owner), len(group.probe)))

        return likeness

    monkeypatch.setattr(verification, "pair_families", lambda: [PairFamily("any", (learn, learn))])
    exposed, others = people(9, 0.0), people(5, 0.0, seed=1)
    for start, some in ((0, exposed), (100, others)):
        for number, parts in enumerate(zip(some.enrolment, some.probe, strict=True)):
            for samples in parts:
                samples.vectors[:] = start + number
    found = verify(exposed, 0, others)
    assert found is not None
    assert found.people == 9
    assert learned == [5] * 3 * 3
    assert judged == set(range(9))


def test_scores_of_all_folds_are_on_one_scale() -> None:
    """An attacker whose scores are a thousandfold where one person is in the background, as an embedding's may be."""
    exposed = people(12, 3.0)
    marked = float(exposed.enrolment[0].vectors[0, 0])

    def learn(background: Group, seed: int) -> pairs.Likeness:
        scale = 1000.0 if marked in background.owned.samples.vectors[:, 0] else 1.0
        likeness = pairs._cosine(None, background, seed)
        return lambda group: scale * (5 + likeness(group))

    family = PairFamily("any", (learn,))
    folds = [np.arange(4), np.arange(4, 8), np.arange(8, 12)]
    scores = verification._scores(family, exposed, folds, 0, None)
    spread = [np.nanstd(scores[4 * fold[0] : 4 * fold[-1] + 4]) for fold in folds]
    assert max(spread) < 5 * min(spread)


def test_too_few_people_are_left_alone() -> None:
    assert verify(people(8, 5.0), 0) is None
    found = verify(people(9, 5.0), 0)
    assert found is not None
    # Three folds of three have 216 changes of owners.
    assert min(figures.p for figures in found.attackers.values()) == pytest.approx(1 / 216)


def test_the_same_seed_finds_the_same() -> None:
    assert verify(people(9, 0.5), 2) == verify(people(9, 0.5), 2)


@pytest.mark.slow
def test_real_people_never_seen_are_linked_by_their_clips(shared_data: Path) -> None:
    import pandas as pd

    from tff_affect.privacy.audit.exposed import expose
    from tff_affect.privacy.identity_windows import Session

    table = pd.read_csv(shared_data / "au_table" / "alone.tsv", sep="\t")
    units = [name for name in table.columns if name.startswith("AU") and name[2:].isdigit()]
    people_of = {str(who): [Session.of_array(own[units].to_numpy(), 1)] for who, own in table.groupby("private_id")}
    found = verify(expose(people_of), 0)
    assert found is not None
    strongest = found.attackers[found.strongest]
    assert strongest.auc > 0.85
    assert strongest.eer < 0.25
    assert strongest.auc_interval is not None
    assert strongest.auc_interval[0] > 0.8
