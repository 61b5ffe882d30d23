"""What a report consists of: sections with texts, tables and figures, each table and figure with its CSV.

A cell shows numbers of its table's CSV to the digits shown, so that a reader, or a test, can hold the two side by side.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pandas as pd
from markupsafe import Markup

from tff_affect.report.page import inline
from tff_affect.report.svg import BLUE
from tff_affect.report.tables import ABSENT, interval, number

FIGURES = "figures"
"""Folder beside a report: the CSV of every table and figure, and every figure as SVG."""
MOST_ROWS = 200
"""Rows of a table that the page shows; its CSV has all."""


@dataclass(frozen=True)
class Column:
    """A column of a table as it is shown.

    Attributes:
        heading: What stands above it.
        sources: The columns of the CSV that a cell shows.
        form: From their values to the cell's text.
    """

    heading: str
    sources: tuple[str, ...]
    form: Callable[..., str]


def measure(heading: str, source: str) -> Column:
    """A column of numbers with three decimals."""
    return Column(heading, (source,), number)


def ends(heading: str, low: str, high: str) -> Column:
    """A column of intervals with three decimals."""
    return Column(heading, (low, high), interval)


def text(heading: str, source: str) -> Column:
    """A column of texts or whole numbers."""
    return Column(heading, (source,), plain_text)


def plain_text(value: Any) -> str:
    """A text or a whole number as it is; ``-`` where it is missing."""
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return ABSENT
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@dataclass(frozen=True)
class DataTable:
    """A table and its CSV.

    Attributes:
        name: Of its CSV: letters, digits and hyphens, unique in a report.
        caption: What it shows.
        frame: All of the CSV, in the order of the rows.
        columns: What is shown of it; the first names the row.
        group: The head of each row of ``frame``, shown above those that share it; None for no heads.
        strong: Rows that stand out, by their first cell.
        note: Stands below.
        folded: Whether the page shows it only when asked.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    columns: tuple[Column, ...]
    group: Sequence[str] | None = None
    strong: str = ""
    note: str = ""
    folded: bool = False

    @property
    def left_out(self) -> int:
        """Rows that only the CSV has."""
        return max(0, len(self.frame) - MOST_ROWS)

    @property
    def groups(self) -> Iterator[tuple[str, list[list[str]]]]:
        """Each head with its rows as texts; one without a head where there is no grouping."""
        heads = self.group if self.group is not None else [""] * len(self.frame)
        pairs = zip(heads[:MOST_ROWS], self._rows(), strict=True)
        for head, rows in groupby(pairs, key=lambda pair: pair[0]):
            yield head, [cells for _, cells in rows]

    def _rows(self) -> Iterator[list[str]]:
        for values in self.frame.head(MOST_ROWS).to_dict("records"):
            yield [column.form(*(values[source] for source in column.sources)) for column in self.columns]

    def csv(self, synthetic: bool) -> str:
        """All rows; a number that is not defined is an empty cell.

        Ten digits: the last ones of a sum tell in which order, that of the ids, its parts were added.
        """
        return to_csv(self.frame.assign(synthetic=synthetic), "%.10g")


@dataclass(frozen=True)
class Figure:
    """A figure and the numbers that it was drawn from.

    Attributes:
        name: Of its files: letters, digits and hyphens, unique in a report.
        svg: One ``<svg>`` element.
        frame: What it shows.
    """

    name: str
    svg: str
    frame: pd.DataFrame

    @property
    def inline(self) -> Markup:
        """The drawing as a part of the page, whose blue it takes."""
        return inline(self.svg.replace(BLUE.lower(), "var(--blue)"))

    def csv(self, synthetic: bool) -> str:
        """What it shows; with six digits, which are more than anybody sees."""
        return to_csv(self.frame.assign(synthetic=synthetic), "%.6g")


@dataclass(frozen=True)
class Section:
    """A part of a report with a heading of its own.

    Attributes:
        key: Its address in the page: letters, digits and hyphens.
        heading: Its heading.
        texts: Paragraphs.
        remarks: Paragraphs that stand out.
        tables: Below the texts.
        figures: Below the tables.
        caption: Of the figures.
        listed: A list, below the figures.
    """

    key: str
    heading: str
    texts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    tables: tuple[DataTable, ...] = ()
    figures: tuple[Figure, ...] = ()
    caption: str = ""
    listed: tuple[str, ...] = ()


def slug(*parts: str) -> str:
    """Names put together to one of letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts)).strip("-")


def to_csv(frame: pd.DataFrame, float_format: str) -> str:
    """A table as CSV text, empty cells where there is no number."""
    return frame.to_csv(index=False, lineterminator="\n", float_format=float_format)


def files_of(sections: Sequence[Section], synthetic: bool) -> dict[str, str]:
    """Names and contents of all files that go beside a report; every CSV says whether its data are SYNTHETIC."""
    found: dict[str, str] = {}
    for section in sections:
        for table in section.tables:
            found[f"{table.name}.csv"] = table.csv(synthetic)
        for figure in section.figures:
            found |= {f"{figure.name}.csv": figure.csv(synthetic), f"{figure.name}.svg": figure.svg + "\n"}
    return found
