"""ARFF files as tables, attributes as columns and every row with its line; and one door for ARFF and delimited text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import arff
import numpy as np

from data_prep.files.delimited import DelimitedTable, read_delimited, read_text
from tff_affect.errors import InputError

# What liac-arff is seen to raise on damaged files, beside its own exceptions.
_DAMAGE = (arff.ArffException, ValueError, TypeError, IndexError, AttributeError, StopIteration)


@dataclass(frozen=True)
class ArffTable:
    """A table read from ARFF.

    Attributes:
        file: Where it came from.
        columns: Attribute names, stripped.
        lines: The one-based line of each row.
        values: Attribute name -> ``[rows]`` float64, or objects where the attribute holds text.
    """

    file: Path
    columns: tuple[str, ...]
    lines: list[int]
    values: Mapping[str, np.ndarray]

    def numbers(self, column: str) -> np.ndarray:
        """The column as ``[rows]`` float64, NaN where a value is missing.

        Raises:
            InputError: If the attribute is missing, or a value is neither a finite number nor missing.
        """
        if column not in self.values:
            found = ", ".join(self.columns[:12]) + (", ..." if len(self.columns) > 12 else "")
            raise InputError(f"attribute {column!r} is missing; found {found}", file=self.file)
        values = self.values[column]
        if values.dtype != np.float64:
            row, found = next((i, value) for i, value in enumerate(values) if not _is_number(value))
            reason = f"attribute {column!r}: expected numbers, found {str(found)[:40]!r}"
            raise InputError(reason, file=self.file, line=self.lines[row])
        wrong = np.flatnonzero(np.isinf(values))
        if len(wrong):
            reason = f"attribute {column!r}: expected finite numbers, found an infinite one"
            raise InputError(reason, file=self.file, line=self.lines[int(wrong[0])])
        return values


# Both have ``file``, ``columns``, ``lines`` and ``numbers``.
Table = ArffTable | DelimitedTable


def open_table(file: Path) -> Table:
    """Reads ``.arff`` as ARFF and anything else as delimited text.

    Raises:
        InputError: If the file cannot be read.
    """
    if file.suffix.lower() == ".arff":
        return read_arff(file)
    return read_delimited(file)


def read_arff(file: Path) -> ArffTable:
    """Reads an ARFF file; headers of any length, string attributes included.

    Raises:
        InputError: If the file is unreadable, no ARFF, damaged, or has no rows.
    """
    text = read_text(file)
    content = _parsed(text, file)
    if not content["data"]:
        raise InputError("the file has no data rows", file=file)
    names = [str(name).strip() for name, _ in content["attributes"]]
    columns = [_array(values) for values in zip(*content["data"], strict=True)]
    return ArffTable(Path(file), tuple(names), _row_lines(text), dict(zip(names, columns, strict=True)))


def _parsed(text: str, file: Path) -> dict[str, Any]:
    try:
        return dict(arff.loads(text))
    except _DAMAGE as error:
        line = getattr(error, "line", None)
        reason = f"not a readable ARFF file: {error}"
        raise InputError(reason, file=file, line=line if isinstance(line, int) and line > 0 else None) from error


def _row_lines(text: str) -> list[int]:
    lines = [line.strip() for line in text.split("\n")]
    start = next(i for i, line in enumerate(lines) if line.upper().startswith("@DATA"))
    return [i + 1 for i in range(start + 1, len(lines)) if lines[i] and not lines[i].startswith("%")]


def _is_number(value: object) -> bool:
    try:
        float(np.nan if value is None else value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _array(values: Sequence[Any]) -> np.ndarray:
    try:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError):
        return np.array(values, dtype=object)
