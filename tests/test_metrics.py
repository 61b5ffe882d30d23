import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_affect.metrics import SufficientStatistics, merge, merge_all, statistics_in_graph

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=40, deadline=None)


def series(seed: int, frames: int = 80, offset: float = 0.0, missing: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=(frames, 2)) + offset
    predicted = 0.6 * (gold - offset) + rng.normal(size=(frames, 2)) + offset + rng.normal()
    gold[rng.random(gold.shape) < missing] = np.nan
    predicted[rng.random(gold.shape) < missing / 2] = np.nan
    return gold, predicted


def known(gold: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = ~np.isnan(gold) & ~np.isnan(predicted)
    return gold[kept], predicted[kept]


def assert_same(a: SufficientStatistics, b: SufficientStatistics, rtol: float = 1e-9, atol: float = 1e-9) -> None:
    np.testing.assert_allclose(a.to_array(), b.to_array(), rtol=rtol, atol=atol)


@quick
@given(seeds, st.sampled_from([0.0, 3.0, -1e3, 1e6]), st.integers(5, 200))
def test_measures_equal_the_oracle(seed: int, offset: float, frames: int) -> None:
    gold, predicted = series(seed, frames, offset)
    found = SufficientStatistics.from_series(gold, predicted)
    for d in range(2):
        g, p = known(gold[:, d], predicted[:, d])
        assert found.n[d] == len(g)
        if len(g) < 2:
            assert found.constant[d]
            continue
        assert found.ccc[d] == pytest.approx(audmetric.concordance_cc(g, p), abs=1e-6)
        assert found.pcc[d] == pytest.approx(audmetric.pearson_cc(g, p), abs=1e-6)
        assert found.rmse[d] == pytest.approx(np.sqrt(np.mean((g - p) ** 2)), abs=1e-6)


@quick
@given(seeds, st.lists(st.integers(0, 60), min_size=1, max_size=8), st.sampled_from([0.0, 1e6]))
def test_pooling_equals_concatenation(seed: int, lengths: list[int], offset: float) -> None:
    clients = [series(seed + i, frames, offset) for i, frames in enumerate(lengths)]
    found = merge_all(SufficientStatistics.from_series(g, p) for g, p in clients)
    gold, predicted = (np.concatenate(parts) for parts in zip(*clients, strict=True))
    for d in range(2):
        g, p = known(gold[:, d], predicted[:, d])
        if len(g) > 1:
            assert found.ccc[d] == pytest.approx(audmetric.concordance_cc(g, p), abs=1e-6)
            assert found.rmse[d] == pytest.approx(np.sqrt(np.mean((g - p) ** 2)), abs=1e-6)


@quick
@given(seeds)
def test_merge_is_commutative_associative_and_has_a_neutral_element(seed: int) -> None:
    a, b, c = (SufficientStatistics.from_series(*series(seed + i)) for i in range(3))
    assert_same(merge(a, b), merge(b, a))
    assert_same(merge(merge(a, b), c), merge(a, merge(b, c)))
    empty = SufficientStatistics.empty(2)
    assert_same(merge(a, empty), a, rtol=0, atol=0)
    assert_same(merge(empty, a), a, rtol=0, atol=0)


def test_per_client_and_pooled_differ_for_a_predictor_of_subject_means() -> None:
    rng = np.random.default_rng(0)
    clients = [rng.normal(mean, 1, size=(200, 1)) for mean in (-20.0, 0.0, 20.0)]
    parts = [SufficientStatistics.from_series(gold, np.full_like(gold, gold.mean())) for gold in clients]
    assert [float(part.ccc[0]) for part in parts] == [0.0, 0.0, 0.0]
    assert merge_all(parts).ccc[0] > 0.99
    assert not merge_all(parts).constant[0]


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e6 / 3])
def test_constant_series_are_zero_and_flagged(constant: float) -> None:
    gold = np.random.default_rng(1).normal(size=(50, 1)) + constant
    flat = np.full((50, 1), constant)
    for g, p in ((gold, flat), (flat, gold), (flat, flat), (gold[:1], gold[:1]), (gold[:0], gold[:0])):
        found = SufficientStatistics.from_series(g, p)
        assert found.constant[0]
        assert found.ccc[0] == 0
        assert found.pcc[0] == 0
    assert not SufficientStatistics.from_series(gold, gold).constant[0]


def test_rounded_and_merged_constants_stay_constant() -> None:
    gold = np.random.default_rng(2).normal(size=(50, 1))
    rounded = np.where(np.arange(50)[:, None] % 2, 0.1 * 3 / 3, 0.1 + 0.1 + 0.1 - 0.2)
    assert len(np.unique(rounded)) == 2
    assert SufficientStatistics.from_series(gold, rounded).constant[0]
    part = SufficientStatistics.from_series(gold, np.full_like(gold, 0.1))
    assert merge_all([part] * 7).constant[0]


def test_nothing_is_known_of_no_frames() -> None:
    found = SufficientStatistics.from_series(np.full((3, 1), np.nan), np.zeros((3, 1)))
    assert found.n[0] == 0
    assert found.ccc[0] == 0
    assert np.isnan(found.rmse[0])
    assert np.isfinite(found.to_array()).all()


def test_infinite_predictions_do_not_count() -> None:
    gold, predicted = series(3, missing=0)
    spoilt = predicted.copy()
    spoilt[5] = np.inf
    found = SufficientStatistics.from_series(gold, spoilt)
    assert found.n.tolist() == [79, 79]
    assert_same(found, SufficientStatistics.from_series(np.delete(gold, 5, 0), np.delete(predicted, 5, 0)))


def test_perfect_and_opposite_agreement() -> None:
    gold = np.random.default_rng(4).normal(size=(30, 1))
    assert SufficientStatistics.from_series(gold, gold).ccc[0] == pytest.approx(1)
    centred = gold - gold.mean()
    assert SufficientStatistics.from_series(centred, -centred).ccc[0] == pytest.approx(-1)


def test_arrays_round_trip_and_shapes_are_checked() -> None:
    found = SufficientStatistics.from_series(*series(5))
    assert_same(SufficientStatistics.from_array(found.to_array()), found, rtol=0, atol=0)
    assert found.to_array().shape == (2, 6)
    with pytest.raises(ValueError, match="dimension, 6"):
        SufficientStatistics.from_array(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="one shape"):
        SufficientStatistics.from_series(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="at least one"):
        merge_all([])


@pytest.mark.slow
def test_the_graph_version_equals_numpy() -> None:
    tf = pytest.importorskip("tensorflow")
    in_graph = tf.function(statistics_in_graph, input_signature=[tf.TensorSpec([None, 2], tf.float64)] * 2)
    cases = [series(seed, frames, offset) for seed, frames, offset in ((0, 50, 0.0), (1, 3, 1e6), (2, 0, 0.0))]
    cases += [(np.full((4, 2), np.nan), np.ones((4, 2))), (np.full((9, 2), 0.1), series(6, 9)[1])]
    for gold, predicted in cases:
        expected = SufficientStatistics.from_series(gold, predicted)
        found = SufficientStatistics.from_array(in_graph(gold, predicted).numpy())
        assert_same(found, expected, rtol=1e-12, atol=1e-10)
        np.testing.assert_array_equal(found.constant, expected.constant)
        np.testing.assert_allclose(found.ccc, expected.ccc, atol=1e-9)


def test_the_graph_version_takes_float32() -> None:
    pytest.importorskip("tensorflow")
    gold, predicted = (array.astype(np.float32) for array in series(7))
    found = statistics_in_graph(gold, predicted).numpy()
    np.testing.assert_allclose(found, SufficientStatistics.from_series(gold, predicted).to_array(), rtol=1e-12)
