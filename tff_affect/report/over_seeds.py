"""Measures over the seeds of a study: mean, spread and ends, as numbers and as cells of tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tff_affect.report.tables import ABSENT
from tff_affect.report.tradeoff import Sheet

Row = Mapping[str, Any]
"""Of a summary."""


def numbers(group: pd.DataFrame, name: str) -> np.ndarray:
    """``[row]`` float64 of a column; NaN where nothing is known, and everywhere without the column."""
    if name not in group:
        return np.full(len(group), np.nan)
    return pd.to_numeric(group[name], errors="coerce").to_numpy(np.float64)


def spreads(group: pd.DataFrame, measures: Iterable[str]) -> dict[str, float]:
    """The mean of each measure under its own name, its standard deviation ``_sd``, and its ends ``_low`` and ``_high``.

    Args:
        group: A row for each seed; a seed of which a measure is not known is left out of it.
        measures: Columns, which may be missing.

    Returns:
        NaN where no seed is known; the deviation is NaN with one seed too.
    """
    found: dict[str, float] = {}
    for measure in measures:
        values = numbers(group, measure)
        names = measure, f"{measure}_sd", f"{measure}_low", f"{measure}_high"
        found |= dict(zip(names, _spread(values[np.isfinite(values)]), strict=True))
    return found


def _spread(values: np.ndarray) -> tuple[float, float, float, float]:
    """Mean, standard deviation, and the ends."""
    if not len(values):
        return math.nan, math.nan, math.nan, math.nan
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return float(np.mean(values)), deviation, float(np.min(values)), float(np.max(values))


def mean_text(row: Row, measure: str, digits: int = 2) -> str:
    """Mean and standard deviation as of `spreads`; ``-`` where nothing is known."""
    mean, deviation = row[measure], row[f"{measure}_sd"]
    if math.isnan(mean):
        return ABSENT
    return f"{mean:.{digits}f}" + ("" if math.isnan(deviation) else f" ± {deviation:.{digits}f}")


def ends(rows: pd.DataFrame, measure: str) -> np.ndarray:
    """``[2, row]``: from each mean of `spreads` down to the lowest seed and up to the highest, for error bars."""
    middle, low, high = rows[[measure, f"{measure}_low", f"{measure}_high"]].to_numpy(np.float64).T
    # A mean of equal numbers may differ from them in its last digit.
    return np.maximum([middle - low, high - middle], 0)


def sheet(title: str, rows: Sequence[Mapping[str, str]]) -> Sheet:
    """A table from its rows, whose keys are the headings."""
    return Sheet(title, tuple(rows[0]), tuple(tuple(row.values()) for row in rows))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
