"""Gains from a table that is known number by number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tff_affect.errors import InputError
from tff_affect.evaluation.personalised import (
    COLUMNS,
    FILE,
    differences,
    gains,
    read_personalised,
    rows_of,
    write_personalised,
)
from tff_affect.evaluation.statistics import bootstrap_interval
from tff_affect.metrics import SufficientStatistics
from tff_affect.run_folder import PERSONALISED

GAIN = {"shift": [0.0, 0.02, -0.05, 0.01], "fine-tune": [0.1, 0.2, -0.1, 0.3]}


@pytest.fixture
def frame() -> pd.DataFrame:
    """Four clients, two seeds which differ by 0.02 in gain."""
    rows = [
        dict(zip(COLUMNS, (seed, 0, way, f"P{i}", "valence", 0.5, 0.5 + g, g, 10.0, i == 0), strict=True))
        for seed in (0, 1)
        for way, found in GAIN.items()
        for i, gain in enumerate(found)
        for g in [gain + (0.01 if seed else -0.01) * (way == "fine-tune")]
    ]
    return pd.DataFrame(rows)


def test_gains_are_means_over_seeds_then_clients(frame: pd.DataFrame) -> None:
    row = gains(frame).set_index("way").loc["fine-tune"]
    gain = np.array(GAIN["fine-tune"])
    assert row["gain_mean"] == pytest.approx(gain.mean())
    assert (row["before_mean"], row["after_mean"]) == pytest.approx((0.5, 0.5 + gain.mean()))
    assert (row["gain_low"], row["gain_high"]) == pytest.approx(bootstrap_interval(gain), abs=1e-12)
    assert row["p_value"] == pytest.approx(stats.wilcoxon(gain).pvalue)
    assert (row["losers"], row["clients"], row["loser_share"]) == (1, 4, 0.25)
    assert (row["worst_client"], row["worst_gain"]) == ("P2", pytest.approx(-0.1))
    assert row["gain_sd"] == pytest.approx(np.std([gain.mean() - 0.01, gain.mean() + 0.01], ddof=1))
    assert (row["seeds"], row["constant_clients"]) == (2, 1)


def test_who_neither_gains_nor_loses_is_no_loser(frame: pd.DataFrame) -> None:
    frame["after"] = frame["before"] - 1e-12
    frame["gain"] = frame["after"] - frame["before"]
    assert list(gains(frame)["losers"]) == [0, 0]


def test_differences_are_paired(frame: pd.DataFrame) -> None:
    (row,) = differences(frame, "shift").to_dict("records")
    difference = np.subtract(GAIN["fine-tune"], GAIN["shift"])
    assert (row["way"], row["difference"]) == ("fine-tune", pytest.approx(difference.mean()))
    assert row["p_value"] == pytest.approx(stats.wilcoxon(difference).pvalue)
    assert differences(frame, "own-only").empty


def test_rows_hold_the_concordance_of_both(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    gold, first, second = rng.normal(size=(3, 30, 1))
    flat = np.ones((30, 1))
    pairs = [(gold, first, second), (flat, first, second)]
    before, after = (np.stack([SufficientStatistics.from_series(p[0], p[i]).to_array() for p in pairs]) for i in (1, 2))
    rows = rows_of(3, 1, "head", ["P1", "P2"], ["valence"], before, after)
    ccc = [SufficientStatistics.from_series(gold, predicted).ccc[0] for predicted in (first, second)]
    assert rows[0]["gain"] == pytest.approx(ccc[1] - ccc[0])
    assert [row["constant"] for row in rows] == [False, True]
    assert (rows[1]["before"], rows[1]["after"], rows[1]["n"]) == (0, 0, 30)
    written = write_personalised(tmp_path, rows)
    found = read_personalised(tmp_path)
    assert found is not None
    pd.testing.assert_frame_equal(found, written)


def test_is_found_in_a_study_and_none_elsewhere(frame: pd.DataFrame, tmp_path: Path) -> None:
    assert read_personalised(tmp_path) is None
    (tmp_path / PERSONALISED).mkdir()
    write_personalised(tmp_path / PERSONALISED, frame.to_dict("records"))
    found = read_personalised(tmp_path)
    assert found is not None
    pd.testing.assert_frame_equal(found, frame[list(COLUMNS)])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0.5", "much", "line 2: expected a finite number in 'before'"),
        ("0.5", "inf", "finite number"),
        ("0,0,shift", "first,0,shift", "whole number in 'seed'"),
        ("True", "perhaps", "True or False"),
        ("gain", "won", "expected a column 'gain'"),
        ("P1", "P0", "appear twice"),
    ],
)
def test_refuses_what_was_edited(old: str, new: str, said: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    write_personalised(tmp_path, frame.to_dict("records"))
    file = tmp_path / FILE
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=said):
        read_personalised(tmp_path)


@given(content=st.one_of(st.text(max_size=80), st.binary(max_size=80)))
def test_reads_or_refuses_anything(content: str | bytes, tmp_path: Path) -> None:
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    (tmp_path / FILE).write_bytes(",".join(COLUMNS).encode() + b"\n" + raw)
    try:
        found = read_personalised(tmp_path)
    except InputError:
        return
    assert found is not None
    assert found["before"].map(np.isfinite).all()
