"""Membership inference on simulated signals: against naive loops, closed forms, and luck."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from tff_affect.errors import InputError
from tff_affect.privacy.audit.likelihood_ratio import ATTACKS, attack_scores, counterparts, leave_one_out, of_all
from tff_affect.privacy.audit.membership import (
    MembershipResult,
    Targets,
    area_under_roc,
    infer_membership,
    membership_finding,
    true_positive_rate,
)
from tff_affect.privacy.audit.membership_epsilon import attack_epsilon

QUICK = {"permutations": 99, "resamples": 60}


def halves(models: int, subjects: int, rng: np.random.Generator) -> np.ndarray:
    """``[models, subjects]``: pairs of models on complementary halves."""
    rows = []
    for _ in range(models // 2):
        inside = np.isin(np.arange(subjects), rng.permutation(subjects)[: subjects // 2])
        rows += [inside, ~inside]
    return np.array(rows)


@dataclass(frozen=True)
class World:
    """Signals with a subject's own level, a model's own level, and a shift for members."""

    models: int = 16
    subjects: int = 23
    shift: tuple[float, ...] = (0.0, 0.0, 0.0)
    narrowing: float = 1.0
    shared: float = 0.0
    subject_level: float = 2.0
    model_level: float = 0.0

    def draw(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        members, signals = halves(self.models, self.subjects, rng), len(self.shift)
        covariance = (1 - self.shared) * np.eye(signals) + self.shared
        noise = rng.multivariate_normal(np.zeros(signals), covariance, (self.models, self.subjects))
        inside = members[..., np.newaxis]
        values = np.where(inside, self.narrowing * noise - np.array(self.shift), noise)
        values += self.subject_level * rng.normal(size=(1, self.subjects, signals))
        return values + self.model_level * rng.normal(size=(self.models, 1, signals)), members


def auc_of(result: MembershipResult, name: str) -> float:
    return next(attack.auc for attack in result.attacks if attack.name == name)


def shrunk(covariance: np.ndarray) -> np.ndarray:
    return 0.9 * covariance + 0.1 * np.diag(np.diag(covariance))


def naive_scores(signals: np.ndarray, members: np.ndarray, target: int, used: list[int]) -> dict[str, np.ndarray]:
    """Scores of one target's subjects by loops, and densities by scipy."""
    subjects, count = members.shape[1], signals.shape[2]
    found: dict[bool, tuple[list, np.ndarray]] = {}
    for inside in (True, False):
        groups = [signals[[m for m in used if members[m, i] == inside], i] for i in range(subjects)]
        scatter = sum((np.cov(g.T, ddof=0).reshape(count, count) * len(g) for g in groups), np.zeros((count, count)))
        found[inside] = (groups, shrunk(scatter / sum(len(g) - 1 for g in groups)))
    mean_in, mean_out = (np.array([g.mean(axis=0) for g in found[inside][0]]) for inside in (True, False))
    (_, inner), (_, outer) = found[True], found[False]
    both, middle = (inner + outer) / 2, (mean_in + mean_out) / 2
    common = (mean_in - mean_out).mean(axis=0)
    own = mean_in - mean_out - common
    chance = np.mean([1 / len(a) + 1 / len(b) for a, b in zip(found[True][0], found[False][0], strict=True)])
    shift = common + max(0.0, 1 - chance / np.mean(own**2 / np.diag(both))) * own
    x = signals[target]

    def ratio(shifts: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.array([
            stats.multivariate_normal.logpdf(x[i], middle[i] + shifts[i] / 2, a)
            - stats.multivariate_normal.logpdf(x[i], middle[i] - shifts[i] / 2, b)
            for i in range(subjects)
        ])  # fmt: skip

    return {
        "loss": -x[:, 0],
        "calibrated loss": mean_out[:, 0] - x[:, 0],
        "offline likelihood ratio": ((mean_out - x) / np.sqrt(np.diag(outer))).sum(axis=1),
        "likelihood ratio": ratio(shift, inner, outer),
        "linear discriminant": ratio(np.tile(common, (subjects, 1)), both, both),
    }


@pytest.mark.parametrize("signals", [1, 3])
def test_scores_are_those_of_loops_without_the_target_and_its_counterpart(signals: int) -> None:
    values, members = World(8, 7, (1.5,) * signals, narrowing=0.7, shared=0.5).draw(1)
    order = np.random.default_rng(2).permutation(8)
    members = members[order]
    scores = attack_scores(values, leave_one_out(values, members[np.newaxis], counterparts(members)[np.newaxis]))[:, 0]
    for target in range(8):
        used = [m for m in range(8) if m != target and (members[m] != ~members[target]).any()]
        assert len(used) == 6
        expected = naive_scores(values, members, target, used)
        for name, found in zip(ATTACKS, scores[:, target], strict=True):
            np.testing.assert_allclose(found, expected[name], rtol=1e-9, err_msg=name)


def test_shadow_models_without_a_counterpart_are_left_out_alone() -> None:
    values, members = World(8, 6, (1.0, 1.0)).draw(3)
    values, members = values[:7], members[:7]
    scores = attack_scores(values, leave_one_out(values, members[np.newaxis], counterparts(members)[np.newaxis]))[:, 0]
    expected = naive_scores(values, members, 6, [0, 1, 2, 3, 4, 5])
    for name, found in zip(ATTACKS, scores[:, 6], strict=True):
        np.testing.assert_allclose(found, expected[name], rtol=1e-9, err_msg=name)


def test_other_targets_are_compared_with_all_shadow_models() -> None:
    values, members = World(8, 7, (1.0, 0.5)).draw(4)
    target = World(8, 7, (1.0, 0.5)).draw(5)[0][:1]
    expected = naive_scores(np.concatenate([values, target]), members, 8, list(range(8)))
    for name, found in zip(ATTACKS, attack_scores(target, of_all(values, members))[:, 0, 0], strict=True):
        np.testing.assert_allclose(found, expected[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("distance", [0.5, 1.5])
def test_auc_is_that_of_gaussians(distance: float) -> None:
    values, members = World(40, 300, (distance,), subject_level=0.0).draw(6)
    result = infer_membership(values, members, permutations=1, resamples=1)
    left = 40 / 2 - 1
    for name, variance in {"loss": 1.0, "calibrated loss": 1 + 1 / left, "linear discriminant": 1 + 0.5 / left}.items():
        expected = stats.norm.cdf(distance / math.sqrt(2 * variance))
        assert auc_of(result, name) == pytest.approx(expected, abs=0.012), name


def test_several_signals_give_the_auc_of_their_distance() -> None:
    shift, shared = np.array([1.0, 0.2, 0.6]), 0.8
    values, members = World(40, 300, tuple(shift), shared=shared).draw(7)
    distance = math.sqrt(shift @ np.linalg.solve(0.2 * np.eye(3) + shared, shift))
    result = infer_membership(values, members, permutations=1, resamples=1)
    # The shrinkage takes a little.
    assert auc_of(result, "linear discriminant") == pytest.approx(stats.norm.cdf(distance / math.sqrt(2)), abs=0.03)
    assert auc_of(result, "loss") < 0.65


def test_narrower_signals_of_members_are_found_by_the_likelihood_ratio_alone() -> None:
    values, members = World(narrowing=0.3).draw(8)
    result = infer_membership(values, members, **QUICK)
    assert result.strongest.name == "likelihood ratio"
    assert result.strongest.auc > 0.8 > 0.6 > auc_of(result, "linear discriminant")


def test_guessing_is_worth_one_half_in_every_attack() -> None:
    """Also with few shadow models, where the target's own place among them would move it."""
    found = []
    for seed in range(80):
        values, members = World(10, 16, (0.0, 0.0)).draw(seed)
        result = infer_membership(values, members, permutations=1, resamples=1)
        found.append([attack.auc for attack in result.attacks])
    for name, mean, error in zip(ATTACKS, np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(80), strict=True):
        assert abs(mean - 0.5) < 3.3 * error, name
        assert error < 0.008, name


@pytest.mark.parametrize("own_targets", [False, True])
def test_p_of_the_strongest_is_uniform_under_guessing(own_targets: bool) -> None:
    # Of 19 permutations p is a multiple of 1/20: every level below is met exactly, as with more of them.
    found = []
    for seed in range(240):
        values, members = World(8, 10, (0.0,) * 3, shared=0.6, model_level=1.0).draw(seed)
        targets = None
        if own_targets:
            drawn = World(4, 10, (0.0,) * 3, shared=0.6, model_level=1.0).draw(seed + 1000)
            targets = Targets(drawn[0][:2], drawn[1][[0, 2]])
        found.append(infer_membership(values, members, targets, seed, permutations=19, resamples=1).p)
    for level in (0.05, 0.1, 0.25, 0.5):
        rejected = np.count_nonzero(np.array(found) <= level)
        assert rejected <= stats.binom.ppf(0.999, 240, level), level
        assert rejected >= stats.binom.ppf(0.001, 240, level), level


def test_p_is_small_and_the_interval_above_one_half_for_what_leaks() -> None:
    result = infer_membership(*World(shift=(1.0, 1.0, 1.0)).draw(9))
    assert result.p <= 0.001
    assert result.interval is not None
    assert 0.6 < result.interval[0] < result.strongest.auc < result.interval[1] < 1
    swapped = infer_membership(*World(shift=(-1.0, -1.0, -1.0)).draw(9), **QUICK)
    assert auc_of(swapped, "loss") < 0.5


def test_a_target_of_its_own_is_told_by_its_members_alone() -> None:
    values, members = World(shift=(2.0, 2.0, 2.0)).draw(10)
    truth = np.arange(23)[np.newaxis] < 16
    fitted = values.mean(axis=0)[np.newaxis] + np.where(truth[..., np.newaxis], -1.0, 1.0)
    leaking = infer_membership(values, members, Targets(fitted, truth), **QUICK)
    assert leaking.strongest.auc == pytest.approx(1)
    assert leaking.p == pytest.approx(0.01)
    other = np.random.default_rng(0).permutation(truth[0])[np.newaxis]
    assert infer_membership(values, members, Targets(fitted, other), **QUICK).p > 0.05


def test_the_same_seed_gives_the_same_numbers() -> None:
    world = World(8, 9, (0.4, 0.4)).draw(11)
    one, same, other = (infer_membership(*world, seed=seed, **QUICK) for seed in (3, 3, 4))
    assert (one.p, one.interval, one.rate_intervals) == (same.p, same.interval, same.rate_intervals)
    assert one.interval != other.interval
    np.testing.assert_array_equal(one.strongest.scores, other.strongest.scores)


def test_permutations_in_parts_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(8, 9, (0.3, 0.3)).draw(12)
    whole = infer_membership(*world, **QUICK).p
    monkeypatch.setattr("tff_affect.privacy.audit.membership._NUMBERS_AT_ONCE", 1000)
    assert infer_membership(*world, **QUICK).p == whole


decisions = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60).filter(
    lambda drawn: 0 < sum(member for _, member in drawn) < len(drawn)
)


@given(decisions, st.sampled_from([0.01, 0.1, 0.3]))
def test_rates_are_those_of_scikit_learn(drawn: list[tuple[int, bool]], limit: float) -> None:
    scores, members = np.array([s for s, _ in drawn], float), np.array([m for _, m in drawn])
    false, true, _ = roc_curve(members, scores, drop_intermediate=False)
    assert area_under_roc(scores, members) == pytest.approx(roc_auc_score(members, scores))
    assert true_positive_rate(scores, members, limit) == pytest.approx(true[false <= limit + 1e-12].max())


def test_the_roc_runs_from_corner_to_corner() -> None:
    result = infer_membership(*World(shift=(1.0,)).draw(13), **QUICK)
    roc = result.roc()
    assert roc[0].tolist() == [0, 0]
    assert roc[-1].tolist() == [1, 1]
    assert np.trapz(roc[:, 1], roc[:, 0]) == pytest.approx(result.strongest.auc)
    for limit, rate in result.strongest.rates.items():
        assert rate >= roc[roc[:, 0] <= limit, 1].max()


def test_epsilon_is_that_of_clopper_and_pearson() -> None:
    """All members above all outsiders: no false accusation among 184, all of 184 found."""
    members = halves(16, 23, np.random.default_rng(0))
    result = infer_membership(*World(shift=(9.0, 9.0, 9.0)).draw(0), permutations=1, resamples=1)
    bound = attack_epsilon(result, delta=0.001)
    tests, inside, outside = 2 * 5 * 6, int(members.sum()), int((~members).sum())
    low = stats.binomtest(inside, inside, alternative="greater").proportion_ci(1 - 0.05 / tests, "exact").low
    high = stats.binomtest(0, outside, alternative="less").proportion_ci(1 - 0.05 / tests, "exact").high
    assert bound.largest == pytest.approx(math.log((low - 0.001) / high), rel=1e-6)
    assert 0.9 * bound.largest < bound.value <= bound.largest


def test_epsilon_of_randomised_answers_is_not_exceeded() -> None:
    """Scores that tell the truth with exp(2) to 1 hold 2 for their epsilon."""
    base = infer_membership(*World(40, 60, (0.0,)).draw(1), permutations=1, resamples=1)
    truthful, found = math.exp(2) / (1 + math.exp(2)), []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        answers = np.where(rng.random(base.members.shape) < truthful, base.members, ~base.members)
        scores = answers + 0.01 * rng.random(answers.shape)
        attacks = tuple(replace(attack, scores=scores) for attack in base.attacks)
        found.append(attack_epsilon(replace(base, attacks=attacks), 0.0).value)
    assert max(found) <= 2
    assert np.mean(found) > 1.4


def test_nothing_found_bounds_nothing() -> None:
    bound = attack_epsilon(infer_membership(*World().draw(2), permutations=1, resamples=1), 0.01)
    assert (bound.value, bound.attack) == (0.0, "")
    assert bound.largest > 3


def test_the_finding_says_it_in_words() -> None:
    result = infer_membership(*World(shift=(1.0, 1.0, 1.0)).draw(14), **QUICK)
    finding = membership_finding(result, "federated", 'models of "federated"')
    percent = f"{100 * result.strongest.auc:.0f} %"
    assert finding.sentence.startswith("of two people, one of them in the training data, an attacker who has the model")
    assert (
        f"picks the right one in {percent} of cases; chance 50 %; while accusing 1 % of outsiders" in finding.sentence
    )
    assert finding.value == max(attack["AUC"] for attack in finding.details["attackers"].values())
    assert (finding.attacker, finding.p, finding.interval) == (result.strongest.name, result.p, result.interval)
    assert finding.beats_chance
    assert finding.details["false positive rate resolution"] == pytest.approx(1 / result.outsiders)
    assert json.loads(json.dumps(finding.details)) == finding.details


def test_the_finding_says_what_guessing_gives_too() -> None:
    values, members = World(8, 10).draw(3)
    result = infer_membership(values, members, **QUICK)
    finding = membership_finding(result, "federated + DP", "its models", "outputs")
    assert result.p > 0.05
    assert not finding.beats_chance
    assert f"guessing gives as much (p = {result.p:.2f})" in finding.sentence
    assert "none of 40 outsiders falsely" in finding.sentence
    assert "sees what the model says" in finding.sentence


def test_what_cannot_be_attacked_is_refused() -> None:
    values, members = World(6, 9).draw(1)
    with pytest.raises(InputError, match=r"expected signals \[models, subjects, signals\]"):
        infer_membership(values, members[:, 1:])
    with pytest.raises(InputError, match="in 3 shadow models and out of as many, found one with 2"):
        infer_membership(values[:4], members[:4])
    broken = values.copy()
    broken[2, 3, 0] = np.nan
    with pytest.raises(InputError, match="finite"):
        infer_membership(broken, members)
    with pytest.raises(InputError, match="one kind alone"):
        infer_membership(values, members, Targets(values[:1], np.ones((1, 9), bool)))
