"""Seeds x subjects: how sure a mean is when both the trained model and the people could have been others.

The interval over clients (`tff_affect.evaluation.statistics.bootstrap_interval`) is about other people and these very
models. Here value y of seed s and client c is taken as ``mean + a_s + b_c + e_sc``, the two-way crossed random-effects
model without replication (Searle, Casella and McCulloch, Variance Components, 1992, chapter 4), whose components
follow from the mean squares of the analysis of variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from tff_affect.evaluation.per_client import client_means


@dataclass(frozen=True)
class CrossedMean:
    """A mean over seeds and clients, for other seeds and other clients of the same kind.

    Attributes:
        mean: Over all cells.
        low: Lower end of its interval; NaN with one seed or fewer than two clients.
        high: Upper end.
        sd_seeds: Standard deviation of what a seed adds for every client.
        sd_clients: Standard deviation of what a client adds for every seed.
        sd_rest: Standard deviation of what is left: the seed's luck with the client.
        seeds: Seeds.
        clients: Clients.
    """

    mean: float
    low: float
    high: float
    sd_seeds: float
    sd_clients: float
    sd_rest: float
    seeds: int
    clients: int


def crossed_mean(values: ArrayLike, confidence: float = 0.95) -> CrossedMean:
    """The mean of a table of seeds by clients with an interval that holds for both.

    The variance of the mean is ``(MS_seeds + MS_clients - MS_rest) / (seeds x clients)``, with components below zero
    set to zero; the interval is Student's with the degrees of freedom of Satterthwaite (Biometrics Bulletin 2, 1946).
    With two or three seeds that matter it is wide, and rightly so.

    Args:
        values: ``[seeds, clients]``, finite, each client with each seed.
        confidence: Coverage asked for, between 0 and 1.

    Raises:
        ValueError: If a cell is missing, or the confidence is not between 0 and 1.
    """
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ValueError(f"expected finite values [seeds, clients], found shape {table.shape} or a missing cell")
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, found {confidence}")
    seeds, clients = table.shape
    mean = float(table.mean())
    if min(seeds, clients) < 2:
        nan = float("nan")
        return CrossedMean(mean, nan, nan, nan, nan, nan, seeds, clients)
    of_seeds, of_clients, of_rest = squares = _mean_squares(table)
    by_seed, by_client = max(0.0, of_seeds - of_rest) / clients, max(0.0, of_clients - of_rest) / seeds
    variance, freedom = _variance(squares, seeds, clients)
    half = float(stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(variance)) if variance > 0 else 0.0
    deviations = math.sqrt(by_seed), math.sqrt(by_client), math.sqrt(of_rest)
    return CrossedMean(mean, mean - half, mean + half, deviations[0], deviations[1], deviations[2], seeds, clients)


def _mean_squares(table: np.ndarray) -> tuple[float, float, float]:
    """Of seeds, of clients and of the rest."""
    seeds, clients = table.shape
    rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    rest = table - rows - columns + table.mean()
    return (
        float(clients * rows.var(ddof=1)),
        float(seeds * columns.var(ddof=1)),
        float((rest**2).sum() / ((seeds - 1) * (clients - 1))),
    )


def _variance(squares: tuple[float, float, float], seeds: int, clients: int) -> tuple[float, float]:
    """Of the mean, and its degrees of freedom; a source below the rest has the component zero and drops out."""
    of_seeds, of_clients, of_rest = squares
    freedoms = (seeds - 1, clients - 1, (seeds - 1) * (clients - 1))
    used = [place for place, found in enumerate((of_seeds, of_clients)) if found > of_rest]
    signs = (1.0, 1.0, 1.0 - len(used))
    terms = [(signs[place] * squares[place], freedoms[place]) for place in (*used, 2)]
    total = sum(value for value, _ in terms)
    if total <= 0:
        return 0.0, 1.0
    return total / (seeds * clients), total**2 / sum(value**2 / freedom for value, freedom in terms)


def crossed_means(results: pd.DataFrame) -> pd.DataFrame:
    """The mean CCC of a study over seeds and clients: one row per method, kind and dimension.

    Under k-fold a client is tested by its fold's models alone: seeds that share a fold's luck count as one effect each.

    Args:
        results: As `tff_affect.evaluation.per_client.read_study` gives them.

    Returns:
        Columns ``method, kind, dimension`` and the attributes of `CrossedMean`, prefixed ``ccc_`` for mean, low and
        high. Only clients that every seed tested count; ceilings have no row.
    """
    means = client_means(results[results["kind"] != "attainable"])
    rows = []
    for (method, kind, dimension), group in means.groupby(["method", "kind", "dimension"], sort=True):
        table = group.pivot_table(index="seed", columns="client", values="ccc", aggfunc="mean").dropna(axis=1)
        if table.empty:
            continue
        found = vars(crossed_mean(table.to_numpy()))
        named = {f"ccc_{name}" if name in ("mean", "low", "high") else name: value for name, value in found.items()}
        rows.append({"method": method, "kind": kind, "dimension": dimension} | named)
    return pd.DataFrame(rows)
