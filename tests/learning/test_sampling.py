from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.learning.sampling import ClientSampling, derived_seed

CLIENTS = [f"P{i}" for i in range(12)]


def round_cohort(clients: Sequence[str], size: int, seed: int, round_number: int) -> tuple[str, ...]:
    return ClientSampling(tuple(clients), size, seed).cohort(round_number)


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


def drawn(sampling: ClientSampling, rounds: int) -> list[tuple[str, ...]]:
    return [sampling.cohort(number) for number in range(1, rounds + 1)]


def test_poisson_draws_each_client_by_itself() -> None:
    draws = drawn(ClientSampling(tuple(CLIENTS), 3, 1, "poisson"), 2000)
    sizes = np.array([len(draw) for draw in draws])
    # Binomial(12, 1/4): mean 3, variance 2.25. Of draws of a fixed size the variance would be 0.
    assert sizes.mean() == pytest.approx(3, abs=0.15)
    assert sizes.var() == pytest.approx(2.25, abs=0.3)
    counts = Counter(client for draw in draws for client in draw)
    assert all(counts[client] == pytest.approx(500, abs=90) for client in CLIENTS)
    together = sum({"P0", "P1"} <= set(draw) for draw in draws)
    assert together == pytest.approx(2000 / 16, abs=45)


def test_a_pass_sees_no_client_twice_and_the_next_has_another_order() -> None:
    draws = drawn(ClientSampling(tuple(CLIENTS), 5, 1, "passes"), 40)
    passes = [draws[i : i + 2] for i in range(0, 40, 2)]
    assert all(len({*first, *second}) == 10 for first, second in passes)
    assert len({first for first, _ in passes}) > 15


def test_a_secret_draw_follows_from_no_seed() -> None:
    sampling = ClientSampling(tuple(CLIENTS), 6, 1, "poisson", secret=True)
    assert len({sampling.cohort(1) for _ in range(30)}) > 20
    assert len({replace(sampling, secret=False).cohort(1) for _ in range(30)}) == 1


def test_absent_clients_fill_a_poisson_round_up_to_one_length() -> None:
    sampling = ClientSampling(tuple(CLIENTS), 3, 1, "poisson")
    keys = [sampling.keys(number, sampling.cohort(number)) for number in range(1, 60)]
    assert Counter(map(len, keys))[3 + 6] > 55
    for number, found in enumerate(keys, start=1):
        there = tuple(key.split("#")[0] for key in found if not key.startswith("#"))
        assert there == sampling.cohort(number)


def test_a_round_without_anybody_is_a_round_of_absent_clients() -> None:
    assert set(ClientSampling(tuple(CLIENTS), 3, 1, "poisson").keys(1, ())) == {"#0"}
