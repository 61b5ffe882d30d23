"""The numbers behind the four plots of a study, one dimension each: what is drawn, and what their CSVs hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tff_affect.config import METHODS
from tff_affect.evaluation.comparison import paired_ccc
from tff_affect.evaluation.per_client import client_means
from tff_affect.evaluation.statistics import bootstrap_interval
from tff_affect.report.study import Trace, leading_method

DRAWN_POINTS = 500
MEAN_OF_CLIENTS, POOLED = "mean over clients", "pooled"


def over_rounds(
    per_client: pd.DataFrame, rounds: pd.DataFrame, dimension: str, method: str = "federated"
) -> pd.DataFrame:
    """CCC of development clients over rounds, averaged over the runs that reached a round.

    Args:
        per_client: As `tff_affect.report.study.Study` holds it.
        rounds: Likewise.
        dimension: Of the labels.
        method: The federated training.

    Returns:
        Columns ``series, round, ccc``: each client, then ``mean over clients`` and, where known, ``pooled``, both up to
        the last round that every run reached. Empty where no development client was evaluated.
    """
    wanted = "method == @method and dimension == @dimension and partition == 'development'"
    found = per_client.query(wanted).dropna(subset="ccc")
    if found.empty:
        return pd.DataFrame(columns=["series", "round", "ccc"])
    lines = found.pivot_table(index="round", columns="client", values="ccc", aggfunc="mean")
    reached = found.groupby(["seed", "fold"])["round"].max().min()
    series = {str(client): lines[client].dropna() for client in lines.columns}
    series[MEAN_OF_CLIENTS] = lines.mean(axis=1).loc[:reached]
    column, rounds = f"development_ccc_{dimension}_pooled", rounds[rounds["method"] == method]
    if column in rounds.columns:
        series[POOLED] = rounds.groupby("round")[column].mean().dropna().loc[:reached]
    parts = [
        pd.DataFrame({"series": name, "round": line.index, "ccc": line.to_numpy()}) for name, line in series.items()
    ]
    return pd.concat(parts, ignore_index=True)


def of_test_clients(results: pd.DataFrame, dimension: str) -> pd.DataFrame:
    """CCC of each test client, averaged over seeds, sorted by that of the leading federated method.

    Returns:
        Columns ``client``; one for each method; ``lowest_seed, highest_seed`` of the leading method; and ``mean_low,
        mean_high``, the 95 % bootstrap interval of its mean over clients, the same in every row. Empty where the
        leading method has no result.
    """
    leading = leading_method(results)
    means = client_means(results).query("kind == 'measured' and dimension == @dimension")
    seeds = means[means["method"] == leading].pivot_table(index="client", columns="seed", values="ccc")
    if seeds.empty:
        return pd.DataFrame(columns=["client", leading, "lowest_seed", "highest_seed", "mean_low", "mean_high"])
    frame = pd.DataFrame({leading: seeds.mean(axis=1).sort_values()})
    for method in (name for name in METHODS if name != leading and name in set(means["method"])):
        frame[method] = means[means["method"] == method].groupby("client")["ccc"].mean().reindex(frame.index)
    frame["lowest_seed"], frame["highest_seed"] = seeds.min(axis=1), seeds.max(axis=1)
    frame["mean_low"], frame["mean_high"] = bootstrap_interval(frame[leading].to_numpy())
    return frame.rename_axis("client").reset_index()


def paired_with_local(results: pd.DataFrame, dimension: str) -> pd.DataFrame:
    """CCC of each test client by local-only and by the leading federated method; empty where one is missing."""
    pairs = paired_ccc(results, dimension, "local-only", leading_method(results))
    return pd.DataFrame() if pairs is None else pairs.rename_axis(columns=None).reset_index()


def over_time(traces: Sequence[Trace]) -> pd.DataFrame:
    """Gold standard and prediction of some clients as they are drawn: ``place, client, ccc, time, gold, predicted``."""
    parts = [
        thinned(trace.frame).assign(place=trace.place, client=trace.client, ccc=trace.ccc)[
            ["place", "client", "ccc", "time", "gold", "predicted"]
        ]
        for trace in traces
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def thinned(frame: pd.DataFrame) -> pd.DataFrame:
    """Means of neighbouring frames, so that a long recording is drawn with few points; missing only if all are."""
    size = -(-len(frame) // DRAWN_POINTS)
    return frame.groupby(np.arange(len(frame)) // size).mean() if size > 1 else frame
