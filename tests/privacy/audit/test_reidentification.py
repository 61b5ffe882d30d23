"""The closed set: planted people, people alike, and forty real ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_people import numbered, people

from tff_affect.errors import InputError
from tff_affect.privacy.audit import attackers
from tff_affect.privacy.audit.attackers import DISCRIMINANT, FOREST, LOGISTIC
from tff_affect.privacy.audit.exposed import ANOTHER_SESSION, Exposed, expose
from tff_affect.privacy.audit.finding import Shown
from tff_affect.privacy.audit.reidentification import (
    ClosedSet,
    Figures,
    named,
    named_together,
    reidentification_finding,
    reidentify,
)
from tff_affect.privacy.audit.samples import Owned, Samples
from tff_affect.privacy.identity_windows import Session

CHEAP = [attackers.logistic(), attackers.discriminant(), attackers.nearest_mean(), attackers.plain_forest(20)]


def alone(shared_data: Path, standardised: bool) -> Exposed:
    """Forty people, twelve clips each: means of 17 action units."""
    table = pd.read_csv(shared_data / "au_table" / "alone.tsv", sep="\t")
    units = [name for name in table.columns if name.startswith("AU") and name[2:].isdigit()]
    sessions = {str(who): Session.of_array(own[units].to_numpy(), 1) for who, own in table.groupby("private_id")}
    return expose({who: [one.standardised() if standardised else one] for who, one in sessions.items()})


@pytest.mark.slow
def test_forty_real_people_are_found_by_twelve_clips_each(shared_data: Path) -> None:
    found = reidentify(alone(shared_data, standardised=False), 0)
    assert (found.people, found.probes, found.chance) == (40, 120, 1 / 40)
    assert found.attackers[found.strongest].top1 > 0.5
    assert found.attackers[LOGISTIC].top1 > 0.35
    assert found.attackers[found.strongest].p == pytest.approx(1 / 10_000)
    assert not found.is_chance
    top5 = found.attackers[found.strongest].top5
    assert top5 is not None
    assert top5 > 0.75


@pytest.mark.slow
def test_a_linear_attacker_fails_on_real_people_standardised_and_trees_do_not(shared_data: Path) -> None:
    """Whoever tries logistic regression alone calls them safe."""
    found = reidentify(alone(shared_data, standardised=True), 0)
    assert found.attackers[LOGISTIC].top1 <= 0.025
    assert found.attackers[FOREST].top1 >= 2 * found.chance
    assert found.strongest in (attackers.FOREST, attackers.BOOSTING)
    assert found.attackers[found.strongest].top1 >= 3 * found.chance
    assert found.attackers[found.strongest].p < 0.05


def test_people_alike_are_at_chance_by_the_strongest() -> None:
    found = [reidentify(people(9, 0.0, seed), seed, CHEAP) for seed in range(20)]
    assert sum(not one.is_chance for one in found) <= 1
    assert sum(one.attackers[one.strongest].p <= 0.05 for one in found) <= 3
    # The best of four is above chance even then, which is why it is not compared with 1 / 9.
    assert np.mean([one.attackers[one.strongest].top1 for one in found]) > 1 / 9
    sentence = reidentification_finding(found[0], Shown("noise", "", "data", "noise")).sentence
    assert sentence.startswith("none of 4 classifiers that see noise picks the right person out of 9 more often")


def test_a_copied_identity_is_always_found() -> None:
    found = reidentify(numbered(20), 0, CHEAP)
    strongest = found.attackers[found.strongest]
    assert (strongest.top1, strongest.top5) == (1.0, 1.0)
    assert strongest.top1_interval == (1.0, 1.0)
    assert strongest.p == pytest.approx(1 / 10_000)


def test_the_strongest_counts_and_all_stay_listed() -> None:
    found = reidentify(people(20, 1.0), 0, CHEAP)
    assert list(found.attackers) == [family.name for family in CHEAP]
    shares = [figures.top1 for figures in found.attackers.values()]
    assert found.attackers[found.strongest].top1 == max(shares)
    assert len(set(shares)) > 1
    finding = reidentification_finding(
        replace(found, session=ANOTHER_SESSION), Shown("units", "", "data", "ten seconds")
    )
    share = f"{100 * max(shares):.3g} %"
    assert finding.sentence == (
        f"a classifier that sees ten seconds picks the right person out of 20 in {share} of cases "
        "(chance 5 %; another session)"
    )
    assert (finding.value, finding.chance, finding.measure) == (max(shares), 0.05, "top-1")
    assert finding.attacker == found.strongest
    assert finding.beats_chance
    assert set(json.loads(json.dumps(dict(finding.details), allow_nan=False))["attackers"]) == set(found.attackers)


def test_intervals_are_wider_for_having_chosen_among_more() -> None:
    exposed = people(12, 0.6)
    alone, among = (reidentify(exposed, 0, chosen).attackers[DISCRIMINANT] for chosen in (CHEAP[1:2], CHEAP))
    assert alone.top1 == among.top1
    assert alone.top1_interval is not None
    assert among.top1_interval is not None
    assert among.top1_interval[0] < alone.top1_interval[0] <= alone.top1 <= alone.top1_interval[1]
    assert alone.p <= among.p


def test_named_people_are_counted_by_their_true_ones() -> None:
    probe = Owned(Samples(np.zeros((6, 1))), np.array([0, 0, 0, 0, 1, 2]))
    scores = np.eye(3)[[0, 0, 2, 1, 2, 2]]
    assert named(scores, probe).tolist() == [[0.5, 0.25, 0.25], [0, 0, 1], [0, 0, 1]]


def test_many_samples_together_say_more_than_one() -> None:
    """Of the second person no sample but one is named right, and that one is sure; the scale of a sample is its own."""
    probe = Owned(Samples(np.zeros((6, 1))), np.array([0, 0, 1, 1, 1, 2]))
    scores = np.array([[3, 2, 0], [3, 2, 0], [0.5, 0.4, 0], [40, 39, -80], [0, 9, 0], [5, 4, 4.5]], float)
    assert np.diag(named(scores, probe)).tolist() == [1, pytest.approx(1 / 3), 0]
    assert named_together(scores, probe) == pytest.approx(2 / 3)
    assert named_together(scores * np.arange(1, 7)[:, np.newaxis] - 5, probe) == pytest.approx(2 / 3)
    assert named_together(np.zeros((6, 3)), probe) == pytest.approx(1 / 3)
    found = reidentify(people(20, 0.6), 0, CHEAP[:1]).attackers[LOGISTIC]
    assert found.together is not None
    assert found.together > found.top1 + 0.1


@pytest.mark.parametrize(("count", "top5", "interval"), [(7, False, False), (8, False, True), (20, True, True)])
def test_small_cohorts_have_no_top_five_and_the_smallest_no_interval(count: int, top5: bool, interval: bool) -> None:
    found = reidentify(people(count, 3.0), 0, CHEAP[:1]).attackers[LOGISTIC]
    assert (found.top5 is not None) == (found.top5_interval is not None) == top5
    assert (found.top1_interval is not None) == interval


def test_the_same_seed_finds_the_same() -> None:
    exposed = people(6, 0.5)
    assert reidentify(exposed, 4, CHEAP) == reidentify(exposed, 4, CHEAP)


def test_chance_reaches_as_far_as_its_interval() -> None:
    figures = Figures(0.2, 0.03, None, None, None)
    found = ClosedSet({"one": figures}, 10, 50, (0.0, 0.2), "same session", {})
    assert found.is_chance
    assert not replace(found, chance_interval=(0.0, 0.19)).is_chance


def test_one_person_is_nobody_to_be_confused_with() -> None:
    short = Session.of_array(np.zeros((5, 2)), 5)
    exposed = expose({"A": [Session.of_array(np.arange(100.0).reshape(50, 2), 5)], "B": [short]})
    with pytest.raises(InputError, match=r"at least two people .* found 1.*\(B: 0 usable"):
        reidentify(exposed, 0)
