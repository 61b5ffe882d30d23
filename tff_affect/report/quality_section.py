"""What was missing in the data that a study read: clients x features, as a heat map and a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tff_affect.errors import InputError
from tff_affect.report.section import Column, DataTable, Figure, Section, text
from tff_affect.report.study import Study
from tff_affect.report.svg import MUTED, canvas, to_svg
from tff_affect.run_folder import QUALITY
from tff_affect.runs.cohort_tables import VALID

MOST_CLIENTS = 60
_COLUMNS = ("client", "feature", "frames", "missing")
# Lower ends of the classes, their colours and names: one hue of rising darkness, nothing missing the lightest.
_CLASSES = (
    (0.0, "#d6e8f5", "none"),
    (1e-9, "#8cbfe2", "up to 10 %"),
    (0.1, "#2f83bd", "10 to 50 %"),
    (0.5, "#0b4f86", "50 % or more"),
    (1.0 - 1e-9, "#15181b", "all"),
)


def read_quality(file: Path) -> pd.DataFrame | None:
    """Missing shares as training wrote them: columns ``client, feature, frames, missing``; None where there are none.

    Raises:
        InputError: If it is no such table.
    """
    if not file.is_file():
        return None
    try:
        names = {"client": str, "feature": str}
        frame = pd.read_csv(file, dtype=names, keep_default_na=False, na_values={"missing": [""]})
        frame = frame[list(_COLUMNS)].astype({"frames": np.int64, "missing": np.float64})
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"expected a table with columns {', '.join(_COLUMNS)}: {error}", file=file) from error
    if not frame["missing"].dropna().between(0, 1).all():
        raise InputError("expected shares between 0 and 1 in 'missing'; train anew", file=file)
    return None if frame.empty else frame


def quality_section(study: Study, synthetic: bool) -> Section | None:
    """The section; None where no quality was kept.

    Raises:
        InputError: If ``quality.csv`` is unreadable.
    """
    found = read_quality(study.folder / QUALITY)
    if found is None:
        return None
    found = found.assign(client=found["client"].map(lambda client: study.shown.get(client, client)))
    wide = found.pivot_table(index="client", columns="feature", values="missing", sort=False, dropna=False)
    order = [name for name in dict.fromkeys(found["feature"]) if name != VALID] + [VALID] * (VALID in wide.columns)
    wide = wide[order].sort_index()
    table = DataTable(
        "data-quality-clients",
        "Frames of each client, and the share of them that could not be used",
        _per_client(found),
        (text("client", "client"), text("frames", "frames"), Column("not valid", ("not_valid",), _percent)),
        folded=True,
    )
    words = (
        "A frame is valid when all of its features and labels are there; one that is not is left out of training and "
        "scores. Missing values are never read as zero."
    )
    drawn = wide if len(wide) <= MOST_CLIENTS else wide.loc[_worst(wide)]
    part = f" The {MOST_CLIENTS} clients with most missing, of {len(wide)}." if len(wide) > MOST_CLIENTS else ""
    figure = Figure("data-quality", quality_map(drawn, synthetic), wide.reset_index())
    caption = f"Share of each client's frames in which a feature is missing; the last column: frames not valid.{part}"
    return Section("data-quality", "Data quality", (words,), tables=(table,), figures=(figure,), caption=caption)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if np.isfinite(share) else "-"


def _worst(wide: pd.DataFrame) -> list[str]:
    """Clients with most missing, in the order of the table."""
    worst = set(wide.mean(axis=1).sort_values(ascending=False, kind="stable").index[:MOST_CLIENTS])
    return [client for client in wide.index if client in worst]


def _per_client(found: pd.DataFrame) -> pd.DataFrame:
    frames = found.groupby("client")["frames"].first()
    missing = found[found["feature"] == VALID].set_index("client")["missing"].reindex(frames.index)
    return pd.DataFrame({"client": frames.index, "frames": frames.to_numpy(), "not_valid": missing.to_numpy()})


def quality_map(wide: pd.DataFrame, synthetic: bool) -> str:
    """The heat map as one ``<svg>`` element.

    Args:
        wide: Missing shares, clients x features, in the order wanted.
        synthetic: Whether the cohort is generated.
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    shares = wide.to_numpy(np.float64)
    colours = ListedColormap([colour for _, colour, _ in _CLASSES])
    norm = BoundaryNorm([*(least for least, _, _ in _CLASSES), 2.0], colours.N)
    with canvas("data-quality", 2.2 + 0.19 * len(wide)) as (figure, (axes,)):
        axes.set_facecolor("white")
        axes.pcolormesh(
            np.ma.masked_invalid(shares), cmap=colours, norm=norm, edgecolors="white", linewidth=0.6,
        )  # fmt: skip
        axes.set_yticks(np.arange(len(wide)) + 0.5, list(wide.index), fontsize=8)
        axes.set_xticks(np.arange(wide.shape[1]) + 0.5, list(wide.columns), fontsize=8, rotation=90)
        axes.tick_params(length=0)
        axes.invert_yaxis()
        figure.legend(
            handles=[Patch(facecolor=colour, edgecolor=MUTED, label=label) for _, colour, label in _CLASSES],
            loc="outside lower center", ncols=3, title="share of frames missing",
        )  # fmt: skip
        spoken = f"{len(wide)} clients by {wide.shape[1]} columns; {100 * np.nanmean(shares):.1f} % missing on average."
        return to_svg(figure, "data-quality", "Missing values by client and feature", spoken, synthetic)
