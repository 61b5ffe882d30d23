"""Protections compared: what attacks find of each, what each claims, and what it costs in CCC.

An attack that does not beat chance shows no safety: such a number is marked, and its mark means that it bounds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.table import Table

from tff_affect.atomic import replace_text
from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED
from tff_affect.plain_json import plain
from tff_affect.privacy.audit.finding import SIGNIFICANT
from tff_affect.report.audit import NO_CLAIM, NOT_REFUTED, NOT_SHOWN, REFUTED, VERDICTS, holm_rejected
from tff_affect.report.svg import BLUE, INK, MUTED, ORANGE, canvas, to_png, to_svg
from tff_affect.report.tables import ABSENT, SYNTHETIC, counted, epsilon_text, number
from tff_affect.report.tradeoff import NO_PRIVACY, Sheet
from tff_affect.report.tradeoff_plot import Drawing, write_drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
"""Of the comparison's table: ``protection``, ``method``, ``ccc``, ``epsilon``, and what attacks found."""
ATTACKS: Mapping[str, tuple[str, str]] = {
    "recognised": ("top-1", "share of samples given to the right person"),
    "attribute": ("balanced accuracy", "the group attribute that is told best"),
    "rebuilt": ("correlation", "of windows rebuilt from an update with the real ones"),
    "member": ("AUC", "who was trained on, told from models trained this way"),
}
"""Attack -> its measure, and what that is."""
NAME = "protections"
MARKDOWN = "protections.md"
MARK = "†"
"""Before a number that was not shown to beat chance."""
_PRIVATE = (PRIVATE_CENTRALISED, PRIVATE_FEDERATED)
_RECEIVED = ("recognised", "attribute", "rebuilt")
_TRAINER, _SERVER = "trainer: features", "server: updates"
_HEAD, _PANEL, _ROW = 1.3, 0.5, 0.21
_LEAST_ROWS = 4


@dataclass(frozen=True)
class Reading:
    """What one attack found of one protection.

    Attributes:
        value: On the attack's own measure; NaN where it was not carried out.
        chance: What guessing gives.
        p: How often guessing gives such a value; NaN where that was not tested.
    """

    value: float
    chance: float
    p: float

    @classmethod
    def of(cls, row: Row, attack: str) -> Reading:
        """From a row of the table; a column that is not there counts as not attacked."""
        return cls(*(_number(row.get(name)) for name in (attack, f"{attack}_chance", f"{attack}_p")))

    @property
    def attacked(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)

    @property
    def beats_chance(self) -> bool:
        """Whether that cannot be luck; without a test nothing is known."""
        return self.p <= SIGNIFICANT

    @property
    def text(self) -> str:
        """The value, with chance in brackets; ``-`` where it was not attacked."""
        if not self.attacked:
            return ABSENT
        return f"{'' if self.beats_chance else MARK}{number(self.value)} ({number(self.chance)})"


def write_protections(folder: Path, table: pd.DataFrame) -> None:
    """Writes ``protections.md``, ``protections.svg`` and ``protections.png``.

    Args:
        folder: Where to.
        table: A row for each protection, the weakest first; see `protection_sheets`.

    Raises:
        InputError: If the folder cannot be written to.
    """
    replace_text(folder / MARKDOWN, protections_markdown(table))
    write_drawing(folder, NAME, protections_figure(table))


def protections_markdown(table: pd.DataFrame) -> str:
    """Tables and captions for a page of documentation."""
    return "\n\n".join(f"{sheet.markdown()}\n{said}" for sheet, said in protection_sheets(table)) + "\n"


def protection_tables(table: pd.DataFrame) -> Iterator[tuple[Table, str]]:
    """Tables for a terminal of 100 columns, each with its caption."""
    for sheet, said in protection_sheets(table):
        # Of all cells the names alone can be broken without being misread.
        narrow = replace(sheet, rows=tuple((name.replace(", ", ",\n"), *cells) for name, *cells in sheet.rows))
        shown = narrow.terminal()
        shown.columns[0].no_wrap = False
        yield shown, said


def protection_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows for ``--json``: an infinite number is the text ``inf``, and what is not defined is None."""
    return [plain(row) for row in _rows(table)]


def protection_sheets(table: pd.DataFrame) -> Iterator[tuple[Sheet, str]]:
    """What attacks found, then what is claimed and what it costs, each with its caption.

    Args:
        table: A row for each protection, the weakest first, with ``protection, method, ccc, epsilon, epsilon_measured,
            refuted, cohort, synthetic`` and for each of ``ATTACKS`` its value, ``NAME_chance`` and ``NAME_p``. Numbers
            may be NaN, and columns that nothing fills may be missing.
    """
    rows = _rows(table)
    columns = ("protection", *(f"{name} ({ATTACKS[name][0]})" for name in ATTACKS))
    cells = tuple((str(row["protection"]), *(Reading.of(row, name).text for name in ATTACKS)) for row in rows)
    yield Sheet(_heading(rows, "What attacks find, by protection"), columns, cells), _attacks_caption(rows)
    columns = ("protection", "who gets what", "CCC per client", "epsilon claimed", "at least (measured)", "claim")
    cells = tuple(map(_claim_cells, rows))
    yield Sheet(_heading(rows, "What it promises, and what it costs"), columns, cells), _claims_caption(rows)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _number(value: Any) -> float:
    """NaN where there is none; an infinite epsilon may be the text ``inf``."""
    return math.nan if value is None else float(value)


def _synthetic(rows: Sequence[Row]) -> bool:
    return any(bool(row["synthetic"]) for row in rows)


def _heading(rows: Sequence[Row], said: str) -> str:
    return f"{f'{SYNTHETIC} data - ' if _synthetic(rows) else ''}{said}, {_cohorts(rows)}"


def _cohorts(rows: Sequence[Row]) -> str:
    return ", ".join(dict.fromkeys(str(row["cohort"]) for row in rows))


def _claim_cells(row: Row) -> tuple[str, ...]:
    claimed, shown = _number(row.get("epsilon")), _number(row.get("epsilon_measured"))
    epsilon = ABSENT if row["method"] in _PRIVATE else NO_PRIVACY
    if not math.isnan(claimed):
        epsilon = f"{epsilon_text(claimed)}{_unit(row)}"
    at_least = ABSENT if math.isnan(shown) or math.isinf(claimed) else epsilon_text(shown)
    return str(row["protection"]), _given(row), number(row["ccc"]), epsilon, at_least, claim_verdict(row)


def _unit(row: Row) -> str:
    """What epsilon is for, as the protection's name has it."""
    found = [unit for unit in ("subject", "window") if f" for {unit}s" in str(row["protection"])]
    return f" ({found[0]})" if found else ""


def _given(row: Row) -> str:
    """Who gets what before anything else protects it; ``-`` where no attack saw it, as under a secure sum."""
    if row["method"] == "centralised":
        return _TRAINER
    return _SERVER if any(Reading.of(row, name).attacked for name in _RECEIVED) else ABSENT


def claim_verdict(row: Row) -> str:
    """What the audit says of the claimed epsilon: ``REFUTED``, ``not refuted``, ``no claim``; ``-`` without one."""
    if is_refuted(row):
        return REFUTED
    claimed = _number(row.get("epsilon"))
    if math.isnan(claimed):
        return ABSENT
    return NO_CLAIM if math.isinf(claimed) else NOT_REFUTED


def is_refuted(row: Row) -> bool:
    """Whether its claim was refuted; a table read from a file has NaN where there is no claim."""
    return row.get("refuted") in (True, "True")


def _attacks_caption(rows: Sequence[Row]) -> str:
    tried = [name for name in ATTACKS if any(Reading.of(row, name).attacked for row in rows)]
    measures = "; ".join(f"{name}: {ATTACKS[name][0]}, {ATTACKS[name][1]}" for name in tried)
    parts = [f"In brackets: what guessing gives. {measures[:1].upper()}{measures[1:]}."] if tried else []
    if any(name in _RECEIVED for name in tried):
        parts.append(
            "All but member attack what is handed over: all features to one trainer, each client's update of the first "
            "round to the server. Noise that the server adds hides nothing from it, only from those who get the model; "
            "noise for windows is in the update itself. Protections with the same updates share their numbers."
        )
    readings = [reading for row in rows for name in ATTACKS if (reading := Reading.of(row, name)).attacked]
    if any(not reading.beats_chance for reading in readings):
        parts.append(
            f"{MARK}: not shown (p above {SIGNIFICANT:g}, or not tested): {VERDICTS[NOT_SHOWN]}. What is lower than "
            "another protection's number is not thereby known to leak less."
        )
    if len(readings) < len(rows) * len(ATTACKS):
        parts.append(f"{ABSENT}: not attacked, of which nothing is known.")
    return _captioned(rows, [*parts, _counted(rows)])


def _counted(rows: Sequence[Row]) -> str:
    """Whoever attacks often finds something by luck; numbers that protections share are one test."""
    found = {(name, Reading.of(row, name)) for row in rows for name in _RECEIVED}
    readings = [*(reading for _, reading in found), *(Reading.of(row, "member") for row in rows)]
    tested = [reading for reading in readings if reading.attacked and not math.isnan(reading.p)]
    if not tested:
        return "Nothing was tested."
    passed, corrected = sum(each.beats_chance for each in tested), holm_rejected(each.p for each in tested)
    return (
        f"{passed} of {counted(len(tested), 'test')} beat chance, {corrected} also when corrected for all of them "
        "(Holm)."
    )


def _claims_caption(rows: Sequence[Row]) -> str:
    given = dict.fromkeys(claim_verdict(row) for row in rows)
    meanings = "; ".join(f"{name}: {VERDICTS[name]}" for name in given if name in VERDICTS)
    parts = [
        "CCC per client: mean over test clients and dimensions, of one seed on one split; small differences are luck."
    ]
    if any(not math.isnan(_number(row.get("epsilon"))) for row in rows):
        parts.append(
            "Epsilon: for all of one subject's data or for one window, as it says; the two cannot be compared. At "
            f"least: what canaries show it to be. {meanings[:1].upper()}{meanings[1:]}."
        )
    return _captioned(rows, parts)


def _captioned(rows: Sequence[Row], parts: Sequence[str]) -> str:
    return " ".join([*([f"{SYNTHETIC} data."] if _synthetic(rows) else []), *parts])


def protections_figure(table: pd.DataFrame) -> Drawing:
    """A panel for each attack, a row for each protection, and what each costs in the last panel.

    A dot is what the attack found, filled where it beats chance; the short line is chance.

    Args:
        table: As `protection_sheets` takes it.
    """
    rows = _rows(table)
    shown = [name for name in ATTACKS if any(Reading.of(row, name).attacked for row in rows)]
    height = _HEAD + (len(shown) + 1) * (_PANEL + _ROW * max(len(rows), _LEAST_ROWS))
    with canvas(NAME, height, len(shown) + 1) as (figure, panels):
        for axes, name in zip(panels, shown, strict=False):
            _draw_attack(axes, [Reading.of(row, name) for row in rows])
            axes.set_title(f"{name.capitalize()}: {ATTACKS[name][0]}", fontsize=10, loc="left")
        _draw_cost(panels[-1], [_number(row["ccc"]) for row in rows])
        for axes in panels:
            _name_rows(axes, rows)
        panels[-1].set_xlim(_left_end(rows, shown), 1.03)
        _legend(figure)
        title = f"What protections leave, and what they cost\n{_cohorts(rows)}"
        svg = to_svg(figure, NAME, title, _spoken(rows, shown), _synthetic(rows))
        return svg, to_png(figure)


def _draw_attack(axes: Axes, readings: Sequence[Reading]) -> None:
    for place, reading in enumerate(readings):
        if not reading.attacked:
            _write_value(axes, place, "not attacked")
            continue
        filled = ORANGE if reading.beats_chance else "none"
        axes.vlines(reading.chance, place - 0.34, place + 0.34, color=INK, linewidth=1.8)
        axes.scatter([reading.value], [place], s=34, edgecolors=ORANGE, facecolors=filled, linewidths=1.4, zorder=3)
        _write_value(axes, place, number(reading.value))


def _draw_cost(axes: Axes, scores: Sequence[float]) -> None:
    axes.scatter(scores, range(len(scores)), s=34, color=BLUE, marker="s", zorder=3)
    for place, score in enumerate(scores):
        _write_value(axes, place, number(score))
    axes.set_title("What it costs: CCC per client", fontsize=10, loc="left")


def _write_value(axes: Axes, place: int, text: str) -> None:
    """Right of the panel, or in the middle of a row without a mark."""
    across, alone = axes.get_yaxis_transform(), not text[-1].isdigit()
    at, side = (0.5, "center") if alone else (1.02, "left")
    axes.text(at, place, text, transform=across, ha=side, va="center", fontsize=8, color=MUTED if alone else INK)


def _name_rows(axes: Axes, rows: Sequence[Row]) -> None:
    axes.set_yticks(range(len(rows)), [str(row["protection"]) for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.hlines(range(len(rows)), 0, 1, transform=axes.get_yaxis_transform(), color=MUTED, linewidth=0.4, alpha=0.6)
    axes.axvline(0, color=MUTED, linewidth=0.8)


def _left_end(rows: Sequence[Row], shown: Sequence[str]) -> float:
    readings = [Reading.of(row, name) for row in rows for name in shown]
    drawn = [each.value for each in readings] + [each.chance for each in readings] + [_number(r["ccc"]) for r in rows]
    return min([0.0, *(value for value in drawn if not math.isnan(value))]) - 0.03


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    common: dict[str, Any] = {"linestyle": "none", "color": ORANGE}
    handles = [
        Line2D([], [], marker="o", label="beats chance", **common),
        Line2D([], [], marker="o", markerfacecolor="none", label="not shown, which bounds nothing", **common),
        Line2D([], [], marker="|", markersize=10, markeredgewidth=1.8, color=INK, linestyle="none", label="chance"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)


def _spoken(rows: Sequence[Row], shown: Sequence[str]) -> str:
    """The figure in words."""
    return " ".join(f"{row['protection']}: {_said(row, shown)}CCC {number(row['ccc'])}." for row in rows)


def _said(row: Row, shown: Sequence[str]) -> str:
    parts = []
    for name in shown:
        reading = Reading.of(row, name)
        told = f"{number(reading.value)}, chance {number(reading.chance)}" if reading.attacked else "not attacked"
        mark = f", {NOT_SHOWN}" if reading.attacked and not reading.beats_chance else ""
        parts.append(f"{name} {told}{mark}; ")
    return "".join(parts)
