"""The ceiling is averaged over windows as the gold standard is."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.synthetic import SyntheticConfig, write_synthetic_cohort
from data_prep.synthetic_ceiling import apply_filter, own_filter
from experiments.attainable import ceiling_of
from tff_affect.cohort import Cohort
from tff_affect.config import DataConfig
from tff_affect.metrics import SufficientStatistics
from tff_affect.splits import Split

CONFIG = SyntheticConfig(subjects=3, seconds=60, frame_rate=2.5, missing_fraction=0.3)
SPLIT = Split(("P101",), ("P102",), ("P103",))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return write_synthetic_cohort(tmp_path_factory.mktemp("attainable") / "cohort", CONFIG)


def test_windows_are_compared_by_the_means_of_their_valid_frames(cohort: Cohort) -> None:
    table = cohort.load("P103")
    predicted = apply_filter(CONFIG, table, own_filter(CONFIG, 2))
    gold, said = [], []
    for start in range(0, 150 - 24 + 1, 24):  # six whole windows of 24 frames; a remainder of 6 is dropped
        frames = [t for t in range(start, start + 24) if table.valid[t]]
        gold.append([np.mean([table.labels[t, d] for t in frames]) for d in (0, 1)])
        said.append([np.mean([predicted[t, d] for t in frames]) for d in (0, 1)])
    expected = SufficientStatistics.from_series(np.array(gold), np.array(said))
    ceiling = ceiling_of(cohort, DataConfig(window=24, hop=24, target="window"))
    assert ceiling is not None
    rows = [row for row in ceiling(SPLIT) if row["method"] == "federated"]
    assert [row["n"] for row in rows] == [6, 6]
    np.testing.assert_allclose([row["ccc"] for row in rows], expected.ccc, atol=1e-6)


def test_frames_stay_frames(cohort: Cohort) -> None:
    plain, asked = ceiling_of(cohort), ceiling_of(cohort, DataConfig(window=24, hop=24))
    assert plain is not None
    assert asked is not None
    assert plain(SPLIT) == asked(SPLIT)
    assert {row["n"] for row in plain(SPLIT)} == {float(cohort.load("P103").valid.sum())}


def test_windows_that_are_not_scored_count_for_nobody(cohort: Cohort) -> None:
    valid = cohort.load("P103").valid
    shares = sorted(valid[start : start + 24].mean() for start in range(0, 150 - 24 + 1, 24))
    assert shares[0] < shares[2]
    ceiling = ceiling_of(cohort, DataConfig(window=24, hop=24, target="window", minimum_valid=float(shares[2])))
    assert ceiling is not None
    scored = sum(share >= shares[2] for share in shares)
    assert {row["n"] for row in ceiling(SPLIT)} == {scored}
    assert scored < 6
