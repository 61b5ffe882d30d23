from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from staged_clients import FEATURES, WINDOW, staged_clients

from tff_affect.client_data import (
    StagedCohort,
    average_windows,
    check_windows,
    shuffled_order,
    stage_cohort,
)
from tff_affect.cohort import Cohort, CohortManifest, SubjectEntry, SubjectTable, write_cohort
from tff_affect.config import DataConfig
from tff_affect.errors import InputError
from tff_affect.learning.runtime import local_runtime
from tff_affect.scaling import Scaling


def data(**changes: object) -> DataConfig:
    return DataConfig(**{"cohort": "tests", "window": 20, "hop": 20, **changes})  # type: ignore[arg-type]


def test_subject_scaling_standardises_each_subject(tmp_path: Path, small_cohort: Cohort) -> None:
    staged = stage_cohort(small_cohort, tmp_path, data())
    for subject in small_cohort.subjects:
        features = staged.sequence(subject).numpy()[:, :3].astype(np.float64)
        np.testing.assert_allclose(np.nanmean(features, axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(np.nanstd(features, axis=0), 1, atol=1e-5)
        missing = np.isnan(small_cohort.load(subject).features).any(axis=1)
        np.testing.assert_array_equal(np.isnan(features), np.repeat(missing[:, None], 3, axis=1))


def test_a_constant_feature_is_centred_not_blown_up() -> None:
    scaling = Scaling.of(np.array([2.0]), np.array([0.0]))
    np.testing.assert_array_equal(scaling.apply(np.array([[2.0], [np.nan]])), np.array([[0.0], [np.nan]], np.float32))


@pytest.mark.parametrize("seconds", [0.0, 0.4, 2.0])
def test_delay_pairs_features_with_later_labels(tmp_path: Path, small_cohort: Cohort, seconds: float) -> None:
    staged = stage_cohort(small_cohort, tmp_path, data(target_delay=seconds, scaling="none"))
    table = small_cohort.load("P1")
    frames = round(seconds * 25)
    assert staged.delay == frames
    gold = staged.gold("P1")
    for t in range(table.frames):
        later = t + frames
        usable = later < table.frames and np.isfinite(table.features[t]).all()
        expected = table.labels[later] if usable else np.full(2, np.nan)
        np.testing.assert_array_equal(gold[t], expected)


def test_a_delay_beyond_the_recording_is_refused(tmp_path: Path, small_cohort: Cohort) -> None:
    with pytest.raises(InputError, match="delay of 8 leaves no label"):
        stage_cohort(small_cohort, tmp_path, data(target_delay=8.0))


def test_masked_frames_are_nan_never_zero(tmp_path: Path, small_cohort: Cohort) -> None:
    staged = stage_cohort(small_cohort, tmp_path, data())
    features, labels, _ = staged.windows("P1")
    table = small_cohort.load("P1")
    masked = np.isnan(labels.numpy()).all(axis=-1).reshape(-1)
    np.testing.assert_array_equal(masked, ~table.valid)
    assert np.isnan(features.numpy()).any(axis=-1).reshape(-1)[~table.valid].all()


@given(st.integers(1, 6), st.integers(0, 9), st.integers(1, WINDOW))
def test_windows_cover_every_frame_and_average_back(tmp_path: Path, count: int, extra: int, hop: int) -> None:
    staged = staged_clients(tmp_path, {"P1": count}, hop=hop, extra_frames=extra)
    sequence = staged.sequence("P1").numpy()
    features, labels, starts = staged.windows("P1")
    for window, first in zip(tf.concat([features, labels], axis=-1).numpy(), starts.numpy(), strict=True):
        real = sequence[first : first + WINDOW]
        np.testing.assert_array_equal(window[: len(real)], real)
        assert np.isnan(window[len(real) :]).all()
    assert len(starts) == 1 + -(-max(0, len(sequence) - WINDOW) // hop)
    back = average_windows(tf.cast(labels, tf.float64), starts, len(sequence)).numpy()
    np.testing.assert_allclose(back, sequence[:, FEATURES:], rtol=1e-6)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_overlapping_windows_average_as_a_loop_does(count: int, window: int, hop: int, seed: int) -> None:
    hop = min(hop, window)
    predictions = np.random.default_rng(seed).normal(size=(count, window, 2))
    starts = np.arange(count, dtype=np.int32) * hop
    frames = starts[-1] + window
    expected = np.array(
        [
            np.mean([p[t - s] for p, s in zip(predictions, starts, strict=True) if 0 <= t - s < window], axis=0)
            for t in range(frames)
        ]
    )
    found = average_windows(tf.constant(predictions), tf.constant(starts), frames).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_training_leaves_out_windows_with_too_few_valid_frames(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 4})
    sequence = staged.sequence("P1").numpy().copy()
    sequence[10:18], sequence[20:30] = np.nan, np.nan
    sequence.tofile(tmp_path / "P1.f32")
    features, _ = staged.training_windows("P1")
    np.testing.assert_array_equal(features.numpy()[:, 0], sequence[[0, 30], :FEATURES])


def test_a_client_without_a_usable_window_is_named(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 2, "P2": 2})
    np.full((20, 5), np.nan, "<f4").tofile(tmp_path / "P2.f32")
    with pytest.raises(InputError, match="subject P2: no window of 10 frames"):
        check_windows(staged, staged.clients)


def test_client_data_gives_each_client_its_windows(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 2, "P2": 5})
    clients = staged.client_data()
    assert list(clients.client_ids) == ["P1", "P2"]
    for client, count in (("P1", 2), ("P2", 5)):
        with local_runtime():
            windows = [features.numpy() for features, _ in clients.create_tf_dataset_for_client(client)]
        assert len(windows) == count
        np.testing.assert_array_equal(np.concatenate(windows), staged.sequence(client).numpy()[:, :FEATURES])


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 2**62 - 1))
def test_each_epoch_is_a_permutation_fixed_by_the_seed(count: int, epochs: int, seed: int) -> None:
    order = shuffled_order(count, epochs, tf.constant(seed, tf.int64)).numpy()
    assert order.shape == (epochs, count)
    for epoch in order:
        assert sorted(epoch) == list(range(count))
    np.testing.assert_array_equal(order, shuffled_order(count, epochs, tf.constant(seed, tf.int64)).numpy())


def test_orders_differ_between_seeds_and_epochs() -> None:
    orders = [shuffled_order(20, 3, tf.constant(seed, tf.int64)).numpy() for seed in (1, 2)]
    assert len({tuple(epoch) for order in orders for epoch in order}) == 6


def test_the_mask_is_that_of_the_frame_predicted_from(tmp_path: Path) -> None:
    """An untrusted frame teaches nothing, with any delay; a label is not lost because its own frame was untrusted."""
    rng = np.random.default_rng(0)
    features, labels = rng.uniform(0, 5, (40, 1)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
    valid = np.ones(40, bool)
    valid[5] = False  # the tracker was not trusted, though it wrote a value
    features[9], valid[9] = np.nan, False
    labels[20, 1], valid[20] = np.nan, False
    manifest = CohortManifest("SYNTHETIC", ("AU01",), "0-5", 1.0, ("arousal", "valence"), True)
    table = SubjectTable(np.arange(40.0), features, labels, valid)
    cohort = write_cohort(tmp_path / "cohort", manifest, [(SubjectEntry("P1"), table)])
    for delay, masked in ((0, {5, 9, 20}), (2, {5, 9, 18, 38, 39})):
        staged = stage_cohort(cohort, tmp_path, data(target_delay=delay, scaling="none"))
        sequence = staged.sequence("P1").numpy()
        assert set(np.flatnonzero(np.isnan(sequence[:, 1:]).all(axis=1))) == masked
        assert set(np.flatnonzero(np.isnan(sequence[:, 0]))) == {5, 9}


def window_means(sequence: np.ndarray, window: int, hop: int, minimum_valid: float) -> np.ndarray:
    """``[windows, dimension]`` by numpy: means of whole windows over labelled frames, NaN where those are too few."""
    labels = sequence[:, FEATURES:].astype(np.float64)
    means = []
    for first in range(0, len(labels) - window + 1, hop):
        there = labels[first : first + window]
        there = there[np.isfinite(there).all(axis=1)]
        few = not len(there) or len(there) / window < minimum_valid
        means.append(np.full(labels.shape[1], np.nan) if few else there.mean(axis=0))
    return np.array(means).reshape(-1, labels.shape[1])


@given(st.integers(1, 6), st.integers(0, 9), st.integers(1, WINDOW), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_window_targets_are_means_of_whole_windows(
    tmp_path: Path, count: int, extra: int, hop: int, minimum_valid: float
) -> None:
    staged = staged_clients(tmp_path, {"P1": count}, missing=0.4, hop=hop, extra_frames=extra, target="window")
    staged = replace(staged, data=replace(staged.data, minimum_valid=minimum_valid))
    sequence = staged.sequence("P1").numpy()
    expected = window_means(sequence, WINDOW, hop, minimum_valid)
    features, labels, starts = staged.windows("P1")
    np.testing.assert_array_equal(starts, np.arange(0, count * WINDOW + extra - WINDOW + 1, hop))
    np.testing.assert_allclose(labels.numpy()[:, 0], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(staged.gold("P1"), labels.numpy()[:, 0])
    for window, first in zip(features.numpy(), starts.numpy(), strict=True):
        np.testing.assert_array_equal(window, sequence[first : first + WINDOW, :FEATURES])
    learned, targets = staged.training_windows("P1")
    kept = np.isfinite(expected).all(axis=1)
    np.testing.assert_array_equal(learned, features.numpy()[kept])
    np.testing.assert_array_equal(targets, labels.numpy()[kept])
    predictions = tf.random.stateless_normal([len(starts), 1, 2], [0, 1])
    np.testing.assert_array_equal(staged.to_frames(predictions, starts, len(starts)), predictions[:, 0])


@pytest.mark.parametrize(("window", "valid"), [(25, 7), (50, 29), (100, 7), (600, 43), (11, 3)])
@pytest.mark.parametrize("target", ["frame", "window"])
def test_a_window_with_exactly_the_least_share_counts(tmp_path: Path, window: int, valid: int, target: str) -> None:
    for missing in (0, 1):
        sequence = np.ones((window, 5), "<f4")
        sequence[valid - missing :] = np.nan
        sequence.tofile(tmp_path / "P1.f32")
        settings = data(window=window, hop=window, target=target, minimum_valid=valid / window)
        staged = StagedCohort(tmp_path, ("P1",), FEATURES, ("arousal", "valence"), 0, settings)
        assert len(staged.training_windows("P1")[0]) == 1 - missing
        if target == "window":
            assert np.isfinite(staged.gold("P1")).all() == (not missing)


@pytest.mark.parametrize("seconds", [0.0, 0.4])
def test_window_targets_are_those_of_delayed_labels(tmp_path: Path, small_cohort: Cohort, seconds: float) -> None:
    delayed = data(target_delay=seconds, scaling="none")
    by_frame = stage_cohort(small_cohort, tmp_path, delayed)
    sequence = by_frame.sequence("P1").numpy()
    by_window = stage_cohort(small_cohort, tmp_path, replace(delayed, target="window"))
    np.testing.assert_array_equal(by_window.sequence("P1"), sequence)
    expected = window_means(sequence, 20, 20, delayed.minimum_valid)
    np.testing.assert_allclose(by_window.gold("P1"), expected, rtol=1e-5, atol=1e-6)
    assert by_window.delay == round(seconds * 25)


def test_a_recording_shorter_than_a_window_has_no_target(tmp_path: Path, small_cohort: Cohort) -> None:
    frames = small_cohort.load("P1").frames
    stage_cohort(small_cohort, tmp_path, data(window=10 * frames, hop=frames))
    with pytest.raises(InputError, match=f"subject P1: expected at least one window of {10 * frames} frames"):
        stage_cohort(small_cohort, tmp_path, data(window=10 * frames, hop=frames, target="window"))


def test_a_recording_without_a_single_window_target_is_named(tmp_path: Path) -> None:
    labels = np.full((50, 1), np.nan, np.float32)
    labels[[3, 47, 48, 49]] = 0.5
    manifest = CohortManifest("SYNTHETIC", ("AU01",), "0-5", 1.0, ("arousal",), True)
    valid = np.isfinite(labels[:, 0])
    table = SubjectTable(np.arange(50.0), np.ones((50, 1), np.float32), labels, valid)
    cohort = write_cohort(tmp_path / "cohort", manifest, [(SubjectEntry("P7"), table)])
    with pytest.raises(InputError, match="subject P7: no whole window of 20 frames has 25% labelled frames"):
        stage_cohort(cohort, tmp_path, data(target="window", scaling="none"))
    staged = stage_cohort(cohort, tmp_path, data(target="window", scaling="none", minimum_valid=0.05))
    np.testing.assert_array_equal(staged.gold("P7"), [[0.5], [np.nan]])
