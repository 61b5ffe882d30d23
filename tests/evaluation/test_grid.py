import numpy as np
import pandas as pd
import pytest
from sample_study import rows

from tff_affect.evaluation.grid import fold_spread


def study() -> pd.DataFrame:
    """Two seeds by three folds, each fold with test clients of its own."""
    frames = []
    for seed in (0, 1):
        everybody = pd.DataFrame(rows(seed, ceilings=False))
        for fold, clients in enumerate((["P16", "P17"], ["P18", "P19", "P20"], ["P21", "P22"])):
            frames.append(everybody[everybody["client"].isin(clients)].assign(seed=seed, fold=fold))
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("method", ["federated", "local-only"])
def test_the_spread_is_that_of_the_means_of_folds(method: str) -> None:
    results = study()
    found = fold_spread(results)
    chosen = results[(results["method"] == method) & (results["dimension"] == "valence")]
    means = []
    for fold in range(3):
        seeds = []
        for seed in (0, 1):
            part = chosen[(chosen["fold"] == fold) & (chosen["seed"] == seed)]
            seeds.append(np.mean([part[part["client"] == c]["ccc"].mean() for c in part["client"].unique()]))
        means.append(np.mean(seeds))
    assert found[method, "measured", "valence"] == pytest.approx(np.std(means, ddof=1))


def test_one_fold_has_no_spread() -> None:
    assert fold_spread(pd.DataFrame(rows(0, ceilings=True))).isna().all()
