"""Reconstructions beside the truth and other people's windows."""

from __future__ import annotations

import numpy as np
import pytest

from tff_affect.errors import InputError
from tff_affect.privacy.audit.inversion import Attempt, InversionScore, inversion_finding, score_inversion


def people(seed: int, count: int, windows: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, windows, 8, 3))


def score(correlation: list[float], decoy: float = 0.0, spread: float = 0.05) -> InversionScore:
    values = np.array(correlation)
    decoys = decoy + spread * np.random.default_rng(0).normal(size=(len(values), 40))
    return InversionScore(values, values, 1 - values, decoys)


def test_correlation_and_error_are_those_of_numpy() -> None:
    truth, decoys = people(0, 3), people(1, 9)
    rebuilt = truth + 0.5 * people(2, 3)
    truth[1, 0, 2:4] = np.nan
    unit = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [0.5, 0.5, 0.5]])
    found = score_inversion(rebuilt, truth, decoys, unit)
    for victim in range(3):
        there = np.isfinite(truth[victim])
        expected = np.corrcoef(rebuilt[victim][there], truth[victim][there])[0, 1]
        error = (np.abs(rebuilt[victim] - truth[victim]) * unit[victim])[there].mean()
        assert found.correlation[victim] == pytest.approx(expected)
        assert found.absolute_error[victim] == pytest.approx(error)
    assert found.decoys.shape == (3, 9)


def test_windows_are_put_in_the_best_order_for_truth_and_decoys_alike() -> None:
    truth, decoys = people(0, 4, windows=3), people(1, 60, windows=3)
    found = score_inversion(truth[:, [2, 0, 1]], truth, decoys)
    assert found.correlation == pytest.approx(np.ones(4))
    assert found.absolute_error == pytest.approx(np.zeros(4), abs=1e-12)
    # Of unrelated windows the best order gains a little; the decoys show how much.
    unrelated = score_inversion(people(2, 60, windows=3), people(3, 60, windows=3), decoys)
    assert unrelated.chance > 0.08
    assert unrelated.correlation.mean() == pytest.approx(unrelated.chance, abs=0.04)


def test_the_mean_face_beats_no_decoy_and_correlates_with_nobody_once_it_is_taken_away() -> None:
    face = 3 * np.random.default_rng(5).normal(size=(2, 8, 3)).mean(axis=0)
    truth, decoys = people(0, 8) + face, people(1, 60) + face
    shown = np.broadcast_to(face, truth.shape) + 1e-3 * people(2, 8)
    found = score_inversion(shown, truth, decoys)
    assert found.correlation.mean() > 0.6
    assert found.chance == pytest.approx(found.correlation.mean(), abs=0.05)
    assert abs(found.centred.mean()) < 0.2
    assert found.p(0) > 0.05
    assert score_inversion(truth + 0.3 * people(3, 8), truth, decoys).centred.mean() > 0.9


def test_a_reconstruction_that_does_not_vary_has_correlation_zero() -> None:
    found = score_inversion(np.ones((2, 2, 8, 3)), people(0, 2), people(1, 3))
    assert not found.correlation.any()
    assert not found.decoys.any()


def test_the_test_rejects_what_is_nothing_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    p = []
    for _ in range(300):
        values = rng.normal(size=(4, 21))
        p.append(InversionScore(values[:, 0], values[:, 0], values[:, 0], values[:, 1:]).p(0))
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.09
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)


def test_one_person_among_few_is_no_proof() -> None:
    near = np.array([0.9])
    assert InversionScore(near, near, near, np.array([[0.1, 0.2, 0.3]])).p(0) == pytest.approx(1 / 4, abs=0.02)


def test_the_strongest_attacker_counts_and_pays_for_the_choice() -> None:
    weak, strong = score([0.1] * 8), score([0.9, 0.8, 0.85, 0.95, 0.9, 0.7, 0.9, 0.9])
    one = inversion_finding([Attempt("strong", strong)], "federated", "updates", "30 s", 0)
    four = inversion_finding(
        [Attempt("weak", weak), Attempt("strong", strong), Attempt("w", weak), Attempt("v", weak)],
        "federated", "updates", "30 s", 0,
    )  # fmt: skip
    assert (four.attacker, four.measure, four.observer) == ("strong", "correlation", "server")
    assert four.value == pytest.approx(strong.correlation.mean())
    assert four.chance == pytest.approx(strong.decoys.mean())
    assert one.p is not None
    assert four.p == pytest.approx(4 * one.p)
    assert one.interval is not None
    assert four.interval is not None
    assert four.interval[0] < one.interval[0] < one.value < one.interval[1] < four.interval[1]
    assert four.beats_chance
    assert set(four.details) == {"weak", "strong", "w", "v"}
    assert four.sentence == (
        "from one person's update the server rebuilds 30 s of their action units, correlation 0.86 (with other "
        "people's 0.00)"
    )


def test_nothing_is_claimed_that_is_not_there() -> None:
    found = inversion_finding([Attempt("a", score([0.01, -0.02, 0.03]))], "dp", "updates", "30 s", 0, "model")
    assert not found.beats_chance
    assert found.interval is None
    assert found.sentence.startswith("what whoever gets the model rebuilds from one person's update is no nearer")


def test_attempts_on_other_victims_are_refused() -> None:
    with pytest.raises(InputError, match="same victims, found 2 attempts"):
        inversion_finding([Attempt("a", score([0.1])), Attempt("b", score([0.1, 0.2]))], "m", "t", "30 s", 0)
    with pytest.raises(InputError, match="found 0 attempts"):
        inversion_finding([], "m", "t", "30 s", 0)


def test_windows_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(InputError, match="of the same windows"):
        score_inversion(people(0, 2), people(0, 3), people(1, 4))
    with pytest.raises(InputError, match="found 2 and 0"):
        score_inversion(people(0, 2), people(0, 2), people(1, 0))
    truth = people(0, 2)
    truth[1, 1] = np.nan
    with pytest.raises(InputError, match="found one without"):
        score_inversion(people(0, 2), truth, people(1, 4))
