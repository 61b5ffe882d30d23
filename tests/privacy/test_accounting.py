"""The ledger beside `dp_accounting` called by hand, closed forms, and what must hold of any accounting."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from dp_accounting import NeighboringRelation, dp_event, pld, rdp
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from tensorflow_privacy.privacy.analysis.tree_aggregation_accountant import compute_zcdp_single_tree

from tff_affect.errors import InputError
from tff_affect.privacy.accounting import (
    Ledger,
    count_deviation,
    repeated_tree_loss,
    rounds_per_tree,
    single_tree_loss,
    value_noise_multiplier,
)
from tff_affect.privacy.bounds import Released, composed_multiplier, gaussian_epsilon
from tff_affect.privacy.guarantee import Guarantee
from tff_affect.privacy.sampling import Sampling
from tff_affect.privacy_config import PrivacyConfig

REPLACED = {"adjacency": "replace-one"}
TREE = {"mechanism": "tree", "sampling": "passes", "adjacency": "zero-out"}


def guarantee(rounds: int, clients: int, cohort: int = 0, noise: float = 2.0, **settings: object) -> Guarantee:
    """Of a run under subject-level privacy."""
    privacy = PrivacyConfig(noise_multiplier=noise, **settings)  # type: ignore[arg-type]
    ledger = Ledger.user(privacy, Sampling.of(privacy, clients, cohort))
    ledger.add_rounds(rounds)
    return ledger.guarantee()


def pld_epsilon(event: dp_event.DpEvent, count: int, delta: float, interval: float = 1e-4) -> float:
    accountant = pld.PLDAccountant(value_discretization_interval=interval)
    return float(accountant.compose(event, count).get_epsilon(delta))


def gaussian(z: float) -> dp_event.DpEvent:
    return dp_event.GaussianDpEvent(z)


def poisson(q: float, z: float) -> dp_event.DpEvent:
    return dp_event.PoissonSampledDpEvent(q, gaussian(z))


def fixed_size_epsilon(clients: int, cohort: int, z: float, rounds: int, delta: float) -> float:
    accountant = rdp.RdpAccountant(neighboring_relation=NeighboringRelation.REPLACE_ONE)
    accountant.compose(dp_event.SampledWithoutReplacementDpEvent(clients, cohort, gaussian(z)), rounds)
    return float(accountant.get_epsilon(delta))


@pytest.mark.parametrize("adjacency", ["add-remove", "zero-out"])
def test_full_participation_is_the_gaussian_mechanism(adjacency: str) -> None:
    found = guarantee(20, 27, adjacency=adjacency, delta=1e-3)
    assert found.epsilon == pytest.approx(pld_epsilon(gaussian(2.0), 20, 1e-3), rel=1e-6)
    assert found.epsilon == pytest.approx(8.787283, rel=1e-6)


def test_a_subject_that_is_replaced_moves_twice_as_much() -> None:
    found = guarantee(20, 27, delta=1e-3, **REPLACED)
    assert found.epsilon == pytest.approx(pld_epsilon(gaussian(1.0), 20, 1e-3), rel=1e-6)
    assert found.epsilon == pytest.approx(23.1, abs=0.05)


@pytest.mark.parametrize("sampling", ["poisson", "fixed-size"])
def test_a_cohort_of_all_is_full_participation(sampling: str) -> None:
    settings = REPLACED | {"sampling": sampling}
    whole = guarantee(20, 27, **settings)
    assert guarantee(20, 27, 27, **settings).epsilon == whole.epsilon == guarantee(20, 27, 40, **settings).epsilon
    assert whole.sampling == "all 27 clients in each round"
    assert Sampling.of(PrivacyConfig(noise_multiplier=1.0, **TREE), 27, 30).scheme == "full"


@pytest.mark.parametrize("adjacency", ["add-remove", "zero-out"])
def test_poisson_samples_are_amplified(adjacency: str) -> None:
    found = guarantee(200, 1000, 100, 1.5, adjacency=adjacency)
    assert found.delta == 1e-4
    assert found.epsilon == pytest.approx(pld_epsilon(poisson(0.1, 1.5), 200, 1e-4), rel=1e-6)


def test_zeroing_out_a_poisson_sampled_subject_is_removing_it() -> None:
    """By numerical integration of the densities of one round's sum, with and without the subject."""
    q, z, epsilon = 0.3, 0.8, 0.7
    x = np.linspace(-12, 12, 400_001)
    without, within = norm.pdf(x, 0, z), (1 - q) * norm.pdf(x, 0, z) + q * norm.pdf(x, 1, z)
    excess = [np.maximum(a - math.exp(epsilon) * b, 0) for a, b in ((within, without), (without, within))]
    deltas = [float(e.sum()) * (x[1] - x[0]) for e in excess]
    found = guarantee(1, 10, 3, z, adjacency="zero-out", delta=max(deltas), force=True)
    assert found.epsilon == pytest.approx(epsilon, rel=1e-5)


def test_a_poisson_sampled_subject_that_is_replaced_goes_and_another_comes() -> None:
    found = guarantee(20, 1000, 100, 1.5, delta=1e-4, **REPLACED)
    half = found.epsilon / 2
    accountant = pld.PLDAccountant().compose(poisson(0.1, 1.5), 20)
    assert accountant.get_delta(half) * (1 + math.exp(half)) == pytest.approx(1e-4, rel=1e-5)
    # Where sampling leaves few out, two steps cost more than it gains.
    most = guarantee(20, 10, 9, 1.5, delta=1e-3, **REPLACED)
    assert most.epsilon == pytest.approx(pld_epsilon(gaussian(0.75), 20, 1e-3), rel=1e-6)


def test_a_fixed_size_sample_takes_the_smaller_of_two_bounds() -> None:
    settings = REPLACED | {"sampling": "fixed-size", "delta": 1e-4}
    amplified = guarantee(200, 1000, 100, **settings)
    assert amplified.epsilon == pytest.approx(fixed_size_epsilon(1000, 100, 1.0, 200, 1e-4), rel=1e-6)
    assert amplified.epsilon < pld_epsilon(gaussian(1.0), 200, 1e-4, 1e-3) / 2
    plain = guarantee(20, 27, 20, **settings)
    assert plain.epsilon == pytest.approx(pld_epsilon(gaussian(1.0), 20, 1e-4), rel=1e-6)
    assert plain.epsilon < 0.9 * fixed_size_epsilon(27, 20, 1.0, 20, 1e-4)


def test_adaptive_clipping_leaves_the_count_its_share() -> None:
    value, count = value_noise_multiplier(2.0, 100), 2 * count_deviation(100)
    assert count == 10
    assert value == pytest.approx(1 / math.sqrt(1 / 4 - 1 / 100), rel=1e-12)
    both = rdp.RdpAccountant().compose(dp_event.ComposedDpEvent([gaussian(value), gaussian(count)]))
    np.testing.assert_allclose(both.rdp, rdp.RdpAccountant().compose(gaussian(2.0)).rdp, rtol=1e-12)
    assert composed_multiplier([value, count]) == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize(("clients", "cohort"), [(100, 0), (1000, 100)])
def test_adaptive_clipping_costs_what_its_noise_multiplier_says(clients: int, cohort: int) -> None:
    adaptive = guarantee(50, clients, cohort, mechanism="adaptive", delta=1e-4)
    event = poisson(cohort / clients, 2.0) if cohort else gaussian(2.0)
    assert adaptive.epsilon == pytest.approx(pld_epsilon(event, 50, 1e-4), rel=1e-6)
    replaced = guarantee(50, 100, mechanism="adaptive", delta=1e-4, **REPLACED)
    assert replaced.epsilon == pytest.approx(pld_epsilon(gaussian(1.0), 50, 1e-4, 1e-3), rel=1e-6)


def test_adaptive_clipping_needs_a_cohort() -> None:
    with pytest.raises(InputError, match=r"below 2\.7, a tenth .*found 2\.7; set privacy.mechanism=fixed"):
        guarantee(1, 27, noise=2.7, mechanism="adaptive")
    assert guarantee(1, 27, noise=2.69, mechanism="adaptive").epsilon > 0


@pytest.mark.parametrize("rounds", [4, 10, 25, 31, 40])
def test_a_tree_for_each_pass(rounds: int) -> None:
    """100 clients by 10: passes of 10 rounds, a tree each; the last one may be unfinished."""
    found = guarantee(rounds, 100, 10, delta=1e-3, **TREE)
    steps = [10] * (rounds // 10) + ([rounds % 10] if rounds % 10 else [])
    accountant = rdp.RdpAccountant(neighboring_relation=NeighboringRelation.REPLACE_SPECIAL)
    for count in steps:
        accountant.compose(dp_event.SingleEpochTreeAggregationDpEvent(2.0, count))
    # The accountant's divergences are those of one Gaussian mechanism, which is converted without loss.
    multipliers = np.sqrt(accountant.orders / (2 * accountant.rdp))
    np.testing.assert_allclose(multipliers, multipliers[0], rtol=1e-12)
    assert found.epsilon == pytest.approx(pld_epsilon(gaussian(multipliers[0]), 1, 1e-3), rel=1e-6)
    assert found.epsilon <= accountant.get_epsilon(1e-3)


def test_a_pass_of_several_trees_costs_its_longest() -> None:
    found = guarantee(24, 100, 10, delta=1e-3, restart_every=5, **TREE)
    accountant = rdp.RdpAccountant(neighboring_relation=NeighboringRelation.REPLACE_SPECIAL)
    for steps in ([5, 5], [5, 5], [4]):
        accountant.compose(dp_event.SingleEpochTreeAggregationDpEvent(2.0, steps))
    multiplier = math.sqrt(accountant.orders[5] / (2 * accountant.rdp[5]))
    assert found.epsilon == pytest.approx(pld_epsilon(gaussian(multiplier), 1, 1e-3), rel=1e-6)


@pytest.mark.parametrize("rounds", range(1, 13))
def test_sensitivity_of_trees(rounds: int) -> None:
    assert single_tree_loss(rounds) == 2 * compute_zcdp_single_tree(1.0, rounds, 1, rounds)
    assert repeated_tree_loss(rounds) == 2 * compute_zcdp_single_tree(1.0, rounds, rounds, 0)


def test_trees_with_all_clients_in_each_round() -> None:
    found = guarantee(20, 27, noise=20.0, delta=1e-3, **TREE)
    zcdp = 2 * compute_zcdp_single_tree(20.0, 8, 8, 0) + compute_zcdp_single_tree(20.0, 4, 4, 0)
    assert found.epsilon == pytest.approx(pld_epsilon(gaussian(1 / math.sqrt(2 * zcdp)), 1, 1e-3), rel=1e-6)
    # In a pass of one round a client may be in the next one, too: cohorts of more than half of all.
    assert guarantee(20, 27, 14, noise=20.0, delta=1e-3, **TREE).epsilon == found.epsilon


def test_trees_that_would_hold_a_client_twice_are_refused() -> None:
    assert [rounds_per_tree(PrivacyConfig(restart_every=k), 10) for k in (0, 1, 2, 5, 10)] == [10, 1, 2, 5, 10]
    assert rounds_per_tree(PrivacyConfig()) == 8
    for every in (3, 11, 20):
        with pytest.raises(InputError, match=f"divisor of the 10 rounds .* found {every}"):
            guarantee(1, 100, 10, restart_every=every, **TREE)


def test_what_a_client_noises_itself_is_not_amplified() -> None:
    local = guarantee(20, 1000, 100, mechanism="local", delta=1e-4, **REPLACED)
    assert local.epsilon == pytest.approx(pld_epsilon(gaussian(1.0), 20, 1e-4), rel=1e-6)
    assert "no trust in the server" in local.trust
    assert any("in all" in remark for remark in local.remarks)
    distributed = guarantee(20, 1000, 100, mechanism="distributed", delta=1e-4)
    assert distributed.epsilon == guarantee(20, 1000, 100, delta=1e-4).epsilon
    assert "no cryptography" in distributed.trust


def windows_ledger(windows: dict[str, int], noise: float = 1.0, epochs: int = 2, **settings: object) -> Ledger:
    privacy = PrivacyConfig(noise_multiplier=noise, level="window", **settings)  # type: ignore[arg-type]
    return Ledger.window(privacy, windows, batch_size=16, local_epochs=epochs)


def test_windows_are_accounted_for_each_client() -> None:
    ledger = windows_ledger({"few": 9, "many": 100, "absent": 300, "twin": 100})
    ledger.add_rounds(3)
    ledger.add_rounds(4, ["many", "twin", "few"])
    found = ledger.guarantee()
    assert found.unit == "window"
    assert found.rounds == 7
    assert found.per_client["many"] == found.per_client["twin"]
    by_hand = {
        "few": pld_epsilon(gaussian(1.0), 7 * 2, 1 / 90),
        "many": pld_epsilon(poisson(0.16, 1.0), 7 * 2 * 7, 1e-3, 1e-3),
        "absent": pld_epsilon(poisson(16 / 300, 1.0), 3 * 2 * 19, 1 / 3000, 1e-3),
    }
    assert {name: found.per_client[name] for name in by_hand} == pytest.approx(by_hand, rel=1e-6)
    assert (found.epsilon, found.delta) == (found.per_client["few"], 1 / 90)
    assert "that of few" in found.remarks[-1]


def test_the_least_protected_windows_are_accounted_finely() -> None:
    ledger = windows_ledger({"a": 200, "b": 400}, delta=1e-4)
    ledger.add_rounds(5)
    found = ledger.guarantee()
    assert found.epsilon == pytest.approx(pld_epsilon(poisson(0.08, 1.0), 130, 1e-4), rel=1e-6)
    assert found.delta == 1e-4


def test_windows_of_strangers_are_refused() -> None:
    with pytest.raises(InputError, match="found 'who'"):
        windows_ledger({"a": 20}).add_rounds(1, ["who"])
    with pytest.raises(InputError, match="at least one client"):
        windows_ledger({})
    with pytest.raises(InputError, match="windows of a client: expected at least 1, found 0"):
        windows_ledger({"a": 0})
    with pytest.raises(InputError, match="expected 'window', found 'user'"):
        Ledger.window(PrivacyConfig(noise_multiplier=1.0), {"a": 3}, 2, 1)


@pytest.mark.parametrize(("cohort", "settings"), [(0, {}), (10, {}), (10, REPLACED | {"sampling": "fixed-size"})])
def test_further_releases_count(cohort: int, settings: dict[str, str]) -> None:
    privacy = PrivacyConfig(noise_multiplier=4.0, delta=1e-3, **settings)  # type: ignore[arg-type]
    ledger = Ledger.user(privacy, Sampling.of(privacy, 100, cohort))
    ledger.add_rounds(10)
    before = ledger.guarantee().epsilon
    ledger.add_release("mean score", gaussian(3.0))
    found = ledger.guarantee()
    if not cohort:
        assert found.epsilon == pytest.approx(gaussian_epsilon((10 / 16 + 1 / 9) ** -0.5, 1e-3), rel=1e-9)
    assert found.epsilon > before
    assert "also released, and counted in: mean score" in found.remarks
    with pytest.raises(InputError, match="'mean score' again"):
        ledger.add_release("mean score", gaussian(3.0))


def test_releases_with_other_noise_are_accounted_too() -> None:
    ledger = Ledger.user(PrivacyConfig(noise_multiplier=4.0, delta=1e-3), Sampling("full", 100, 100))
    ledger.add_rounds(10)
    ledger.add_release("histogram", dp_event.LaplaceDpEvent(2.0))
    by_hand = pld.PLDAccountant().compose(gaussian(4.0), 10).compose(dp_event.LaplaceDpEvent(2.0))
    assert ledger.guarantee().epsilon == pytest.approx(by_hand.get_epsilon(1e-3), rel=1e-6)
    ledger.add_release("secret", dp_event.UnsupportedDpEvent())
    with pytest.raises(InputError, match="expected releases that PLDAccountant"):
        ledger.guarantee()


def test_nothing_released_is_nothing_lost_and_no_noise_is_all() -> None:
    assert guarantee(0, 27).epsilon == 0
    assert guarantee(0, 27, noise=0.0).epsilon == 0
    naked = guarantee(1, 27, noise=0.0, mechanism="adaptive", clipping_norm=2.0)
    assert naked.epsilon == math.inf
    assert "no noise: clipping alone protects nobody" in naked.remarks
    assert json.loads(json.dumps(naked.to_json(), allow_nan=False))["epsilon"] == "inf"
    with pytest.raises(InputError, match=r"privacy\.noise_multiplier: expected a number"):
        Ledger.user(PrivacyConfig(), Sampling("full", 3, 3))


def test_little_noise_fits_into_memory() -> None:
    assert 1e4 < guarantee(200, 1000, 100, 0.01).epsilon < gaussian_epsilon(0.01 / math.sqrt(200), 1e-4)


def test_delta_has_to_be_small() -> None:
    assert guarantee(20, 27).delta == 1 / 270
    assert guarantee(20, 27, delta=0.03).remarks == ()
    assert guarantee(20, 27, delta=0.035).remarks == ("delta above 1/(1.1 N), with N = 27",)
    with pytest.raises(InputError, match=r"below 1/27.* found 0\.04; .*privacy.force=true"):
        guarantee(20, 27, delta=0.04)
    assert "1/27 or more" in guarantee(20, 27, delta=0.04, force=True).remarks[0]
    privacy = PrivacyConfig(noise_multiplier=2.0, delta=1e-3)
    ledger = Ledger.user(privacy, Sampling("full", 27, 27))
    ledger.add_rounds()
    assert ledger.guarantee(1e-2).delta == 1e-2
    with pytest.raises(InputError, match=r"privacy\.delta"):
        ledger.guarantee(0.0)
    windows = windows_ledger({"a": 10, "b": 50}, delta=0.02)
    with pytest.raises(InputError, match="below 1/50"):
        windows.guarantee()


@pytest.mark.parametrize(
    ("scheme", "settings", "message"),
    [
        ("passes", {}, "expected 'passes' or all clients for a tree"),
        ("poisson", TREE, "expected 'passes' or all clients for a tree"),
        ("fixed-size", {}, "accounted under 'replace-one'; found 'add-remove'"),
        ("bernoulli", {}, "sampling: expected one of full, poisson"),
    ],
)
def test_schemes_without_a_proof_are_refused(scheme: str, settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Ledger.user(PrivacyConfig(noise_multiplier=1.0, **settings), Sampling(scheme, 10, 5))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="from 1 to the 10 clients, found 11"):
        Sampling("poisson", 10, 11)


@given(z=st.floats(0.2, 200), delta=st.floats(1e-9, 0.3))
def test_the_gaussian_epsilon_has_its_delta(z: float, delta: float) -> None:
    """Balle and Wang's formula, forwards; its difference loses digits where delta is small."""
    epsilon = gaussian_epsilon(z, delta)
    found = norm.cdf(1 / (2 * z) - epsilon * z) - math.exp(epsilon) * norm.cdf(-1 / (2 * z) - epsilon * z)
    assert found == pytest.approx(delta, rel=1e-6, abs=1e-13) or (epsilon == 0 and found <= delta)


@given(
    z=st.floats(1.0, 10), rounds=st.integers(5, 300), cohort=st.integers(5, 60),
    settings=st.sampled_from([{}, {"adjacency": "zero-out"}, REPLACED | {"mechanism": "local"}]),
)  # fmt: skip
def test_more_noise_protects_more_and_more_rounds_less(z: float, rounds: int, cohort: int, settings: dict) -> None:
    privacy = PrivacyConfig(noise_multiplier=z, **settings)

    def epsilon(rounds: int = rounds, cohort: int = cohort, privacy: PrivacyConfig = privacy) -> float:
        ledger = Ledger.user(privacy, Sampling.of(privacy, 60, cohort))
        ledger.add_rounds(rounds)
        return ledger.epsilon(1e-3, 1e-2).epsilon

    # Where delta alone covers a run, epsilon is 0.
    less, more = epsilon(privacy=replace(privacy, noise_multiplier=1.3 * z)), epsilon(rounds=2 * rounds)
    assert less < epsilon() < more or (less == 0 == epsilon() and more >= 0)
    assert epsilon() <= epsilon(cohort=0) * (1 + 1e-9)


@given(z=st.floats(0.5, 20), count=st.integers(1, 100), share=st.floats(0.01, 1))
def test_coarser_steps_are_never_below_finer_ones(z: float, count: int, share: float) -> None:
    released = Released("poisson", share, count, z, z / math.sqrt(count))
    assert released.epsilon(1e-4, 2e-2).epsilon >= released.epsilon(1e-4, 1e-3).epsilon * (1 - 1e-9)


def test_rounds_add_up() -> None:
    privacy = PrivacyConfig(noise_multiplier=2.0)
    ledger = Ledger.user(privacy, Sampling("full", 27, 27))
    for _ in range(5):
        ledger.add_rounds()
    ledger.add_rounds(15)
    assert ledger.guarantee() == guarantee(20, 27)
    with pytest.raises(InputError, match="rounds: expected at least 0"):
        ledger.add_rounds(-1)


@pytest.mark.parametrize("cohort", [0, 9])
def test_a_guarantee_says_what_it_leaves_out(cohort: int) -> None:
    found = guarantee(20, 27, cohort, settings_from="this cohort", reproducible_noise=True, delta=0.035)
    assert found.outside[-1] == "hyper-parameters: chosen on this cohort"
    assert found.remarks[0] == "simulation only: the noise is reproducible"
    lines = found.text().splitlines()
    assert lines[0].startswith(f"epsilon {found.epsilon:.4g} at delta 0.035 for one subject (add-remove)")
    assert max(map(len, lines)) <= 100
    for item in (*found.outside, *found.remarks, found.trust, found.sampling, found.accountant):
        assert item in found.text()
    assert json.loads(json.dumps(found.to_json()))["outside"] == list(found.outside)
    assert guarantee(20, 27).outside == found.outside[:-1]
