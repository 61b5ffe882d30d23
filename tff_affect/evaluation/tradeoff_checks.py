"""What the tables of a trade-off study have to hold before anything is averaged."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from tff_affect.errors import InputError

RUN_COLUMNS = (
    "point", "subjects", "train_clients", "clients_per_round", "private", "level", "mechanism", "noise_multiplier",
    "clipping_norm", "rounds", "epsilon", "delta", "unit", "dimension", "seed", "fold", "ccc_mean", "ccc_pooled",
    "development_ccc",
)  # fmt: skip
CLIENT_COLUMNS = (
    "point", "private", "noise_multiplier", "clipping_norm", "epsilon", "subjects", "client", "dimension", "seed",
    "ccc",
)  # fmt: skip
SETTING = ["subjects", "private", "noise_multiplier", "clipping_norm"]
"""What makes a point."""


def check_runs(runs: pd.DataFrame) -> None:
    """Checks one row per point, seed, fold and dimension, with ``RUN_COLUMNS``.

    Raises:
        InputError: If a column or number is missing, there is no point with or without privacy for some number of
            subjects, a point lacks a run that others have, or units, levels or mechanisms are mixed.
    """
    _check_numbers(runs, RUN_COLUMNS, ("ccc_mean", "ccc_pooled"))
    _check_points(runs)
    _check_same_runs(runs, ["dimension", "seed", "fold"])
    private = runs[runs["private"].astype(bool)]
    for name in ("unit", "level", "mechanism"):
        found = sorted(set(map(str, private[name])))
        if len(found) > 1:
            raise InputError(f"expected one {name}, found {', '.join(found)}; give each a table of its own")


def check_clients(clients: pd.DataFrame) -> None:
    """Checks one row per point, seed, client and dimension, with ``CLIENT_COLUMNS`` and group attributes.

    Raises:
        InputError: If a column or number is missing, there is no point with or without privacy for some number of
            subjects, or a point lacks a client, dimension or seed that others have.
    """
    _check_numbers(clients, CLIENT_COLUMNS, ("ccc",))
    _check_points(clients)
    _check_same_runs(clients, ["client", "dimension", "seed"])


def _check_numbers(frame: pd.DataFrame, columns: Sequence[str], scores: Sequence[str]) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(f"expected a column {missing[0]!r}, found {', '.join(map(str, frame.columns))}; add it")
    private = frame["private"].astype(bool)
    for name in (*scores, "noise_multiplier", "clipping_norm", "epsilon"):
        unknown = frame[frame[name].isna() & (private | (name in scores))]
        if len(unknown):
            # A mean over the runs that are left would be one over the lucky ones.
            raise InputError(
                f"point {unknown['point'].iloc[0]}: expected a number in {name!r} of each run, found none for seed "
                f"{unknown['seed'].iloc[0]}; repeat that run, or leave the point out"
            )


def _check_points(frame: pd.DataFrame) -> None:
    """Points with and without privacy for each size, and no two points of one setting."""
    points = frame[["point", *SETTING]].drop_duplicates().astype({"private": bool})
    points.loc[~points["private"], ["noise_multiplier", "clipping_norm"]] = float("nan")
    points = points.drop_duplicates()
    for columns, said in ((["point"], "setting for each point"), (SETTING, "point for each setting")):
        twice = points[points.duplicated(columns, keep=False)]
        if len(twice):
            named = ", ".join(dict.fromkeys(map(str, twice["point"])))
            raise InputError(f"expected one {said}, found several: {named}; give each a table of its own")
    for private, said in ((True, "with"), (False, "without")):
        lacking = sorted(set(points["subjects"]) - set(points.loc[points["private"] == private, "subjects"]))
        if lacking or points.empty:
            size = f" at {lacking[0]} subjects" if lacking else ""
            raise InputError(
                f"expected a study {said} privacy{size}, found none; add one to the sweep: training {said} "
                "privacy.noise_multiplier, same protocol and seeds"
            )


def _check_same_runs(frame: pd.DataFrame, keys: list[str]) -> None:
    for _, cohort in frame.groupby("subjects"):
        runs = cohort[["point", *keys]]
        twice = runs[runs.duplicated()]
        if len(twice):
            raise InputError(
                f"point {twice['point'].iloc[0]}: expected each run once, found {_named(twice, keys)} twice"
            )
        wanted, counts = runs[keys].drop_duplicates(), runs.groupby("point", sort=False).size()
        for point in counts.index[counts < len(wanted)]:
            present = wanted.merge(runs[runs["point"] == point], how="left", on=keys)
            raise InputError(
                f"point {point}: expected the same runs as at the other points, found no "
                f"{_named(present[present['point'].isna()], keys)}; finish the sweep"
            )


def _named(runs: pd.DataFrame, keys: list[str]) -> str:
    return ", ".join(f"{key} {runs[key].iloc[0]}" for key in keys)
