"""``results.csv``: one row per method, kind, model, client and dimension, and what is summarised from it.

Each row holds the sufficient statistics, so that pooled measures follow exactly from the file. Local-only means that
every training client's own model is applied to every test client: ``model`` names the training client, and is empty
elsewhere. Per client and pooled CCC differ widely (a predictor that knows each subject's mean alone pools well),
so both are always summarised.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tff_affect.atomic import replace_text
from tff_affect.config import METHODS
from tff_affect.errors import InputError
from tff_affect.evaluation.statistics import bootstrap_interval
from tff_affect.evaluation.text_table import read_text_table
from tff_affect.metrics import SufficientStatistics, merge_all
from tff_affect.run_folder import STUDY, read_json

RESULTS = "results.csv"
KINDS = ("measured", "post-processed", "attainable")
STATISTICS = ("n", "mean_gold", "mean_predicted", "m2_gold", "m2_predicted", "comoment")
MEASURES = ("ccc", "pcc", "rmse")
KEYS = ("method", "kind", "model", "client", "dimension")
COLUMNS = (*KEYS, *STATISTICS, *MEASURES, "constant")
_RUN_FOLDER = re.compile(r"seed-(\d+)(?:_fold-(\d+))?")


def result_rows(
    method: str, kind: str, model: str, client: str, statistics: SufficientStatistics, dimensions: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows of ``results.csv`` for one model on one client.

    Args:
        method: One of ``METHODS``.
        kind: ``measured``, ``post-processed`` (the same predictions after a chain fitted on development clients), or
            ``attainable``: the ceiling known of a SYNTHETIC cohort.
        model: The training client whose own model predicted (local-only), else empty.
        client: The client predicted.
        statistics: Its statistics, ``[dimension]``.
        dimensions: Names such as ``arousal`` and ``valence``, in order.

    Raises:
        ValueError: If method or kind is unknown, or the dimensions do not match.
    """
    if method not in METHODS or kind not in KINDS:
        raise ValueError(f"expected a method of {METHODS} and a kind of {KINDS}, found {method!r}, {kind!r}")
    array = statistics.to_array()
    measures = (statistics.ccc, statistics.pcc, statistics.rmse)
    if array.shape != (len(dimensions), len(STATISTICS)):
        raise ValueError(f"expected statistics of {len(dimensions)} dimensions, found shape {array.shape}")
    return [
        dict(zip(KEYS, (method, kind, model, client, dimension), strict=True))
        | dict(zip(STATISTICS, map(float, array[i]), strict=True))
        | {name: float(values[i]) for name, values in zip(MEASURES, measures, strict=True)}
        | {"constant": bool(statistics.constant[i])}
        for i, dimension in enumerate(dimensions)
    ]


def write_results(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes ``results.csv`` atomically; floats in full (``repr``), so that equal results give equal bytes.

    Raises:
        InputError: If it cannot be written there.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row[column]) for column in COLUMNS] for row in rows)
    replace_text(Path(path), text.getvalue())


def _cell(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(float(value))


def read_results(path: str | Path) -> pd.DataFrame:
    """Reads one ``results.csv``; the columns are ``COLUMNS``.

    Raises:
        InputError: If the file is missing or unreadable, lacks a column, or holds a value that does not belong there.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no results here; expected a finished run, so train or evaluate it first", file=path)
    frame = read_text_table(path, COLUMNS)
    _check_values(frame, path)
    for column in (*STATISTICS, *MEASURES):
        _require_none(~frame[column].map(_is_number).astype(bool), f"expected a number in {column!r}", path)
        # Python's reading is exact, so that pooled measures are those of the run.
        frame[column] = frame[column].map(float).astype(np.float64)
    frame["constant"] = frame["constant"] == "true"
    return frame[list(COLUMNS)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check_values(frame: pd.DataFrame, path: Path) -> None:
    known = {"method": METHODS, "kind": KINDS, "constant": ("true", "false")}
    for column, values in known.items():
        _require_none(~frame[column].isin(values), f"expected {column!r} among {', '.join(values)}", path)
    _require_none(frame.duplicated(list(KEYS)), "the same method, kind, model, client and dimension appear twice", path)


def _require_none(wrong: pd.Series, reason: str, path: Path) -> None:
    if wrong.any():
        raise InputError(reason, file=path, line=int(np.flatnonzero(wrong)[0]) + 2)


def run_folders(study: str | Path) -> list[tuple[int, int, Path]]:
    """Seed, fold and folder of each run of a study.

    A folder that holds a run itself is its own study: fold 0, and the seed that its ``study.json`` names. Without such
    a file, seed and fold are those of the folder's name, as of one run of a study, or 0.

    Raises:
        InputError: If there is no run with results, or ``study.json`` does not name the one seed of a single run.
    """
    study = Path(study)
    if (study / RESULTS).is_file():
        named = _RUN_FOLDER.fullmatch(study.resolve().name)
        if named and not (study / STUDY).is_file():
            return [(int(named[1]), int(named[2] or 0), study)]
        return [(_single_seed(study / STUDY), 0, study)]
    found = [
        (int(match[1]), int(match[2] or 0), match.string)
        for match in (_RUN_FOLDER.fullmatch(entry.name) for entry in (study.iterdir() if study.is_dir() else ()))
        if match and (study / match.string / RESULTS).is_file()
    ]
    if not found:
        raise InputError(f"no run with a {RESULTS} here, nor in folders named seed-0, seed-1, ...", file=study)
    return [(seed, fold, study / name) for seed, fold, name in sorted(found)]


def _single_seed(file: Path) -> int:
    if not file.is_file():
        return 0
    content = read_json(file)
    seeds = content.get("seeds") if isinstance(content, dict) else None
    if isinstance(seeds, list) and len(seeds) == 1 and type(seeds[0]) is int:
        return seeds[0]
    raise InputError(f"expected one whole number in 'seeds', as of a single run, found {seeds!r}", file=file)


def read_study(study: str | Path) -> pd.DataFrame:
    """Results of all runs of a study, with columns ``seed`` and ``fold``.

    Raises:
        InputError: If there is no run, or the results of one are wrong.
    """
    runs = run_folders(study)
    frames = [read_results(folder / RESULTS).assign(seed=seed, fold=fold) for seed, fold, folder in runs]
    return pd.concat(frames, ignore_index=True)


def _with_runs(results: pd.DataFrame) -> pd.DataFrame:
    missing = {column: 0 for column in ("seed", "fold") if column not in results.columns}
    return results.assign(**missing)


def client_means(results: pd.DataFrame) -> pd.DataFrame:
    """One row per seed, fold, method, kind, client and dimension: measures averaged over models (local-only has many).

    ``constant`` is true where any of the models' predictions, or the gold standard, is constant.
    """
    keys = ["seed", "fold", "method", "kind", "client", "dimension"]
    grouped = _with_runs(results).groupby(keys, sort=True, as_index=False)
    return grouped.agg(n=("n", "first"), **{m: (m, "mean") for m in MEASURES}, constant=("constant", "any"))


def pooled(results: pd.DataFrame) -> pd.DataFrame:
    """One row per seed, method, kind and dimension: measures of the clients' frames pooled, over all folds.

    Local-only pools the i-th model of each fold with the i-th model of the others, then averages over i. Where folds
    differ in training clients, only the models that every fold has are used, so that each pool covers every client.

    Under k-fold the mean predictor has one constant per fold, the mean of that fold's training clients: it is low where
    the tested clients are high, so that its pooled CCC is slightly negative rather than 0.
    """
    frame = _with_runs(results)
    frame["rank"] = _model_ranks(frame)
    rows = []
    for key, group in frame.groupby(["seed", "method", "kind", "dimension"], sort=True):
        shared = group.groupby("fold")["rank"].max().min()
        pools = [_merged(models) for _, models in group[group["rank"] <= shared].groupby("rank", sort=True)]
        measures = {name: float(np.mean([getattr(pool, name) for pool in pools])) for name in MEASURES}
        rows.append([*key, float(pools[0].n), *measures.values(), any(bool(pool.constant) for pool in pools)])
    return pd.DataFrame(rows, columns=["seed", "method", "kind", "dimension", "n", *MEASURES, "constant"])


def _model_ranks(frame: pd.DataFrame) -> pd.Series:
    """The place of each row's model among the sorted models of its run: 0 where there is one."""
    ranks = frame.groupby(["seed", "fold", "method", "kind", "dimension"])["model"].rank(method="dense")
    return ranks.astype(int) - 1


def _merged(rows: pd.DataFrame) -> SufficientStatistics:
    return merge_all(SufficientStatistics.from_array(values) for values in rows[list(STATISTICS)].to_numpy(np.float64))


def seed_averages(results: pd.DataFrame) -> pd.DataFrame:
    """One row per method, kind, dimension and client: measures averaged over models, then over seeds."""
    keys = ["method", "kind", "dimension", "client"]
    return client_means(results).groupby(keys, sort=True, as_index=False)[list(MEASURES)].mean()


def summarise(results: pd.DataFrame, dimensions: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """The headline numbers of a study: one row per method, kind and dimension, in the order of ``METHODS``.

    Args:
        results: As `read_study` or `read_results` give them.
        dimensions: Names such as ``arousal`` and ``valence``, in the order wanted.
        seed: Seed of the bootstrap.

    Returns:
        Columns ``method, kind, dimension``; ``ccc_mean``: CCC averaged over seeds, then over clients; ``ccc_low,
        ccc_high``: its 95 % bootstrap interval over clients (NaN with fewer than three); ``ccc_pooled``: pooled CCC
        over all folds, averaged over seeds; ``ccc_mean_sd, ccc_pooled_sd``: standard deviation over seeds (NaN with
        one); ``clients``, ``seeds``, ``folds``: counts; ``constant_clients``: clients with some constant series,
        counted as 0. Their averaged CCC need not be 0: one seed, or one of local-only's many models, is enough.

    Raises:
        InputError: If a dimension has no results.
    """
    means, pools, folds = client_means(results), pooled(results), _with_runs(results)["fold"].nunique()
    absent = [dimension for dimension in dimensions if dimension not in set(means["dimension"])]
    if absent:
        raise InputError(f"expected results for {absent[0]!r}, found {', '.join(sorted(set(means['dimension'])))}")
    groups = dict(iter(means.groupby(["method", "kind", "dimension"])))
    pool_groups = dict(iter(pools.groupby(["method", "kind", "dimension"])))
    rows = [
        {"method": method, "kind": kind, "dimension": dimension}
        | _summary(groups[method, kind, dimension], pool_groups[method, kind, dimension], seed)
        | {"folds": folds}
        for dimension in dimensions
        for kind in KINDS
        for method in METHODS
        if (method, kind, dimension) in groups
    ]
    return pd.DataFrame(rows)


def _summary(means: pd.DataFrame, pools: pd.DataFrame, seed: int) -> dict[str, Any]:
    clients = means.groupby("client")["ccc"].mean()
    low, high = bootstrap_interval(clients.to_numpy(), seed=seed)
    return {
        "ccc_mean": float(clients.mean()),
        "ccc_low": low,
        "ccc_high": high,
        "ccc_pooled": float(pools["ccc"].mean()),
        "ccc_mean_sd": float(means.groupby("seed")["ccc"].mean().std(ddof=1)),
        "ccc_pooled_sd": float(pools["ccc"].std(ddof=1)),
        "clients": len(clients),
        "constant_clients": int(means.groupby("client")["constant"].any().sum()),
        "seeds": means["seed"].nunique(),
    }
