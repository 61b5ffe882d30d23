"""The probe against planted cohorts: who can be found is found, who cannot is at chance."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from data_prep.synthetic import SyntheticConfig, generate_subject
from tff_affect.cohort import SubjectTable
from tff_affect.errors import InputError
from tff_affect.privacy.audit import attackers, chance
from tff_affect.privacy.identity_probe import FOREST, LOGISTIC, ProbeConfig, ProbeResult, probe_identity
from tff_affect.privacy.identity_windows import AS_THEY_ARE, STANDARDISED, VIEWS, cut_recording

RATE = 5.0
FEATURES = ("AU01", "AU06", "AU12", "AU15")
QUICK = ProbeConfig(trees=40)
CURSORY = ProbeConfig(trees=3, window_seconds=2.0)
NOT_BEATEN = "these two attackers did not beat chance, which proves nothing about others"


def make_table(features: np.ndarray, rate: float = RATE) -> SubjectTable:
    frames = len(features)
    return SubjectTable(
        np.arange(frames) / rate, features.astype(np.float32), np.zeros((frames, 1), np.float32), np.ones(frames, bool)
    )


def noise(seed: int, subject: int, frames: int = 1500) -> np.ndarray:
    return np.random.default_rng([seed, subject]).normal(size=(frames, len(FEATURES)))


def identical(seed: int, subjects: int, frames: int = 1500) -> Iterator[tuple[str, SubjectTable]]:
    return ((f"P{i}", make_table(noise(seed, i, frames))) for i in range(subjects))


def offset(seed: int, subjects: int, frames: int = 1500) -> Iterator[tuple[str, SubjectTable]]:
    resting = np.random.default_rng(seed).normal(0, 3, (subjects, len(FEATURES)))
    return ((f"P{i}", make_table(noise(seed, i, frames) + resting[i])) for i in range(subjects))


def probed(
    tables: Iterator[tuple[str, SubjectTable]], config: ProbeConfig = QUICK, time_unit: str = "second"
) -> ProbeResult:
    return probe_identity(tables, RATE, FEATURES, time_unit, config)


def test_subjects_with_their_own_offsets_are_found() -> None:
    found = probed(offset(1, 20))
    assert {(score.view, score.attacker) for score in found.scores} == {
        (v, a) for v in VIEWS for a in (FOREST, LOGISTIC)
    }
    for score in found.scores:
        if score.view == AS_THEY_ARE:
            assert score.top1 > 0.9
            assert score.p == pytest.approx(1 / 10_000)
            assert score.top5 is not None
            assert score.top5 >= score.top1
    assert found.beats_chance(AS_THEY_ARE)
    assert found.chance == pytest.approx(1 / 20)
    assert found.verdict().startswith("action units are not anonymous: a simple attacker names the right one of 20")


def test_standardising_per_subject_kills_a_pure_offset() -> None:
    found = probed(offset(1, 20))
    for score in found.scores:
        if score.view == STANDARDISED:
            assert score.top1 < 0.15
    assert not found.beats_chance(STANDARDISED)
    assert "standardised per subject, chance was not beaten" in found.verdict()


def test_standardising_does_not_hide_how_a_face_moves() -> None:
    """Equal mean and deviation, another pace each: only the spread within a window differs."""

    def tables() -> Iterator[tuple[str, SubjectTable]]:
        for i, memory in enumerate((0.0, 0.5, 0.8, 0.95, 0.99)):
            yield f"P{i}", make_table(lfilter([np.sqrt(1 - memory**2)], [1, -memory], noise(3, i, 4000), axis=0))

    found = probed(tables())
    assert found.strongest(STANDARDISED).top1 > 0.6
    assert found.beats_chance(STANDARDISED)
    assert "standardised per subject" in found.verdict()


def test_identical_subjects_are_at_chance() -> None:
    """An interval leaves chance out now and then, as 95 % say; it must not say that somebody was found."""
    found = [probed(identical(seed, 8)) for seed in range(5)]
    strongest = [result.strongest(AS_THEY_ARE).top1_interval for result in found]
    assert sum(ends is not None and ends[0] <= 1 / 8 <= ends[1] for ends in strongest) >= 4
    scores = [score.top1 for result in found for score in result.scores if score.view == AS_THEY_ARE]
    assert np.mean(scores) == pytest.approx(1 / 8, abs=0.03)
    for result in found:
        assert result.verdict() == NOT_BEATEN


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attackers that cost little; what decides is as it is, with fewer permutations where these are drawn."""
    monkeypatch.setattr(attackers, "_STRENGTHS", (1.0,))
    monkeypatch.setattr(chance, "RESAMPLES", 999)


@pytest.mark.parametrize(("subjects", "seeds"), [(3, 30), (5, 80), (8, 80)])
@pytest.mark.usefixtures("cheap")
def test_false_alarms_are_rare(subjects: int, seeds: int) -> None:
    """A bootstrap interval over subjects called one such cohort of three or five in ten "not anonymous"."""
    found = [
        probed(identical(seed, subjects, 30), replace(CURSORY, seed=seed), time_unit="step") for seed in range(seeds)
    ]
    alarms = sum("not anonymous" in result.verdict() for result in found)
    assert alarms <= (0.05 * seeds if subjects >= 5 else 0)
    assert np.mean([score.top1 for result in found for score in result.scores if score.view == AS_THEY_ARE]) > (
        0.8 / subjects
    )


@pytest.mark.parametrize("subjects", [5, 6, 27])
@pytest.mark.usefixtures("cheap")
def test_planted_differences_are_found(subjects: int) -> None:
    for seed in range(5):
        found = probed(offset(seed, subjects, 300), replace(CURSORY, seed=seed))
        assert "not anonymous" in found.verdict()
        assert f"the right one of {subjects} subjects" in found.verdict()


@pytest.mark.parametrize("subjects", [2, 3, 4])
def test_fewer_than_five_subjects_give_no_verdict(subjects: int) -> None:
    found = probed(offset(1, subjects))
    assert found.strongest(AS_THEY_ARE).top1 > 0.9
    assert found.verdict().startswith(f"too few subjects for a verdict: the shares of {subjects} ")
    assert not any(found.beats_chance(view) for view in VIEWS)
    assert min(score.p for score in found.scores) == pytest.approx(1 / math.factorial(subjects))


def test_a_synthetic_cohort_is_recognised_and_reported_as_json() -> None:
    config = SyntheticConfig(subjects=20, seconds=120.0, frame_rate=RATE, bad_trackers=(3,))
    subjects = (generate_subject(config, index) for index in range(config.subjects))
    found = probe_identity(((s.id, s.table) for s in subjects), RATE, config.action_units, config=QUICK)
    assert found.subjects + len(found.left_out) == 20
    assert found.strongest(AS_THEY_ARE).top1 > 0.5
    assert found.strongest(STANDARDISED).top1 < found.strongest(AS_THEY_ARE).top1
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert written["verdict"] == found.verdict()
    assert any("one session" in limit for limit in written["limits"])
    assert any("lower bound" in limit for limit in written["limits"])
    assert any("1.1" in limit and "bound nothing from above" in limit for limit in written["limits"])
    assert {score["p"] for score in written["scores"]} == {score.p for score in found.scores}


@given(st.integers(10, 400), st.integers(2, 25))
def test_no_test_window_has_a_training_window_for_a_neighbour(frames: int, window: int) -> None:
    clock = np.repeat(np.arange(frames)[:, np.newaxis] / RATE, len(FEATURES), axis=1)
    recording = cut_recording(make_table(clock), RATE, window)
    train, test = (
        np.rint(part[AS_THEY_ARE][:, 0] * RATE / window - 0.5 + 0.5 / window) if len(part[AS_THEY_ARE]) else np.empty(0)
        for part in (recording.train, recording.test)
    )
    count = -(-frames // window)
    assert len(train) == 6 * count // 10
    assert set(train) <= set(range(6 * count // 10))
    assert set(test) <= set(range(count - 3 * count // 10, count))
    if len(train) and len(test):
        assert test.min() - train.max() >= 2
        assert train.max() < 0.6 * count
        assert test.min() >= 0.7 * count


def test_windows_hold_the_statistics_of_their_tracked_frames() -> None:
    features = np.random.default_rng(0).normal(2, 1, (100, 4))
    features[3:7, 2] = np.nan
    table = make_table(features)
    train = cut_recording(table, RATE, 10).train
    x = table.features.astype(np.float64)
    x[np.isnan(x).any(axis=1)] = np.nan
    scaled = (x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0)
    for view, values in ((AS_THEY_ARE, x), (STANDARDISED, scaled)):
        first = values[:10]
        expected = [np.nanmean(first, 0), np.nanstd(first, 0), *np.nanpercentile(first, [10, 90], axis=0)]
        assert train[view].shape == (6, 16)
        assert train[view][0] == pytest.approx(np.concatenate(expected))


def test_windows_tracked_for_less_than_half_are_left_out() -> None:
    features = np.random.default_rng(0).normal(size=(100, 4))
    features[0:5, 0] = np.nan
    features[10:16, 0] = np.nan
    table = make_table(features)
    assert len(cut_recording(table, RATE, 10).train[AS_THEY_ARE]) == 5
    table.valid[20:26] = False
    assert len(cut_recording(table, RATE, 10).train[AS_THEY_ARE]) == 4
    # A frame without a label has a face all the same.
    table.labels[20:26] = np.nan
    assert len(cut_recording(table, RATE, 10).train[AS_THEY_ARE]) == 5


def test_missing_rows_move_no_window() -> None:
    table = make_table(np.random.default_rng(0).normal(size=(100, 4)))
    kept = np.concatenate([np.arange(20), np.arange(33, 100)])
    cut = SubjectTable(table.time[kept], table.features[kept], table.labels[kept], table.valid[kept])
    whole, part = (cut_recording(t, RATE, 10).test[AS_THEY_ARE] for t in (table, cut))
    assert np.array_equal(whole, part)
    assert len(cut_recording(cut, RATE, 10).train[AS_THEY_ARE]) == 5


def test_steps_are_windows_of_their_own() -> None:
    rng = np.random.default_rng(2)
    resting = rng.normal(0, 8, (6, 4))
    tables = [(f"P{i}", make_table(rng.normal(size=(20, 4)) + resting[i], rate=1.0)) for i in range(6)]
    assert cut_recording(tables[0][1], 1.0, 1, "step").train[AS_THEY_ARE] == pytest.approx(tables[0][1].features[:12])
    assert cut_recording(tables[0][1], 1.0, 1, "step").test[AS_THEY_ARE] == pytest.approx(tables[0][1].features[14:])
    found = probe_identity(tables, 1.0, FEATURES, "step", QUICK)
    assert (found.training_windows, found.test_windows, found.window) == (72, 36, "one step")
    assert (found.trained_on, found.trained_on_unit) == (12, "steps")
    assert found.strongest(AS_THEY_ARE).top1 > 0.9


def test_subjects_with_too_few_windows_are_left_out_and_named() -> None:
    tables = [*offset(4, 3), ("brief", make_table(noise(0, 0, 80))), ("absent", make_table(np.full((900, 4), np.nan)))]
    found = probed(iter(tables))
    assert found.subjects == 3
    assert found.left_out == {
        "brief": "1 usable windows in its first part and 0 in its last",
        "absent": "0 usable windows in its first part and 0 in its last",
    }
    with pytest.raises(InputError, match=r"at least two subjects .* found 1.*brief"):
        probed(iter([tables[0], tables[3]]))


@pytest.mark.parametrize("subjects", [7, 8])
@pytest.mark.usefixtures("cheap")
def test_small_cohorts_have_no_top_five_and_the_smallest_no_interval(subjects: int) -> None:
    found = probed(offset(5, subjects))
    assert all(score.top5 is None and score.top5_interval is None for score in found.scores)
    assert all((score.top1_interval is None) == (subjects < 8) for score in found.scores)
    assert found.beats_chance(AS_THEY_ARE)


@pytest.mark.usefixtures("cheap")
def test_what_was_trained_on_is_the_mean_over_subjects() -> None:
    lengths = (300, 600)
    found = probed(((f"P{i}", make_table(noise(1, i, n))) for i, n in enumerate(lengths)), CURSORY)
    assert found.trained_on == pytest.approx(0.6 * np.mean(lengths) / RATE / 60)
    assert found.trained_on_unit == "minutes"
    assert any("trained on 0.9 minutes per subject" in limit for limit in found.limits())


def test_the_same_seed_finds_the_same() -> None:
    first, second = probed(identical(7, 6)), probed(identical(7, 6))
    assert first == second
    assert probed(identical(7, 6), ProbeConfig(trees=40, seed=1)) != first


def test_a_large_cohort_is_represented_by_a_draw() -> None:
    found = probed(offset(6, 12), ProbeConfig(trees=40, most_subjects=5))
    assert (found.subjects, found.not_drawn, found.chance) == (5, 7, 0.2)


def test_tables_are_read_one_at_a_time() -> None:
    def tables() -> Iterator[tuple[str, SubjectTable]]:
        yield from offset(8, 2)
        yield "odd", make_table(np.zeros((100, 3)))
        pytest.fail("read on after an error")

    with pytest.raises(InputError, match="subject odd: expected 4 features, found 3"):
        probed(tables())


@pytest.mark.parametrize("wrong", [{"window_seconds": 0}, {"window_seconds": np.nan}, {"trees": 0}, {"seed": -1}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="identity probe: expected"):
        ProbeConfig(**wrong)
