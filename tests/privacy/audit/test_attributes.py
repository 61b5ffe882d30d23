"""Attributes of people never seen: planted ones are told, others are not, and what cannot be asked is not answered."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sample_people import people

from tff_affect.privacy.audit import attributes
from tff_affect.privacy.audit.attributes import (
    ATTACKERS,
    Grouping,
    Inference,
    Unanswered,
    attribute_finding,
    group_people,
    infer_attribute,
)
from tff_affect.privacy.audit.exposed import Exposed
from tff_affect.privacy.audit.finding import Shown

HALVES = {f"P{number}": "ab"[number % 2] for number in range(30)}


def inferred(exposed: Exposed, seed: int = 0) -> Inference:
    found = infer_attribute(exposed, HALVES, seed, "handedness")
    assert isinstance(found, Inference)
    return found


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two cheapest attackers; what decides is as it is."""
    cheap = ("logistic regression, C 0.01", "support vectors, C 1")
    monkeypatch.setattr(attributes, "ATTACKERS", {name: ATTACKERS[name] for name in cheap})


@pytest.mark.slow
def test_a_planted_attribute_is_told_by_every_attacker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "PERMUTATIONS", 19)
    found = inferred(people(16, 0.5, shared=4.0))
    assert set(found.attackers) == set(ATTACKERS)
    assert min(found.attackers.values()) > 0.8
    assert found.attackers[found.strongest] == 1.0
    assert found.p == pytest.approx(1 / 20)
    finding = attribute_finding(found, "handedness", Shown("units", "", "data", "ten seconds"))
    assert (finding.value, finding.chance, finding.target) == (1.0, 0.5, "handedness from units")
    assert "tells handedness (a, b) of 16 people" in finding.sentence
    assert json.loads(json.dumps(dict(finding.details), allow_nan=False))["groups"] == {"a": 8, "b": 8}


@pytest.mark.slow
@pytest.mark.usefixtures("linear")
def test_false_alarms_are_rare_though_people_differ() -> None:
    """Traits of people's own, which have nothing to do with the attribute."""
    found = [inferred(people(12, 1.5, seed), seed).p for seed in range(24)]
    assert sum(p <= 0.05 for p in found) <= 4
    assert sum(p <= 0.2 for p in found) <= 10
    assert np.mean(found) == pytest.approx(0.55, abs=0.2)


@pytest.mark.usefixtures("linear")
def test_a_person_alone_tells_nothing_of_the_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of each person's own gives them away and says nothing of others, if all of a person is held out."""
    monkeypatch.setattr(attributes, "PERMUTATIONS", 1)
    values = [inferred(people(16, 20.0, seed), seed).attackers for seed in range(12)]
    assert np.mean([list(one.values()) for one in values]) == pytest.approx(0.5, abs=0.12)


@pytest.mark.usefixtures("linear")
def test_the_same_seed_finds_the_same() -> None:
    exposed = people(10, 0.5, shared=0.5)
    assert inferred(exposed, 3) == inferred(exposed, 3)


@pytest.mark.usefixtures("linear")
def test_wide_vectors_are_taken() -> None:
    found = inferred(people(12, 0.2, width=2000, enrolment=3, probe=1, shared=1.0))
    assert found.attackers[found.strongest] == 1.0


def test_numbers_are_cut_at_their_median() -> None:
    found = group_people(["18", "20", "22", "24", "26", "30", "31", "32.5", None], "age")
    assert isinstance(found, Grouping)
    assert found.groups == ("up to 25", "above 25")
    assert found.member.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, -1]


def test_a_number_that_few_have_does_not_spoil_the_others() -> None:
    found = group_people([*["18"] * 5, *["19"] * 5, "21"], "age")
    assert isinstance(found, Grouping)
    assert found.groups == ("up to 18", "above 18")
    assert found.member.tolist() == [0] * 5 + [1] * 6


def test_words_are_groups_and_missing_ones_belong_to_none() -> None:
    found = group_people([*["b"] * 4, *["a"] * 5, "NA", "", None], "gender")
    assert isinstance(found, Grouping)
    assert found.groups == ("a", "b")
    assert found.member.tolist() == [1] * 4 + [0] * 5 + [-1] * 3


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([*["a"] * 9, *["b"] * 3], "gender: 3 people in b; it takes 4 in each group"),
        (["a"] * 9, "gender: all whose value is known are of one group"),
        ([None] * 9, "gender: all whose value is known are of one group"),
    ],
)
def test_too_few_give_a_reason(values: list[str | None], reason: str) -> None:
    assert group_people(values, "gender") == Unanswered(reason)


def test_balanced_accuracy_counts_groups_alike() -> None:
    right = np.array([True, True, False, False, True])
    assert attributes._balanced(right, np.array([0, 0, 0, 0, 1])) == pytest.approx(0.75)
