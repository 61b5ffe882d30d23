"""Two methods on the same clients."""

from __future__ import annotations

import pandas as pd

from tff_affect.evaluation.per_client import seed_averages
from tff_affect.evaluation.statistics import PairedComparison, paired_wilcoxon


def paired_ccc(results: pd.DataFrame, dimension: str, first: str, second: str) -> pd.DataFrame | None:
    """CCC of two methods, one row per test client, averaged over seeds; None where a method is missing."""
    means = seed_averages(results).query("kind == 'measured' and dimension == @dimension")
    pairs = means.pivot(index="client", columns="method", values="ccc")
    return pairs[[first, second]].dropna() if {first, second} <= set(pairs.columns) else None


def compare_methods(results: pd.DataFrame, dimension: str, first: str, second: str) -> PairedComparison | None:
    """Paired Wilcoxon test over test clients of two methods' CCC; None where a method is missing."""
    pairs = paired_ccc(results, dimension, first, second)
    return None if pairs is None else paired_wilcoxon(pairs[first].to_numpy(), pairs[second].to_numpy())


def comparison_text(test: PairedComparison) -> str:
    """The comparison in words."""
    return (
        f"median difference {test.median_difference:+.3f} over {test.n} test clients, "
        f"Wilcoxon signed-rank p = {test.p_value:.2g}"
    )
