"""What privacy costs: CCC against epsilon on one cohort or several, with the best clipping norm of each noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from experiments.settings import packaged_config
from experiments.sweep import Point, SweepGrid, check_sweep_folder, points_of, run_points
from experiments.sweep_results import collect, guarantee_of
from tff_affect.cohort import Cohort
from tff_affect.config_file import load_config
from tff_affect.errors import InputError
from tff_affect.evaluation.tradeoff import clip_scores, fairness, summary
from tff_affect.models.parameters import count_parameters
from tff_affect.progress import Progress
from tff_affect.report.tradeoff import TradeoffText, write_tradeoff_tables
from tff_affect.report.tradeoff_plot import (
    clip_figure,
    fairness_figure,
    scaling_figure,
    tradeoff_figure,
    write_drawing,
)

SETTINGS = "dp_tradeoff.yaml"
_SHOWN_EPSILON = 4.0
_SWEPT = "the choice among the points of this study; each run's epsilon is its own, and releasing several adds up"


@dataclass(frozen=True)
class TradeoffRequest:
    """What is asked for.

    Attributes:
        cohorts: Folders of cohorts, of different sizes.
        grid: Points.
        config: YAML file of the settings that all points share; None for ``configs/dp_tradeoff.yaml``.
        overrides: Dotted settings.
    """

    cohorts: tuple[Path, ...]
    grid: SweepGrid
    config: Path | None = None
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class TradeoffOutcome:
    """What came out.

    Attributes:
        rows: Of `tff_affect.evaluation.tradeoff.summary`.
        scores: Of `tff_affect.evaluation.tradeoff.clip_scores`.
        falls: Of `tff_affect.evaluation.tradeoff.fairness`.
        text: What is said with them.
    """

    rows: pd.DataFrame
    scores: pd.DataFrame
    falls: pd.DataFrame
    text: TradeoffText


def run(folder: Path, request: TradeoffRequest, processes: int, progress: Progress) -> TradeoffOutcome:
    """Carries out what is not there yet, and writes tables and figures of all that was asked for.

    Raises:
        InputError: For anything wrong with cohorts, settings or folder.
    """
    check_sweep_folder(folder)
    cohorts = [Cohort.open(path) for path in request.cohorts]
    _check_sizes(cohorts)
    points = [point for cohort in cohorts for point in _points(folder, cohort, request)]
    run_points(points, processes, progress)
    runs, clients = collect(points)
    manifest = cohorts[0].manifest
    weights = count_parameters(points[0].config.model, len(manifest.features), len(manifest.labels))
    outcome = TradeoffOutcome(summary(runs, weights), clip_scores(runs), fairness(clients), _text(points))
    _write(folder, outcome)
    return outcome


def _text(points: Sequence[Point]) -> TradeoffText:
    """What the guarantees of all private points have in common."""
    found = [guarantee_of(point) for point in points if point.config.privacy.enabled]
    manifests = [point.cohort.manifest for point in points]
    outside = dict.fromkeys(item for guarantee in found for item in guarantee.outside)
    remarks = dict.fromkeys(item for guarantee in found for item in guarantee.remarks)
    return TradeoffText(
        cohort=", ".join(dict.fromkeys(manifest.name for manifest in manifests)),
        synthetic=any(manifest.synthetic for manifest in manifests),
        adjacency=found[0].adjacency,
        sampling="; ".join(dict.fromkeys(guarantee.sampling for guarantee in found)),
        trust=found[0].trust,
        remarks=(*remarks, f"Not covered by epsilon: {'; '.join((*outside, _SWEPT))}"),
    )


def _write(folder: Path, outcome: TradeoffOutcome) -> None:
    rows, text = outcome.rows, outcome.text
    write_tradeoff_tables(folder, rows, outcome.falls, text)
    write_drawing(folder, "tradeoff", tradeoff_figure(rows, text))
    write_drawing(folder, "clips", clip_figure(outcome.scores, text))
    shown = _nearest(rows, _SHOWN_EPSILON)
    falls = outcome.falls[outcome.falls["point"] == shown["point"]]
    write_drawing(folder, "fairness", fairness_figure(falls, text))
    if rows["subjects"].nunique() > 1:
        write_drawing(folder, "scaling", scaling_figure(rows, shown["epsilon"], text))


def _nearest(rows: pd.DataFrame, epsilon: float) -> pd.Series:
    """Of the largest cohort, the private point whose epsilon is next to the one asked for."""
    private = rows[rows["private"] & (rows["subjects"] == rows["subjects"].max())].reset_index(drop=True)
    return private.loc[(private["epsilon"] / epsilon).map(math.log).abs().idxmin()]


def _points(folder: Path, cohort: Cohort, request: TradeoffRequest) -> list[Point]:
    overrides = list(request.overrides)
    if request.config is not None:
        base = load_config(request.config, overrides, cohort.path)
    else:
        base = packaged_config(SETTINGS, cohort.path, overrides)
    return points_of(folder, cohort, base, request.grid)


def _check_sizes(cohorts: Sequence[Cohort]) -> None:
    """Raises `InputError` unless the cohorts can stand in one table, told apart by their size."""
    sizes = [len(cohort.subjects) for cohort in cohorts]
    if not cohorts or len(set(sizes)) != len(sizes):
        raise InputError(f"--cohort: expected at least one, and each of another size, found {sizes} subjects")
    columns = {(cohort.manifest.features, cohort.manifest.labels) for cohort in cohorts}
    if len(columns) != 1:
        raise InputError("--cohort: expected the same features and labels in all cohorts, found others")
