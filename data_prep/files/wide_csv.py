"""A few numeric columns of a wide CSV, read fast; whatever the fast path refuses is read again strictly.

Action-unit files have 46 to 2183 columns of which some twenty are wanted. pyarrow reads them several times faster than
pandas' C engine (``benchmarks/readers.py``), but says little of what is wrong; `delimited` names the line.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
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


def read_header(file: Path) -> tuple[str, ...]:
    """The column names of a CSV (tab, comma or semicolon), stripped. Only the first line is read.

    Raises:
        InputError: If the file is missing, empty, binary or not UTF-8, or a column is named more than once.
    """
    return _header(Path(file)).columns


def _header(file: Path) -> _Header:
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
        separator = sniff_separator(text)
        columns = tuple(name.strip() for name in next(csv.reader([text], delimiter=separator)))
    except (UnicodeDecodeError, IndexError, StopIteration, csv.Error):
        columns = ()
    if not any(columns):
        read_text(file)
        raise InputError("expected a line of column names; save the table as UTF-8", file=file, line=lines)
    repeated = [name for name, count in Counter(columns).items() if count > 1 and name]
    if repeated:
        raise InputError(f"column {repeated[0]!r} is named more than once", file=file, line=lines)
    return _Header(columns, separator, lines)


def read_columns(file: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Some columns as ``[rows]`` float64, NaN where a value is missing.

    Raises:
        InputError: If the file is unreadable or has no rows, a row has the wrong number of cells, a column is missing,
            or a cell is neither a finite number nor a missing value; with the line.
    """
    file, names = Path(file), tuple(names)
    header = _header(file)
    fast = _read_fast(file, header, names) if set(names) <= set(header.columns) else None
    return _read_strictly(file, names) if fast is None else fast


def _read_fast(file: Path, header: _Header, names: Sequence[str]) -> dict[str, np.ndarray] | None:
    """The columns, or None where anything at all is out of the ordinary."""
    try:
        table = pa.csv.read_csv(
            file,
            read_options=pa.csv.ReadOptions(
                column_names=[name or f"column {i}" for i, name in enumerate(header.columns)], skip_rows=header.lines
            ),
            # Without quotes an unclosed one cannot swallow rows; files that need them take the strict path.
            parse_options=pa.csv.ParseOptions(delimiter=header.separator, quote_char=False),
            convert_options=pa.csv.ConvertOptions(
                include_columns=list(names), column_types=dict.fromkeys(names, pa.float64()), null_values=_SPELLINGS
            ),
        )
    except (pa.ArrowException, OSError, ValueError):
        return None
    columns = {name: np.asarray(table[name].to_numpy(), dtype=np.float64) for name in names}
    return None if table.num_rows == 0 or any(np.isinf(values).any() for values in columns.values()) else columns


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
