"""The test of the maximum against all permutations, counted in fractions, and against what it promises."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_affect.privacy.audit.chance import max_test


def shares_of(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(axis=-1, keepdims=True)


@given(st.integers(2, 6), st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_p_is_that_of_all_permutations(people: int, attackers: int, seed: int) -> None:
    """Few windows, so that many permutations tie; fractions know exactly which."""
    counts = np.random.default_rng(seed).multinomial(3, np.full(people, 1 / people), size=(attackers, people))
    shares = [[[Fraction(int(count), 3) for count in row] for row in one] for one in counts]
    strongest = [
        max(sum(one[i][j] for i, j in enumerate(owner)) for one in shares) for owner in permutations(range(people))
    ]
    found = max_test(shares_of(counts), 0)
    for one, p in zip(shares, found.p, strict=True):
        true_one = sum(one[i][i] for i in range(people))
        assert p == pytest.approx(sum(other >= true_one for other in strongest) / len(strongest))
    assert min(found.p) >= 1 / len(strongest)
    assert found.interval[1] <= float(max(strongest)) / people + 1e-12


def test_groups_keep_people_among_themselves() -> None:
    table = np.random.default_rng(0).random((2, 5, 5))
    groups = [np.array([4, 0]), np.array([1, 3, 2])]
    strongest = []
    for first, second in product(permutations([4, 0]), permutations([1, 3, 2])):
        owner = dict(zip([4, 0, 1, 3, 2], [*first, *second], strict=True))
        strongest.append(max(sum(one[i, owner[i]] for i in range(5)) / 5 for one in table))
    found = max_test(table, 0, groups)
    true_ones = [one.diagonal().mean() for one in table]
    assert found.p == pytest.approx([sum(s >= t - 1e-12 for s in strongest) / 12 for t in true_ones])
    drawn = max_test(table, 0, groups, resamples=11)
    assert all(p in {count / 12 for count in range(1, 13)} for p in drawn.p)
    assert max_test(table, 1, groups, resamples=11).interval[1] <= max(strongest) + 1e-12


def test_drawn_permutations_are_level_under_chance_and_p_is_never_zero() -> None:
    """The smallest p of four attackers is at most .2 in a fifth of cohorts: not more, though the best was chosen."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        named = rng.dirichlet(np.ones(9), size=(4, 1))
        counts = np.stack([rng.multinomial(50, one[0], size=9) for one in named])
        found.append(min(max_test(shares_of(counts), 0, resamples=499).p))
    assert np.mean(np.array(found) <= 0.2) == pytest.approx(0.2, abs=0.08)
    assert max_test(np.eye(9)[np.newaxis], 0, resamples=999).p == (1 / 1000,)
    assert max_test(np.roll(np.eye(9), 1, axis=1)[np.newaxis], 0, resamples=999).p == (1.0,)


def test_having_tried_many_costs() -> None:
    """One lucky attacker among those that name at random is less of a wonder than one that was tried alone."""
    rng = np.random.default_rng(3)
    tables = rng.dirichlet(np.ones(8), size=(10, 8))
    tables = tables[np.argsort([-one.diagonal().mean() for one in tables])]
    alone, among = max_test(tables[:1], 0), max_test(tables, 0)
    assert among.p[0] > 2 * alone.p[0]
    assert among.interval[1] > alone.interval[1]
    assert list(among.p) == sorted(among.p)


def test_the_interval_holds_what_chance_gives() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for seed in range(200):
        tables = rng.dirichlet(np.ones(12), size=(3, 12))
        low, high = max_test(tables, seed, resamples=999).interval
        inside += low <= max(one.diagonal().mean() for one in tables) <= high
    assert inside >= 194
    assert max_test(tables, 5).p == max_test(tables, 5).p
