"""The four plots of a report, one dimension each, as SVG: over rounds, per client, paired, and over time.

They are about federated training without privacy; where a study has none, about the private one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED
from tff_affect.evaluation.comparison import compare_methods, comparison_text
from tff_affect.report.figure_data import (
    MEAN_OF_CLIENTS,
    POOLED,
    of_test_clients,
    over_rounds,
    paired_with_local,
    thinned,
)
from tff_affect.report.study import Trace, leading_method
from tff_affect.report.svg import BLUE, GREEN, INK, MUTED, ORANGE, SKY, canvas, to_svg

LABELLED_CLIENTS = 60
MOST_DRAWN = 200
"""Clients that a plot draws; of more, so many at equal distances in their order."""
_OTHERS = (
    ("centralised", "s", GREEN),
    ("local-only", "^", ORANGE),
    (PRIVATE_CENTRALISED, "v", MUTED),
    (PRIVATE_FEDERATED, "D", INK),
)


def _name(plot: str, dimension: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{plot}-{dimension}").strip("-")


def rounds_plot(
    per_client: pd.DataFrame, rounds: pd.DataFrame, dimension: str, synthetic: bool, method: str = "federated"
) -> str | None:
    """CCC of each client over rounds (thin), their mean (thick) and, where known, the pooled CCC (dashed).

    Development clients, averaged over seeds and folds. Runs stop early at different rounds, so mean and pooled CCC end
    at the last round that all runs reached; clients' lines go on with the runs that do.

    Args:
        per_client: As `tff_affect.report.study.Study` holds it.
        rounds: Likewise.
        dimension: The dimension to show.
        synthetic: Whether the cohort is generated.
        method: The federated training to show.

    Returns:
        The SVG, or None where no development client was evaluated.
    """
    from matplotlib.ticker import MaxNLocator

    frame = over_rounds(per_client, rounds, dimension, method)
    if frame.empty:
        return None
    series = {str(name): part.set_index("round")["ccc"] for name, part in frame.groupby("series", sort=False)}
    mean, pooled = series.pop(MEAN_OF_CLIENTS), series.pop(POOLED, None)
    runs = per_client.query("method == @method and partition == 'development'")[["seed", "fold"]].drop_duplicates()
    of_method = "" if method == "federated" else f", {method}"
    name = _name("rounds", dimension + of_method)
    # A single point has no line, so it needs a marker.
    marker = "o" if frame["round"].nunique() == 1 else None
    with canvas(name, 3.6) as (figure, (axes,)):
        for line in _some(list(series.values())):
            axes.plot(line.index, line, color=SKY, linewidth=0.8, alpha=0.7, marker=marker)
        axes.plot([], [], color=SKY, label="each client")
        axes.plot(mean.index, mean, color=BLUE, linewidth=2.6, label=MEAN_OF_CLIENTS, marker=marker)
        if pooled is not None:
            axes.plot(pooled.index, pooled, color=ORANGE, linewidth=2, linestyle="--", label=POOLED, marker=marker)
        axes.set(xlabel="round", ylabel="CCC")
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside lower center", ncols=3)
        title = f"{dimension.capitalize()}: development clients over rounds{of_method}"
        end = f"their mean ends at {mean.iloc[-1]:.3f}, round {mean.index[-1]}"
        end += f", the last that all {len(runs)} runs reached." if len(runs) > 1 else "."
        return to_svg(figure, name, title, f"CCC of {len(series)} development clients; {end}", synthetic)


def clients_plot(results: pd.DataFrame, dimension: str, synthetic: bool) -> str | None:
    """CCC of each test client, sorted: federated, with its range over seeds where there are several, beside the others.

    The band is the 95 % bootstrap interval of the federated mean over clients. Federated with privacy is beside it too,
    or in its place where it is the only one.

    Returns:
        The SVG, or None where there is no federated result.
    """
    frame, leading = of_test_clients(results, dimension), leading_method(results)
    if frame.empty:
        return None
    low, high = frame[["mean_low", "mean_high"]].iloc[0]
    federated, text = frame[leading], _extremes(frame, leading)
    frame = frame.iloc[_some(range(len(frame)))].reset_index(drop=True)
    places = np.arange(len(frame))
    name = _name("clients", dimension)
    with canvas(name, 1.8 + 0.19 * min(len(frame), LABELLED_CLIENTS)) as (figure, (axes,)):
        if np.isfinite(low):
            axes.axvspan(low, high, color=BLUE, alpha=0.14, linewidth=0, label="95 % interval of the mean")
        axes.axvline(0, color=MUTED, linewidth=0.8)
        for method, marker, colour in (other for other in _OTHERS if other[0] != leading):
            if method in frame.columns and frame[method].notna().any():
                axes.scatter(
                    frame[method], places, marker=marker, s=22, facecolors="none", edgecolors=colour, label=method
                )
        if results["seed"].nunique() > 1:
            axes.hlines(
                places, frame["lowest_seed"], frame["highest_seed"], color=BLUE, linewidth=1.6,
                label="range over seeds",
            )  # fmt: skip
        axes.scatter(frame[leading], places, color=BLUE, s=26, zorder=3, label=leading)
        axes.set(xlabel="CCC", ylim=(-0.8, len(frame) - 0.2))
        labelled = len(federated) <= LABELLED_CLIENTS
        axes.set_yticks(places if labelled else [], list(frame["client"]) if labelled else [], fontsize=8)
        figure.legend(loc="outside lower center", ncols=2)
        return to_svg(figure, name, f"{dimension.capitalize()}: CCC per test client", text, synthetic)


def _extremes(frame: pd.DataFrame, leading: str) -> str:
    """The figure in words: the worst client, the best and the mean."""
    worst, best = frame.iloc[0], frame.iloc[-1]
    return (
        f"{len(frame)} test clients; {leading} CCC from {worst[leading]:.3f} ({worst['client']}) to "
        f"{best[leading]:.3f} ({best['client']}), mean {frame[leading].mean():.3f}."
    )


def slopes_plot(results: pd.DataFrame, dimension: str, synthetic: bool) -> str | None:
    """Each test client from local-only to federated, with the p-value of the paired Wilcoxon test.

    Returns:
        The SVG, or None where one of the two methods is missing.
    """
    leading = leading_method(results)
    pairs = paired_with_local(results, dimension)
    test = compare_methods(results, dimension, leading, "local-only")
    if pairs.empty or test is None:
        return None
    pairs = pairs[["local-only", leading]]
    gained = pairs[leading] > pairs["local-only"]
    name = _name("slopes", dimension)
    with canvas(name, 3.8) as (figure, (axes,)):
        for better, colour, style in ((True, BLUE, "-"), (False, ORANGE, "--")):
            chosen = pairs[gained == better].to_numpy()
            label = f"{f'{leading} higher' if better else 'not higher'}: {len(chosen)}"
            axes.plot(
                [0, 1],
                chosen[_some(range(len(chosen)))].T,
                color=colour,
                linestyle=style,
                marker="o",
                markersize=4,
                linewidth=1,
                alpha=0.75,
            )
            axes.plot([], [], color=colour, linestyle=style, marker="o", markersize=4, label=label)
        axes.plot([0, 1], pairs.median(), color=INK, linewidth=3, label="median")
        axes.set_xticks([0, 1], ["local-only", leading])
        axes.set(ylabel="CCC", xlim=(-0.25, 1.25))
        text = comparison_text(test)
        axes.set_title(text.replace(", ", "\n"), fontsize=9)
        figure.legend(loc="outside lower center", ncols=3)
        title = f"{dimension.capitalize()}: local-only to {leading}"
        return to_svg(figure, name, title, f"{leading[:1].upper()}{leading[1:]} minus local-only: {text}.", synthetic)


def traces_plot(traces: Sequence[Trace], dimension: str, time_unit: str, synthetic: bool) -> str | None:
    """Gold standard and prediction over time for the best, median and worst test client.

    Args:
        traces: As `tff_affect.report.study.traces` gives them.
        dimension: The dimension they show.
        time_unit: ``second`` or ``step``, for the axis.
        synthetic: Whether the cohort is generated.

    Returns:
        The SVG, or None where no predictions were kept.
    """
    if not traces:
        return None
    name = _name("traces", dimension)
    with canvas(name, 1.0 + 1.7 * len(traces), len(traces)) as (figure, panels):
        for axes, trace in zip(panels, traces, strict=True):
            frame = thinned(trace.frame)
            gold, predicted = "gold standard", "prediction"
            if trace is not traces[0]:
                gold = predicted = "_repeated"
            axes.plot(frame["time"], frame["gold"], color=INK, linewidth=1.4, label=gold)
            axes.plot(frame["time"], frame["predicted"], color=ORANGE, linewidth=1.4, linestyle="--", label=predicted)
            axes.set_title(f"{trace.place}: {trace.client}, CCC {trace.ccc:.3f}", fontsize=10, loc="left")
            axes.set_ylabel(dimension)
        panels[-1].set_xlabel(f"time ({time_unit}s)")
        figure.legend(loc="outside lower center", ncols=2)
        text = "; ".join(f"{trace.place}: {trace.client}, CCC {trace.ccc:.3f}" for trace in traces)
        return to_svg(figure, name, f"{dimension.capitalize()}: gold standard and prediction", f"{text}.", synthetic)


def _some(entries: Sequence[Any]) -> list[Any]:
    """All entries, or ``MOST_DRAWN`` of them at equal distances, the first and the last among them."""
    if len(entries) <= MOST_DRAWN:
        return list(entries)
    return [entries[place] for place in np.linspace(0, len(entries) - 1, MOST_DRAWN).round().astype(int)]
