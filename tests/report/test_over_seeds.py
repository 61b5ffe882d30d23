"""Measures over seeds: as pandas has them, and nothing made of what is not known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.report.over_seeds import ends, mean_text, numbers, sheet, spreads

VALUES = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=6)


@given(values=VALUES)
def test_spreads_are_those_of_pandas_over_what_is_known(values: list[float | None]) -> None:
    found = spreads(pd.DataFrame({"top1": pd.Series(values, dtype=object)}), ["top1"])
    known = pd.Series(values, dtype=float)
    expected = [known.mean(), known.std(), known.min(), known.max()]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-9, atol=1e-6)
    assert list(found) == ["top1", "top1_sd", "top1_low", "top1_high"]


def test_a_column_that_is_missing_is_not_known_of_any_row() -> None:
    frame = pd.DataFrame({"seed": [0, 1]})
    assert np.isnan(numbers(frame, "uar")).all()
    assert math.isnan(spreads(frame, ["uar"])["uar"])


@pytest.mark.parametrize(
    ("mean", "deviation", "said"), [(0.5, 0.126, "0.50 ± 0.13"), (0.5, math.nan, "0.50"), (math.nan, math.nan, "-")]
)
def test_a_cell_has_its_deviation_where_there_is_one(mean: float, deviation: float, said: str) -> None:
    assert mean_text({"uar": mean, "uar_sd": deviation}, "uar") == said


def test_error_bars_reach_the_ends_and_are_never_below_zero() -> None:
    rows = pd.DataFrame({"uar": [0.5, 0.3], "uar_low": [0.4, np.nextafter(0.3, 1)], "uar_high": [0.7, 0.3]})
    np.testing.assert_allclose(ends(rows, "uar"), [[0.1, 0], [0.2, 0]])
    assert (ends(rows, "uar") >= 0).all()


def test_headings_of_a_sheet_are_the_keys_of_its_rows() -> None:
    found = sheet("Faces", [{"method": "blur", "UAR": "0.5"}, {"method": "noise", "UAR": "0.4"}])
    assert (found.columns, found.rows) == (("method", "UAR"), (("blur", "0.5"), ("noise", "0.4")))
