from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.learning.sampling import derived_seed, round_cohort

CLIENTS = [f"P{i}" for i in range(12)]


@given(st.permutations(CLIENTS), st.integers(0, 14), st.integers(0, 5), st.integers(1, 9))
def test_cohort_depends_on_nothing_but_seed_and_round(order: list[str], size: int, seed: int, number: int) -> None:
    found = round_cohort(order, size, seed, number)
    assert found == round_cohort(CLIENTS, size, seed, number)
    assert len(set(found)) == len(found) == (size if 0 < size < 12 else 12)
    assert list(found) == sorted(found)


def test_rounds_and_seeds_differ_and_clients_are_drawn_evenly() -> None:
    draws = [round_cohort(CLIENTS, 3, seed=1, round_number=r) for r in range(1, 801)]
    assert len(set(draws)) > 150
    assert draws != [round_cohort(CLIENTS, 3, seed=2, round_number=r) for r in range(1, 801)]
    counts = Counter(client for draw in draws for client in draw)
    assert all(counts[client] == pytest.approx(200, abs=45) for client in CLIENTS)


def test_purposes_and_parts_do_not_collide() -> None:
    seeds = {
        derived_seed(s, p, *parts)
        for s in (0, 1)
        for p in ("a", "b")
        for parts in ((), (1,), (1, 2), (12,), ("1", "2"))
    }
    assert len(seeds) == 2 * 2 * 4
    assert all(0 <= seed < 2**62 for seed in seeds)
