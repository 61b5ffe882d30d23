"""Before and after personalisation, a line for each client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tff_affect.evaluation.personalised import client_gains
from tff_affect.evaluation.statistics import ROUNDING
from tff_affect.report.svg import BLUE, INK, MUTED, ORANGE, canvas, to_svg

_WIDTH = 0.62


def slopes_plot(frame: pd.DataFrame, settings: Mapping[str, Any]) -> str | None:
    """CCC of each test client before and after each way, averaged over seeds: who gains solid, who loses dashed.

    Args:
        frame: As of `tff_affect.evaluation.personalised.read_personalised`.
        settings: As ``settings.json`` of a personalisation holds them.

    Returns:
        The SVG, a panel for each dimension; None where there is nothing to draw.
    """
    if frame.empty:
        return None
    means = client_gains(frame)
    dimensions, ways = list(means["dimension"].unique()), list(means["way"].unique())
    said = []
    with canvas("personalised", 1.1 + 2.3 * len(dimensions), len(dimensions)) as (figure, panels):
        for axes, dimension in zip(panels, dimensions, strict=True):
            for place, way in enumerate(ways):
                own = means[(means["dimension"] == dimension) & (means["way"] == way)]
                said.append(f"{dimension}, {way}: {_slopes(axes, place, own)}")
            axes.axhline(0, color=MUTED, linewidth=0.8)
            axes.set(ylabel=f"CCC of {dimension}")
        panels[-1].set_xticks(np.arange(len(ways)) + _WIDTH / 2, ways, rotation=20)
        for color, style, width, label in (
            (BLUE, "-", 1.0, "gains"), (ORANGE, "--", 1.0, "loses"), (INK, "-", 2.6, "mean of clients"),
        ):  # fmt: skip
            panels[0].plot([], [], color=color, linestyle=style, linewidth=width, label=label)
        figure.legend(loc="outside lower center", ncols=3)
        title = "Each test client, before (left) and after (right) personalisation"
        text = "; ".join(said) + "."
        return to_svg(figure, "personalised", title, text, bool(settings["synthetic"]))


def _slopes(axes: Any, place: int, own: pd.DataFrame) -> str:
    ends = place, place + _WIDTH
    for before, after in own[["before", "after"]].to_numpy(np.float64):
        loses = after - before < -ROUNDING
        color, style = (ORANGE, "--") if loses else (BLUE, "-")
        axes.plot(ends, (before, after), color=color, linestyle=style, linewidth=0.9, alpha=0.75)
    means = own["before"].mean(), own["after"].mean()
    axes.plot(ends, means, color=INK, linewidth=2.6, marker="o", markersize=4)
    losers = int((own["gain"] < -ROUNDING).sum())
    return f"mean from {means[0]:.3f} to {means[1]:.3f}, {losers} of {len(own)} clients lose"
