"""CSV files of a study, read as text: what a cell holds is for the reader to check, and no id becomes a number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from tff_affect.errors import InputError


def read_text_table(file: Path, columns: Sequence[str] = (), index_col: Literal[False] | None = None) -> pd.DataFrame:
    """All columns of a CSV file as text, empty cells as empty text.

    Args:
        file: The file.
        columns: Those that must be there.
        index_col: As of `pandas.read_csv`; False where the first column names no rows, however many cells these have.

    Raises:
        InputError: If it is no readable table, or lacks a column.
    """
    try:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False, index_col=index_col)
    except (ValueError, OSError) as error:
        raise InputError(f"not a readable table: {error}", file=file) from error
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise InputError(f"expected a column {missing[0]!r}, found {', '.join(map(str, frame.columns))}", file=file)
    return frame


def require_rows(right: Any, reason: str, file: Path) -> None:
    """Raises `InputError`, with the line, for the first row of a table that is not right.

    Args:
        right: ``[row]`` bool.
        reason: What was expected.
        file: The table's file, with one line of names.
    """
    wrong = np.flatnonzero(~np.asarray(right, bool))
    if len(wrong):
        raise InputError(f"{reason}; do not edit it", file=file, line=int(wrong[0]) + 2)
