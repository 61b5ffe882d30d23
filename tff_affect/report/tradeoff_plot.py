"""The figures of a privacy trade-off study, as SVG and PNG; every title says SYNTHETIC where the cohort is.

Bands reach from the lowest to the highest seed. They show how far training differs, not how far clients do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tff_affect.atomic import replace_bytes, replace_text
from tff_affect.errors import InputError
from tff_affect.evaluation.tradeoff import MEAN, at_epsilon, attributes, dimensions
from tff_affect.report.svg import BLUE, GREEN, MUTED, ORANGE, SKY, canvas, to_png, to_svg
from tff_affect.report.tables import number
from tff_affect.report.tradeoff import TradeoffText, percent, significant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Drawing = tuple[str, bytes]
"""A figure as SVG and as PNG."""
_COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", SKY)
_MARKERS = "osD^vPX"
_BAND = 0.15
_LEAST_HEIGHT, _PANEL_HEIGHT = 1.3, 2.5


def write_drawing(folder: Path, name: str, drawing: Drawing) -> None:
    """Writes ``<name>.svg`` and ``<name>.png``.

    Raises:
        InputError: If the folder cannot be written to.
    """
    svg, png = drawing
    replace_text(folder / f"{name}.svg", svg + "\n")
    replace_bytes(folder / f"{name}.png", png)


def tradeoff_figure(rows: pd.DataFrame, text: TradeoffText) -> Drawing:
    """CCC per client against epsilon: a panel for each dimension, a colour for each number of subjects.

    Dashed: without privacy. Bands: lowest to highest seed. Clipping without noise, whose epsilon is infinite, stands as
    a hollow mark at the right edge; points with epsilon 0 are left out.

    Args:
        rows: Of `tff_affect.evaluation.tradeoff.summary`.
        text: Whether the cohort is generated, and its name.
    """
    names, edge = dimensions(rows), _right_edge(rows)
    with canvas("tradeoff", _LEAST_HEIGHT + _PANEL_HEIGHT * len(names), len(names)) as (figure, panels):
        for axes, name in zip(panels, names, strict=True):
            for place, (subjects, group) in enumerate(rows[rows["dimension"] == name].groupby("subjects")):
                _draw_size(axes, group, edge, place, f"{subjects:,} subjects")
            axes.set_title(name.capitalize(), fontsize=10, loc="left")
            axes.set(xscale="log", ylabel="CCC")
            axes.axhline(0, color=MUTED, linewidth=0.8)
        _logarithmic(panels[-1].xaxis, _finite(rows), "inf" if np.isinf(rows["epsilon"]).any() else "", edge)
        panels[-1].set_xlabel("epsilon (band: lowest to highest seed; dashed: without privacy)")
        _legend(figure, panels)
        return _both(figure, "tradeoff", "CCC per client against epsilon", _spoken(rows), text)


def _draw_size(axes: Axes, group: pd.DataFrame, edge: float, place: int, label: str) -> None:
    colour, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
    without = group[~group["private"]].iloc[0]
    axes.axhline(without["ccc_mean"], color=colour, linestyle="--", linewidth=1.2)
    axes.axhspan(without["ccc_mean_min"], without["ccc_mean_max"], color=colour, alpha=_BAND, linewidth=0)
    private = group[group["private"] & (group["epsilon"] > 0)].sort_values("epsilon")
    finite, endless = private[np.isfinite(private["epsilon"])], private[np.isinf(private["epsilon"])]
    _draw_band(axes, finite["epsilon"], finite, colour)
    axes.plot(finite["epsilon"], finite["ccc_mean"], marker=marker, color=colour, markersize=5, label=label)
    middle, low, high = endless[["ccc_mean", "ccc_mean_min", "ccc_mean_max"]].to_numpy(np.float64).T
    axes.errorbar(
        np.full(len(endless), edge), middle, yerr=np.stack([middle - low, high - middle]), fmt=marker, color=colour,
        markersize=6, markerfacecolor="none", capsize=2,
    )  # fmt: skip


def _draw_band(axes: Axes, places: pd.Series, rows: pd.DataFrame, colour: str) -> None:
    axes.fill_between(places, rows["ccc_mean_min"], rows["ccc_mean_max"], color=colour, alpha=_BAND, linewidth=0)


def clip_figure(scores: pd.DataFrame, text: TradeoffText) -> Drawing:
    """Development CCC by noise multiplier and clipping norm: a panel for each number of subjects, the best in a frame.

    Args:
        scores: Of `tff_affect.evaluation.tradeoff.clip_scores`.
        text: Whether the cohort is generated, and its name.
    """
    clips, sizes = sorted(set(scores["clipping_norm"])), sorted(set(scores["subjects"]))
    rows = sum(scores.loc[scores["subjects"] == size, "noise_multiplier"].nunique() for size in sizes)
    with canvas("clipping", 1.4 + 0.5 * len(sizes) + 0.34 * rows, len(sizes)) as (figure, panels):
        for axes, size in zip(panels, sizes, strict=True):
            _draw_grid(axes, scores[scores["subjects"] == size], clips)
            axes.set_title(f"{size:,} subjects", fontsize=10, loc="left")
        panels[-1].set_xticks(range(len(clips)), [significant(clip) for clip in clips])
        panels[-1].set_xlabel("clipping norm (frame: the best of its row)")
        spoken = "; ".join(
            f"{row['subjects']:,} subjects, noise multiplier {significant(row['noise_multiplier'])}: "
            f"{significant(row['clipping_norm'])} with CCC {number(row['development_ccc'])}"
            for _, row in scores[scores["best"]].iterrows()
        )
        title = "CCC on development clients, which choose the clip"
        return _both(figure, "clipping", title, f"Best clipping norms: {spoken}.", text)


def _draw_grid(axes: Axes, scores: pd.DataFrame, clips: list[float]) -> None:
    from matplotlib.patches import Rectangle

    noises = sorted(set(scores["noise_multiplier"]))
    table = scores.pivot(index="noise_multiplier", columns="clipping_norm", values="development_ccc")
    cells = table.reindex(index=noises, columns=clips).to_numpy(np.float64)
    brightest = max(float(np.nanmax(cells, initial=0.0)), 0.01)
    axes.pcolormesh(
        range(len(clips)), range(len(noises)), cells, cmap="cividis", vmin=0, vmax=brightest, shading="nearest"
    )
    for row, column in np.argwhere(np.isfinite(cells)):
        colour = "white" if cells[row, column] < brightest / 2 else "black"
        axes.text(column, row, f"{cells[row, column]:.2f}", ha="center", va="center", fontsize=9, color=colour)
    for _, best in scores[scores["best"]].iterrows():
        corner = clips.index(best["clipping_norm"]) - 0.5, noises.index(best["noise_multiplier"]) - 0.5
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=ORANGE, linewidth=2.4, clip_on=False, zorder=4))
    axes.set_yticks(range(len(noises)), [significant(noise) for noise in noises])
    axes.set_ylabel("noise")


def fairness_figure(falls: pd.DataFrame, text: TradeoffText, attribute: str | None = None) -> Drawing:
    """Each test client's CCC without and with privacy, a panel for each dimension; below the line it fell.

    Args:
        falls: Of `tff_affect.evaluation.tradeoff.fairness`, of one point.
        text: Whether the cohort is generated, and its name.
        attribute: Group attribute that gives the colours; None for one colour.

    Raises:
        InputError: If there is not one point, or no such attribute.
    """
    points = list(dict.fromkeys(falls["point"]))
    if len(points) != 1:
        raise InputError(f"expected clients of one point, found {', '.join(map(str, points)) or 'none'}; choose one")
    if attribute is not None and attribute not in attributes(falls):
        known = ", ".join(attributes(falls)) or "none"
        raise InputError(f"expected a group attribute of the cohort, found {attribute!r}; choose of: {known}")
    names, first = dimensions(falls), falls.iloc[0]
    ends = falls[["ccc_without", "ccc_with"]].to_numpy(np.float64)
    limits = float(ends.min()) - 0.05, float(ends.max()) + 0.05
    title = f"Test clients at epsilon {significant(first['epsilon'])}, {first['subjects']:,} subjects"
    with canvas("fairness", _LEAST_HEIGHT + 3.4 * len(names), len(names)) as (figure, panels):
        for axes, name in zip(panels, names, strict=True):
            _draw_clients(axes, falls[falls["dimension"] == name], attribute)
            axes.set(xlim=limits, ylim=limits)
            axes.set_title(name.capitalize(), fontsize=10, loc="left")
        panels[-1].set_xlabel("CCC without privacy (mean over seeds)")
        _legend(figure, panels)
        spoken = "; ".join(
            f"{row['dimension']}, client {row['client']}: {number(row['ccc_without'])} to {number(row['ccc_with'])}"
            for _, row in falls[falls["dimension"] != MEAN].iterrows()
        )
        return _both(figure, "fairness", title, f"CCC without and with privacy. {spoken}.", text)


def _draw_clients(axes: Axes, falls: pd.DataFrame, attribute: str | None) -> None:
    groups = falls.assign(group="test client" if attribute is None else falls[attribute].astype(str))
    for place, (group, rows) in enumerate(groups.groupby("group")):
        label = group if attribute is None else f"{attribute}: {group}"
        axes.scatter(
            rows["ccc_without"], rows["ccc_with"], color=_COLOURS[place % len(_COLOURS)], s=26, label=label,
            marker=_MARKERS[place % len(_MARKERS)], zorder=3,
        )  # fmt: skip
    axes.axline((0, 0), slope=1, color=MUTED, linewidth=1, label="no fall")
    axes.set_ylabel("CCC with privacy")


def scaling_figure(rows: pd.DataFrame, epsilon: float, text: TradeoffText) -> Drawing:
    """CCC per client against the number of subjects at about one epsilon, beside training without privacy.

    Args:
        rows: Of `tff_affect.evaluation.tradeoff.summary`.
        epsilon: The epsilon asked for; see `tff_affect.evaluation.tradeoff.at_epsilon`.
        text: Whether the cohort is generated, and its name.

    Raises:
        InputError: If no point has about this epsilon.
    """
    chosen, names = at_epsilon(rows, epsilon), dimensions(rows)
    without = rows[~rows["private"]]
    # What was reached differs a little between sizes, and is what the title has to say.
    reached = " to ".join(dict.fromkeys(map(significant, (chosen["epsilon"].min(), chosen["epsilon"].max()))))
    title = f"CCC per client by cohort size, epsilon {reached}"
    lines: tuple[tuple[pd.DataFrame, str, str, str, str], ...] = (
        (without, GREEN, "s", "--", "without privacy"),
        (chosen, BLUE, "o", "-", f"epsilon {reached}"),
    )
    with canvas("scaling", _LEAST_HEIGHT + _PANEL_HEIGHT * len(names), len(names)) as (figure, panels):
        for axes, name in zip(panels, names, strict=True):
            for found, colour, marker, style, label in lines:
                shown = found[found["dimension"] == name].sort_values("subjects")
                _draw_band(axes, shown["subjects"], shown, colour)
                axes.plot(
                    shown["subjects"], shown["ccc_mean"], color=colour, marker=marker, linestyle=style, label=label
                )
            axes.set_title(name.capitalize(), fontsize=10, loc="left")
            axes.set(xscale="log", ylabel="CCC")
            axes.axhline(0, color=MUTED, linewidth=0.8)
        panels[-1].set_xticks(sorted(set(rows["subjects"])))
        panels[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        panels[-1].xaxis.set_minor_formatter(lambda *_: "")
        panels[-1].set_xlabel("subjects of the cohort (band: lowest to highest seed)")
        _legend(figure, panels)
        return _both(figure, "scaling", title, _spoken(chosen), text)


def _finite(rows: pd.DataFrame) -> np.ndarray:
    found = rows.loc[rows["private"], "epsilon"].to_numpy(np.float64)
    return found[np.isfinite(found) & (found > 0)]


def _right_edge(rows: pd.DataFrame) -> float:
    """Where an infinite epsilon is drawn."""
    finite = _finite(rows)
    return float(finite.max() * max(2.0, (finite.max() / finite.min()) ** 0.2)) if len(finite) else 1.0


def _logarithmic(axis: Axis, finite: np.ndarray, last: str, edge: float) -> None:
    """Ticks at 1, 2 and 5 of each power of ten, or the powers alone where these are many; ``last`` at the edge."""
    ticks: list[float] = []
    if len(finite):
        low, high = math.floor(math.log10(finite.min())), math.ceil(math.log10(finite.max()))
        steps = (1, 2, 5) if high - low <= 2 else (1,)
        ticks = [step * 10.0**power for power in range(low, high + 1) for step in steps]
        ticks = [tick for tick in ticks if finite.min() / 2 < tick < (edge / 1.3 if last else finite.max() * 2)]
    labels = [f"{tick:,.10g}" for tick in ticks]
    axis.set_ticks([*ticks, edge] if last else ticks, [*labels, last] if last else labels)
    axis.set_minor_formatter(_unlabelled)


def _unlabelled(*_: Any) -> str:
    return ""


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    found: dict[str, Any] = {}
    for axes in panels:
        found |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=3)


def _spoken(rows: pd.DataFrame) -> str:
    """The figure in words: each private point beside training without privacy."""
    parts = [
        f"{row['subjects']:,} subjects, {row['dimension']}, epsilon {significant(row['epsilon'])}: CCC "
        f"{number(row['ccc_mean'])}, {percent(row['share'])} of {number(row['ccc_without'])} without privacy"
        for _, row in rows[rows["private"] & (rows["dimension"] != MEAN)].iterrows()
    ]
    return f"{'; '.join(parts)}."


def _both(figure: Figure, name: str, title: str, description: str, text: TradeoffText) -> Drawing:
    svg = to_svg(figure, name, f"{title}\n{text.cohort}", description, text.synthetic)
    return svg, to_png(figure)
