"""CCC by group: one number a test client, compared between the groups that the cohort's manifest names.

A group of fewer than five test clients is not shown: its mean would say much of single people, and little of the
group. Neither may it follow from what is shown. The mean over all clients stands beside the groups, so that with one
group left out its mean could be computed; where groups are left out, further ones are, the smallest first, until at
least two are and together have five clients (complementary suppression: Cox, Journal of the American Statistical
Association 75, 1980). Each attribute is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import seed_averages
from tff_affect.evaluation.statistics import bootstrap_interval
from tff_affect.evaluation.text_table import read_text_table

FEWEST = 5
"""Test clients that a group needs to be shown."""
NOT_STATED = "not stated"
"""The group of clients of whom an attribute is not known, where it is known of others."""
SUPPRESSED_NOTE = (
    f"not shown: groups of fewer than {FEWEST} test clients, and those from which such a group's mean would follow"
)
GROUP_COLUMNS = ("client", "attribute", "group")
_NUMBERS = ("clients", "ccc_mean", "ccc_low", "ccc_high")
_BY = ["method", "kind", "dimension", "attribute"]
BY_GROUP_COLUMNS = (*_BY, "group", *_NUMBERS, "suppressed")
GAP_COLUMNS = (*_BY, "gap", "best", "worst")


def read_groups(file: Path) -> pd.DataFrame | None:
    """Who belongs to which group, as training wrote it.

    Args:
        file: ``groups.csv`` of a study.

    Returns:
        Columns ``client, attribute, group``, all text; None where there is no such file or it names no group.

    Raises:
        InputError: If it is no such table, or names two groups of one attribute for a client.
    """
    if not file.is_file():
        return None
    frame = read_text_table(file)
    if list(frame.columns) != list(GROUP_COLUMNS):
        found = ", ".join(map(str, frame.columns))
        raise InputError(f"expected the columns {', '.join(GROUP_COLUMNS)}, found {found}; train anew", file=file)
    twice = np.flatnonzero(frame.duplicated(["client", "attribute"]))
    if len(twice):
        raise InputError(
            f"{frame['attribute'].iloc[twice[0]]!r} of a client appears twice; expected one group",
            file=file, line=int(twice[0]) + 2, subject=frame["client"].iloc[twice[0]],
        )  # fmt: skip
    return None if frame.empty else frame


def ccc_by_group(results: pd.DataFrame, groups: pd.DataFrame, dimensions: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """The CCC per client of each group, by ``fairlearn``'s MetricFrame over one row a test client.

    Args:
        results: As `tff_affect.evaluation.per_client.read_study` gives them; averaged over seeds first.
        groups: As `read_groups` gives them.
        dimensions: Names such as ``arousal`` and ``valence``, in the order wanted.
        seed: Seed of the intervals' resampling.

    Returns:
        One row per method, kind, dimension, attribute and group: ``clients``: test clients; ``ccc_mean, ccc_low,
        ccc_high``: their mean and its 95 % interval over clients; ``suppressed``: not shown, these numbers are NaN.
        Clients of whom an attribute is not known are its group `NOT_STATED`. Ceilings have no row.
    """
    means = seed_averages(results[results["kind"] != "attainable"])
    rows: list[dict[str, Any]] = []
    for attribute in dict.fromkeys(groups["attribute"]):
        known = groups[groups["attribute"] == attribute].set_index("client")["group"]
        for dimension in dimensions:
            for (method, kind), scored in means[means["dimension"] == dimension].groupby(["method", "kind"], sort=True):
                named = scored["client"].map(known).fillna(NOT_STATED)
                place = dict(zip(_BY, (method, kind, dimension, attribute), strict=True))
                rows += [place | row for row in _groups(scored["ccc"].to_numpy(), named.to_numpy(), seed)]
    return pd.DataFrame(rows, columns=list(BY_GROUP_COLUMNS))


def _groups(values: np.ndarray, named: np.ndarray, seed: int) -> list[dict[str, Any]]:
    from fairlearn.metrics import MetricFrame, count

    def mean(_: np.ndarray, found: np.ndarray) -> float:
        return float(np.mean(found))

    @cache
    def interval(found: tuple[float, ...]) -> tuple[float, float]:
        # MetricFrame asks for each end apart, and for all clients together, which nobody reads.
        shown = FEWEST <= len(found) < len(values) or len(set(named)) == 1
        return bootstrap_interval(found, seed=seed) if shown else (float("nan"), float("nan"))

    def end(place: int) -> Callable[[np.ndarray, np.ndarray], float]:
        return lambda _, found: interval(tuple(found))[place]

    metrics = {"clients": count, "ccc_mean": mean, "ccc_low": end(0), "ccc_high": end(1)}
    # A mean of the clients' own CCC has no truth of its own: MetricFrame asks for one, and the metrics leave it aside.
    found = MetricFrame(
        metrics=metrics, y_true=values, y_pred=values, sensitive_features=pd.Series(named, name="group")
    )
    by_group = found.by_group
    hidden = hidden_groups({str(group): int(by_group.loc[group, "clients"]) for group in by_group.index})
    rows = []
    for group in by_group.index:
        shown = {name: float(by_group.loc[group, name]) for name in _NUMBERS}
        numbers = dict.fromkeys(_NUMBERS, float("nan")) if str(group) in hidden else shown
        rows.append({"group": str(group), **numbers, "suppressed": str(group) in hidden})
    return rows


def hidden_groups(clients: Mapping[str, int]) -> set[str]:
    """The groups of one attribute that are not shown.

    Args:
        clients: Test clients of each group.

    Returns:
        Those of fewer than `FEWEST` clients and, where there are some, the smallest of the others until at least two
        groups are left out and together have `FEWEST` clients.
    """
    ordered = sorted(clients, key=lambda group: (clients[group], group))
    hidden = [group for group in ordered if clients[group] < FEWEST]
    for group in ordered[len(hidden) :]:
        if not hidden or (len(hidden) >= 2 and sum(clients[name] for name in hidden) >= FEWEST):
            break
        hidden.append(group)
    return set(hidden)


def group_gaps(by_group: pd.DataFrame) -> pd.DataFrame:
    """The largest difference between groups' mean CCC, of those that are shown.

    A largest difference is never negative, and above zero by chance alone: read it with the groups' intervals.

    Args:
        by_group: As `ccc_by_group` gives it.

    Returns:
        One row per method, kind, dimension and attribute: ``gap``, and the names of the ``best`` and ``worst`` group;
        NaN and empty where fewer than two groups are shown.
    """
    rows = []
    for place, found in by_group.groupby(_BY, sort=False):
        means = found[~found["suppressed"].astype(bool)].set_index("group")["ccc_mean"]
        told: dict[str, Any] = {"gap": float("nan"), "best": "", "worst": ""}
        if len(means) >= 2:
            told = {"gap": float(means.max() - means.min()), "best": means.idxmax(), "worst": means.idxmin()}
        rows.append(dict(zip(_BY, place, strict=True)) | told)
    return pd.DataFrame(rows, columns=list(GAP_COLUMNS))
