"""Heat map of a source's quality: subjects x time, the share of time in which a face was tracked; PNG, or an HTML page.

Shares are drawn in five classes, dark where there is no face, in one hue of falling lightness, so that they can be told
apart with any colour vision and on a grey print. After a recording's end the map is hatched: nothing is missing there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tff_affect.atomic import replace_bytes, replace_text
from tff_affect.errors import InputError
from tff_affect.report.page import inline, render
from tff_affect.report.svg import MUTED, canvas, to_png, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".html")
MOST_ROWS = 200
_LABELLED_ROWS = 60
# Lower ends of the classes, their colours and names. A share of exactly 0 or 1 has a class of its own.
_CLASSES = (
    (0.0, "#15181b", "no face"),
    (1e-6, "#0b4f86", "below 50 %"),
    (0.5, "#2f83bd", "50 to 90 %"),
    (0.9, "#8cbfe2", "90 % or more"),
    (1.0 - 1e-6, "#d6e8f5", "all of it"),
)


@dataclass(frozen=True)
class QualityMap:
    """What is drawn.

    Attributes:
        name: The source's name.
        synthetic: Whether the source says that it is generated.
        time_unit: ``second`` or ``step``.
        span: Length of the longest recording, in time units.
        strips: Subject -> tracked share of each of equal parts of ``span``; None after the recording's end.
        table: Rows of one shape for the page, name -> text; none leaves the table out.
        problems: What is wrong, one sentence each.
        notes: What was left out, one sentence each.
    """

    name: str
    synthetic: bool
    time_unit: str
    span: float
    strips: Mapping[str, Sequence[float | None]]
    table: Sequence[Mapping[str, str]] = ()
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()


def write_quality(path: str | Path, quality: QualityMap) -> Path:
    """Writes the heat map; all of it, or nothing.

    Args:
        path: Ends in ``.png`` for the picture, in ``.html`` for a page of its own with the table beside it.
        quality: What to draw.

    Returns:
        The file written.

    Raises:
        InputError: If the name ends in something else, there is no subject to draw, or the file cannot be written.
    """
    path = Path(path)
    check_suffix(path)
    if not quality.strips:
        raise InputError("no subject could be read, so that there is no heat map to draw", file=path)
    if path.suffix.lower() == ".png":
        replace_bytes(path, quality_png(quality))
    else:
        replace_text(path, quality_html(quality))
    return path


def check_suffix(path: Path) -> None:
    """Raises `InputError` unless a heat map can have this name."""
    if path.suffix.lower() not in SUFFIXES:
        found = f"found {path.suffix!r}" if path.suffix else "found none"
        raise InputError(f"expected a heat map's name to end in {' or '.join(SUFFIXES)}, {found}", file=path)


def quality_png(quality: QualityMap) -> bytes:
    """The heat map as PNG, the same bytes for the same content."""
    drawn = _drawn(quality)
    with canvas("quality", _height(drawn)) as (figure, (axes,)):
        _draw(figure, axes, quality, drawn)
        title = _title(quality, drawn)
        figure.suptitle(
            f"SYNTHETIC data\n{title}" if quality.synthetic else title, fontsize=11, fontweight="bold", wrap=True
        )
        return to_png(figure, title=f"{'SYNTHETIC: ' if quality.synthetic else ''}{title}")


def quality_svg(quality: QualityMap) -> str:
    """The heat map as one accessible ``<svg>`` element."""
    drawn = _drawn(quality)
    with canvas("quality", _height(drawn)) as (figure, (axes,)):
        _draw(figure, axes, quality, drawn)
        description = (
            f"One row for each of {len(drawn)} subjects, over {quality.span:.4g} {quality.time_unit}s: dark where no "
            "face was tracked, light where one was, hatched after the recording's end."
        )
        return to_svg(figure, "quality", _title(quality, drawn), description, quality.synthetic)


def quality_html(quality: QualityMap) -> str:
    """A page of its own: heat map, table, problems and notes. No script, nothing from elsewhere."""
    return render("quality.html.jinja", quality=quality, image=inline(quality_svg(quality)))


def _drawn(quality: QualityMap) -> dict[str, Sequence[float | None]]:
    """The rows to draw: of a large source those tracked least, in the source's order."""
    if len(quality.strips) <= MOST_ROWS:
        return dict(quality.strips)
    means = {subject: np.nanmean(_numbers(strip)) for subject, strip in quality.strips.items()}
    least = set(sorted(means, key=lambda subject: means[subject])[:MOST_ROWS])
    return {subject: strip for subject, strip in quality.strips.items() if subject in least}


def _numbers(strip: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if share is None else share for share in strip], np.float64)


def _title(quality: QualityMap, drawn: Mapping[str, Sequence[float | None]]) -> str:
    part = f" (the {len(drawn)} tracked least of {len(quality.strips)})" if len(drawn) < len(quality.strips) else ""
    return f"Where a face was tracked{part}"


def _height(drawn: Mapping[str, Sequence[float | None]]) -> float:
    """Inches: rows that can be read as long as they are labelled, and room for title and legend."""
    return 1.9 + (0.19 if len(drawn) <= _LABELLED_ROWS else 0.05) * len(drawn)


def _draw(figure: Figure, axes: Axes, quality: QualityMap, drawn: Mapping[str, Sequence[float | None]]) -> None:
    from matplotlib.colors import BoundaryNorm, ListedColormap

    shares = np.stack([_numbers(strip) for strip in drawn.values()])
    colours = ListedColormap([colour for _, colour, _ in _CLASSES])
    norm = BoundaryNorm([*(least for least, _, _ in _CLASSES), 2.0], colours.N)
    edges = np.linspace(0.0, quality.span, shares.shape[1] + 1)
    # The ground is white in light and dark: the classes are chosen against it, and the hatch shows where nothing is.
    axes.set_facecolor("white")
    axes.patch.set(hatch="////", edgecolor=MUTED, linewidth=0.0)
    axes.pcolormesh(
        edges, np.arange(len(shares) + 1), np.ma.masked_invalid(shares), cmap=colours, norm=norm, edgecolors="face",
        linewidth=0.2,
    )  # fmt: skip
    axes.set(xlim=(0.0, quality.span), ylim=(len(shares), 0))
    axes.set_xlabel("time (s)" if quality.time_unit == "second" else "step")
    _label_rows(axes, list(drawn))
    _add_legend(figure)


def _label_rows(axes: Axes, subjects: list[str]) -> None:
    axes.tick_params(axis="y", length=0)
    if len(subjects) > _LABELLED_ROWS:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(subjects)} subjects")
        return
    # Rows that touch would read as one recording.
    axes.hlines(np.arange(1, len(subjects)), *axes.get_xlim(), color="white", linewidth=1.2)
    axes.set_yticks(np.arange(len(subjects)) + 0.5, [_shortened(name) for name in subjects], fontsize=8)


def _shortened(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:15]}…"


def _add_legend(figure: Figure) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, edgecolor=MUTED, label=label) for _, colour, label in _CLASSES]
    patches.append(Patch(facecolor="white", edgecolor=MUTED, hatch="////", label="after the end"))
    figure.legend(handles=patches, loc="outside lower center", ncols=3, title="share of the time with a tracked face")
