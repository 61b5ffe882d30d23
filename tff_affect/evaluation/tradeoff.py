"""What differential privacy costs: CCC against epsilon, and who pays.

A trade-off study trains one protocol at several noise multipliers and clipping norms, and once without privacy, for one
or more cohort sizes and several seeds. Each of these settings is a point. Among the clipping norms of one noise
multiplier the best is kept, chosen by the development clients alone: a choice by test clients would praise the luckiest
setting. Epsilon does not cover that choice.

The smaller the group or the harder the case, the more privacy tends to cost (Bagdasaryan, Poursaeed and Shmatikov,
NeurIPS 2019), so that the fall of each client and group stands beside the mean.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from tff_affect.errors import InputError
from tff_affect.evaluation.tradeoff_checks import CLIENT_COLUMNS, SETTING, check_clients, check_runs
from tff_affect.privacy.noise_to_signal import noise_to_signal

MEAN = "mean"
"""The dimension that stands for the mean over dimensions, where there are several."""
SAME_EPSILON = 1.25
"""Two epsilons are about the same if neither is more than this many times the other."""
NOT_GIVEN = "not given"
"""The group of clients whose attribute is missing."""
_DIGITS = 12
_FALL_COLUMNS = (
    "point", "subjects", "noise_multiplier", "clipping_norm", "epsilon", "dimension", "client", "ccc_without",
    "ccc_with", "fall", "rank",
)  # fmt: skip
_POINT_AND_DIMENSION = ["point", "subjects", "noise_multiplier", "clipping_norm", "epsilon", "dimension"]


def clip_scores(runs: pd.DataFrame) -> pd.DataFrame:
    """Each private point's score on development clients, and which clipping norm is the best of its noise.

    Args:
        runs: One row per point, seed, fold and dimension, with ``RUN_COLUMNS``.

    Returns:
        One row per private point, by subjects, noise multiplier and clipping norm: columns ``point, subjects,
        noise_multiplier, clipping_norm, development_ccc`` (mean over seeds and folds) and ``best``, true for one
        clipping norm of each number of subjects and noise multiplier; of equals for the smallest.

    Raises:
        InputError: If ``runs`` is not as described, or a clipping norm that has to be chosen has no score.
    """
    check_runs(runs)
    private = runs[runs["private"].astype(bool)]
    keys = ["point", "subjects", "noise_multiplier", "clipping_norm"]
    groups = private.groupby(keys)["development_ccc"]
    scores = groups.mean().where(groups.count() == groups.size()).reset_index()
    scores = scores.sort_values(keys[1:], ignore_index=True)
    rivals = scores.groupby(["subjects", "noise_multiplier"])["point"].transform("size")
    unknown = scores[scores["development_ccc"].isna() & (rivals > 1)]
    if len(unknown):
        raise InputError(
            f"point {unknown['point'].iloc[0]}: expected development_ccc in each run, by which the clipping norm is "
            "chosen, found none; evaluate development clients, or keep one clipping norm for each noise multiplier"
        )
    # Sorted, so that the first of equals is the smallest norm, which has the least noise.
    known = scores.fillna({"development_ccc": 0.0})
    best = known.groupby(["subjects", "noise_multiplier"])["development_ccc"].idxmax()
    return scores.assign(best=scores.index.isin(best))


def summary(runs: pd.DataFrame, parameters: int | None = None) -> pd.DataFrame:
    """CCC without privacy and at each noise multiplier, at its best clipping norm (`clip_scores`).

    Args:
        runs: One row per point, seed, fold and dimension, with ``RUN_COLUMNS``; for each number of subjects one point
            without privacy, and the same seeds, folds and dimensions at every point.
        parameters: Trainable weights, for ``noise_to_signal``; None leaves it NaN.

    Returns:
        Rows by number of subjects, dimension (``mean`` last, where there are several), without privacy, then by noise
        multiplier. Columns ``point, subjects, dimension, private, noise_multiplier, clipping_norm, clips`` (norms that
        it was chosen from), ``unit, epsilon, delta, rounds`` (largest over seeds and folds), ``train_clients,
        clients_per_round`` (smallest), ``noise_to_signal``; of ``ccc_mean`` and ``ccc_pooled``, averaged over folds:
        the mean over seeds, ``_sd`` (NaN with one seed), ``_min`` and ``_max``; ``ccc_without`` and ``share``:
        ``ccc_mean`` without privacy at the same size, and what part of it is kept (NaN unless it is above 0);
        ``development_ccc, seeds, folds``.

    Raises:
        InputError: If ``runs`` is not as described, a CCC is missing, or units, levels or mechanisms are mixed.
    """
    scores = clip_scores(runs)
    clips = scores.groupby(["subjects", "noise_multiplier"])["point"].transform("size").set_axis(scores["point"])
    best = set(scores.loc[scores["best"], "point"])
    kept = runs[runs["point"].isin(best) | ~runs["private"].astype(bool)]
    rows = _over_seeds(kept).join(_settings(kept), on="point")
    rows["clips"] = rows["point"].map(clips).fillna(0).astype(int)
    rows["noise_to_signal"] = [_noise_to_signal(row, parameters) for row in rows.to_dict("records")]
    without = rows[~rows["private"]].set_index(["subjects", "dimension"])["ccc_mean"]
    rows["ccc_without"] = without.reindex(list(zip(rows["subjects"], rows["dimension"], strict=True))).to_numpy()
    rows["share"] = (rows["ccc_mean"] / rows["ccc_without"]).where(rows["ccc_without"] > 0)
    places = {name: place for place, name in enumerate(dimensions(rows))}
    rows["place"] = rows["dimension"].map(places).fillna(len(places))
    rows = rows.sort_values(["subjects", "place", "private", "noise_multiplier"], ignore_index=True)
    return rows[_summary_columns()]


def _summary_columns() -> list[str]:
    measures = [f"{name}{end}" for name in ("ccc_mean", "ccc_pooled") for end in ("", "_sd", "_min", "_max")]
    return [
        "point", "subjects", "dimension", "private", "noise_multiplier", "clipping_norm", "clips", "unit", "epsilon",
        "delta", "rounds", "train_clients", "clients_per_round", "noise_to_signal", *measures, "ccc_without", "share",
        "development_ccc", "seeds", "folds",
    ]  # fmt: skip


def dimensions(rows: pd.DataFrame) -> list[str]:
    """Dimensions of a table in its order, without their mean."""
    return [str(name) for name in dict.fromkeys(rows["dimension"]) if name != MEAN]


def overall(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the mean over dimensions, or of the one dimension that there is."""
    return rows[rows["dimension"] == (MEAN if MEAN in set(rows["dimension"]) else dimensions(rows)[0])]


def at_epsilon(rows: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    """For each number of subjects the private rows with the epsilon that is next to the one asked for.

    Args:
        rows: Of `summary`.
        epsilon: Above 0; rows further off than a factor ``SAME_EPSILON`` are not taken.

    Raises:
        InputError: If no row is near enough.
    """
    finite = rows[rows["private"] & np.isfinite(rows["epsilon"]) & (rows["epsilon"] > 0)]
    distance = np.abs(np.log(finite["epsilon"] / epsilon))
    near = finite.assign(distance=distance)[distance <= math.log(SAME_EPSILON) + 1e-12]
    if near.empty:
        found = ", ".join(f"{value:.3g}" for value in sorted(set(finite["epsilon"]))) or "none"
        raise InputError(f"expected a point with epsilon about {epsilon:g}, found {found}; name one of these")
    nearest = near.sort_values(["distance", "noise_multiplier"]).groupby("subjects")["point"].first()
    return rows[rows["point"].isin(nearest)]


def fairness(clients: pd.DataFrame) -> pd.DataFrame:
    """By how much each client's CCC falls with privacy.

    Who is good without privacy can fall furthest, and who is good by chance falls by itself (regression to the mean):
    read `spread`'s rank correlations with it.

    Args:
        clients: One row per point, seed, client and dimension, with ``CLIENT_COLUMNS``; further columns are group
            attributes.

    Returns:
        One row per private point, dimension (``mean`` last, where there are several) and client: ``point, subjects,
        noise_multiplier, clipping_norm, epsilon`` (largest over seeds), ``dimension, client``, the group attributes,
        ``ccc_without`` and ``ccc_with`` (means over seeds), ``fall`` (without minus with) and ``rank``, by which each
        point's rows of one dimension are sorted: 1 falls most.

    Raises:
        InputError: If a column or a CCC is missing, there is no point with or without privacy for some number of
            subjects, or the points of one size have other clients, dimensions or seeds.
    """
    check_clients(clients)
    names = [name for name in clients.columns if name not in CLIENT_COLUMNS]
    averages = clients.groupby(["point", "client", "dimension"], sort=False)["ccc"].mean().reset_index()
    means = _with_mean(averages, ["point", "client"], ["ccc"]).join(_settings(clients), on="point")
    keys = ["subjects", "client", "dimension"]
    without = means[~means["private"]].set_index(keys)["ccc"].rename("ccc_without")
    found = means[means["private"]].rename(columns={"ccc": "ccc_with"}).join(without, on=keys)
    found["fall"] = (found["ccc_without"] - found["ccc_with"]).round(_DIGITS)
    found["rank"] = found.groupby(["point", "dimension"])["fall"].rank(ascending=False, method="min").astype(int)
    groups = clients.drop_duplicates(["subjects", "client"]).set_index(["subjects", "client"])[names]
    found = found.join(groups.fillna(NOT_GIVEN), on=["subjects", "client"])
    places = {name: place for place, name in enumerate([*dimensions(found), MEAN])}
    order = ["subjects", "noise_multiplier", "clipping_norm", "point", "place", "rank", "client"]
    found = found.assign(place=found["dimension"].map(places)).sort_values(order, ignore_index=True)
    return found[[*_FALL_COLUMNS[:7], *names, *_FALL_COLUMNS[7:]]]


def attributes(falls: pd.DataFrame) -> list[str]:
    """Group attributes in a table of `fairness`."""
    return [str(name) for name in falls.columns if name not in _FALL_COLUMNS]


def spread(falls: pd.DataFrame) -> pd.DataFrame:
    """How far clients lie apart without and with privacy, and whether those fall who were good.

    Args:
        falls: Of `fairness`.

    Returns:
        One row per point and dimension: the point's columns, ``clients``; for both ``_without`` and ``_with``:
        ``ccc`` (mean over clients), ``sd`` (NaN with one client), ``range`` (best minus worst) and ``low`` (10th
        percentile); ``fall`` (mean), ``falling`` (clients that fall), ``most`` and ``most_fall`` (who falls most, and
        by how much); ``rank_correlation``: Spearman's, of CCC without privacy and fall, near 1 whenever privacy levels
        everyone down, and above 0 by chance alone; ``rank_correlation_middle``: of the middle of both CCCs and the
        fall, which chance does not favour (Oldham, Journal of Chronic Diseases 15, 1962). Both are NaN with fewer than
        three clients or where all are equal.
    """
    rows = []
    for key, group in falls.groupby(_POINT_AND_DIMENSION, sort=False):
        row = dict(zip(_POINT_AND_DIMENSION, key, strict=True)) | {"clients": len(group)}
        for end in ("without", "with"):
            values = group[f"ccc_{end}"]
            row |= {f"ccc_{end}": values.mean(), f"sd_{end}": values.std(ddof=1)}
            row |= {f"range_{end}": values.max() - values.min(), f"low_{end}": values.quantile(0.1)}
        first = group.iloc[int(group["fall"].argmax())]
        row |= {"fall": group["fall"].mean(), "falling": int((group["fall"] > 0).sum())}
        row |= {"most": first["client"], "most_fall": first["fall"]}
        row["rank_correlation"] = _rank_correlation(group["ccc_without"], group["fall"])
        row["rank_correlation_middle"] = _rank_correlation(group["ccc_without"] + group["ccc_with"], group["fall"])
        rows.append(row)
    return pd.DataFrame(rows)


def group_falls(falls: pd.DataFrame) -> pd.DataFrame:
    """Mean fall of each group of clients.

    Args:
        falls: Of `fairness`.

    Returns:
        One row per point, dimension, attribute and group: the point's columns, ``attribute, group, clients,
        ccc_without, ccc_with, fall`` (means over clients) and ``fall_sd`` (NaN with one client); empty where there is
        no attribute.
    """
    columns = [*_POINT_AND_DIMENSION, "attribute", "group"]
    parts = [
        falls.assign(attribute=name, group=falls[name].astype(str)).groupby(columns, sort=False, as_index=False)
        .agg(
            clients=("client", "size"), ccc_without=("ccc_without", "mean"), ccc_with=("ccc_with", "mean"),
            fall=("fall", "mean"), fall_sd=("fall", "std"),
        )
        for name in attributes(falls)
    ]  # fmt: skip
    empty = pd.DataFrame(columns=[*columns, "clients", "ccc_without", "ccc_with", "fall", "fall_sd"])
    return pd.concat(parts, ignore_index=True) if parts else empty


def _rank_correlation(first: pd.Series, second: pd.Series) -> float:
    # Without the dust of averaging, so that equal falls are of one rank.
    x, y = first.round(_DIGITS), second.round(_DIGITS)
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.spearmanr(x, y).correlation)


def _with_mean(frame: pd.DataFrame, keys: list[str], values: list[str]) -> pd.DataFrame:
    """Rows of the mean over dimensions appended, where there are several."""
    if frame["dimension"].nunique() < 2:
        return frame
    means = frame.groupby(keys, as_index=False, sort=False)[values].mean().assign(dimension=MEAN)
    return pd.concat([frame, means], ignore_index=True)


def _over_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    measures = ["ccc_mean", "ccc_pooled"]
    seeds = runs.groupby(["point", "dimension", "seed"], as_index=False, sort=False)[measures].mean()
    groups = _with_mean(seeds, ["point", "seed"], measures).groupby(["point", "dimension"], as_index=False, sort=False)
    numbers = {
        f"{name}{end}": pd.NamedAgg(name, how)
        for name in measures
        for end, how in (("", "mean"), ("_sd", "std"), ("_min", "min"), ("_max", "max"))
    }
    return groups.agg(**numbers, seeds=pd.NamedAgg("seed", "nunique"))


def _settings(frame: pd.DataFrame) -> pd.DataFrame:
    """What a point is, indexed by it; of what differs between runs the least favourable."""
    how = dict.fromkeys((*SETTING, "level", "mechanism", "unit"), "first")
    how |= dict.fromkeys(("epsilon", "delta", "rounds"), "max")
    how |= dict.fromkeys(("train_clients", "clients_per_round"), "min")
    how |= {"development_ccc": "mean", "fold": "nunique"}
    known = {name: function for name, function in how.items() if name in frame.columns}
    found = frame.groupby("point", sort=False).agg(known).rename(columns={"fold": "folds"})
    return found.astype({"private": bool})


def _noise_to_signal(row: dict, parameters: int | None) -> float:
    """NaN for protected windows: their noise is added to a step, not to the mean update of a round."""
    if parameters is None or not row["private"] or row["level"] != "user":
        return float("nan")
    members = int(row["clients_per_round"]) or int(row["train_clients"])
    return noise_to_signal(row["noise_multiplier"], parameters, members, row["mechanism"]) or 0.0
