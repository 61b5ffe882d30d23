"""What could be attained on a SYNTHETIC cohort, as rows beside the measured ones.

The generative model is known, so is the best causal linear predictor of each subject. Beside centralised and federated
training stands the predictor that knows the test subject's own parameters; beside local-only, those that know one
training subject's parameters, applied to the test subject (what transfers of that subject's best filter; a model that
shrinks may exceed it); beside the mean predictor, 0. The filters are causal: a bidirectional network, which also sees
what comes after, may exceed them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from data_prep.synthetic import synthetic_config_of
from data_prep.synthetic_ceiling import apply_filter, own_filter
from data_prep.synthetic_model import subject_id
from tff_affect.cohort import Cohort
from tff_affect.config import METHODS, DataConfig
from tff_affect.evaluation.per_client import result_rows
from tff_affect.metrics import SufficientStatistics
from tff_affect.splits import Split

Row = dict[str, object]
_OTHERS = ("mean predictor", "local-only")


def ceiling_of(
    cohort: Cohort, data: DataConfig | None = None, methods: Sequence[str] = METHODS
) -> Callable[[Split], list[Row]] | None:
    """The ceiling of a cohort that `data_prep.synthetic` made; None for any other, whose ceiling nobody knows.

    Args:
        cohort: The cohort.
        data: How it is scored. With ``target: window`` the filter's output is averaged over each window's valid
            frames and compared with the window's mean gold standard.
        methods: Those that rows are wanted of. Local-only has one for each pair of a training and a test subject.
    """
    config = synthetic_config_of(cohort)
    if config is None:
        return None
    index = {subject_id(i): i for i in range(config.subjects)}
    dimensions = cohort.manifest.labels
    scored = data or DataConfig()
    knowing = tuple(method for method in METHODS if method in methods and method not in _OTHERS)

    @cache
    def rows(split: Split) -> list[Row]:
        lenders = split.train if "local-only" in methods else ()
        filters = {s: own_filter(config, index[s]) for s in (*lenders, *split.test)}
        found: list[Row] = []
        for client in split.test:
            table = cohort.load(client)
            gold = np.where(table.valid[:, None], table.labels, np.nan).astype(np.float64)

            def add(methods: tuple[str, ...], model: str, predicted: np.ndarray) -> None:
                series = (_as_scored(values, gold, scored) for values in (gold, predicted))  # noqa: B023 - this turn's
                statistics = SufficientStatistics.from_series(*series)
                for method in methods:
                    found.extend(result_rows(method, "attainable", model, client, statistics, dimensions))  # noqa: B023

            if "mean predictor" in methods:
                add(("mean predictor",), "", np.zeros_like(gold))
            add(knowing, "", apply_filter(config, table, filters[client]))
            for model in lenders:
                add(("local-only",), model, apply_filter(config, table, filters[model]))
        return found

    return rows


def _as_scored(values: np.ndarray, gold: np.ndarray, data: DataConfig) -> np.ndarray:
    """``[frames, dimension]``, or its means over each whole window's valid frames, ``[windows, dimension]``.

    As in training, a window with a smaller share of them than ``data.minimum_valid`` is not scored.
    """
    if data.target == "frame":
        return values
    window, hop = data.window, data.hop
    seen = np.where(np.isfinite(gold), values, np.nan)
    cut = np.lib.stride_tricks.sliding_window_view(seen, window, axis=0)[::hop]
    count = np.isfinite(cut).sum(axis=-1)
    return np.where(count >= data.least_valid, np.nansum(cut, axis=-1) / np.maximum(count, 1), np.nan)
