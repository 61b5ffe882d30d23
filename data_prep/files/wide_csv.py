"""A few columns of a wide CSV, read fast; whatever the fast path refuses is read again strictly.

Action-unit files have 46 to 2183 columns of which some twenty are wanted. pyarrow reads them several times faster than
pandas' C engine (``benchmarks/readers.py``), but says little of what is wrong; `delimited` names the line.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from data_prep.files.delimited import MISSING, DelimitedTable, is_missing, read_delimited, read_text, sniff_separator
from tff_affect.errors import InputError

# What the tools' run-times print for "not a number" besides `delimited.MISSING`; compared in lower case.
_NAN_SPELLINGS = frozenset({"-nan", "nan(ind)", "-nan(ind)", "1.#qnan", "-1.#ind", "1.#ind", "#n/a"})
_SPELLINGS = sorted({case for text in MISSING | _NAN_SPELLINGS for case in (text, text.upper(), text.title(), "NaN")})
_LONGEST_LINE = 1 << 22


@dataclass(frozen=True)
class _Header:
    columns: tuple[str, ...]
    separator: str
    lines: int


@dataclass(frozen=True)
class WideTable:
    """Some columns of a table.

    Attributes:
        file: Where they came from.
        rows: Number of rows.
        blank_rows: Rows that held nothing and were dropped.
        numbers: Column -> ``[rows]`` float64, NaN where a value is missing.
        texts: Column -> cells, stripped.
        lines: The one-based line of each row; None where all went well, and it is found when it is asked for.
    """

    file: Path
    rows: int
    blank_rows: int
    numbers: Mapping[str, np.ndarray]
    texts: Mapping[str, Sequence[str]]
    lines: Sequence[int] | None = None

    def line(self, row: int) -> int | None:
        """The one-based line of a row (from 0), for a message."""
        return line_of_row(self.file, row) if self.lines is None else self.lines[row]


def read_header(file: Path, separator: str | None = None) -> tuple[str, ...]:
    """The column names of a CSV (tab, comma or semicolon), stripped. Only the first line is read.

    Raises:
        InputError: If the file is missing, empty, binary or not UTF-8, or a column is named more than once.
    """
    return _header(Path(file), separator).columns


def _header(file: Path, separator: str | None = None) -> _Header:
    try:
        with open(file, "rb") as stream:
            lines = 1
            while (line := stream.readline(_LONGEST_LINE)) and not line.strip():
                lines += 1
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be followed"
        raise InputError(f"cannot read the file: {reason}", file=file) from error
    try:
        text = "" if b"\0" in line else line.decode("utf-8-sig").splitlines()[0]
        chosen = separator or sniff_separator(text)
        columns = tuple(name.strip() for name in next(csv.reader([text], delimiter=chosen)))
    except (UnicodeDecodeError, IndexError, StopIteration, csv.Error):
        columns = ()
    if not any(columns):
        read_text(file)
        raise InputError("expected a line of column names; save the table as UTF-8", file=file, line=lines)
    repeated = [name for name, count in Counter(columns).items() if count > 1 and name]
    if repeated:
        raise InputError(f"column {repeated[0]!r} is named more than once", file=file, line=lines)
    return _Header(columns, chosen, lines)


def read_columns(file: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Some columns as ``[rows]`` float64, NaN where a value is missing.

    Raises:
        InputError: If the file is unreadable or has no rows, a row has the wrong number of cells, a column is missing,
            or a cell is neither a finite number nor a missing value; with the line.
    """
    file, names = Path(file), tuple(names)
    header = _header(file)
    fast = _read_fast(file, header, names) if set(names) <= set(header.columns) else None
    return _read_strictly(file, names) if fast is None else _float64(fast, names)


def read_table(file: Path, numbers: Iterable[str], texts: Iterable[str], separator: str | None = None) -> WideTable:
    """Some columns of numbers and some of text.

    Args:
        file: The table, with a header line.
        numbers: Columns of numbers.
        texts: Columns of text.
        separator: Tab, comma or semicolon; sniffed where left out.

    Raises:
        InputError: As `read_columns`.
    """
    file, numbers, texts = Path(file), tuple(numbers), tuple(texts)
    header = _header(file, separator)
    simple = {*numbers, *texts} <= set(header.columns) and not {*numbers} & {*texts}
    fast = _read_fast(file, header, numbers, texts) if simple else None
    if fast is not None:
        words = {name: [cell.strip() for cell in fast[name].to_pylist()] for name in texts}
        found = WideTable(file, fast.num_rows, 0, _float64(fast, numbers), words)
        if not _needs_care(found):
            return found
    table = read_delimited(file, separator)
    values = {name: _plain(table, name).numbers(name) for name in numbers}
    cells = {name: table.text(name) for name in texts}
    return WideTable(file, len(table.rows), len(table.blank_lines), values, cells, table.lines)


def _needs_care(table: WideTable) -> bool:
    """Whether quotes are to be taken off, or rows may be blank and are to be counted."""
    if any('"' in cell for cells in table.texts.values() for cell in cells):
        return True
    empty = [np.isnan(values) for values in table.numbers.values()]
    empty += [np.array([not cell for cell in cells]) for cells in table.texts.values()]
    return bool(np.logical_and.reduce(empty).any())


def _float64(table: pa.Table, names: Iterable[str]) -> dict[str, np.ndarray]:
    return {name: np.asarray(table[name].to_numpy(), dtype=np.float64) for name in names}


def _read_fast(file: Path, header: _Header, numbers: Sequence[str], texts: Sequence[str] = ()) -> pa.Table | None:
    """The columns, or None where anything at all is out of the ordinary; with texts, empty lines too."""
    types = {**dict.fromkeys(numbers, pa.float64()), **dict.fromkeys(texts, pa.string())}
    try:
        table = pa.csv.read_csv(
            file,
            read_options=pa.csv.ReadOptions(
                column_names=[name or f"\0{i}" for i, name in enumerate(header.columns)], skip_rows=header.lines
            ),
            # Without quotes an unclosed one cannot swallow rows; files that need them take the strict path.
            parse_options=pa.csv.ParseOptions(
                delimiter=header.separator, quote_char=False, ignore_empty_lines=not texts
            ),
            convert_options=pa.csv.ConvertOptions(
                include_columns=list(types), column_types=types, null_values=_SPELLINGS
            ),
        )
    except (pa.ArrowException, OSError, ValueError):
        return None
    infinite = any(np.isinf(values).any() for values in _float64(table, numbers).values())
    return None if table.num_rows == 0 or infinite else table


def _read_strictly(file: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    table = read_delimited(file)
    return {name: _plain(table, name).numbers(name) for name in names}


def _plain(table: DelimitedTable, name: str) -> DelimitedTable:
    """One column, its missing values in a spelling that is known everywhere."""
    cells = (cell for cell in table.text(name))
    rows = [["" if is_missing(cell) or cell.lower() in _NAN_SPELLINGS else cell] for cell in cells]
    return replace(table, columns=(name,), rows=rows)


def line_of_row(file: Path, row: int) -> int | None:
    """The one-based line of a data row (from 0), for a message; None if it cannot be told."""
    text = read_text(file)
    header = _header(Path(file))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=header.separator)
    filled = (reader.line_num for cells in reader if cells)
    return next((line for found, line in enumerate(filled) if found == row + 1), None)
