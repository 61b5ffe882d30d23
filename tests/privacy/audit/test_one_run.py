"""The audit with one run, beside figures of its paper and mechanisms whose epsilon is known."""

import math

import numpy as np
import pytest
from scipy import stats

from tff_affect.errors import InputError
from tff_affect.privacy.audit.one_run import best_bound, guess_probability, one_run_bound, right_guesses
from tff_affect.privacy.bounds import gaussian_epsilon


def test_the_papers_own_example() -> None:
    """Appendix D: 75 of 100 guesses, of 1000 canaries, at delta 1e-4 and 95 %."""
    assert one_run_bound(1000, 100, 75, 1e-4, 0.95) == pytest.approx(0.673, abs=5e-4)


def test_without_delta_it_is_a_binomial_test_of_the_accuracy() -> None:
    for right in (60, 75, 100):
        accuracy = stats.beta.ppf(0.05, right, 101 - right)
        expected = math.log(accuracy / (1 - accuracy))
        assert one_run_bound(100, 100, right, 0.0, 0.95) == pytest.approx(expected, abs=1e-5)


def test_guessing_shows_nothing_and_more_right_guesses_show_more() -> None:
    bounds = [one_run_bound(200, 100, right, 1e-4, 0.95) for right in (50, 60, 70, 85, 100)]
    assert bounds[0] == 0
    assert bounds[1:] == sorted(bounds[1:])
    assert bounds[-1] > bounds[1] > 0
    assert one_run_bound(200, 100, 85, 1e-2, 0.95) < bounds[3]


def test_randomised_response_is_bounded_as_often_as_is_claimed() -> None:
    """Pure epsilon 1, for which the theorem is tight: each bit is told rightly with probability e / (1 + e)."""
    generator, epsilon, runs, canaries = np.random.default_rng(0), 1.0, 400, 300
    right = generator.binomial(canaries, math.exp(epsilon) / (1 + math.exp(epsilon)), runs)
    bounds = np.array([one_run_bound(canaries, canaries, r, 0.0, 0.95) for r in right])
    assert 0.02 < (bounds > epsilon).mean() < 0.08
    assert np.median(bounds) > 0.7


def test_guesses_are_of_the_ends() -> None:
    scores, included = np.array([3.0, -2.0, 0.1, -0.1, 5.0]), np.array([True, False, False, True, False])
    assert right_guesses(scores, included, 2) == 1  # in: 5.0, which was not; out: -2.0
    assert right_guesses(scores, included, 3) == 2  # in: 3.0 as well
    assert right_guesses(scores, included, 5) == 2  # in: 0.1 as well, which was not; out: -0.1, which was in


def test_a_mechanism_of_known_epsilon_stays_below_it_and_one_without_noise_does_not() -> None:
    generator, canaries = np.random.default_rng(1), 128
    included = generator.random(canaries) < 0.5
    noisy = [best_bound(included + generator.normal(0, 2, canaries), included, 1e-5, 0.99) for _ in range(20)]
    assert max(noisy) < gaussian_epsilon(2.0, 1e-5)
    assert best_bound(included.astype(float), included, 1e-5, 0.99) > 2.5


def test_more_right_guesses_than_guesses_are_refused() -> None:
    with pytest.raises(InputError, match="right <= guesses"):
        guess_probability(10, 5, 6, 1.0, 0.0)
