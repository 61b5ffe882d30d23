"""Plans beside the ledger of a run, `dp_accounting` and figures known from elsewhere."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from dp_accounting import dp_event, mechanism_calibration, pld
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.errors import InputError
from tff_affect.privacy.accounting import Ledger
from tff_affect.privacy.noise_to_signal import judge, noise_to_signal
from tff_affect.privacy.planner import COHORTS, Plan, Question, make_plan
from tff_affect.privacy.sampling import Sampling
from tff_affect.privacy_config import PrivacyConfig


def planned(
    clients: int | None = 27, rounds: int | None = 20, epsilon: float | None = 4.0, cohort: int = 0,
    parameters: int | None = None, cohorts: tuple[int, ...] = (), **settings: Any,
) -> Plan:  # fmt: skip
    question = Question(clients, rounds, epsilon, cohort, parameters, PrivacyConfig(**settings))
    return make_plan(question, cohorts)


def run_epsilon(clients: int, rounds: int, cohort: int, **settings: Any) -> float:
    """Of a run, as its ledger says."""
    privacy = PrivacyConfig(**settings)
    ledger = Ledger.user(privacy, Sampling.of(privacy, clients, cohort))
    ledger.add_rounds(rounds)
    return ledger.guarantee().epsilon


@pytest.mark.parametrize(
    ("epsilon", "expected"), [(1, (8.1, 11.5, 18.2, 25.8)), (4, (2.6, 3.7, 5.8, 8.2)), (8, (1.5, 2.1, 3.4, 4.8))]
)
def test_the_noise_that_full_participation_needs(epsilon: float, expected: tuple[float, ...]) -> None:
    found = [planned(rounds=n, epsilon=epsilon, delta=1e-3).guarantee for n in (10, 20, 50, 100)]
    assert [g.noise_multiplier for g in found] == pytest.approx(expected, abs=0.051)
    for rounds, one in zip((10, 20, 50, 100), found, strict=True):
        by_hand = mechanism_calibration.calibrate_dp_mechanism(
            lambda: pld.PLDAccountant(value_discretization_interval=1e-3),
            lambda z, n=rounds: dp_event.SelfComposedDpEvent(dp_event.GaussianDpEvent(z), n),
            epsilon, 1e-3, mechanism_calibration.ExplicitBracketInterval(1, 40),
        )  # fmt: skip
        assert one.noise_multiplier == pytest.approx(by_hand, rel=1e-3)
        assert epsilon * (1 - 2e-3) < one.epsilon <= epsilon


@pytest.mark.parametrize(
    "settings",
    [{}, {"adjacency": "zero-out"}, {"sampling": "fixed-size", "adjacency": "replace-one"},
     {"mechanism": "local", "adjacency": "replace-one"}],
    ids=["poisson", "zero-out", "fixed-size", "local"],
)  # fmt: skip
def test_each_of_three_numbers_is_found_from_the_others(settings: dict[str, str]) -> None:
    noise = planned(1000, 200, 6.0, 100, **settings).guarantee
    assert 6.0 * (1 - 3e-3) < noise.epsilon <= 6.0
    settings = settings | {"noise_multiplier": noise.noise_multiplier}
    assert planned(1000, 200, None, 100, **settings).guarantee == noise
    rounds = planned(1000, None, 6.0, 100, **settings).guarantee.rounds
    assert rounds in range(199, 204)
    assert run_epsilon(1000, rounds, 100, **settings) <= 6.0 < run_epsilon(1000, rounds + 2, 100, **settings)


def test_the_least_number_of_clients() -> None:
    plan = planned(None, 200, 4.0, 100, noise_multiplier=1.5)
    assert plan.unknown == "clients"
    assert plan.answer == f"clients: {plan.clients:,}"
    assert run_epsilon(plan.clients, 200, 100, noise_multiplier=1.5) <= 4.0
    assert run_epsilon(plan.clients - 5, 200, 100, noise_multiplier=1.5) > 4.0
    assert planned(None, 1, 8.0, 10, noise_multiplier=3.0).clients == 10


@given(epsilon=st.floats(0.2, 30), rounds=st.integers(1, 500), clients=st.integers(2, 5000))
def test_a_plan_keeps_its_promise(epsilon: float, rounds: int, clients: int) -> None:
    plan = planned(clients, rounds, epsilon)
    assert epsilon * (1 - 2e-3) < plan.guarantee.epsilon <= epsilon
    back = planned(clients, None, epsilon, noise_multiplier=plan.guarantee.noise_multiplier).guarantee.rounds
    assert rounds <= back <= rounds * 1.004 + 1


@pytest.mark.parametrize(
    ("noise", "parameters", "clients", "mechanism", "expected"),
    [(3.681, 1506, 27, "fixed", 5.29), (1.443, 1506, 100, "fixed", 0.56), (2.0, 100, 25, "local", 4.0),
     (2.0, 100, 25, "distributed", 0.8)],
)  # fmt: skip
def test_noise_over_signal(noise: float, parameters: int, clients: int, mechanism: str, expected: float) -> None:
    found = noise_to_signal(noise, parameters, clients, mechanism)
    assert found == pytest.approx(expected, rel=2e-3)
    assert noise_to_signal(noise, None, clients, mechanism) is None


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(37, "37 times the signal: the model will learn next to nothing"), (10.0, "learn next to nothing"),
     (5.3, "5.3 times the signal: expect a clear loss"), (1.0, "a clear loss"),
     (0.56, "0.56 times the signal: expect a small loss")],
)  # fmt: skip
def test_verdicts(ratio: float, said: str) -> None:
    assert said in judge(ratio, 1027)
    assert judge(ratio, 1027).startswith("at 1,027 subjects ")


def test_the_plan_at_the_size_of_recola_says_that_it_is_too_small() -> None:
    plan = planned(27, 20, 4.0, parameters=1506, delta=1e-3, cohorts=COHORTS)
    assert plan.noise_to_signal == pytest.approx(5.3, abs=0.02)
    assert "at 27 subjects this noise is 5.3 times the signal" in plan.verdict
    assert plan.verdict.endswith("the same guarantee takes about 300 subjects")
    assert max(map(len, plan.text().splitlines()[2:])) <= 100
    small = planned(27, 20, 4.0, parameters=1506, cohorts=(27, 100))
    assert "protecting windows" in small.verdict
    assert "name the model" in planned().verdict


def test_the_guarantee_is_carried_over_to_other_cohorts() -> None:
    plan = planned(1000, 50, 4.0, 100, parameters=400, cohorts=COHORTS)
    assert tuple(row.clients for row in plan.cohorts) == COHORTS
    assert [row.clients_per_round for row in plan.cohorts] == [3, 10, 30, 100, 300, 1000]
    for row in plan.cohorts[1::2]:
        assert row.delta == 1 / (10 * row.clients)
        found = run_epsilon(row.clients, 50, row.clients_per_round, noise_multiplier=row.noise_multiplier)
        assert found == pytest.approx(4.0, rel=5e-3)
        assert row.noise_to_signal == pytest.approx(row.noise_multiplier * 20 / row.clients_per_round, rel=1e-12)
        assert row.verdict == judge(row.noise_to_signal, row.clients)
    ratios = [row.noise_to_signal or 0 for row in plan.cohorts]
    assert ratios == sorted(ratios, reverse=True)


def test_a_given_delta_is_that_of_the_plan_alone() -> None:
    plan = planned(100, 20, 4.0, delta=1e-5, cohorts=(100,))
    assert plan.guarantee.delta == 1e-5
    assert plan.cohorts[0].delta == 1e-3
    assert plan.cohorts[0].noise_multiplier < plan.guarantee.noise_multiplier


def test_a_plan_is_json() -> None:
    record = json.loads(json.dumps(planned(parameters=100, cohorts=(27, 100)).to_json(), allow_nan=False))
    assert record["guarantee"]["unit"] == "subject"
    assert record["unknown"] == "noise_multiplier"
    assert [row["clients"] for row in record["cohorts"]] == [27, 100]
    assert math.isclose(record["guarantee"]["epsilon"], 4.0, rel_tol=2e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": None}, "but the one that is asked for, found rounds, clients"),
        ({"noise_multiplier": 1.0}, "found epsilon, noise multiplier, rounds, clients"),
        ({"epsilon": 0.0}, "epsilon: expected a number above 0, found 0"),
        ({"rounds": 0}, "rounds: expected a number above 0"),
        ({"epsilon": None, "noise_multiplier": 0.0}, "noise multiplier: expected a number above 0"),
        ({"clients": None, "noise_multiplier": 1.0}, "clients per round: expected a number, found none"),
        ({"cohort": 28}, "expected at most the 27 clients, found 28"),
        ({"cohort": -1}, "clients per round: expected at least 0"),
        ({"parameters": 0}, "parameters: expected at least 1"),
        ({"rounds": None, "epsilon": 0.1, "noise_multiplier": 1.0}, "at least .*, which one round costs, found 0.1"),
        ({"clients": None, "cohort": 5, "epsilon": 1e-3, "rounds": 9, "noise_multiplier": 0.05}, "not reached by"),
        ({"epsilon": 1e9}, "expected one that a noise multiplier from 0.01"),
        ({"delta": 0.1}, "below 1/27"),
        ({"level": "window"}, "expected privacy.level=user"),
    ],
)  # fmt: skip
def test_questions_without_an_answer_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        planned(**settings)
