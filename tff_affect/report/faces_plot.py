"""The figures of a study of the face anonymiser, as SVG and PNG; every title says SYNTHETIC where faces are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from tff_affect.report.faces import CONSTANT, UNCHANGED, FacesText, is_learned
from tff_affect.report.over_seeds import ends
from tff_affect.report.svg import BLUE, GREEN, INK, MUTED, ORANGE, SKY, canvas, to_png, to_svg
from tff_affect.report.tables import number
from tff_affect.report.tradeoff import significant
from tff_affect.report.tradeoff_plot import Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEARNED = ((BLUE, "o", "-"), (ORANGE, "s", "-"), (GREEN, "D", "-"), ("#CC79A7", "^", "-"))
_SIMPLE = ((SKY, "v", "--"), ("#E69F00", "P", "--"), (MUTED, "X", "--"))
_ENDS = ((UNCHANGED, "*", "unchanged: ceiling"), (CONSTANT, "p", "constant: floor"))
_JUDGES = (
    ("adversary_accuracy", "adversary_chance", "the adversary of the training", MUTED, "o", "--"),
    ("known_top1", "known_chance", "strongest fresh attacker, people it was trained on", ORANGE, "s", "-"),
    ("identity_top1", "identity_chance", "strongest fresh attacker, unseen people", BLUE, "D", "-"),
)
"""Measure, its chance, and how it is drawn."""
_LEAST_HEIGHT, _PANEL_HEIGHT = 2.0, 1.9


def frontier_plot(results: pd.DataFrame, rows: pd.DataFrame, text: FacesText) -> Drawing:
    """Identity of the strongest fresh attacker against emotion: top left is what is wanted.

    A line for each kind of transformation, over its strengths; light marks are seeds, and bars reach from the lowest to
    the highest.

    Args:
        results: A row for each transformation, strength and seed.
        rows: Their summary, of `tff_affect.report.faces.summarise`.
        text: Whether the faces are drawn, and their name.
    """
    with canvas("frontier", 5.4) as (figure, (axes,)):
        _chance_lines(axes, rows)
        for name, colour, marker, style in _styles(rows):
            seeds, means = (frame[frame["transformation"] == name] for frame in (results, rows))
            axes.scatter(seeds["identity_top1"], seeds["emotion_uar"], marker=marker, s=12, color=colour, alpha=0.3)
            _draw_line(axes, means, colour=colour, marker=marker, style=style)
        for name, marker, label in _ENDS:
            found = rows[rows["transformation"] == name]
            axes.scatter(found["identity_top1"], found["emotion_uar"], marker=marker, s=90, color=INK, label=label)
        axes.set(xlabel="people recognised: top-1 of the strongest fresh attacker", ylabel="emotion: UAR")
        axes.set(xlim=(-0.03, 1.05), ylim=(0, 1.05))
        figure.legend(loc="outside lower center", ncols=2)
        return _both(figure, "frontier", "Emotion kept against people recognised", _spoken(rows), text)


def _styles(rows: pd.DataFrame) -> Iterator[tuple[str, str, str, str]]:
    """Kind, colour, marker and line; the ceiling and the floor are drawn by themselves."""
    names = [name for name in dict.fromkeys(rows["transformation"]) if name not in (UNCHANGED, CONSTANT)]
    learned = [name for name in names if is_learned(name)]
    simple = [name for name in names if not is_learned(name)]
    for some, styles in ((learned, _LEARNED), (simple, _SIMPLE)):
        for place, name in enumerate(some):
            yield (name, *styles[place % len(styles)])


def _draw_line(axes: Axes, rows: pd.DataFrame, colour: str, marker: str, style: str) -> None:
    """Means with the ends of their seeds, each with its strength beside it."""
    places, heights = rows["identity_top1"].to_numpy(), rows["emotion_uar"].to_numpy()
    axes.errorbar(
        places, heights, xerr=ends(rows, "identity_top1"), yerr=ends(rows, "emotion_uar"), color=colour,
        marker=marker, linestyle=style, markersize=5, linewidth=1.4, elinewidth=0.7,
        label=rows["transformation"].iloc[0],
    )  # fmt: skip
    for place, height, strength in zip(places, heights, rows["strength"], strict=True):
        axes.annotate(
            significant(strength), (place, height), (3, 4), textcoords="offset points", fontsize=7, color=colour
        )


def _chance_lines(axes: Axes, rows: pd.DataFrame) -> None:
    axes.axvline(rows["identity_chance"].mean(), color=MUTED, linestyle=":", linewidth=1.2, label="guessing")
    axes.axhline(rows["emotion_chance"].mean(), color=MUTED, linestyle=":", linewidth=1.2)


def adversary_plot(rows: pd.DataFrame, text: FacesText) -> Drawing | None:
    """The adversary of the training beside fresh attackers, over the privacy weight: a panel for each objective.

    The adversary that a transformation was trained to defeat may be at chance where others are not. Dotted: what
    guessing gives to the one of that colour, who have different numbers of people to choose from.

    Args:
        rows: Of `tff_affect.report.faces.summarise`.
        text: Whether the faces are drawn, and their name.

    Returns:
        The figure, or None where nothing was trained.
    """
    trained = rows[rows["transformation"].map(is_learned) & (rows["strength"] > 0)]
    names = list(dict.fromkeys(trained["transformation"]))
    if not names:
        return None
    weights = sorted(set(trained["strength"]))
    with canvas("adversary", _LEAST_HEIGHT + _PANEL_HEIGHT * len(names), len(names)) as (figure, panels):
        for axes, name in zip(panels, names, strict=True):
            _draw_judges(axes, trained[trained["transformation"] == name], weights)
            axes.set_title(name, fontsize=10, loc="left")
            axes.set(ylim=(-0.03, 1.05), ylabel="images named")
        panels[-1].set_xticks(range(len(weights)), [significant(weight) for weight in weights])
        panels[-1].set_xlabel("privacy weight (bars: lowest to highest seed; dotted: guessing)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=1)
        title = "The adversary of the training beside fresh attackers"
        return _both(figure, "adversary", title, _judged(trained), text)


def _draw_judges(axes: Axes, rows: pd.DataFrame, weights: list[float]) -> None:
    places = [weights.index(strength) for strength in rows["strength"]]
    for measure, chance, label, colour, marker, style in _JUDGES:
        axes.errorbar(
            places, rows[measure].to_numpy(), yerr=ends(rows, measure), color=colour, marker=marker, linestyle=style,
            markersize=5, linewidth=1.4, capsize=2, label=label,
        )  # fmt: skip
        axes.axhline(rows[chance].mean(), color=colour, linestyle=":", linewidth=1)


def _spoken(rows: pd.DataFrame) -> str:
    """The frontier in words."""
    parts = [
        f"{row['transformation']} {significant(row['strength'])}: emotion UAR {number(row['emotion_uar'])}, top-1 "
        f"{number(row['identity_top1'])}"
        for _, row in rows.iterrows()
    ]
    first = rows.iloc[0]
    chance = f"guessing: {number(first['emotion_chance'])} and {number(first['identity_chance'])}"
    return f"{'; '.join(parts)}; {chance}."


def _judged(rows: pd.DataFrame) -> str:
    """The judges in words."""
    parts = []
    for _, row in rows.iterrows():
        found = (f"{label} {number(row[measure])}" for measure, _, label, *_ in _JUDGES if not math.isnan(row[measure]))
        parts.append(f"{row['transformation']}, privacy weight {significant(row['strength'])}: {', '.join(found)}")
    return f"{'; '.join(parts)}."


def _both(figure: Figure, name: str, title: str, description: str, text: FacesText) -> Drawing:
    svg = to_svg(figure, name, f"{title}\n{text.plain_name}", description, text.synthetic)
    return svg, to_png(figure)
