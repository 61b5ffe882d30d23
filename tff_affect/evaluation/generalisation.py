"""Participating against held-out clients: what a federated model loses on people who took no part in its training.

Named as by Yuan, Morningstar, Ning and Singhal (What Do We Mean by Generalization in Federated Learning?, ICLR 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import run_folders
from tff_affect.evaluation.statistics import bootstrap_interval

PER_CLIENT, PARTICIPATING, HELD_OUT = "per_client.csv", "train", "test"
_METHOD = "federated"


@dataclass(frozen=True)
class ParticipationGap:
    """CCC of those who took part less that of those who did not.

    Attributes:
        participating: Mean over clients.
        held_out: Mean over clients.
        gap: The difference: of the two means, or paired its mean over clients who were on both sides in other folds.
        low: Lower end of its 95 % interval; NaN with fewer than three clients (paired) or two on one side.
        high: Upper end.
        clients_participating: Clients on that side.
        clients_held_out: Clients on the other.
        paired: Whether the gap is within clients.
    """

    participating: float
    held_out: float
    gap: float
    low: float
    high: float
    clients_participating: int
    clients_held_out: int
    paired: bool


def participation_gap(participating: pd.Series, held_out: pd.Series, seed: int = 0) -> ParticipationGap:
    """The gap between clients on the two sides.

    Args:
        participating: CCC by client, of the model that the client helped to train.
        held_out: CCC by client, of a model that the client had no part in.
        seed: Seed of the paired interval's resampling.

    Returns:
        Where clients are on both sides (k-fold), the mean difference within those clients, with a bootstrap interval.
        Else the difference of means of different people, with Welch's interval (Biometrika 34, 1947): it holds the
        chance of easier people on one side.

    Raises:
        ValueError: If a side has no client.
    """
    if participating.empty or held_out.empty:
        raise ValueError("expected clients on both sides")
    both = participating.index.intersection(held_out.index)
    if len(both):
        difference = (participating[both] - held_out[both]).to_numpy()
        gap, (low, high) = float(difference.mean()), bootstrap_interval(difference, seed=seed)
    else:
        gap, low, high = _welch(participating, held_out)
    means = float(participating.mean()), float(held_out.mean())
    return ParticipationGap(*means, gap, low, high, len(participating), len(held_out), bool(len(both)))


def _welch(first: ArrayLike, second: ArrayLike) -> tuple[float, float, float]:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    gap = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return gap, float("nan"), float("nan")
    shares = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    total = sum(shares)
    if total == 0:
        return gap, gap, gap
    freedom = total**2 / (shares[0] ** 2 / (len(a) - 1) + shares[1] ** 2 / (len(b) - 1))
    half = float(stats.t.ppf(0.975, freedom) * np.sqrt(total))
    return gap, gap - half, gap + half


def participation_gaps(study: str | Path) -> pd.DataFrame | None:
    """The gap of a study's federated model, by dimension.

    Only ``per_client.csv`` of ``federated`` is read: under differential privacy training clients are not scored.

    Args:
        study: Its folder.

    Returns:
        Columns ``method, dimension`` and the attributes of `ParticipationGap`; None where the study did not score both
        sides.

    Raises:
        InputError: If there is no run, or a table is unreadable.
    """
    files = [folder / PER_CLIENT for _, _, folder in run_folders(study)]
    frames = [_final(file) for file in files if file.is_file()]
    scored = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["partition"])
    if not {PARTICIPATING, HELD_OUT} <= set(scored["partition"]):
        return None
    means = scored.groupby(["dimension", "partition", "client"])["ccc"].mean()
    rows = []
    for dimension in dict.fromkeys(scored["dimension"]):
        sides = [
            means[dimension, side] if side in means[dimension].index else None for side in (PARTICIPATING, HELD_OUT)
        ]
        if sides[0] is not None and sides[1] is not None:
            found = participation_gap(sides[0], sides[1])
            rows.append({"method": _METHOD, "dimension": dimension} | vars(found))
    return pd.DataFrame(rows) if rows else None


def _final(file: Path) -> pd.DataFrame:
    """Rows of the final evaluation: those of training and test clients."""
    try:
        frame = pd.read_csv(file, dtype={"client": str, "dimension": str}, keep_default_na=False)
        frame = frame[["partition", "client", "dimension", "ccc"]]
        found = frame[frame["partition"].isin((PARTICIPATING, HELD_OUT))]
        return found.assign(ccc=found["ccc"].astype(np.float64))
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"not a readable table of clients: {error}", file=file) from error
