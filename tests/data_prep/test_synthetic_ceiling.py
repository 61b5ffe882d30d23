from dataclasses import replace

import audmetric
import numpy as np
import pytest

from data_prep.synthetic import SyntheticConfig, generate_subject
from data_prep.synthetic_ceiling import (
    covariances,
    gold_moments,
    latent_covariance,
    oracle_predictions,
    own_filter,
    population_filter,
    population_oracle_predictions,
    rater_agreement,
    taps,
)
from data_prep.synthetic_model import rater_panel
from tff_affect.errors import InputError

LONG = SyntheticConfig(
    subjects=2,
    seconds=40000.0,
    frame_rate=2.5,
    action_units=("AU01", "AU04", "AU06", "AU12"),
    missing_fraction=0.0,
    bad_trackers=(),
    seed=17,
)
SHORT = SyntheticConfig(subjects=5, seconds=300.0, frame_rate=5.0, bad_trackers=())


@pytest.fixture(scope="module")
def simulated():
    """Delayed standardised features and gold standard of a recording long enough to estimate their moments."""
    table = generate_subject(LONG, 0).table
    x = (table.features - table.features.mean(0)) / table.features.std(0)
    depth = int(taps(LONG)[-1])
    delayed = np.concatenate([x[depth - k : len(x) - k] for k in taps(LONG)], axis=1).astype(np.float64)
    return delayed, table.labels[depth:].astype(np.float64)


def score(predictions, config, index):
    table = generate_subject(config, index).table
    return np.array(
        [audmetric.concordance_cc(table.labels[table.valid, d], predictions[table.valid, d]) for d in (0, 1)]
    )


def test_taps_cover_six_seconds():
    np.testing.assert_array_equal(taps(LONG), np.arange(16))
    assert taps(SyntheticConfig())[-1] == 150


def test_latent_covariance_is_that_of_correlated_unit_processes():
    at_zero = latent_covariance(LONG, np.array(0))
    np.testing.assert_allclose(at_zero, [[1, LONG.latent_correlation], [LONG.latent_correlation, 1]])
    np.testing.assert_allclose(latent_covariance(LONG, np.array(-7)), latent_covariance(LONG, np.array(7)))


def test_closed_form_covariances_match_the_simulation(simulated):
    delayed, gold = simulated
    auto, cross = covariances(LONG, generate_subject(LONG, 0).parameters)
    np.testing.assert_allclose(auto, delayed.T @ delayed / len(delayed), atol=0.05)
    centred = gold - gold.mean(axis=0)
    np.testing.assert_allclose(cross, delayed.T @ centred / len(delayed), atol=0.012)


def test_gold_moments_match_the_simulation(simulated):
    mean, variance = gold_moments(LONG)
    np.testing.assert_allclose(simulated[1].mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(simulated[1].var(axis=0), variance, rtol=0.08)


def test_gold_moments_of_the_centred_gold_standard_match_the_simulation():
    config = replace(LONG, fusion="ccc_centred")
    mean, variance = gold_moments(config)
    gold = generate_subject(config, 0).table.labels.astype(np.float64)
    np.testing.assert_allclose(gold.mean(axis=0), mean, atol=0.01)
    np.testing.assert_allclose(variance, gold_moments(LONG)[1])
    panel = rater_panel(config)
    traces = generate_subject(config, 0).ratings.mean(axis=0)
    closed = np.average(panel.bias, axis=0, weights=rater_agreement(config, panel))
    np.testing.assert_allclose(closed, mean)
    ratings = generate_subject(config, 0).ratings
    for d in (0, 1):
        scored = np.array([[audmetric.concordance_cc(a, b) for a in ratings[:, d].T] for b in ratings[:, d].T])
        agreement = (scored.sum(axis=1) - 1) / (config.raters - 1)
        np.testing.assert_allclose(rater_agreement(config, panel)[:, d], agreement, atol=0.03)
        assert gold[:, d].mean() == pytest.approx(np.average(traces[d], weights=agreement), abs=1e-6)


def test_least_squares_on_a_long_recording_finds_no_better_filter(simulated):
    delayed, gold = simulated
    fitted, *_ = np.linalg.lstsq(delayed, gold - gold.mean(axis=0), rcond=None)
    ours = own_filter(LONG, 0)
    for d in (0, 1):
        best = np.corrcoef(delayed @ fitted[:, d], gold[:, d])[0, 1]
        closed = np.corrcoef(delayed @ ours[:, d], gold[:, d])[0, 1]
        assert closed <= best + 1e-9
        assert closed == pytest.approx(best, abs=0.01)


def test_the_model_predicts_its_own_score(simulated):
    """The output's correlation in the model is what the long recording shows, and CCC equals it."""
    _, cross = covariances(LONG, generate_subject(LONG, 0).parameters)
    expected = np.einsum("nd,nd->d", own_filter(LONG, 0), cross) / np.sqrt(gold_moments(LONG)[1])
    np.testing.assert_allclose(score(oracle_predictions(LONG, 0), LONG, 0), expected, atol=0.03)


def test_population_of_one_is_the_own_filter():
    np.testing.assert_allclose(population_filter(SHORT, [2]), own_filter(SHORT, 2))
    np.testing.assert_allclose(
        population_oracle_predictions(SHORT, 1, [2]), oracle_predictions(SHORT, 1, parameters_of=2)
    )


def test_knowing_the_subject_beats_the_population_which_beats_a_stranger():
    config = SyntheticConfig(subjects=12, frame_rate=5.0, bad_trackers=())
    subjects = range(0, 12, 2)
    own = np.mean([score(oracle_predictions(config, i), config, i) for i in subjects], axis=0)
    others = [[j for j in range(12) if j != i] for i in subjects]
    whole = np.mean(
        [score(population_oracle_predictions(config, i, o), config, i) for i, o in zip(subjects, others, strict=True)],
        axis=0,
    )
    strangers = np.mean(
        [
            score(oracle_predictions(config, i, o[k]), config, i)
            for i, o in zip(subjects, others, strict=True)
            for k in (0, 5)
        ],
        axis=0,
    )
    assert (own > whole + 0.05).all()
    assert (whole > strangers + 0.05).all()
    assert (own > 0.65).all()


def test_predictions_hold_through_missing_frames():
    config = SyntheticConfig(subjects=2, seconds=60.0, missing_fraction=0.3, bad_trackers=())
    predictions = oracle_predictions(config, 0)
    assert predictions.shape == (config.frames, 2)
    assert np.isfinite(predictions).all()


def test_a_population_of_none_is_refused():
    with pytest.raises(InputError, match="at least one training subject"):
        population_oracle_predictions(SHORT, 0, [])
