"""Which joints, at which phases of the gait cycle, speak for each emotion: heat maps and figures, as SVG and PNG.

Colours are the same for all emotions: 1 is what a joint would have at a phase if all mattered alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tff_affect.errors import InputError
from tff_affect.gait.explanation import HeatMaps
from tff_affect.gait_set import GaitSet
from tff_affect.report.svg import MUTED, canvas, to_png, to_svg
from tff_affect.report.tradeoff_plot import Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

_COLOURS = "cividis"
_LABEL = "importance (1: all matter alike)"
_ROW_HEIGHT, _PANEL_HEIGHT, _LEAST_HEIGHT = 0.13, 0.35, 1.6
_FIGURE_HEIGHT, _LARGEST, _STEP = 2.1, 150.0, 1.15
_VIEWS = {"side": 0, "front": 1}


def heat_map(maps: HeatMaps, title: str, synthetic: bool) -> Drawing:
    """A panel for each emotion: joints below each other, the gait cycle from left to right.

    Args:
        maps: What is shown; an emotion without a map is an empty panel.
        title: Above the picture.
        synthetic: Whether walkers are made up; the title then starts with SYNTHETIC.

    Returns:
        The figure as SVG and as PNG, the same bytes for the same figure.

    Raises:
        InputError: If no emotion has a map.
    """
    _check(maps)
    relative = maps.maps * maps.maps[0].size
    height = _LEAST_HEIGHT + len(maps.emotions) * (_PANEL_HEIGHT + _ROW_HEIGHT * len(maps.joints))
    with canvas("heat-map", height, len(maps.emotions)) as (figure, panels):
        for axes, emotion, cells, count in zip(panels, maps.emotions, relative, maps.cycles, strict=True):
            image = axes.imshow(
                cells.T, cmap=_COLOURS, vmin=0, vmax=np.nanmax(relative), aspect="auto", interpolation="nearest",
                extent=(0, 100, len(maps.joints) - 0.5, -0.5),
            )  # fmt: skip
            axes.set_yticks(range(len(maps.joints)), maps.joints, fontsize=7)
            axes.set_title(f"{emotion}, {count} cycles", fontsize=10, loc="left")
        panels[-1].set_xlabel("percent of the gait cycle")
        _colour_bar(panels[-1], image, -0.34)
        svg = to_svg(figure, "heat-map", title, _spoken(maps), synthetic)
        return svg, to_png(figure)


def importance_figures(maps: HeatMaps, gaits: GaitSet, title: str) -> Drawing:
    """A figure for each emotion, from the side and from the front, with joints as large as they are important.

    It stands as its people do on average at the phase that matters most.

    Args:
        maps: What is shown; emotions without a map are left out.
        gaits: Walks with these emotions, whose mean is drawn; where they are made up, the picture says SYNTHETIC.
        title: Above the picture.

    Returns:
        The figure as SVG and as PNG, the same bytes for the same figure.

    Raises:
        InputError: If no emotion has a map, joints differ, or nobody walks with an emotion.
    """
    _check(maps)
    if gaits.joints != maps.joints or not set(maps.emotions) <= set(gaits.emotions):
        raise InputError("heat maps: expected walks of the same joints with all emotions, found others")
    shown = [number for number, count in enumerate(maps.cycles) if count]
    relative = maps.emotion_joint_importance[shown] * len(maps.joints)
    phases = maps.maps[shown].sum(axis=2).argmax(axis=1)
    emotions = [maps.emotions[number] for number in shown]
    postures = [
        _posture(gaits, emotion, (phase + 0.5) / len(maps.phases))
        for emotion, phase in zip(emotions, phases, strict=True)
    ]
    with canvas("importance", _LEAST_HEIGHT + _FIGURE_HEIGHT * len(_VIEWS), len(_VIEWS)) as (figure, panels):
        for axes, (view, axis) in zip(panels, _VIEWS.items(), strict=True):
            image = _draw_postures(axes, [posture[:, [axis, 2]] for posture in postures], relative, gaits)
            axes.set_title(f"from the {view}", fontsize=10, loc="left")
        floor = panels[-1].get_ylim()[0]
        for place, (emotion, phase) in enumerate(zip(emotions, phases, strict=True)):
            label = f"{emotion}\nat {100 * maps.phases[phase]:.0f} %"
            panels[-1].text(place * _STEP, floor, label, ha="center", va="top", fontsize=9)
        _colour_bar(panels[-1], image, -0.3)
        svg = to_svg(figure, "importance", title, _spoken(maps), gaits.synthetic)
        return svg, to_png(figure)


def _check(maps: HeatMaps) -> None:
    if not any(maps.cycles):
        raise InputError("heat maps: expected a map of at least one emotion, found none")


def _posture(gaits: GaitSet, emotion: str, phase: float) -> np.ndarray:
    """``[joint, 3]`` metres, the mean over people."""
    walks = gaits.part(np.array(gaits.emotions) == emotion)
    sample = int(phase * walks.motions.shape[1])
    return np.mean([walks.motions[walks.person == number, sample].mean(axis=0) for number in set(walks.person)], axis=0)


def _draw_postures(axes: Axes, postures: list[np.ndarray], importance: np.ndarray, gaits: GaitSet) -> ScalarMappable:
    placed = np.array(postures)
    placed[:, :, 0] -= (placed[:, :, 0].min(axis=1, keepdims=True) + placed[:, :, 0].max(axis=1, keepdims=True)) / 2
    placed[:, :, 0] += _STEP * np.arange(len(placed))[:, np.newaxis]
    for points in placed:
        for bone in gaits.bones:
            axes.plot(*points[list(bone)].T, color=MUTED, alpha=0.5, linewidth=1.2, zorder=1)
    largest = importance.max()
    across, up = placed.reshape(-1, 2).T
    drawn = axes.scatter(
        across, up, s=_LARGEST * importance.ravel() / largest, c=importance.ravel(), cmap=_COLOURS, vmin=0,
        vmax=largest, edgecolors=MUTED, linewidths=0.5, zorder=3,
    )  # fmt: skip
    axes.set_aspect("equal")
    axes.set_xlim(-0.5 * _STEP, (len(placed) - 0.5) * _STEP)
    axes.margins(y=0.05)
    axes.set_axis_off()
    return drawn


def _colour_bar(axes: Axes, drawn: ScalarMappable, below: float) -> None:
    # As an inset it is no panel, which would be marked as SYNTHETIC.
    inside = axes.inset_axes((0, below, 1, 0.06))
    axes.figure.colorbar(drawn, cax=inside, orientation="horizontal", label=_LABEL)


def _spoken(maps: HeatMaps) -> str:
    """The three joints that matter most for each emotion, and when."""
    parts = []
    for emotion, cells, shares, count in zip(
        maps.emotions, maps.maps, maps.emotion_joint_importance, maps.cycles, strict=True
    ):
        if count:
            best = np.argsort(-shares, kind="stable")[:3]
            named = ", ".join(f"{maps.joints[joint]} {100 * shares[joint]:.0f} %" for joint in best)
            phase = 100 * maps.phases[cells.sum(axis=1).argmax()]
            parts.append(f"{emotion}: {named}; most at {phase:.0f} % of the cycle")
        else:
            parts.append(f"{emotion}: no map")
    return f"Importance of joints over the gait cycle. {'. '.join(parts)}."
