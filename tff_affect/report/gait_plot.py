"""The figures of a study of gaits, as SVG and PNG; every title says SYNTHETIC where walkers are drawn.

Names stand above what they name and not beside it: on a phone there is no room beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tff_affect.report.gait import GaitResults, GaitText, summarise
from tff_affect.report.over_seeds import Row, numbers
from tff_affect.report.svg import BLUE, GREEN, INK, MUTED, ORANGE, canvas, to_png, to_svg
from tff_affect.report.tables import number
from tff_affect.report.tradeoff_plot import Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KINDS = ((False, "network", BLUE, "o"), (True, "shallow learner", ORANGE, "s"))
_NAMED = (
    ("top1", "one cycle: top 1 of the strongest attacker", BLUE, "o", -0.1),
    ("together", "all held-out cycles of a person together", GREEN, "D", 0.14),
)
"""Measure, label, how it is drawn, and where in its row."""
_HEAD, _ROW = 1.7, 0.44


def emotion_plot(found: GaitResults, text: GaitText) -> Drawing | None:
    """How well emotion is read in people left out: a row for each method, the best on top.

    Lines are the bootstrap interval over people, the mean of the seeds' ends; light marks are seeds.

    Args:
        found: What the study found.
        text: Whether walkers are drawn, and their name.

    Returns:
        The figure, or None where emotion was not read.
    """
    rows = summarise(found)["emotion"]
    if not rows:
        return None
    with canvas("emotion", _HEAD + _ROW * len(rows)) as (figure, (axes,)):
        for shallow, label, colour, marker in _KINDS:
            places = [place for place, row in enumerate(rows) if row["shallow"] == shallow]
            _draw_methods(axes, rows, places, label=label, colour=colour, marker=marker)
            for place in places:
                seeds = _of(found.emotion, "method", rows[place]["method"], "accuracy")
                axes.scatter(seeds, np.full(len(seeds), place), marker=marker, s=12, color=colour, alpha=0.3)
        _name_rows(axes, [row["method"] for row in rows], [number(row["accuracy"]) for row in rows])
        _row_lines(axes, rows, "chance", "guessing", color=MUTED, linestyle=":")
        axes.set(xlim=(-0.02, 1.02), xlabel="emotion of people left out: share of cycles read right")
        figure.legend(loc="outside lower center", ncols=3)
        return _both(figure, "emotion", "Emotion read in people left out", _spoken_emotion(rows), text)


def _draw_methods(axes: Axes, rows: Sequence[Row], places: Sequence[int], label: str, colour: str, marker: str) -> None:
    if not places:
        return
    shown = [rows[place] for place in places]
    axes.hlines(
        places, [row["interval_low"] for row in shown], [row["interval_high"] for row in shown], color=colour,
        linewidth=1.6,
    )  # fmt: skip
    axes.scatter([row["accuracy"] for row in shown], places, marker=marker, s=38, color=colour, zorder=3, label=label)


def identity_plot(found: GaitResults, text: GaitText) -> Drawing | None:
    """What gaits of strangers give away of who walks: a row for each representation of them.

    Large marks are means over seeds, light ones seeds; dashed is what luck gives the strongest attacker of one cycle.

    Args:
        found: What the study found.
        text: Whether walkers are drawn, and their name.

    Returns:
        The figure, or None where nothing was attacked.
    """
    rows = summarise(found)["identity"]
    if not rows:
        return None
    with canvas("identity", _HEAD + 0.3 + _ROW * len(rows)) as (figure, (axes,)):
        places = np.arange(len(rows))
        for measure, label, colour, marker, below in _NAMED:
            for place, row in enumerate(rows):
                seeds = _of(found.identity, "seen", row["seen"], measure)
                axes.scatter(seeds, np.full(len(seeds), place + below), marker=marker, s=12, color=colour, alpha=0.3)
            means = [row[measure] for row in rows]
            axes.scatter(means, places + below, marker=marker, s=38, color=colour, zorder=3, label=label)
        _row_lines(axes, rows, "luck", "luck, of one cycle", color=INK, linestyle="--")
        names = [f"{number(row['top1'])}, together {number(row['together'])}" for row in rows]
        _name_rows(axes, [row["seen"] for row in rows], names)
        _row_lines(axes, rows, "chance", "guessing", color=MUTED, linestyle=":")
        axes.set(xlim=(-0.02, 1.02), xlabel="strangers: share named by fresh attackers")
        figure.legend(loc="outside lower center", ncols=2)
        title = "What gaits give away of who walks"
        return _both(figure, "identity", title, _spoken_identity(rows), text)


def _of(table: pd.DataFrame, column: str, name: str, measure: str) -> np.ndarray:
    """``[seed]`` of what is so named."""
    return numbers(table[table[column] == name], measure)


def _mean(rows: Sequence[Row], measure: str) -> float:
    return float(np.mean([row[measure] for row in rows]))


def _row_lines(axes: Axes, rows: Sequence[Row], measure: str, label: str, **style: Any) -> None:
    """An upright line in each row, which leaves its name alone."""
    places = np.arange(len(rows))
    axes.vlines([row[measure] for row in rows], places - 0.2, places + 0.25, linewidth=1.2, label=label, **style)


def _name_rows(axes: Axes, names: Sequence[str], values: Sequence[str]) -> None:
    """Each row's name above it on the left, its value on the right."""
    across = axes.get_yaxis_transform()
    for place, named in enumerate(zip(names, values, strict=True)):
        for at, said, side in zip((0.0, 1.0), named, ("left", "right"), strict=True):
            written = axes.text(at, place - 0.33, said, transform=across, ha=side, va="center", fontsize=8, zorder=4)
            # Fonts differ; what is a little too wide must not shrink the axes.
            written.set_in_layout(False)
    axes.set_ylim(len(names) - 0.5, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _spoken_emotion(rows: Sequence[Row]) -> str:
    parts = [
        f"{row['method']}: {number(row['accuracy'])}, interval {number(row['interval_low'])} to "
        f"{number(row['interval_high'])}"
        for row in rows
    ]
    return f"{'; '.join(parts)}; guessing: {number(_mean(rows, 'chance'))}."


def _spoken_identity(rows: Sequence[Row]) -> str:
    parts = [
        f"{row['seen']}: one cycle {number(row['top1'])} (luck: {number(row['luck'])}), all together "
        f"{number(row['together'])}"
        for row in rows
    ]
    return f"{'; '.join(parts)}; guessing: {number(_mean(rows, 'chance'))}."


def _both(figure: Figure, name: str, title: str, description: str, text: GaitText) -> Drawing:
    return to_svg(figure, name, f"{title}\n{text.plain_name}", description, text.synthetic), to_png(figure)
