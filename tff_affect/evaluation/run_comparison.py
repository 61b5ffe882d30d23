"""Studies against each other, and the methods of one study: paired by test client, corrected for all tests made.

A difference is that of the compared less that of the reference, of the CCC of each test client averaged over seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import pandas as pd

from tff_affect.config import METHODS
from tff_affect.errors import InputError
from tff_affect.evaluation.comparability import ComparedStudy
from tff_affect.evaluation.crossed import crossed_mean
from tff_affect.evaluation.per_client import client_means
from tff_affect.evaluation.statistics import bootstrap_interval, gain, holm, worst_clients_mean

COMPARED_KINDS = ("measured", "post-processed")
_CONSTANT = "mean predictor"
_KEYS = ["method", "kind", "dimension"]
COLUMNS = (
    "dimension", "kind", "reference", "reference_method", "compared", "compared_method",
    "reference_ccc", "reference_low", "reference_high", "reference_crossed_low", "reference_crossed_high",
    "reference_worst",
    "compared_ccc", "compared_low", "compared_high", "compared_crossed_low", "compared_crossed_high", "compared_worst",
    "difference_mean", "difference_low", "difference_high", "difference_median",
    "rank_biserial", "p_value", "p_holm", "clients", "seeds",
)  # fmt: skip


@dataclass(frozen=True)
class _Side:
    """One side of a pair: a method of a study."""

    study: ComparedStudy
    method: str


def compare_studies(
    studies: Sequence[ComparedStudy],
    method: str | None = None,
    kind: str | None = None,
    all_pairs: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Each study against the first, or every pair of them, method by method.

    Args:
        studies: At least two that `tff_affect.evaluation.comparability.comparable` gave.
        method: The one to compare; by default all that every study has, without the mean predictor, which a split
            alone decides.
        kind: ``measured`` or ``post-processed``; by default both where every study has them.
        all_pairs: Every pair, not each against the first.
        seed: Seed of the intervals' resampling.

    Returns:
        One row per pair, method, kind and dimension with ``COLUMNS``: per side the mean CCC over clients, its 95 %
        interval over clients, that over clients and seeds (``crossed``; NaN with one seed), and the mean of
        the worst tenth of the clients; the mean difference with its interval over clients, the median difference, the
        effect size, Wilcoxon's p, and p by Holm over all rows.

    Raises:
        InputError: If a method or kind is in none or not in all of them, or some of its runs are missing.
    """
    kinds, methods = _shared(studies, "kind", COMPARED_KINDS, kind), _shared(studies, "method", METHODS, method)
    if method is None:
        methods = [name for name in methods if name != _CONSTANT] or methods
    pairs = combinations(studies, 2) if all_pairs else ((studies[0], other) for other in studies[1:])
    sides = [(_Side(a, name), _Side(b, name)) for a, b in pairs for name in methods]
    return _table(sides, kinds, studies[0].dimensions, seed)


def compare_methods_of(
    study: ComparedStudy, method: str | None = None, kind: str | None = None, seed: int = 0
) -> pd.DataFrame:
    """The methods of one study against each other: every pair, or all others against one.

    Args:
        study: As `tff_affect.evaluation.comparability.open_studies` gives it.
        method: The one that the others are compared with; by default every pair.
        kind: As for `compare_studies`.
        seed: Seed of the intervals' resampling.

    Returns:
        As `compare_studies`; the family of Holm's correction is all rows.

    Raises:
        InputError: If there are fewer than two methods, or the study lacks the one named or some of its runs.
    """
    kinds, methods = _shared([study], "kind", COMPARED_KINDS, kind), _shared([study], "method", METHODS, None)
    if len(methods) < 2:
        raise InputError(f"expected at least two methods to compare, found {methods[0]}; name a second study")
    if method is not None:
        _shared([study], "method", METHODS, method)
    pairs = combinations(methods, 2) if method is None else ((method, name) for name in methods if name != method)
    return _table([(_Side(study, a), _Side(study, b)) for a, b in pairs], kinds, study.dimensions, seed)


def _shared(studies: Sequence[ComparedStudy], column: str, order: Sequence[str], wanted: str | None) -> list[str]:
    """What all studies have in a column, in its usual order; the one that is wanted, where one is."""
    have = {study.name: [value for value in order if value in set(study.results[column])] for study in studies}
    if wanted is not None and wanted not in order:
        raise InputError(f"expected a {column} among {', '.join(order)}, found {wanted!r}")
    shared = [value for value in order if all(value in found for found in have.values())]
    if not shared or (wanted is not None and wanted not in shared):
        shown = "; ".join(f"{name} has {', '.join(found) or 'none'}" for name, found in have.items())
        what = f"the {column} {wanted!r} in every study" if wanted else f"a {column} that every study has"
        raise InputError(f"expected {what}: {shown}")
    return shared if wanted is None else [wanted]


def _table(
    sides: Sequence[tuple[_Side, _Side]], kinds: Sequence[str], dimensions: Sequence[str], seed: int
) -> pd.DataFrame:
    studies = {side.study.name: side.study for pair in sides for side in pair}
    means = {name: client_means(study.results) for name, study in studies.items()}
    rows = list(_rows(sides, kinds, dimensions, means, seed))
    corrected = holm([row["p_value"] for row in rows])
    return pd.DataFrame([row | {"p_holm": p} for row, p in zip(rows, corrected, strict=True)], columns=list(COLUMNS))


def _rows(
    sides: Sequence[tuple[_Side, _Side]],
    kinds: Sequence[str],
    dimensions: Sequence[str],
    means: dict[str, pd.DataFrame],
    seed: int,
) -> Iterator[dict[str, Any]]:
    levels: dict[tuple[str, str, str, str], dict[str, float]] = {}
    for dimension, kind, pair in product(dimensions, kinds, sides):
        found = [_clients(side, kind, dimension, means) for side in pair]
        _require_runs(pair, found, kind)
        row: dict[str, Any] = {"dimension": dimension, "kind": kind}
        for role, side, part in zip(("reference", "compared"), pair, found, strict=True):
            place = (side.study.name, side.method, kind, dimension)
            # A side stands in many pairs, and its interval takes the time.
            levels[place] = levels.get(place) or _level(part, seed)
            row |= {role: side.study.name, f"{role}_method": side.method}
            row |= {f"{role}_{name}": value for name, value in levels[place].items()}
        yield (
            row | _difference(_by_client(found[0]), _by_client(found[1]), seed) | {"seeds": found[0]["seed"].nunique()}
        )


def _level(found: pd.DataFrame, seed: int) -> dict[str, float]:
    """How well one side does."""
    values = _by_client(found).to_numpy()
    low, high = bootstrap_interval(values, seed=seed)
    table = found.pivot_table(index="seed", columns="client", values="ccc", aggfunc="mean").dropna(axis=1)
    over_both = crossed_mean(table.to_numpy())
    return {
        "ccc": float(values.mean()), "low": low, "high": high, "crossed_low": over_both.low,
        "crossed_high": over_both.high, "worst": worst_clients_mean(values),
    }  # fmt: skip


def _difference(reference: pd.Series, compared: pd.Series, seed: int) -> dict[str, Any]:
    found = gain(reference.to_numpy(), compared.to_numpy(), seed)
    return {
        "difference_mean": found.mean, "difference_low": found.low, "difference_high": found.high,
        "difference_median": found.test.median_difference, "rank_biserial": found.test.rank_biserial,
        "p_value": found.test.p_value, "clients": found.clients,
    }  # fmt: skip


def _clients(side: _Side, kind: str, dimension: str, means: dict[str, pd.DataFrame]) -> pd.DataFrame:
    found = means[side.study.name]
    wanted = (found["method"] == side.method) & (found["kind"] == kind) & (found["dimension"] == dimension)
    return found[wanted]


def _by_client(found: pd.DataFrame) -> pd.Series:
    return found.groupby("client", sort=True)["ccc"].mean()


def _require_runs(pair: tuple[_Side, _Side], found: Sequence[pd.DataFrame], kind: str) -> None:
    """Raises `InputError` where a side lacks a run or a client that the other has: its means would be of less."""
    cells = [set(part[["seed", "fold", "client"]].itertuples(index=False, name=None)) for part in found]
    for place, side in enumerate(pair):
        lacking = sorted(cells[1 - place] - cells[place])
        if lacking:
            seed, fold, client = lacking[0]
            raise InputError(
                f"{side.study.name} has no {kind} results of {side.method!r} for client {client} in seed {seed}, fold "
                f"{fold}; finish it with --resume"
            )


def smallest_p(clients: int) -> float:
    """The smallest p that Wilcoxon's two-sided signed-rank test can give for so many clients without ties."""
    return min(1.0, 2.0 ** (1 - clients))
