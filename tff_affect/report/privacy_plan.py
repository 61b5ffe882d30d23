"""A plan on the terminal and as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from tff_affect.atomic import replace_bytes, replace_text
from tff_affect.errors import InputError
from tff_affect.privacy.noise_to_signal import FINE, USELESS
from tff_affect.privacy.planner import Plan
from tff_affect.report.svg import BLUE, GREEN, INK, MUTED, ORANGE, canvas, to_png, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURES = (".png", ".svg")
_HEIGHT = 3.8


def plan_table(plan: Plan) -> Table:
    """The same guarantee with more and fewer subjects."""
    title = f"Epsilon {plan.guarantee.epsilon:.3g} after {plan.guarantee.rounds:,} rounds, by number of subjects"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("subjects", "a round", "delta", "noise multiplier", "noise / signal"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict")
    for row in plan.cohorts:
        ratio = "-" if row.noise_to_signal is None else f"{row.noise_to_signal:.2g}"
        verdict = "-" if row.noise_to_signal is None else zone(row.noise_to_signal)
        cells = (f"{row.clients:,}", f"{row.clients_per_round:,}", f"{row.delta:.1g}", f"{row.noise_multiplier:.3g}")
        table.add_row(*cells, ratio, verdict)
    return table


def zone(ratio: float) -> str:
    """A noise-to-signal ratio in a word or two."""
    if ratio >= USELESS:
        return "learns next to nothing"
    return "clear loss" if ratio >= FINE else "small loss"


def check_figure_path(path: Path) -> None:
    """Refuses a file that `write_plan_figure` could not write, before anything is computed.

    Raises:
        InputError: If it does not end in ``.png`` or ``.svg``.
    """
    if path.suffix.lower() not in FIGURES:
        raise InputError(f"expected a figure that ends in {' or '.join(FIGURES)}, found {path.name!r}", file=path)


def write_plan_figure(path: Path, plan: Plan) -> None:
    """Writes the figure as PNG or SVG, by the file's ending.

    Raises:
        InputError: For another ending, a plan without a number of weights, or a file that cannot be written.
    """
    check_figure_path(path)
    svg, png = plan_figure(plan)
    if path.suffix.lower() == ".svg":
        replace_text(path, svg + "\n")
    else:
        replace_bytes(path, png)


def plan_figure(plan: Plan) -> tuple[str, bytes]:
    """Noise over signal against the number of subjects, both logarithmic, with the zones of the verdict.

    Returns:
        The figure as SVG and as PNG.

    Raises:
        InputError: For a plan without a number of weights.
    """
    points = [(row.clients, row.noise_to_signal) for row in plan.cohorts if row.noise_to_signal is not None]
    if not points or plan.noise_to_signal is None:
        raise InputError("plan: expected a number of weights to draw noise over signal, found none; name the model")
    title = f"Noise over signal at epsilon {plan.guarantee.epsilon:.3g}, {plan.guarantee.rounds:,} rounds"
    with canvas("privacy-plan", _HEIGHT) as (figure, (axes,)):
        axes.plot(*zip(*points, strict=True), "o-", color=BLUE, markersize=5, linewidth=1.4, label="same guarantee")
        axes.plot([plan.clients], [plan.noise_to_signal], "D", color=INK, markersize=7, label="this plan")
        axes.set(xscale="log", yscale="log", xlabel="training subjects", ylabel="noise / signal")
        _draw_zones(axes)
        for axis in (axes.xaxis, axes.yaxis):
            # The usual powers of ten are set as formulas, which the figures of a page do without.
            axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
            axis.set_minor_formatter(lambda *_: "")
        figure.legend(loc="outside lower center", ncols=2)
        spoken = "; ".join(f"{clients:,} subjects: {ratio:.2g}, {zone(ratio)}" for clients, ratio in points)
        svg = to_svg(figure, "privacy-plan", title, f"{title}. {spoken}.", False)
        return svg, to_png(figure)


def _draw_zones(axes: Axes) -> None:
    low, high = axes.get_ylim()
    low, high = min(low, FINE / 2), max(high, USELESS * 2)
    zones = ((USELESS, high, ORANGE, 0.985), (FINE, USELESS, MUTED, 0.985), (low, FINE, GREEN, 0.015))
    for bottom, top, colour, place in zones:
        axes.axhspan(bottom, top, color=colour, alpha=0.12, linewidth=0)
        axes.text(
            place, (bottom * top) ** 0.5, zone(bottom), transform=axes.get_yaxis_transform(), va="center",
            ha="left" if place < 0.5 else "right", fontsize=9, color=INK,
        )  # fmt: skip
    axes.set_ylim(low, high)
