"""What a source is, and what is wrong with it, before anything is converted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.au_tables import read_table
from data_prep.column_map import ColumnMap
from data_prep.delimited import read_delimited
from data_prep.recola import RecolaSource
from data_prep.recola_layout import ANNOTATION, CENTRED, is_recola
from tff_affect.cohort import MANIFEST, Cohort, SubjectTable
from tff_affect.errors import InputError


@dataclass(frozen=True)
class SubjectInspection:
    """One subject's row.

    Attributes:
        subject: Identifier.
        frames: Frames (or steps).
        rate: Measured frames per time unit, from the median step; None for a single frame.
        valid_percent: Frames that train and score.
        longest_gap: Longest run of frames that are not valid.
        nan_percent: Missing feature values.
        label_span: Label -> (least, greatest); None where the subject has no such label.
    """

    subject: str
    frames: int
    rate: float | None
    valid_percent: float
    longest_gap: int
    nan_percent: float
    label_span: Mapping[str, tuple[float, float] | None]


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        kind: ``cohort``, ``recola`` or ``table``.
        synthetic: Whether the source says that it is generated.
        features: Feature names; of a table without a map, all its columns.
        subjects: One row per readable subject.
        problems: What is wrong, one sentence each; empty if the source converts.
    """

    kind: str
    synthetic: bool
    features: tuple[str, ...]
    subjects: tuple[SubjectInspection, ...]
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The inspection as JSON types: None, and never NaN, where there is nothing to measure."""
        return asdict(self)


def detect(path: Path) -> str:
    """What a path holds: ``cohort``, ``recola`` or ``table``.

    Raises:
        InputError: If it is none of them.
    """
    path = Path(path)
    if (path / MANIFEST).is_file():
        return "cohort"
    if is_recola(path):
        return "recola"
    if path.is_file():
        return "table"
    looked = f"a cohort ({MANIFEST}), RECOLA ({ANNOTATION.as_posix()} or {CENTRED}), or a table (a file)"
    raise InputError(
        f"{'nothing known here' if path.is_dir() else 'no such file or folder'}; looked for {looked}", file=path
    )


def longest_run(flags: np.ndarray) -> int:
    """Length of the longest run of True in ``[frames]`` bool."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _row(subject: str, table: SubjectTable, labels: Iterable[str]) -> SubjectInspection:
    span: dict[str, tuple[float, float] | None] = {}
    for name, values in zip(labels, table.labels.T, strict=True):
        finite = values[np.isfinite(values)]
        span[name] = (float(finite.min()), float(finite.max())) if len(finite) else None
    return SubjectInspection(
        subject=subject,
        frames=table.frames,
        rate=float(1.0 / np.median(np.diff(table.time))) if table.frames > 1 else None,
        valid_percent=100.0 * float(table.valid.mean()),
        longest_gap=longest_run(~table.valid),
        nan_percent=100.0 * float(np.isnan(table.features).mean()),
        label_span=span,
    )


def _each(
    subjects: Iterable[str], read: Callable[[str], SubjectTable], labels: tuple[str, ...]
) -> tuple[tuple[SubjectInspection, ...], tuple[str, ...]]:
    """Every subject's row, and the problems of those that cannot be read."""
    rows: list[SubjectInspection] = []
    problems: list[str] = []
    for subject in subjects:
        try:
            rows.append(_row(subject, read(subject), labels))
        except InputError as error:
            problems.append(str(error))
    return tuple(rows), tuple(problems)


def inspect_source(path: Path, column_map: ColumnMap | None = None) -> Inspection:
    """Inspects a cohort, a RECOLA folder or a table. What cannot be read is listed among the problems.

    Args:
        path: The source.
        column_map: What a table's columns mean; without it only its columns are listed.

    Raises:
        InputError: If the path holds nothing known.
    """
    path = Path(path)
    kind = detect(path)
    try:
        if kind == "cohort":
            cohort = Cohort.open(path, verify=False)
            rows, problems = _each(cohort.subjects, cohort.load, cohort.manifest.labels)
            return Inspection(kind, cohort.manifest.synthetic, cohort.manifest.features, rows, problems)
        if kind == "recola":
            source = RecolaSource(path)
            rows, problems = _each(source.subjects, source.read, source.manifest.labels)
            return Inspection(kind, source.synthetic, source.manifest.features, rows, problems)
        return _inspect_table(path, column_map)
    except InputError as error:
        return Inspection(kind, False, (), (), (str(error),))


def _inspect_table(path: Path, column_map: ColumnMap | None) -> Inspection:
    if column_map is None:
        columns = read_delimited(path).columns
        return Inspection("table", False, columns, (), ("a column map is needed to say which columns mean what",))
    manifest, subjects = read_table(path, column_map)
    rows: list[SubjectInspection] = []
    problems: list[str] = []
    try:
        rows.extend(_row(entry.subject, table, manifest.labels) for entry, table in subjects)
    except InputError as error:
        problems.append(str(error))
    return Inspection("table", manifest.synthetic, manifest.features, tuple(rows), tuple(problems))
