"""The figures of an audit, as SVG; every title says SYNTHETIC where the cohort is.

Names stand above what they name and not beside it: on a phone there is no room beside it.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tff_affect.privacy.audit.finding import OBSERVERS, Finding, worst_first
from tff_affect.report.audit import SHORT_OBSERVERS, heading, is_bound, measured, verdict
from tff_affect.report.svg import BLUE, GREEN, INK, MUTED, ORANGE, SKY, canvas, to_svg
from tff_affect.report.tables import epsilon_text
from tff_affect.runs.audit.result import AuditResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 40
"""Of more findings the worst are drawn."""
_STYLES = dict(zip(OBSERVERS, ((ORANGE, "o"), (BLUE, "s"), (GREEN, "^"), ("#CC79A7", "D")), strict=True))
_OTHER = (INK, "X")
_COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", SKY)
_LINES = ("-", "--", "-.", ":")
_HEAD, _ROW = 1.5, 0.44
_LETTERS, _LEGEND_LETTERS = 76, 62
_LEAST_RATE = 1e-3
_EPSILON_MARKS: Mapping[str, tuple[str, str, bool]] = {
    "claimed": ("o", BLUE, False),
    "accounted": ("o", BLUE, True),
    "at least (99 %)": (">", ORANGE, True),
    "at least (one run)": (">", MUTED, False),
}
"""What is drawn of epsilon -> marker, colour, and whether it is filled."""


def findings_plot(result: AuditResult) -> str | None:
    """Every finding but epsilon on one axis, from chance to a perfect attacker, the worst on top.

    A filled mark did better than chance explains, a hollow one did not. What lies below chance is drawn at chance.

    Returns:
        The SVG, or None where there is no such finding.
    """
    findings = [each for each in worst_first(result.findings) if not is_bound(each) and math.isfinite(each.best)]
    shown = findings[:MOST_ROWS]
    if not shown:
        return None
    with canvas("findings", _HEAD + _ROW * len(shown)) as (figure, (axes,)):
        for place, finding in enumerate(shown):
            _draw_finding(axes, place, finding)
        _rows(axes, len(shown))
        axes.set(xlim=(-0.02, 1.02), xlabel="from chance (0) to a perfect attacker (1)")
        _legend_of_observers(figure, shown)
        part = f" (the {len(shown)} worst of {len(findings)})" if len(shown) < len(findings) else ""
        spoken = "; ".join(f"{_said(each)}, {verdict(each)}" for each in shown)
        return to_svg(figure, "findings", f"What attackers found{part}", f"{spoken}.", result.facts.synthetic)


def _draw_finding(axes: Axes, place: int, finding: Finding) -> None:
    colour, marker = _STYLES.get(finding.observer, _OTHER)
    filled = colour if finding.refuted or finding.beats_chance else "none"
    if finding.interval is not None:
        low, high = (_advantage(finding, end) for end in finding.interval)
        axes.hlines(place, low, high, color=colour, linewidth=1.6)
    at = _advantage(finding, finding.value)
    axes.scatter([at], [place], marker=marker, s=38, edgecolors=colour, facecolors=filled, zorder=3)
    mark = f"{verdict(finding)}: " if finding.refuted else ""
    _name_row(axes, place, f"{mark}{heading(finding)}", f"{finding.measure} {measured(finding, finding.value)}")


def _advantage(finding: Finding, value: float) -> float:
    share = (value - finding.chance) / (finding.best - finding.chance)
    return min(1.0, max(0.0, share))


def _said(finding: Finding) -> str:
    value, chance = measured(finding, finding.value), measured(finding, finding.chance)
    return f"{heading(finding)}: {finding.measure} {value}, chance {chance}"


def _name_row(axes: Axes, place: int, name: str, value: str) -> None:
    """A row's name above it on the left, its value on the right."""
    left = textwrap.shorten(name, _LETTERS - len(value), placeholder=" …")
    across = axes.get_yaxis_transform()
    for at, text, side in ((0.0, left, "left"), (1.0, value, "right")):
        written = axes.text(
            at, place - 0.28, text, transform=across, ha=side, va="center", fontsize=8, zorder=4, color=INK
        )
        # Fonts differ; what is a little too wide must not shrink the axes.
        written.set_in_layout(False)


def _rows(axes: Axes, count: int) -> None:
    axes.set_ylim(count - 0.5, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.hlines(range(count), 0, 1, transform=axes.get_yaxis_transform(), color=MUTED, linewidth=0.4, alpha=0.6)


def _legend_of_observers(figure: Any, shown: Sequence[Finding]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for name in dict.fromkeys(finding.observer for finding in shown):
        colour, marker = _STYLES.get(name, _OTHER)
        label = SHORT_OBSERVERS.get(name, name)
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="none", label=label))
    hollow = Line2D([], [], color=MUTED, marker="o", linestyle="none", markerfacecolor="none", label="not shown")
    figure.legend(handles=[*handles, hollow], loc="outside lower center", ncols=2)


@dataclass(frozen=True)
class EpsilonRow:
    """The epsilons of one private method; None where one is not known.

    Attributes:
        finding: Of the attack ``epsilon``.
        values: Keys of the marks -> epsilon, perhaps infinite.
    """

    finding: Finding
    values: Mapping[str, float | None]

    @classmethod
    def of(cls, finding: Finding) -> EpsilonRow:
        """From a finding's details."""
        one_run = finding.details.get("one_run_epsilon", finding.details.get("one_run"))
        found = (finding.details.get("claimed"), finding.details.get("accounted"), finding.value, one_run)
        return cls(finding, dict(zip(_EPSILON_MARKS, map(_number, found), strict=True)))

    @property
    def text(self) -> str:
        """The epsilons in words."""
        return ", ".join(f"{name} {epsilon_text(value)}" for name, value in self.values.items() if value is not None)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def epsilon_plot(result: AuditResult) -> str | None:
    """Epsilon as claimed and as accounted, beside what the audit shows it to be at least; one row for each method.

    The axis is linear up to 1 and logarithmic beyond, with a place of its own for infinity.

    Returns:
        The SVG, or None where no claim was audited.
    """
    rows = [EpsilonRow.of(finding) for finding in worst_first(result.findings) if is_bound(finding)]
    if not rows:
        return None
    finite = [v for row in rows for v in row.values.values() if v is not None and math.isfinite(v)]
    edge = 2.5 * max([1.0, *finite])
    with canvas("epsilon", _HEAD + 0.3 + _ROW * len(rows)) as (figure, (axes,)):
        axes.set_xscale("symlog", linthresh=1.0)
        for place, row in enumerate(rows):
            _draw_epsilons(axes, place, row, edge)
        _rows(axes, len(rows))
        _epsilon_axis(axes, edge)
        _legend_of_marks(figure)
        spoken = "; ".join(f"{heading(row.finding)}: {row.text}, {verdict(row.finding)}" for row in rows)
        title = "Epsilon as claimed, and as the audit bounds it from below"
        return to_svg(figure, "epsilon", title, f"{spoken}.", result.facts.synthetic)


def _draw_epsilons(axes: Axes, place: int, row: EpsilonRow, edge: float) -> None:
    for name, (marker, colour, filled) in _EPSILON_MARKS.items():
        value = row.values[name]
        if value is not None:
            size = 7.0 if filled else 10.0
            axes.plot(
                [min(value, edge)], [place], marker=marker, color=colour, markersize=size, linestyle="none",
                markerfacecolor=colour if filled else "none",
            )  # fmt: skip
    claimed = row.values["claimed"]
    claim = "" if claimed is None else f"claimed {epsilon_text(claimed)}, "
    told = f"{claim}at least {measured(row.finding, row.finding.value)}: {verdict(row.finding)}"
    _name_row(axes, place, row.finding.method or row.finding.target, told)


def _epsilon_axis(axes: Axes, edge: float) -> None:
    powers = [10.0**power for power in range(8) if 10.0**power < edge / 1.6]
    ticks = [0.0, *powers, edge]
    axes.set_xticks(ticks, [*(f"{tick:,.10g}" for tick in ticks[:-1]), "inf"])
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.set(xlim=(-0.1, edge * 1.15), xlabel="epsilon")


def _legend_of_marks(figure: Any) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=colour, marker=marker, linestyle="none", markerfacecolor=colour if filled else "none",
            label=name,
        )
        for name, (marker, colour, filled) in _EPSILON_MARKS.items()
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=2)


def roc_plot(result: AuditResult) -> str | None:
    """Membership: members found against outsiders falsely accused, both axes logarithmic; the diagonal is chance.

    Steps go up only where a threshold stands: between two of them nothing is interpolated. Rates of zero, which such an
    axis has no place for, are drawn at its lower end.

    Returns:
        The SVG, or None where no attack kept its curve.
    """
    curves = [(finding, curve) for finding in worst_first(result.findings) if (curve := _curve(finding)) is not None]
    if not curves:
        return None
    least = min(_LEAST_RATE, *(float(curve[curve > 0].min()) / 2 for _, curve in curves))
    with canvas("roc", 4.6) as (figure, (axes,)):
        axes.plot([least, 1], [least, 1], color=MUTED, linewidth=1, label="chance")
        for place, (finding, curve) in enumerate(curves):
            false, true = np.maximum(curve, least).T
            axes.plot(
                false, true, drawstyle="steps-post", color=_COLOURS[place % len(_COLOURS)], linewidth=1.8,
                linestyle=_LINES[place % len(_LINES)], label=_shortened(_of_curve(finding)),
            )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1.05))
        axes.set(xlabel="share of outsiders falsely accused", ylabel="share of members found")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:.10g}")
            axis.set_minor_formatter(lambda *_: "")
        figure.legend(loc="outside lower center", ncols=1)
        spoken = "; ".join(f"{_of_curve(finding)}, {verdict(finding)}" for finding, _ in curves)
        return to_svg(figure, "roc", "Who was trained on?", f"{spoken}.", result.facts.synthetic)


def _of_curve(finding: Finding) -> str:
    name = heading(finding).removeprefix("membership: ")
    return f"{name}: {finding.measure} {measured(finding, finding.value)}"


def _curve(finding: Finding) -> np.ndarray | None:
    """``[points, 2]``: false and true positive rates, rising; None where there are none, or they are no curve."""
    kept = finding.details.get("roc") if finding.attack == "membership" else None
    if isinstance(kept, Mapping):
        kept = list(zip(kept.get("fpr", ()), kept.get("tpr", ()), strict=False))
    try:
        curve = np.asarray(kept, np.float64)
    except (TypeError, ValueError):
        return None
    usable = curve.ndim == 2 and curve.shape[1:] == (2,) and np.isfinite(curve).all() and (curve > 0).any()
    return curve if usable else None


def reidentification_plot(result: AuditResult) -> str | None:
    """How often the right person is named, by what is exposed; a short line is chance, the dashed one the features'.

    All else is computed from the features, so that they are what the others are held against.

    Returns:
        The SVG, or None where nobody was to be named.
    """
    found = [finding for finding in result.findings if finding.attack == "re-identification"]
    shown = sorted(found, key=lambda finding: -finding.value)[:MOST_ROWS]
    if not shown:
        return None
    features = [finding.value for finding in shown if finding.observer == "data"]
    with canvas("reidentification", _HEAD + _ROW * len(shown)) as (figure, (axes,)):
        for place, finding in enumerate(shown):
            colour = _STYLES.get(finding.observer, _OTHER)[0]
            axes.barh(place, finding.value, height=0.24, color=colour)
            axes.vlines(finding.chance, place - 0.16, place + 0.16, color=INK, linewidth=2)
            _name_row(axes, place, _exposed(finding), measured(finding, finding.value))
        _rows(axes, len(shown))
        if features:
            axes.axvline(max(features), color=MUTED, linestyle="--", linewidth=1.2)
        axes.set(xlim=(0, 1.02), xlabel="share of samples given to the right person")
        _legend_of_bars(figure, shown)
        spoken = "; ".join(map(_said, shown))
        title = "Who is it? By what is exposed"
        return to_svg(figure, "reidentification", title, f"{spoken}.", result.facts.synthetic)


def _exposed(finding: Finding) -> str:
    return heading(finding).removeprefix("re-identification: ")


def _legend_of_bars(figure: Any, shown: Sequence[Finding]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    seen = [name for name in OBSERVERS if any(finding.observer == name for finding in shown)]
    handles: list[Any] = [Patch(color=_STYLES[name][0], label=SHORT_OBSERVERS[name]) for name in seen]
    handles.append(Line2D([], [], color=INK, linewidth=2, label="chance"))
    if "data" in seen:
        handles.append(Line2D([], [], color=MUTED, linestyle="--", label="the features themselves"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)


def _shortened(name: str) -> str:
    return textwrap.shorten(name, _LEGEND_LETTERS, placeholder=" …")
