"""A small SYNTHETIC trade-off study: two tables with numbers that the tests compute again."""

from __future__ import annotations

import numpy as np
import pandas as pd

DIMENSIONS = ["arousal", "valence"]
SEEDS = [0, 1, 2]
CLIENTS = [f"P{i:02}" for i in range(9)]
NOISES = {0.0: np.inf, 1.0: 23.0, 4.0: 3.6}
CLIPS = [0.1, 1.0]
BEST_CLIP = 0.1
"""On development clients; test clients would choose the other."""
KEPT = {27: {0.0: 0.9, 1.0: 0.6, 4.0: 0.03}, 1000: {0.0: 0.98, 1.0: 0.96, 4.0: 0.93}}
WITHOUT = {"arousal": 0.7, "valence": 0.5}


def points(subjects: int) -> list[dict]:
    """Settings of one number of subjects: without privacy, then noise by clipping norm."""
    common = {"subjects": subjects, "train_clients": subjects - 9, "clients_per_round": 0, "rounds": 20}
    common |= {"level": "user", "mechanism": "fixed", "delta": 1 / (10 * subjects), "unit": "subject"}
    nothing = {"private": False, "noise_multiplier": np.nan, "clipping_norm": np.nan, "epsilon": np.nan}
    found = [common | nothing | {"point": f"{subjects}-none"}]
    for noise, epsilon in NOISES.items():
        for clip in CLIPS:
            setting = {"private": True, "noise_multiplier": noise, "clipping_norm": clip, "epsilon": epsilon}
            found.append(common | setting | {"point": f"{subjects}-z{noise:g}-c{clip:g}"})
    return found


def score(point: dict, dimension: str, seed: int) -> float:
    """CCC on test clients, higher at the clipping norm that development clients do not choose."""
    value = WITHOUT[dimension]
    if point["private"]:
        value *= KEPT[point["subjects"]][point["noise_multiplier"]]
        value += 0.1 * (point["clipping_norm"] != BEST_CLIP)
    return value + 0.01 * (seed - 1)


def sample_runs(sizes: tuple[int, ...] = (27, 1000), seeds: list[int] = SEEDS) -> pd.DataFrame:
    rows = []
    for point in (point for subjects in sizes for point in points(subjects)):
        for seed in seeds:
            for dimension in DIMENSIONS:
                ccc = score(point, dimension, seed)
                development = 0.4 + 0.01 * seed + 0.2 * (point["clipping_norm"] == BEST_CLIP)
                numbers = {"ccc_mean": ccc, "ccc_pooled": ccc + 0.05, "development_ccc": development}
                rows.append(point | {"dimension": dimension, "seed": seed, "fold": 0} | numbers)
    return pd.DataFrame(rows)


def client_score(point: dict, client: str, dimension: str, seed: int) -> float:
    """Clients apart from each other; the last three fall twice as far."""
    place = CLIENTS.index(client)
    without = WITHOUT[dimension] + 0.02 * (place - 4)
    fall = 0.0 if not point["private"] else (0.05 * point["noise_multiplier"] * (2 if place > 5 else 1))
    return without - fall + 0.01 * (seed - 1)


def sample_clients(sizes: tuple[int, ...] = (27,), groups: bool = True) -> pd.DataFrame:
    rows = []
    for point in (point for subjects in sizes for point in points(subjects)):
        kept = {
            key: point[key] for key in ("point", "private", "noise_multiplier", "clipping_norm", "epsilon", "subjects")
        }
        for seed in SEEDS:
            for client in CLIENTS:
                for dimension in DIMENSIONS:
                    row = kept | {"client": client, "dimension": dimension, "seed": seed}
                    row["ccc"] = client_score(point, client, dimension, seed)
                    if groups:
                        row["language"] = "French" if CLIENTS.index(client) > 5 else "German"
                    rows.append(row)
    return pd.DataFrame(rows)
