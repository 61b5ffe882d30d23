"""How much a study's numbers move from fold to fold."""

from __future__ import annotations

import pandas as pd

from tff_affect.evaluation.per_client import client_means

KEYS = ["method", "kind", "dimension"]


def fold_spread(results: pd.DataFrame) -> pd.Series:
    """Standard deviation over folds of the mean CCC of a fold's test clients, averaged over seeds first.

    Folds are small, so this holds the differences between people too; the interval over clients is the one to read.

    Args:
        results: As `tff_affect.evaluation.per_client.read_study` gives them.

    Returns:
        The deviation (of a sample: divided by folds less one) by method, kind and dimension; NaN with one fold.
    """
    means = client_means(results)
    seeds = means.groupby([*KEYS, "fold", "seed"])["ccc"].mean()
    folds = seeds.groupby([*KEYS, "fold"]).mean()
    return folds.groupby(KEYS).std(ddof=1).rename("ccc_sd_folds")
