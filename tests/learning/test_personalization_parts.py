"""Where a recording is cut: nothing that is scored is learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_personal import FEATURES, LABELS, of_windows, parts_in, sequence, staged_in

from tff_affect.learning.personalization_parts import Parts, support_frames


def rows(part: object, client: str = "a") -> np.ndarray:
    return part.sequence(client).numpy()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("share", "first"), [(0.5, 20), (0.3, 12), (0.29, 11), (0.99, 39)])
def test_the_support_part_ends_where_the_later_part_begins(share: float, first: int, tmp_path: Path) -> None:
    parts = parts_in(tmp_path, share)
    np.testing.assert_array_equal(rows(parts.support), sequence("a")[:first])
    labelled = np.isfinite(parts.later.gold("a")).all(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(labelled), np.arange(first, 40))


@given(frames=st.integers(1, 10**6), percent=st.integers(1, 99))
def test_a_share_in_percent_is_rounded_down(frames: int, percent: int) -> None:
    assert int(support_frames(frames, percent / 100)) == frames * percent // 100


def test_the_later_part_keeps_all_features(tmp_path: Path) -> None:
    later = rows(parts_in(tmp_path).later)
    np.testing.assert_array_equal(later[:, :FEATURES], sequence("a")[:, :FEATURES])
    np.testing.assert_array_equal(later[20:], sequence("a")[20:])


def test_no_later_frame_lies_before_the_last_label_that_is_learned_from(tmp_path: Path) -> None:
    """A staged row holds features of t and the label of t + delay, so the support's last label is at 19 + 3."""
    staged = staged_in(tmp_path, delay=3)
    later = Parts.of(staged, 0.5, gap=2).later
    assert np.flatnonzero(np.isfinite(later.gold("a")).all(axis=1))[0] == 20 + 3 + 2


def test_windows_that_are_learned_from_hold_nothing_of_later(tmp_path: Path) -> None:
    marked = sequence("a")
    marked[18:] = 1e6
    features, labels = parts_in(tmp_path, 0.45, a=marked).support.training_windows("a")
    seen = np.concatenate([features.numpy().reshape(-1, FEATURES), labels.numpy().reshape(-1, len(LABELS))], axis=1)
    assert np.nanmax(seen) < 1e5
    assert np.isfinite(seen).all(axis=1).sum() == 18


@pytest.mark.parametrize(("window", "hop"), [(8, 8), (8, 4), (8, 3)])
def test_with_one_target_for_a_window_none_straddles_the_cut(window: int, hop: int, tmp_path: Path) -> None:
    staged = staged_in(tmp_path, of_windows(window, hop), delay=1)
    parts = Parts.of(staged, 0.5, 0)
    starts = np.arange(0, 40 - window + 1, hop)
    own, later = starts[starts + window <= 20], starts[starts >= 21]
    whole = staged.gold("a")
    np.testing.assert_array_equal(parts.support.gold("a"), whole[: len(own)])
    np.testing.assert_array_equal(parts.later.gold("a"), whole[len(starts) - len(later) :])


def test_says_who_cannot_take_part(tmp_path: Path) -> None:
    unlabelled, silent = sequence("b"), sequence("c")
    unlabelled[21:, FEATURES] = np.nan
    silent[:20] = np.nan
    faults = parts_in(tmp_path, b=unlabelled, c=silent).faults(["a", "b", "c"])
    assert list(faults) == ["b", "c"]
    assert "the later part has 1 labelled" in faults["b"]
    assert "no window of the support part" in faults["c"]
