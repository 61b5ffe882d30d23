import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_prep.gold_standard import (
    concordance,
    fuse_ccc_centred,
    fuse_mean,
    fusion_named,
    rater_agreement,
    rater_concordance,
)
from tff_affect.errors import InputError

RATINGS = np.random.default_rng(3).normal(size=(200, 1)) * 0.3 + np.random.default_rng(4).normal(size=(200, 6)) * 0.2


def test_mean_leaves_silent_raters_out():
    ratings = np.array([[0.1, np.nan, 0.5], [np.nan] * 3, [0.2, 0.2, 0.2]])
    np.testing.assert_allclose(fuse_mean(ratings), [0.3, np.nan, 0.2])


def test_concordance_equals_audmetric():
    for other in range(1, 6):
        found = concordance(RATINGS[:, 0], RATINGS[:, other])
        assert found == pytest.approx(audmetric.concordance_cc(RATINGS[:, 0], RATINGS[:, other]), abs=1e-9)


def test_agreement_is_the_mean_over_pairs():
    pairs = [audmetric.concordance_cc(RATINGS[:, i], RATINGS[:, j]) for i in range(6) for j in range(i)]
    assert rater_agreement(RATINGS) == pytest.approx(np.mean(pairs), abs=1e-9)


def test_ccc_centred_equals_the_published_rule():
    x = RATINGS + np.linspace(-0.2, 0.3, 6)
    a = np.array([np.mean([audmetric.concordance_cc(x[:, r], x[:, q]) for q in range(6) if q != r]) for r in range(6)])
    reference = (x.mean(0) * a).sum() / a.sum()
    np.testing.assert_allclose(fuse_ccc_centred(x), (x - x.mean(0) + reference).mean(axis=1), atol=1e-12)


def test_a_rater_who_disagrees_has_no_say_in_the_level():
    wave = np.sin(np.arange(100))
    x = np.stack([wave, wave, 5 - wave], axis=1)
    assert fuse_ccc_centred(x).mean() == pytest.approx(wave.mean(), abs=1e-9)
    contrary = np.stack([wave, 1 - wave], axis=1)
    np.testing.assert_allclose(fuse_ccc_centred(contrary), contrary.mean(axis=1))


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (20, 4), elements=st.floats(-1, 1, width=32)))
def test_fusions_stay_finite_and_identical_raters_are_their_own_fusion(ratings):
    assert np.isfinite(fuse_ccc_centred(ratings)).all()
    same = np.repeat(ratings[:, :1], 3, axis=1)
    for fuse in (fuse_mean, fuse_ccc_centred):
        np.testing.assert_allclose(fuse(same), ratings[:, 0], atol=1e-12)


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"\[frames, raters\]"):
        fuse_mean(np.zeros(5))
    with pytest.raises(InputError, match="two raters"):
        rater_concordance(np.zeros((5, 1)))
    with pytest.raises(InputError, match="rater 2 of 2"):
        fuse_ccc_centred(np.array([[0.1, np.nan], [0.2, np.nan]]))
    with pytest.raises(InputError, match="fusion among"):
        fusion_named("median")
