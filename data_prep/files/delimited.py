"""Delimited text read strictly: every cell keeps its line, so that an error can say where it is."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tff_affect.errors import InputError

SEPARATORS = ("\t", ",", ";")
MISSING = frozenset({"", "na", "nan", "n/a", "null", "none", "?"})


def is_missing(text: str) -> bool:
    """Whether a cell means "no value"."""
    return text.lower() in MISSING


@dataclass(frozen=True)
class DelimitedTable:
    """A table of text.

    Attributes:
        file: Where it came from.
        columns: Header names, stripped.
        rows: Cells, stripped; every row as long as the header.
        lines: The one-based line of each row.
        blank_lines: Lines of the rows that held nothing and were dropped.
        separator: The separator used.
    """

    file: Path
    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    blank_lines: tuple[int, ...]
    separator: str

    def text(self, column: str) -> list[str]:
        """The cells of a column.

        Raises:
            InputError: If the column is missing.
        """
        if column not in self.columns:
            found = ", ".join(self.columns[:12]) + (", ..." if len(self.columns) > 12 else "")
            raise InputError(f"column {column!r} is missing; found {found}", file=self.file, line=1)
        position = self.columns.index(column)
        return [row[position] for row in self.rows]

    def numbers(self, column: str) -> np.ndarray:
        """The column as ``[rows]`` float64, NaN where a cell is missing.

        Raises:
            InputError: If the column is missing, or a cell is neither a finite number nor a missing value.
        """
        cells = ["nan" if is_missing(cell) else cell for cell in self.text(column)]
        try:
            values = np.array(cells, dtype=np.float64) if cells else np.empty(0)
        except ValueError:
            values = np.array([_number(cell) for cell in cells])
        wrong = np.flatnonzero(np.isinf(values))
        if len(wrong):
            row = int(wrong[0])
            raise InputError(
                f"column {column!r}: expected a number, found {cells[row][:40]!r}", file=self.file, line=self.lines[row]
            )
        return values


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.inf


def read_text(file: Path) -> str:
    """The file as text.

    Raises:
        InputError: If it is missing, unreadable, empty, binary or not UTF-8.
    """
    try:
        # A pipe would be waited for without end.
        if Path(file).exists() and not Path(file).is_file() and not Path(file).is_dir():
            raise InputError("cannot read the file: it is a pipe or a device", file=file)
        content = Path(file).read_bytes()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be followed"
        raise InputError(f"cannot read the file: {reason}", file=file) from error
    if not content.strip():
        raise InputError("the file is empty", file=file)
    if b"\0" in content:
        raise InputError("expected UTF-8 text, found binary content or UTF-16; save the table as UTF-8", file=file)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError("expected UTF-8 text; save the table as UTF-8", file=file, line=line) from error


def sniff_separator(header: str) -> str:
    """The separator (tab, comma, semicolon) that occurs most in a header line; comma where none does."""
    return max(SEPARATORS, key=lambda separator: (header.count(separator), separator == ","))


def first_row(file: Path) -> tuple[str, ...]:
    """The cells of a table's first line, stripped: its header, or numbers where it has none.

    Raises:
        InputError: If the file is unreadable.
    """
    line = read_text(file).lstrip("\r\n").splitlines()[0]
    return tuple(cell.strip() for cell in line.split(sniff_separator(line)))


def read_delimited(file: Path, separator: str | None = None, names: Sequence[str] = ()) -> DelimitedTable:
    """Reads a table with one header line, or, where its columns' names are given, without.

    Args:
        file: The file; UTF-8, with or without a byte-order mark.
        separator: Tab, comma or semicolon; sniffed from the first line where left out.
        names: The columns of a table that has no header line.

    Raises:
        InputError: If the file is unreadable, has no data, repeats a column, or a row has the wrong number of cells.
    """
    text = read_text(file)
    separator = separator or sniff_separator(text.lstrip("\r\n").splitlines()[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns: tuple[str, ...] | None = tuple(names) or None
    rows, lines, blank = [], [], []
    try:
        for raw in reader:
            row = [cell.strip() for cell in raw]
            if columns is None:
                columns = tuple(row) if any(row) else None
            elif not any(row):
                blank.append(reader.line_num)
            else:
                _check_width(row, columns, file, reader.line_num, separator)
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"not a readable table: {error}", file=file, line=reader.line_num) from error
    return _checked(DelimitedTable(Path(file), columns or (), rows, lines, tuple(blank), separator))


def _check_width(row: list[str], columns: tuple[str, ...], file: Path, line: int, separator: str) -> None:
    if len(row) != len(columns):
        raise InputError(
            f"expected {len(columns)} cells as in the header, found {len(row)} (separator {separator!r}); "
            "repair the row or name the separator",
            file=file,
            line=line,
        )


def _checked(table: DelimitedTable) -> DelimitedTable:
    repeated = [name for name, count in Counter(table.columns).items() if count > 1 and name]
    if repeated:
        raise InputError(f"column {repeated[0]!r} is named more than once", file=table.file, line=1)
    if not table.rows:
        raise InputError("the table has a header but no rows", file=table.file)
    return table
