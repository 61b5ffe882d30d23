"""What makes a cohort's manifest and tables acceptable; the first thing wrong is named.

Writing and reading go through the same checks, so that nothing written is refused later.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tff_affect.cohort_types import (
    FEATURE_SCALES,
    PARTITIONS,
    TIME_UNITS,
    CohortManifest,
    SubjectEntry,
    SubjectTable,
)
from tff_affect.errors import InputError

LABEL_LIMIT = 100.0
FRAME_RATE_TOLERANCE = 0.05
_SUBJECT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RESERVED = {"time", "valid"}

_Require = Callable[[bool, str], None]


def require(condition: bool, reason: str, **place: Any) -> None:
    """Raises `InputError` with ``reason`` and its place (``file``, ``line``, ``subject``) if ``condition`` fails."""
    if not condition:
        raise InputError(reason, **place)


def check_manifest(manifest: CohortManifest, file: object | None = None) -> None:
    """Raises `InputError` for the first thing wrong with a manifest, naming ``file``."""

    def demand(condition: bool, reason: str) -> None:
        require(condition, reason, file=file)

    demand(bool(manifest.name.strip()), "expected a cohort name, found an empty one")
    _check_columns(manifest, demand)
    for what, found, known in (
        ("feature scale", manifest.feature_scale, tuple(FEATURE_SCALES)),
        ("time unit", manifest.time_unit, TIME_UNITS),
    ):
        demand(found in known, f"expected a {what} among {', '.join(known)}, found {found!r}")
    demand(
        bool(np.isfinite(manifest.frame_rate)) and 0 < manifest.frame_rate <= 1000,
        f"expected a frame rate above 0 and up to 1000 per {manifest.time_unit}, found {manifest.frame_rate}",
    )
    _check_entries(manifest.subjects, file)


def _check_columns(manifest: CohortManifest, demand: _Require) -> None:
    columns = [*manifest.features, *manifest.labels]
    demand(bool(manifest.features), "expected at least one feature, found none")
    for column in columns:
        demand(bool(column.strip()) and column not in _RESERVED, f"{column!r} cannot name a column")
        demand(columns.count(column) == 1, f"column {column!r} is named more than once")


def _check_entries(entries: tuple[SubjectEntry, ...], file: object | None) -> None:
    subjects: set[str] = set()
    tables: set[str] = set()
    for entry in entries:
        name = entry.subject
        require(
            _SUBJECT_ID.fullmatch(name) is not None,
            f"{name!r} is no subject identifier: use up to 64 letters, digits, '.', '_' and '-'",
            file=file,
        )
        # Case is folded because a case-insensitive file system would give both subjects one table.
        require(name.lower() not in subjects, "the subject is listed twice", file=file, subject=name)
        require(entry.file not in tables, f"{entry.file!r} is another subject's table", file=file, subject=name)
        require(
            entry.partition in PARTITIONS,
            f"expected a partition among {', '.join(PARTITIONS)}, found {entry.partition!r}",
            file=file,
            subject=name,
        )
        subjects.add(name.lower())
        tables |= {entry.file} - {""}


def check_table(table: SubjectTable, manifest: CohortManifest, subject: str, file: object | None = None) -> None:
    """Raises `InputError` for the first thing wrong with a subject's table."""

    def demand(condition: bool, reason: str) -> None:
        require(condition, reason, file=file, subject=subject)

    _check_shapes(table, manifest, demand)
    _check_time(table, manifest, demand)
    _check_ranges(table, manifest, demand)
    _check_valid(table, demand)


def _check_shapes(table: SubjectTable, manifest: CohortManifest, demand: _Require) -> None:
    n = table.frames
    demand(n > 0, "expected at least one frame, found an empty table")
    demand(table.time.shape == (n,), f"expected time of shape ({n},), found {table.time.shape}")
    for name, array, columns in (
        ("features", table.features, manifest.features),
        ("labels", table.labels, manifest.labels),
    ):
        demand(
            array.shape == (n, len(columns)),
            f"expected {name} of shape ({n}, {len(columns)}) to match time and manifest, found {array.shape}",
        )
        for column, values in zip(columns, array.T, strict=True):
            demand(not np.isinf(values).any(), f"column {column!r} holds an infinite value; mark missing values as NaN")
    demand(table.valid.shape == (n,) and table.valid.dtype == bool, "expected one true/false 'valid' flag per frame")


def _check_time(table: SubjectTable, manifest: CohortManifest, demand: _Require) -> None:
    demand(bool(np.isfinite(table.time).all()), "column 'time' has missing values; every frame needs a time")
    steps = np.diff(table.time)
    if not len(steps):
        return
    first = int(np.argmax(steps <= 0)) + 1
    demand(bool((steps > 0).all()), f"time does not increase at frame {first}; sort or repair the timestamps")
    step = float(np.median(steps))
    demand(
        abs(step * manifest.frame_rate - 1) < FRAME_RATE_TOLERANCE,
        f"frames are {step:.6g} {manifest.time_unit}s apart, but a frame rate of {manifest.frame_rate:g} means "
        f"{1 / manifest.frame_rate:.6g}; correct the frame rate or the timestamps",
    )


def _check_ranges(table: SubjectTable, manifest: CohortManifest, demand: _Require) -> None:
    low, high = FEATURE_SCALES[manifest.feature_scale]
    for column, values in zip(manifest.features, table.features.T, strict=True):
        demand(
            bool(np.isfinite(values).any()),
            f"feature {column!r} is missing in every frame; drop the column or the subject",
        )
        least, most = float(np.nanmin(values)), float(np.nanmax(values))
        demand(
            low <= least and most <= high,
            f"feature {column!r} spans {least:g} to {most:g}, outside the scale {manifest.feature_scale}; "
            "check the column or name another scale",
        )
    for column, values in zip(manifest.labels, table.labels.T, strict=True):
        largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
        demand(
            largest <= LABEL_LIMIT,
            f"label {column!r} reaches {largest:g}; labels are ratings, expected within +-{LABEL_LIMIT:g}",
        )


def _check_valid(table: SubjectTable, demand: _Require) -> None:
    complete = np.isfinite(table.features).all(axis=1) & np.isfinite(table.labels).all(axis=1)
    wrong = table.valid & ~complete
    demand(not wrong.any(), f"frame {int(np.argmax(wrong))} is marked valid but has missing values")
    demand(bool(table.valid.any()), "no frame is valid: nothing can be learned from or scored on this subject")
