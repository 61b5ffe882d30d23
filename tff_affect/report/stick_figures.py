"""Strips of stick figures, as SVG and PNG: gait cycles from the side, for people to look at.

Of real people such a picture shows how they walk, which identifies them: it is drawn only where somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tff_affect.errors import InputError
from tff_affect.gait_set import GaitSet
from tff_affect.report.svg import BLUE, INK, ORANGE, canvas, to_png, to_svg
from tff_affect.report.tradeoff_plot import Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW_HEIGHT, _LEAST_HEIGHT = 1.15, 1.0
_GAP = 1.1
_MIDDLE = "_middle"
_COLOURS = {"left": BLUE, _MIDDLE: INK, "right": ORANGE}
_VIEWS = {"side": 0, "front": 1}


def stick_figures(
    rows: Mapping[str, np.ndarray], gaits: GaitSet, title: str, figures: int = 9, view: str = "side"
) -> Drawing:
    """A row of figures for each cycle, at equal steps of it; left limbs are blue, right ones orange.

    Args:
        rows: What stands above a row -> ``[time, joint, 3]`` metres, z up: a cycle of the set, a mean of several, or
            what a model makes of one.
        gaits: The set, whose joints and bones they have; where it is made up, the picture says SYNTHETIC.
        title: Above the picture.
        figures: How many in a row.
        view: ``side``: who walks along x walks to the right; ``front``: who walks along x walks out of the picture.

    Returns:
        The figure as SVG and as PNG, the same bytes for the same figure.

    Raises:
        InputError: If there is no row, one has not the set's joints, or there is no such view.
    """
    if view not in _VIEWS:
        raise InputError(f"stick figures: expected a view of {', '.join(_VIEWS)}, found {view!r}")
    shape = (len(gaits.joints), 3)
    wrong = [name for name, motion in rows.items() if motion.ndim != 3 or motion.shape[1:] != shape or not len(motion)]
    if wrong or not rows or figures < 1:
        found = f"{list(rows[wrong[0]].shape)} of {wrong[0]!r}" if wrong else f"{len(rows)} rows of {figures} figures"
        raise InputError(f"stick figures: expected rows [time, {len(gaits.joints)} joints, 3], found {found}")
    shown = {name: _shown(motion, figures, _VIEWS[view]) for name, motion in rows.items()}
    step = _GAP * max(float(np.ptp(points[:, :, 0])) for points in shown.values())
    with canvas("figures", _LEAST_HEIGHT + _ROW_HEIGHT * len(rows), len(rows)) as (figure, panels):
        for axes, (name, points) in zip(panels, shown.items(), strict=True):
            _draw_row(axes, points, gaits, step)
            axes.set_title(name, fontsize=10, loc="left")
        handles = [line for line in panels[0].lines if not str(line.get_label()).startswith("_")]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
        svg = to_svg(figure, "figures", title, _spoken(list(rows), figures, view), gaits.synthetic)
        return svg, to_png(figure)


def _shown(motion: np.ndarray, figures: int, view: int) -> np.ndarray:
    """``[figure, joint, 2]``, each figure's middle at 0 across the picture."""
    times = np.floor(np.arange(figures) * len(motion) / figures).astype(int)
    across = motion[times, :, view]
    middle = (across.min(axis=1, keepdims=True) + across.max(axis=1, keepdims=True)) / 2
    return np.stack([across - middle, motion[times, :, 2]], axis=2)


def _draw_row(axes: Axes, points: np.ndarray, gaits: GaitSet, step: float) -> None:
    placed = points + np.array([step, 0]) * np.arange(len(points))[:, np.newaxis, np.newaxis]
    # The right limbs lie over the left ones, as seen from the right.
    for label, colour in _COLOURS.items():
        bones = [bone for bone in gaits.bones if _side(bone, gaits) == label]
        axes.plot(*_broken_line(placed, bones), color=colour, linewidth=1.5, label=label)
    if "Head" in gaits.joints:
        axes.plot(*placed[:, gaits.joints.index("Head")].T, "o", color=INK, markersize=4, label="_head")
    axes.set_aspect("equal")
    axes.set_axis_off()


def _broken_line(points: np.ndarray, bones: list[tuple[int, int]]) -> np.ndarray:
    """``[2, point]`` of one line through all bones of all figures, with NaN where it breaks."""
    ends = points[:, np.array(bones, dtype=int).reshape(-1, 2)].reshape(-1, 2, 2)
    return np.concatenate([ends, np.full((len(ends), 1, 2), np.nan)], axis=1).reshape(-1, 2).T


def _side(bone: tuple[int, int], gaits: GaitSet) -> str:
    """A key of the colours; of a bone to the middle, the side of its other end."""
    names = [gaits.joints[joint] for joint in bone]
    sides = {"L": "left", "R": "right"}
    return next((sides[name[0]] for name in names if name[0] in sides and name[1:2].isupper()), _MIDDLE)


def _spoken(rows: list[str], figures: int, view: str) -> str:
    return f"{figures} stick figures over one gait cycle, from the {view}, in each row: {'; '.join(rows)}."
