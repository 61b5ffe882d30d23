"""The figure of a grid: each variant's CCC by way of training, with its interval and what is attainable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tff_affect.atomic import replace_bytes, replace_text
from tff_affect.report.grid import GridText, Record, require_one_protocol, table_groups
from tff_affect.report.svg import BLUE, GREEN, MUTED, ORANGE, canvas, to_png, to_svg
from tff_affect.report.tables import group_heading

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

TABLE_SVG, TABLE_PNG = "table.svg", "table.png"
_STYLES = {"local-only": ("^", ORANGE), "centralised": ("s", GREEN), "federated": ("o", BLUE)}
_LINES = {"local-only": ":", "centralised": "--", "federated": "--"}
_APART = 0.24


def write_grid_figure(folder: Path, records: Sequence[Record], text: GridText) -> None:
    """Writes ``table.svg`` and ``table.png``.

    Raises:
        InputError: If the records are not of one protocol, or the folder cannot be written to.
    """
    svg, png = grid_figure(records, text)
    replace_text(folder / TABLE_SVG, svg + "\n")
    replace_bytes(folder / TABLE_PNG, png)


def grid_figure(records: Sequence[Record], text: GridText) -> tuple[str, bytes]:
    """A panel for each dimension and kind, a row for each variant, a mark with its interval for each way of training.

    The mean predictor, 0 or close to it, is the grey line. Dashed: the ceiling of centralised and federated training;
    dotted: the transfer of one training client's own filter, beside local-only.

    Returns:
        The figure as SVG and as PNG.

    Raises:
        InputError: If the records are not of one protocol.
    """
    require_one_protocol(records)
    groups = list(table_groups(records))
    variants = list(dict.fromkeys(record["variant"] for record in records))
    height = 1.5 + len(groups) * (0.55 + 0.42 * len(variants))
    with canvas("grid", height, len(groups)) as (figure, panels):
        for axes, (dimension, kind, group) in zip(panels, groups, strict=True):
            _draw(axes, group, variants)
            axes.set_title(group_heading(dimension, kind).capitalize(), fontsize=10, loc="left")
        panels[-1].set_xlabel("CCC, mean over test clients with its 95 % interval")
        handles: dict[str, Artist] = {}
        for axes in panels:
            handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2)
        title = f"Variants under protocol {text.protocol}"
        svg = to_svg(figure, "grid", title, _spoken(records, text), text.synthetic)
        return svg, to_png(figure)


def _draw(axes: Axes, records: Sequence[Record], variants: Sequence[str]) -> None:
    axes.axvline(0, color=MUTED, linewidth=0.8)
    for place, (method, (marker, colour)) in enumerate(_STYLES.items()):
        rows = [record for record in records if record["method"] == method]
        if not rows:
            continue
        means = np.array([record["ccc_mean"] for record in rows], np.float64)
        ends = np.array([[record["ccc_low"], record["ccc_high"]] for record in rows], np.float64).T
        reach = np.nan_to_num(np.abs(ends - means))
        height = [variants.index(record["variant"]) + _APART * (place - 1) for record in rows]
        axes.errorbar(
            means, height, xerr=reach, fmt=marker, color=colour, markersize=5, linewidth=1.2, capsize=2, label=method
        )
        _draw_ceiling(axes, method, colour, rows)
    axes.set_yticks(range(len(variants)), list(variants))
    axes.set_ylim(len(variants) - 0.5, -0.5)


def _draw_ceiling(axes: Axes, method: str, colour: str, rows: Sequence[Record]) -> None:
    """A line for the ceiling, the same for all variants since it depends on split and cohort alone."""
    known = {record["ceiling_mean"] for record in rows} - {None}
    if method == "centralised" or not known:  # centralised has the ceiling of federated
        return
    label = "transfer of one client's filter" if method == "local-only" else "ceiling (causal linear)"
    axes.axvline(max(known), color=colour, linestyle=_LINES[method], linewidth=1.2, label=label)


def _spoken(records: Sequence[Record], text: GridText) -> str:
    parts = [
        f"{record['variant']}, {record['method']}, {group_heading(record['dimension'], record['kind'])}: "
        f"CCC {record['ccc_mean']:.3f}"
        for record in records
        if record["method"] in _STYLES
    ]
    return f"{text.title}. {'; '.join(parts)}."
