"""Area under the curve, error rate and what a change of owners makes of them, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tff_affect.privacy.audit.samples import Owned, Samples
from tff_affect.privacy.audit.trials import Trials


def owned(counts: list[int]) -> Owned:
    return Owned.of([Samples(np.zeros((count, 1))) for count in counts])


def in_folds(scores: np.ndarray, probe: Owned, folds: list[list[int]]) -> np.ndarray:
    fold = np.empty(scores.shape[1], int)
    for number, members in enumerate(folds):
        fold[members] = number
    return np.where(fold[probe.owner][:, np.newaxis] == fold, scores, np.nan)


def auc(scores: np.ndarray, prober: np.ndarray, owner: np.ndarray, times: np.ndarray) -> float:
    """By pairs that scikit-learn weighs; ``owner`` says whose enrolment counts as the prober's own."""
    row, enrolled = np.nonzero(np.isfinite(scores))
    genuine = owner[prober[row]] == enrolled
    weight = times[prober[row]] / np.bincount(prober)[prober[row]] * np.where(genuine, 1, times[enrolled])
    return float(roc_auc_score(genuine, scores[row, enrolled], sample_weight=weight))


@given(st.lists(st.integers(1, 4), min_size=6, max_size=9), st.integers(0, 2**32 - 1), st.booleans())
def test_areas_are_those_of_scikit_learn(counts: list[int], seed: int, tied: bool) -> None:
    rng = np.random.default_rng(seed)
    probe = owned(counts)
    scores = rng.normal(size=(len(probe.owner), len(counts)))
    scores = np.round(scores) if tied else scores
    folds = [list(range(0, len(counts), 2)), list(range(1, len(counts), 2))]
    scores = in_folds(scores, probe, folds)
    trials, table = Trials.of(scores, probe), Trials.of(scores, probe).table()
    everybody = np.arange(len(counts))
    assert trials.curve()[0] == pytest.approx(auc(scores, probe.owner, everybody, np.ones(len(counts))))
    assert table.diagonal().mean() == pytest.approx(trials.curve()[0])
    owner = everybody.copy()
    for fold in folds:
        owner[fold] = rng.permutation(fold)
    permuted = auc(scores, probe.owner, owner, np.ones(len(counts)))
    assert table[everybody, owner].mean() == pytest.approx(permuted)
    drawn = np.concatenate([[0, 2], rng.integers(len(counts), size=len(counts))])
    times = np.bincount(drawn, minlength=len(counts))
    assert trials.curve(drawn)[0] == pytest.approx(auc(scores, probe.owner, everybody, times))


def test_error_rates_of_known_scores() -> None:
    probe = owned([1, 1, 1, 1])
    apart = np.eye(4) + np.arange(16).reshape(4, 4) / 100
    assert Trials.of(apart, probe).curve() == (1.0, 0.0)
    assert Trials.of(-apart, probe).curve() == (0.0, 1.0)
    assert Trials.of(np.zeros((4, 4)), probe).curve() == (0.5, 0.5)
    one_refused = apart.copy()
    one_refused[0, 0] = -1
    # A quarter of genuine pairs is below all impostors: the rates meet where no impostor but some are accepted.
    area, error = Trials.of(one_refused, probe).curve()
    assert area == pytest.approx(0.75)
    assert error == pytest.approx(0.25)


def test_gaussian_scores_have_the_error_rate_of_theory() -> None:
    """Two unit normals, d apart: the rates cross halfway, at the normal tail of d / 2."""
    from scipy.stats import norm

    rng = np.random.default_rng(0)
    probe = owned([50] * 40)
    own = probe.owner[:, np.newaxis] == np.arange(40)
    area, error = Trials.of(rng.normal(size=own.shape) + 2.0 * own, probe).curve()
    assert error == pytest.approx(norm.sf(1.0), abs=0.01)
    assert area == pytest.approx(norm.cdf(2.0 / np.sqrt(2)), abs=0.01)


def test_a_draw_of_one_person_defines_nothing() -> None:
    trials = Trials.of(np.eye(3), owned([1, 1, 1]))
    assert np.isnan(trials.curve(np.array([1, 1, 1]))).all()
    assert trials.curve(np.array([0, 1, 1]))[0] == 1.0
