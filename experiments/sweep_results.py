"""What the studies of a sweep gave, as two tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from experiments.sweep import Point
from tff_affect.config import PRIVATE_FEDERATED
from tff_affect.evaluation.per_client import client_means, pooled, read_study, run_folders
from tff_affect.evaluation.tradeoff_checks import CLIENT_COLUMNS
from tff_affect.privacy.guarantee import Guarantee
from tff_affect.report.privacy import read_privacy
from tff_affect.run_folder import file_name

_NOT_PRIVATE = {"epsilon": np.nan, "delta": np.nan, "unit": "", "noise_multiplier": np.nan, "clipping_norm": np.nan}


def collect(points: Sequence[Point]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables that `tff_affect.evaluation.tradeoff` reads.

    Returns:
        One row per study and dimension, with the means over test clients; and one per study, dimension and test client.
    """
    runs, clients = [], []
    for point in points:
        facts = _facts(point)
        results = read_study(point.folder)
        results = results[results["kind"] == "measured"]
        pools = pooled(results).set_index("dimension")["ccc"]
        means = client_means(results)
        for dimension, rows in means.groupby("dimension", sort=False):
            own = facts | {"dimension": dimension}
            runs.append(own | {"ccc_mean": float(rows["ccc"].mean()), "ccc_pooled": float(pools[dimension])})
            for row in rows.itertuples():
                groups = dict(point.cohort.entry(str(row.client)).groups)
                known = own | {"client": row.client, "ccc": row.ccc}
                clients.append(groups | {name: known[name] for name in CLIENT_COLUMNS})
    return pd.DataFrame(runs), pd.DataFrame(clients)


def _facts(point: Point) -> dict[str, Any]:
    config, privacy, trained = point.config, point.config.privacy, len(point.split.train)
    subjects = len(point.cohort.subjects)
    facts = {
        "point": f"{subjects} subjects, {point.name}", "subjects": subjects, "train_clients": trained,
        "clients_per_round": config.training.clients_per_round or trained, "seed": config.seeds[0], "fold": 0,
        "private": privacy.enabled, "level": privacy.level, "mechanism": privacy.mechanism,
    }  # fmt: skip
    rounds = pd.read_csv(point.folder / (file_name(PRIVATE_FEDERATED) if privacy.enabled else "") / "rounds.csv")
    scores = rounds.filter(regex=r"^development_ccc_.*_mean$").mean(axis=1)
    facts |= {"rounds": len(rounds), "development_ccc": float(scores.max())}
    return facts | (_told(point) if privacy.enabled else _NOT_PRIVATE)


def guarantee_of(point: Point) -> Guarantee:
    """What the federated training of a private point guarantees, of its one run."""
    privacy = read_privacy(run_folders(point.folder), read_study(point.folder))
    return privacy.methods[PRIVATE_FEDERATED].guarantees[0]


def _told(point: Point) -> dict[str, Any]:
    guarantee = guarantee_of(point)
    return {name: getattr(guarantee, name) for name in (*_NOT_PRIVATE, "rounds")}
