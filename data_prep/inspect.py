"""What a source is, and what is wrong with it, before anything is converted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.delimited import read_delimited
from data_prep.source import SourceOptions
from data_prep.sources import detect, open_source
from tff_affect.cohort import Cohort, SubjectTable
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


def inspect_source(path: Path, options: SourceOptions | None = None) -> Inspection:
    """Inspects a cohort or anything that can be converted. What cannot be read is listed among the problems.

    Args:
        path: The source.
        options: How to read it; of a table without a column map only the columns are listed.

    Raises:
        InputError: If the path holds nothing known.
    """
    path, options = Path(path), options or SourceOptions()
    kind = detect(path)
    try:
        if kind == "cohort":
            cohort = Cohort.open(path, verify=False)
            rows, problems = _each(cohort.subjects, cohort.load, cohort.manifest.labels)
            return Inspection(kind, cohort.manifest.synthetic, cohort.manifest.features, rows, problems)
        if kind == "table" and options.column_map is None:
            columns = read_delimited(path).columns
            return Inspection(kind, False, columns, (), ("a column map is needed to say which columns mean what",))
        source = open_source(path, options)
        rows, problems = _each(source.subjects, lambda s: source.read(s)[1], source.manifest.labels)
        return Inspection(kind, source.manifest.synthetic, source.manifest.features, rows, problems)
    except InputError as error:
        return Inspection(kind, False, (), (), (str(error),))
