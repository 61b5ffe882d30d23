"""Figures as accessible, deterministic SVG for a page in light or dark.

Text stays text, ink takes the page's colour, and every identifier carries the plot's name, so that several plots can
stand in one document. The palette is Okabe and Ito's, distinguishable with colour vision deficiencies (Wong, Nature
Methods 8, 2011).
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, SKY = "#0072B2", "#D55E00", "#009E73", "#56B4E9"
INK, MUTED = "#202124", "#808488"
# Narrow, so that text is still readable where the figure is scaled to a phone's width.
WIDTH = 5.2
_TITLE_LETTERS = 58
_STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",
}


@contextmanager
def canvas(name: str, height: float, panels: int = 1) -> Iterator[tuple[Figure, list[Axes]]]:
    """Yields a figure with panels below each other; call `to_svg` inside the block.

    Args:
        name: The plot's name, the seed of its identifiers.
        height: In inches; the width is ``WIDTH``.
        panels: Number of panels; they share the horizontal axis.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    settings: Any = _STYLE | {"svg.hashsalt": name}
    with rc_context(settings):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure, list(figure.subplots(panels, 1, squeeze=False, sharex=True)[:, 0])


def to_svg(figure: Figure, name: str, title: str, description: str, synthetic: bool) -> str:
    """The figure as one ``<svg>`` element, the same bytes for the same figure.

    Args:
        figure: A figure of `canvas`.
        name: The plot's name: letters, digits and hyphens, unique on the page.
        title: Shown above the plot and read out.
        description: What the plot shows, read out instead of it.
        synthetic: Head and watermark the plot with SYNTHETIC.
    """
    if synthetic:
        title = f"SYNTHETIC data\n{title}"
        for axes in figure.axes:
            axes.text(
                0.5, 0.5, "SYNTHETIC", transform=axes.transAxes, ha="center", va="center", rotation=18, fontsize=30,
                color=MUTED, alpha=0.22, zorder=0,
            )  # fmt: skip
    lines = (line for part in title.split("\n") for line in textwrap.wrap(part, _TITLE_LETTERS))
    figure.suptitle("\n".join(lines), fontsize=11, fontweight="bold")
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    body = stream.getvalue()
    body = re.sub(r"<metadata>.*?</metadata>", "", body[body.index("<svg") :], flags=re.DOTALL)
    return _accessible(_own_identifiers(body, name), name, title, description).replace(INK.lower(), "currentColor")


def to_png(figure: Figure, dots_per_inch: int = 200, title: str | None = None) -> bytes:
    """The figure as a picture, the same bytes for the same figure.

    Args:
        figure: A figure of `canvas`.
        dots_per_inch: Of the picture.
        title: Kept in the file beside the picture; None for none.
    """
    stream = io.BytesIO()
    kept = {"Software": None} | ({} if title is None else {"Title": title})
    # On a page of its own colour a transparent image could not be read.
    figure.savefig(stream, format="png", dpi=dots_per_inch, facecolor="white", metadata=kept)
    return stream.getvalue()


def _own_identifiers(body: str, name: str) -> str:
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    return re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", body)


def _accessible(body: str, name: str, title: str, description: str) -> str:
    head, rest = body.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    head += f' role="img" aria-labelledby="{name}-title {name}-description"'
    spoken = escape(title.replace("\n", ": "))
    labels = f'<title id="{name}-title">{spoken}</title><desc id="{name}-description">{escape(description)}</desc>'
    return f"{head}>\n {labels}{rest.rstrip()}"
