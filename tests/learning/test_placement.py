"""Who computes whom: every client once, at one that holds it, whoever lives."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
from hypothesis import given

from tff_affect.client_data import ABSENT, training_key
from tff_affect.learning.placement import Placement, Slots, client_of

NAMES = [f"c{number}" for number in range(12)]
HOLDERS = st.dictionaries(
    st.sampled_from(NAMES), st.sets(st.integers(0, 2), min_size=1).map(sorted).map(tuple), max_size=12
)
COHORTS = st.lists(st.sampled_from(NAMES), unique=True)


@given(HOLDERS, COHORTS, st.integers(0, 5))
def test_every_client_is_computed_once_where_it_is_held(holders: dict, cohort: list[str], seed: int) -> None:
    placement = Placement(3, holders)
    keys = [training_key(client, seed) for client in cohort] + [training_key(ABSENT, 0), ABSENT]
    parts = placement.parts(keys)
    positions = [position for part in parts for position in part.positions]
    assert sorted(positions) == list(range(len(cohort)))
    for part in parts:
        assert [keys[position] for position in part.positions] == list(part.keys)
        assert all(placement.holds(part.home, client_of(key)) for key in part.keys)
        assert list(part.positions) == sorted(part.positions), "sums would depend on more than who takes part"
    assert [part.home for part in parts] == sorted({part.home for part in parts})


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_those_that_all_hold_are_shared_by_their_load(loads: list[int]) -> None:
    load = {client: float(size) for client, size in zip(NAMES, loads, strict=False)}
    parts = Placement(2, load=load).parts(list(load))
    sums = [sum(load[key] for key in part.keys) for part in parts] + [0.0] * (2 - len(parts))
    assert abs(sums[0] - sums[1]) <= max(loads)


def test_a_round_without_clients_has_a_part() -> None:
    (part,) = Placement(3).parts([ABSENT])
    assert (part.home, part.keys, part.clients) == (0, (), frozenset())


def test_clients_are_found_in_keys_and_ids() -> None:
    assert [client_of(key) for key in ("p-1.a#77", "p-1.a", "", "#0")] == ["p-1.a", "p-1.a", "", ""]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60))
def test_few_numbers_of_slots_are_used(counts: list[int]) -> None:
    slots = Slots()
    sizes = []
    for count in counts:
        keys = NAMES[:count]
        filled = slots.filled(1, 0, keys)
        assert filled[:count] == keys
        assert set(filled[count:]) <= {ABSENT}
        sizes.append(len(filled))
    assert all(later >= earlier >= 1 for earlier, later in itertools.pairwise(sizes))
    assert len(set(sizes)) <= 6, "a worker would keep an executor for each"


def test_computations_and_workers_have_slots_of_their_own() -> None:
    slots = Slots()
    assert len(slots.filled(1, 0, NAMES[:5])) == 5
    assert len(slots.filled(1, 1, NAMES[:2])) == 2
    assert len(slots.filled(2, 0, NAMES[:3])) == 3
    assert len(slots.filled(1, 0, NAMES[:3])) == 5
    assert len(slots.filled(1, 0, NAMES[:6])) == 8
