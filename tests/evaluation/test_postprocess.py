import json

import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter as scipy_median

from tff_affect.config import POSTPROCESSING
from tff_affect.evaluation.postprocess import (
    AS_PREDICTED,
    DimensionChain,
    PostProcessing,
    fit_chain,
    median_filter,
    shift_later,
)

RATE = 5.0
NAN = float("nan")


def walk(key: int, frames: int = 400) -> np.ndarray:
    """A slow gold standard, ``[frames, 2]``."""
    return np.cumsum(np.random.default_rng(key).normal(scale=0.06, size=(frames, 2)), axis=0)


def cohort(spoil, clients: int = 4) -> tuple[dict, dict]:
    gold = {f"P{i}": walk(i) for i in range(clients)}
    return gold, {client: spoil(series) for client, series in gold.items()}


def early(series: np.ndarray, frames: int) -> np.ndarray:
    return np.concatenate([series[frames:], np.repeat(series[-1:], frames, axis=0)])


def score(gold: dict, predicted: dict, dimension: int) -> float:
    return float(np.mean([audmetric.concordance_cc(gold[c][:, dimension], predicted[c][:, dimension]) for c in gold]))


@pytest.mark.parametrize("frames", [3, 11, 51])
def test_the_median_filter_is_a_plain_one_away_from_the_ends(frames: int) -> None:
    series, half = walk(0)[:, 0], frames // 2
    found = median_filter(series, frames)
    np.testing.assert_array_equal(found[half:-half], scipy_median(series, frames)[half:-half])
    np.testing.assert_array_equal(median_filter(series, 1), series)


def test_the_median_filter_leaves_missing_frames_out_and_missing() -> None:
    found = median_filter(np.array([1.0, NAN, 5.0, 2.0, NAN, NAN]), 3)
    np.testing.assert_array_equal(found, [1.0, NAN, 3.5, 3.5, NAN, NAN])


def test_shifts_by_hand() -> None:
    np.testing.assert_array_equal(shift_later(np.arange(4.0), 1), [0, 0, 1, 2])
    np.testing.assert_array_equal(shift_later(np.arange(4.0), 0), np.arange(4.0))
    np.testing.assert_array_equal(shift_later(np.arange(3.0), 9), [0, 0, 0])
    np.testing.assert_array_equal(shift_later(np.array([NAN, 1, 2, NAN, 4]), 1), [NAN, 1, 1, NAN, 2])
    assert shift_later(np.empty(0), 2).shape == (0,)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.just(NAN), st.floats(-1, 1)), min_size=1, max_size=40), st.integers(0, 50), st.integers(0, 9)
)
def test_no_step_gains_or_loses_a_scored_frame(values: list[float], shift: int, half: int) -> None:
    series = np.array(values)
    chain = DimensionChain(2 * half + 1, 0.1, 1.5, 0.2, shift)
    np.testing.assert_array_equal(np.isfinite(chain.apply(series)), np.isfinite(series))


def test_a_planted_shift_is_undone() -> None:
    gold, predicted = cohort(lambda series: early(series, 12))
    chain = fit_chain(gold, predicted, RATE, ["shift"])
    assert [d.shift_frames for d in chain.dimensions] == [12, 12]
    for d in range(2):
        after = score(gold, {c: chain.apply(p) for c, p in predicted.items()}, d)
        assert chain.dimensions[d].scores["shift"] == pytest.approx(after, abs=1e-12)
        assert chain.dimensions[d].scores[AS_PREDICTED] == pytest.approx(score(gold, predicted, d), abs=1e-12)
        assert after > 0.97


def test_a_planted_mean_and_spread_are_undone() -> None:
    gold, predicted = cohort(lambda series: 0.25 * series - 0.3)
    chain = fit_chain(gold, predicted, RATE, ["centring", "scaling"])
    pooled_gold, pooled = np.concatenate([*gold.values()]), np.concatenate([*predicted.values()])
    for d, found in enumerate(chain.dimensions):
        assert found.offset == pytest.approx(pooled_gold[:, d].mean() - pooled[:, d].mean())
        assert found.scale == pytest.approx(4)
        assert found.centre == pytest.approx(pooled_gold[:, d].mean())
    np.testing.assert_allclose(chain.apply(predicted["P1"]), gold["P1"], atol=1e-9)


def test_scaling_alone_keeps_the_mean_of_the_predictions() -> None:
    gold, predicted = cohort(lambda series: 0.25 * series)
    chain = fit_chain(gold, predicted, RATE, ["scaling"])
    before = np.concatenate([*predicted.values()]).mean(axis=0)
    after = np.concatenate([chain.apply(p) for p in predicted.values()]).mean(axis=0)
    np.testing.assert_allclose(after, before)
    np.testing.assert_allclose([d.centre for d in chain.dimensions], before)


def test_noise_is_filtered_by_the_best_width_of_the_grid() -> None:
    noise = np.random.default_rng(9)
    gold, predicted = cohort(lambda series: series + noise.normal(scale=0.4, size=series.shape))
    chain = fit_chain(gold, predicted, RATE, ["median"])
    widths = [2 * int(0.4 * i * RATE / 2 + 1e-9) + 1 for i in range(1, 51)]
    assert widths[:3] == [3, 5, 7]
    assert widths[-1] == 101
    for d, found in enumerate(chain.dimensions):
        scores = [
            score(gold, {c: median_filter(p[:, d], w)[:, None].repeat(2, axis=1) for c, p in predicted.items()}, d)
            for w in widths
        ]
        assert found.median_frames == widths[int(np.argmax(scores))]
        assert found.scores["median"] == pytest.approx(max(scores), abs=1e-12)


def test_a_step_that_does_not_help_is_left_out_and_dimensions_go_their_own_ways() -> None:
    gold, predicted = cohort(lambda series: np.stack([series[:, 0], early(series, 8)[:, 1]], axis=1))
    chain = fit_chain(gold, predicted, RATE)
    untouched, shifted = chain.dimensions
    assert untouched == DimensionChain(scores=untouched.scores)
    assert shifted.shift_frames == 8
    assert untouched.scores["shift"] < untouched.scores[AS_PREDICTED] == pytest.approx(1)


def test_later_steps_are_fitted_on_what_the_earlier_ones_left() -> None:
    noise = np.random.default_rng(3)
    gold, predicted = cohort(lambda s: 0.4 * early(s, 10) + 0.2 + noise.normal(scale=0.1, size=s.shape))
    chain = fit_chain(gold, predicted, RATE)
    for d, found in enumerate(chain.dimensions):
        kept = [found.scores[step] for step in (AS_PREDICTED, *POSTPROCESSING)]
        assert max(kept) == pytest.approx(score(gold, {c: chain.apply(p) for c, p in predicted.items()}, d), abs=1e-12)
        filtered = np.concatenate([median_filter(p[:, d], found.median_frames) for p in predicted.values()])
        assert found.scale == pytest.approx(np.concatenate([*gold.values()])[:, d].std() / filtered.std())
        assert found.shift_frames in (9, 10, 11)


def test_masked_frames_count_in_no_moment_and_no_score() -> None:
    gold, predicted = cohort(lambda series: 0.5 * series + 0.1)
    expected = fit_chain(gold, predicted, RATE, ["centring", "scaling"])
    masked = {c: np.concatenate([g, np.full((50, 2), NAN)]) for c, g in gold.items()}
    wild = {c: np.concatenate([p, np.full((50, 2), 1e6)]) for c, p in predicted.items()}
    found = fit_chain(masked, wild, RATE, ["centring", "scaling"])
    for one, other in zip(found.dimensions, expected.dimensions, strict=True):
        assert (one.offset, one.scale, one.centre) == pytest.approx((other.offset, other.scale, other.centre))
        assert one.scores == pytest.approx(dict(other.scores))


def test_constant_predictions_are_left_alone() -> None:
    gold, predicted = cohort(lambda series: np.full_like(series, 0.3))
    chain = fit_chain(gold, predicted, RATE)
    assert [(d.median_frames, d.offset, d.scale, d.shift_frames) for d in chain.dimensions] == [(1, 0.0, 1.0, 0)] * 2
    np.testing.assert_array_equal(chain.apply(predicted["P0"]), predicted["P0"])


def test_sequences_without_a_clock_are_filtered_by_steps() -> None:
    gold, predicted = cohort(lambda series: early(series, 3))
    chain = fit_chain(gold, predicted, 1.0)
    assert [d.shift_frames for d in chain.dimensions] == [3, 3]


def test_the_chain_comes_back_from_json() -> None:
    noise = np.random.default_rng(5)
    gold, predicted = cohort(lambda s: 0.3 * early(s, 6) + noise.normal(scale=0.1, size=s.shape))
    chain = fit_chain(gold, predicted, RATE)
    content = json.loads(json.dumps(chain.to_json(("arousal", "valence"))))
    assert list(content) == ["arousal", "valence"]
    assert PostProcessing.from_json(content) == chain


def test_what_does_not_belong_together_is_refused() -> None:
    gold, predicted = cohort(lambda series: series)
    with pytest.raises(ValueError, match="same clients"):
        fit_chain(gold, {"P0": predicted["P0"]}, RATE)
    with pytest.raises(ValueError, match="steps of"):
        fit_chain(gold, predicted, RATE, ["smooth"])
    with pytest.raises(ValueError, match="same shapes"):
        fit_chain(gold, {c: p[1:] for c, p in predicted.items()}, RATE)
    with pytest.raises(ValueError, match=r"expected \[frames, 1\]"):
        PostProcessing((DimensionChain(),)).apply(np.zeros((4, 2)))
