"""Personalisation as tables: gain per client with who loses, and each way against the cheapest ones.

No client is named: tables are passed on. ``gains.csv``, ``personalised.csv`` and ``settings.json`` have names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from tff_affect.evaluation.personalised import differences, gains
from tff_affect.learning.personalization_config import BASELINES, LEGEND
from tff_affect.report.tables import ABSENT, SYNTHETIC, counted, interval, number

if TYPE_CHECKING:
    from rich.table import Table

Settings = Mapping[str, Any]
"""As ``settings.json`` of a personalisation holds them."""
HEADINGS = ("way", "before", "after", "gain", "95 % interval", "p", "losers", "worst", "SD over seeds")


def gain_cells(row: Mapping[Any, Any]) -> tuple[str, ...]:
    """A row of `tff_affect.evaluation.personalised.gains` as text, under ``HEADINGS``."""
    return (
        row["way"], number(row["before_mean"]), number(row["after_mean"]), _signed(row["gain_mean"]),
        interval(row["gain_low"], row["gain_high"]), f"{row['p_value']:.2g}",
        f"{row['losers']} of {row['clients']} ({row['loser_share']:.0%})",
        _signed(row["worst_gain"]), number(row["gain_sd"]),
    )  # fmt: skip


def _signed(value: float) -> str:
    return ABSENT if pd.isna(value) else f"{value:+.3f}"


def heading(settings: Settings, dimension: str) -> str:
    """What stands above a dimension's table."""
    title = f"Personalisation, CCC of {dimension}, {settings['cohort']}"
    return f"{SYNTHETIC} data - {title}" if settings["synthetic"] else title


def caption(frame: pd.DataFrame, settings: Settings) -> str:
    """Unit, protocol, and what the columns mean."""
    clients, seeds, folds = (frame[name].nunique() for name in ("client", "seed", "fold"))
    counts = [
        counted(clients, "test client"),
        counted(seeds, "seed"),
        counted(folds, "fold") if folds > 1 else "one split",
    ]
    share = settings["share"]
    gap = f", after a gap of {settings['gap']:g} {settings['time_unit']}s" if settings["gap"] else ""
    constant = frame.loc[frame["constant"], "client"].nunique()
    text = (
        f"{', '.join(counts)}; split by subject. Unit: the client, one subject. Each test client adapts with the first "
        f"{share:.0%} of the own recording, and is scored on the rest{gap}; before and after on the same frames. "
        f'Before: the study\'s "{settings["method"]}" model. Gain: after minus before, averaged over seeds, then over '
        "clients, with a 95 % bootstrap interval over clients; p: Wilcoxon signed-rank, two-sided, not corrected. "
        "Losers: clients whose CCC falls. Learning rate, passes and rounds were chosen on development clients."
    )
    if settings["scaling"] == "subject":
        text += " Features are scaled by each subject's whole recording, without labels."
    if constant:
        text += (
            f" Gold standard constant in the later part, counted as 0 before and after: {counted(constant, 'client')}."
        )
    if settings["left_out"]:
        reasons = Counter(settings["left_out"].values())
        text += " Left out: " + "; ".join(f"{counted(count, 'client')} ({why})" for why, count in reasons.items()) + "."
    return text


def verdicts(frame: pd.DataFrame) -> list[str]:
    """What each way that adapts a trained model adds to the cheapest ones, a sentence for each."""
    found = []
    for baseline, words in zip(BASELINES, ("the mean shift", "training on the own recording alone"), strict=True):
        for row in differences(frame, baseline).to_dict("records"):
            if row["way"] in BASELINES:
                continue
            sure = row["low"] > 0, row["high"] < 0
            said = {(True, False): "better than", (False, True): "worse than"}.get(sure, "not told apart from")
            found.append(
                f"{row['dimension']}, {row['way']}: {said} {words}, {_signed(row['difference'])} "
                f"{interval(row['low'], row['high'])}, p = {row['p_value']:.2g}"
            )
    return found


def legend(ways: Sequence[str]) -> list[str]:
    """What the ways do."""
    return [f"{way}: {LEGEND[way]}" for way in LEGEND if way in ways]


def markdown(frame: pd.DataFrame, settings: Settings) -> str:
    """All tables, with captions, as Markdown."""
    summary, lines = gains(frame), []
    for dimension, group in summary.groupby("dimension", sort=False):
        lines += [f"**{heading(settings, str(dimension))}**", "", _line(HEADINGS)]
        lines.append(_line(["---", *["---:"] * (len(HEADINGS) - 1)]))
        lines += [_line(gain_cells(row)) for row in group.to_dict("records")]
        lines.append("")
    lines += [caption(frame, settings), ""]
    for items in (legend(list(summary["way"])), verdicts(frame)):
        lines += [*(f"- {item}" for item in items), ""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def terminal_tables(frame: pd.DataFrame, settings: Settings) -> list[Table]:
    """A table for each dimension."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    tables = []
    for dimension, group in gains(frame).groupby("dimension", sort=False):
        title = Text(heading(settings, str(dimension)))
        table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0), collapse_padding=True)
        for place, name in enumerate(HEADINGS[:-1]):
            table.add_column(name, justify="right" if place else "left", no_wrap=True)
        for row in group.to_dict("records"):
            table.add_row(*map(Text, gain_cells(row)[:-1]))
        tables.append(table)
    return tables
