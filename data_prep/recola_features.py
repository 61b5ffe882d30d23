"""RECOLA's video features: which columns are the face's, and what they hold. The full list of names varies by copy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.files.arff_tables import Table, open_table
from data_prep.files.delimited import DelimitedTable
from data_prep.files.timed_tables import CLOCKS, seconds
from tff_affect.errors import InputError

_PREFIX = r"(?:VIDEO_\d+_LLD_)?"
_UNIT = re.compile(rf"{_PREFIX}AU_?(\d{{1,2}})(_delta)?", re.IGNORECASE)
_POSE_FLOW = re.compile(rf"{_PREFIX}(yaw|pitch|roll|opt_(?:mean|std))(_delta)?", re.IGNORECASE)
_FACE = re.compile(rf"{_PREFIX}Face_detection_probability", re.IGNORECASE)


def feature_name(column: str) -> str | None:
    """The cohort's name of a source column: ``AU01``, ``AU12_delta``, ``yaw``, ``opt_mean``; None for all else.

    Audio, heart, skin and rating columns of merged files never pass.
    """
    unit = _UNIT.fullmatch(column)
    if unit:
        return f"AU{int(unit[1]):02d}{(unit[2] or '').lower()}"
    other = _POSE_FLOW.fullmatch(column)
    return None if other is None else f"{other[1].lower()}{(other[2] or '').lower()}"


def select_columns(columns: Sequence[str], deltas: bool, file: Path) -> dict[str, str]:
    """Cohort name -> source column, in the file's order.

    Raises:
        InputError: If none is a face feature, or two columns get one name.
    """
    chosen: dict[str, str] = {}
    for column in columns:
        name = feature_name(column)
        if name is None or (name.endswith("_delta") and not deltas):
            continue
        if name in chosen:
            raise InputError(f"columns {chosen[name]!r} and {column!r} are both {name}; keep one", file=file)
        chosen[name] = column
    if not chosen:
        found = ", ".join(columns[:8])
        raise InputError(f"no action-unit, pose or flow column such as VIDEO_40_LLD_AU1; found {found}", file=file)
    return chosen


class FeatureFile:
    """A feature file, read whole. ``columns`` are its names, stripped."""

    def __init__(self, file: Path, subject: str) -> None:
        self.file = file
        self.subject = subject
        self._table = open_table(file)
        self.columns = self._table.columns

    def numbers(self, column: str) -> np.ndarray:
        """``[frames]`` float64, NaN where missing.

        Raises:
            InputError: If the column is missing or holds text.
        """
        return self._table.numbers(column)

    def features(self, chosen: Mapping[str, str]) -> np.ndarray:
        """``[frames, features]`` float32; NaN in every feature where no face was detected."""
        values = np.stack([self.numbers(column) for column in chosen.values()], axis=1)
        face = next((column for column in self.columns if _FACE.fullmatch(column)), None)
        if face is not None:
            values[~(self.numbers(face) > 0)] = np.nan
        with np.errstate(over="ignore"):
            return values.astype(np.float32)

    def times(self) -> np.ndarray | None:
        """``[frames]`` seconds, where the file has them.

        Raises:
            InputError: If they do not increase, or their unit is in doubt.
        """
        timed = any(column.lower() in CLOCKS for column in self.columns)
        return seconds(self._table, self.subject) if timed else None

    def require_every_row(self) -> None:
        """For a file whose rows are told by their position.

        Raises:
            InputError: If there is a blank row between the others.
        """
        require_every_row(self._table, self.subject)


def require_every_row(table: Table, subject: str) -> None:
    """For a table whose rows are told by their position: a blank row dropped would move all that follow.

    Raises:
        InputError: If there is a blank row between the others.
    """
    blank = table.blank_lines if isinstance(table, DelimitedTable) else ()
    if blank and blank[0] < table.lines[-1]:
        reason = "the row is blank, and rows without times are told by their position; fill it with NaN, or remove it"
        raise InputError(reason, file=table.file, line=blank[0], subject=subject)
