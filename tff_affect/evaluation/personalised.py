"""``personalised.csv``: the concordance of each test client before and after personalisation, and gains from it.

The unit is the client. Both numbers are of the same later frames of the client's own recording, after a support part
that came earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tff_affect.atomic import replace_text
from tff_affect.evaluation.statistics import gain
from tff_affect.evaluation.text_table import read_text_table, require_rows
from tff_affect.metrics import SufficientStatistics
from tff_affect.run_folder import PERSONALISED

FILE = "personalised.csv"
KEYS = ("seed", "fold", "way", "client", "dimension")
NUMBERS = ("before", "after", "gain", "n")
COLUMNS = (*KEYS, *NUMBERS, "constant")


def rows_of(
    seed: int,
    fold: int,
    way: str,
    clients: Sequence[str],
    dimensions: Sequence[str],
    before: np.ndarray,
    after: np.ndarray,
) -> list[dict[str, Any]]:
    """Rows of ``personalised.csv`` for one way in one run.

    Args:
        seed: Of the run.
        fold: Of the run.
        way: What was done.
        clients: Test clients.
        dimensions: Names of the label dimensions.
        before: ``[client, dimension, 6]``, as of `SufficientStatistics.to_array`.
        after: Likewise.
    """
    first, second = SufficientStatistics.from_array(before), SufficientStatistics.from_array(after)
    rows = []
    for i, client in enumerate(clients):
        for j, dimension in enumerate(dimensions):
            ccc = float(first.ccc[i, j]), float(second.ccc[i, j])
            keys = dict(zip(KEYS, (seed, fold, way, client, dimension), strict=True))
            numbers = dict(zip(NUMBERS, (*ccc, ccc[1] - ccc[0], float(first.n[i, j])), strict=True))
            # Of the gold standard: no way can gain where nothing varies.
            rows.append(keys | numbers | {"constant": bool(first.m2_gold[i, j] == 0)})
    return rows


def write_personalised(folder: Path, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Writes ``personalised.csv`` atomically, floats in full, and returns what it says.

    Raises:
        InputError: If it cannot be written there.
    """
    frame = pd.DataFrame(list(rows), columns=list(COLUMNS))
    replace_text(folder / FILE, frame.to_csv(index=False, lineterminator="\n"))
    return frame


def read_personalised(study: str | Path) -> pd.DataFrame | None:
    """What personalisation of a study gave.

    Args:
        study: The study's folder, or that of a personalisation which lies elsewhere.

    Returns:
        A row for each seed, fold, way, client and dimension: ``before``, ``after`` and ``gain`` in CCC, ``n`` frames
        scored, and ``constant`` where the gold standard does not vary there. None where there is no personalisation.

    Raises:
        InputError: If the file is unreadable, lacks a column, or holds a value that does not belong there.
    """
    file = next((f for f in (Path(study) / PERSONALISED / FILE, Path(study) / FILE) if f.is_file()), None)
    if file is None:
        return None
    frame = read_text_table(file, COLUMNS)
    for column in ("seed", "fold"):
        require_rows(frame[column].str.fullmatch(r"\d{1,18}"), f"expected a whole number in {column!r}", file)
        frame[column] = frame[column].astype(np.int64)
    for column in NUMBERS:
        found = pd.to_numeric(frame[column], errors="coerce")
        require_rows(np.isfinite(found.to_numpy(np.float64)), f"expected a finite number in {column!r}", file)
        # Python's reading is exact.
        frame[column] = frame[column].map(float).astype(np.float64)
    require_rows(frame["constant"].isin(["True", "False"]), "expected True or False in 'constant'", file)
    frame["constant"] = frame["constant"] == "True"
    require_rows(~frame.duplicated(list(KEYS)), "the same seed, fold, way, client and dimension appear twice", file)
    return frame[list(COLUMNS)]


def client_gains(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per way, dimension and client, in the order of the table: before, after and gain averaged over seeds."""
    keys = ["way", "dimension", "client"]
    return frame.groupby(keys, sort=False, as_index=False)[["before", "after", "gain"]].mean()


def gains(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Gains over test clients: one row per way and dimension.

    Args:
        frame: As of `read_personalised`.
        seed: Of the bootstrap.

    Returns:
        Columns ``way, dimension``; ``before_mean``, ``after_mean``, ``gain_mean``: averaged over seeds, then over
        clients; ``gain_low, gain_high``: 95 % bootstrap interval over clients (NaN with fewer than three);
        ``p_value``: of a Wilcoxon signed-rank test, two-sided and not corrected; ``gain_sd``: standard deviation of the
        mean gain over seeds (NaN with one); ``clients``, ``seeds``; ``losers``, ``loser_share``: clients whose
        concordance falls; ``worst_client, worst_gain``; ``constant_clients``: whose gold standard does not vary in the
        later part, which counts as 0 before and after.
    """
    means = client_gains(frame)
    rows = []
    for (way, dimension), group in means.groupby(["way", "dimension"], sort=False):
        own = frame[(frame["way"] == way) & (frame["dimension"] == dimension)]
        rows.append({"way": way, "dimension": dimension} | _summary(group, own, seed))
    return pd.DataFrame(rows)


def _summary(group: pd.DataFrame, own: pd.DataFrame, seed: int) -> dict[str, Any]:
    found = gain(group["before"].to_numpy(), group["after"].to_numpy(), seed)
    worst = group.iloc[int(group["gain"].to_numpy().argmin())]
    return {
        "before_mean": float(group["before"].mean()),
        "after_mean": float(group["after"].mean()),
        "gain_mean": found.mean,
        "gain_low": found.low,
        "gain_high": found.high,
        "p_value": found.test.p_value,
        "gain_sd": float(own.groupby("seed")["gain"].mean().std(ddof=1)),
        "clients": found.clients,
        "seeds": own["seed"].nunique(),
        "losers": found.losers,
        "loser_share": found.losers / found.clients,
        "worst_client": str(worst["client"]),
        "worst_gain": float(worst["gain"]),
        "constant_clients": int(own.groupby("client")["constant"].any().sum()),
    }


def differences(frame: pd.DataFrame, baseline: str, seed: int = 0) -> pd.DataFrame:
    """Each way against one of the ways, client by client, averaged over seeds.

    Args:
        frame: As of `read_personalised`.
        baseline: The way that is taken off, such as ``shift``.
        seed: Of the bootstrap.

    Returns:
        A row per other way and dimension: ``way, dimension, difference, low, high, p_value`` of the concordance after
        adaptation; empty where the baseline was not carried out.
    """
    means = client_gains(frame)
    rows = []
    for dimension, group in means.groupby("dimension", sort=False):
        after = group.pivot(index="client", columns="way", values="after")
        for way in [way for way in group["way"].unique() if way != baseline and baseline in after]:
            found = gain(after[baseline].to_numpy(), after[way].to_numpy(), seed)
            values = way, dimension, found.mean, found.low, found.high, found.test.p_value
            rows.append(dict(zip(("way", "dimension", "difference", "low", "high", "p_value"), values, strict=True)))
    return pd.DataFrame(rows, columns=["way", "dimension", "difference", "low", "high", "p_value"])
