"""What a source is, and what is wrong with it, before anything is converted.

Problems are what somebody should look at before training, a sentence each; notes are what a reader left out on purpose.
Subjects are read one at a time, and only their row is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.files.delimited import read_delimited
from data_prep.labels.annotation_delay import lag_hint
from data_prep.source import SourceOptions
from data_prep.sources import detect, open_source
from tff_affect.cohort import Cohort, CohortManifest, SubjectEntry, SubjectTable
from tff_affect.errors import InputError

STRIP_BINS = 60
LEAST_TRACKED_PERCENT = 50.0
LONGEST_GAP_SECONDS = 10.0
RATE_TOLERANCE = 0.05
MOST_OTHER_FACES = 0.1
MOST_TURNED = 0.1
MOST_LOST = 0.01


@dataclass(frozen=True)
class SubjectInspection:
    """One subject's row. Times are in the source's time unit: seconds, or steps.

    Attributes:
        subject: Identifier.
        frames: Frames (or steps).
        duration: From the first frame's begin to the last one's end.
        rate: Measured frames per time unit, from the median step; None for a single frame.
        tracked_percent: Frames whose features are all there.
        valid_percent: Frames that train and score: features and labels are there, and the tracker was trusted.
        longest_gap: Longest time without a tracked frame.
        gaps: Number of times without a tracked frame.
        nan_percent: Missing feature values.
        label_span: Label -> (least, greatest); None where the subject has no such label.
        lag_hint: Seconds by which the labels seem to lag behind the face; None without labels or seconds.
        quality: What the reader counted.
        strip: Tracked share of each of ``STRIP_BINS`` equal parts of the source's longest recording; None after the end
            of this one.
    """

    subject: str
    frames: int
    duration: float
    rate: float | None
    tracked_percent: float
    valid_percent: float
    longest_gap: float
    gaps: int
    nan_percent: float
    label_span: Mapping[str, tuple[float, float] | None]
    lag_hint: float | None
    quality: Mapping[str, Any]
    strip: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        kind: ``cohort``, ``recola``, ``table`` ...
        synthetic: Whether the source says that it is generated.
        features: Feature names; of a table without a map, all its columns.
        subjects: One row per readable subject.
        problems: What is wrong or doubtful, one sentence each.
        notes: What the reader left out on opening, one sentence each.
        name: The cohort's name; the kind where the source could not be opened.
        time_unit: ``second`` or ``step``.
    """

    kind: str
    synthetic: bool
    features: tuple[str, ...]
    subjects: tuple[SubjectInspection, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    name: str = ""
    time_unit: str = "second"

    @property
    def span(self) -> float:
        """Length of the longest recording, which the strips cover; 0 without a readable subject."""
        return max((row.duration for row in self.subjects), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """The inspection as JSON types: None, and never NaN, where there is nothing to measure."""
        return {**asdict(self), "span": self.span}


@dataclass(frozen=True)
class OpenedSource:
    """A cohort or a source, opened for looking at.

    Attributes:
        kind: What it is, in a word.
        manifest: Its manifest.
        subjects: Identifiers.
        notes: What was left out on opening.
        read: Reads one subject; raises `InputError`.
    """

    kind: str
    manifest: CohortManifest
    subjects: tuple[str, ...]
    notes: tuple[str, ...]
    read: Callable[[str], tuple[SubjectEntry, SubjectTable]]

    def readable(self, problems: list[str]) -> Iterator[tuple[SubjectEntry, SubjectTable]]:
        """Reads the subjects one at a time; what is wrong with those that cannot be read goes to ``problems``."""
        for subject in self.subjects:
            try:
                found = self.read(subject)
            except InputError as error:
                problems.append(str(error))
                continue
            yield found


def open_for_inspection(path: Path, options: SourceOptions | None = None) -> OpenedSource:
    """Opens a cohort or anything that can be converted; tables are read on demand.

    Raises:
        InputError: If the path holds nothing known, or it cannot be opened.
    """
    path, options = Path(path), options or SourceOptions()
    if detect(path) != "cohort":
        source = open_source(path, options)
        return OpenedSource(source.kind, source.manifest, source.subjects, source.notes, source.read)
    if given := options.given():
        reason = f"a cohort is already converted and takes no {given[0].replace('_', ' ')}; leave it out"
        raise InputError(reason, file=path)
    cohort = Cohort.open(path, verify=False)
    return OpenedSource("cohort", cohort.manifest, cohort.subjects, (), lambda s: (cohort.entry(s), cohort.load(s)))


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
        if kind == "table" and options.column_map is None:
            columns = read_delimited(path).columns
            problem = "a column map is needed to say which columns mean what"
            return Inspection(kind, False, columns, (), (problem,), name=kind)
        return _inspect(open_for_inspection(path, options))
    except InputError as error:
        return Inspection(kind, False, (), (), (str(error),), name=kind)


def _inspect(opened: OpenedSource) -> Inspection:
    manifest = opened.manifest
    rows: list[SubjectInspection] = []
    spans: list[np.ndarray] = []
    problems: list[str] = []
    for entry, table in opened.readable(problems):
        rows.append(_row(entry, table, manifest))
        spans.append(tracked_spans(table.time, _tracked(table), _step(table, manifest)))
        problems += subject_problems(rows[-1], table, manifest)
    longest = max((row.duration for row in rows), default=0.0)
    strips = [quality_strip(found, row.duration, longest) for row, found in zip(rows, spans, strict=True)]
    return Inspection(
        kind=opened.kind,
        synthetic=manifest.synthetic,
        features=manifest.features,
        subjects=tuple(replace(row, strip=strip) for row, strip in zip(rows, strips, strict=True)),
        problems=tuple(problems),
        notes=tuple(opened.notes),
        name=manifest.name,
        time_unit=manifest.time_unit,
    )


def _tracked(table: SubjectTable) -> np.ndarray:
    return np.asarray(np.isfinite(table.features).all(axis=1))


def _step(table: SubjectTable, manifest: CohortManifest) -> float:
    return float(np.median(np.diff(table.time))) if table.frames > 1 else 1.0 / manifest.frame_rate


def _row(entry: SubjectEntry, table: SubjectTable, manifest: CohortManifest) -> SubjectInspection:
    step, tracked = _step(table, manifest), _tracked(table)
    duration = float(table.time[-1] - table.time[0] + step)
    gaps = gap_lengths(tracked_spans(table.time, tracked, step), duration, step)
    timed = manifest.time_unit == "second" and bool(manifest.labels)
    return SubjectInspection(
        subject=entry.subject,
        frames=table.frames,
        duration=duration,
        rate=1.0 / step if table.frames > 1 else None,
        tracked_percent=100.0 * float(tracked.mean()),
        valid_percent=100.0 * float(table.valid.mean()),
        longest_gap=float(gaps.max(initial=0.0)),
        gaps=len(gaps),
        nan_percent=100.0 * float(np.isnan(table.features).mean()),
        label_span={name: _span(values) for name, values in zip(manifest.labels, table.labels.T, strict=True)},
        lag_hint=lag_hint(table, manifest.frame_rate) if timed else None,
        # A manifest's JSON may hold NaN, which no other reader of JSON takes.
        quality=json.loads(json.dumps(dict(entry.quality), default=float), parse_constant=lambda _: None),
    )


def _span(values: np.ndarray) -> tuple[float, float] | None:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if len(finite) else None


def tracked_spans(time: np.ndarray, tracked: np.ndarray, step: float) -> np.ndarray:
    """``[spans, 2]`` begins and ends of the stretches with a tracked face, from the recording's first frame on.

    Args:
        time: ``[frames]``, increasing.
        tracked: ``[frames]`` bool.
        step: Usual distance of frames. Where two are further apart than one and a half, rows are missing in between.
    """
    begins = time - time[0]
    steps = np.diff(time)
    ends = begins + np.append(np.where(steps <= 1.5 * step, steps, step), step)
    if not tracked.any():
        return np.empty((0, 2))
    begins, ends = begins[tracked], ends[tracked]
    parted = begins[1:] - ends[:-1] > 1e-6 * step
    return np.stack([begins[np.append(True, parted)], ends[np.append(parted, True)]], axis=1)


def gap_lengths(spans: np.ndarray, duration: float, step: float) -> np.ndarray:
    """``[gaps]`` lengths of the times without a tracked face, the recording's beginning and end included."""
    edges = np.concatenate([[0.0], spans.ravel(), [duration]])
    lengths = edges[1::2] - edges[::2]
    return np.asarray(lengths[lengths > 1e-6 * step])


def quality_strip(spans: np.ndarray, duration: float, span: float, bins: int = STRIP_BINS) -> tuple[float | None, ...]:
    """Tracked share of each of ``bins`` equal parts of ``span``; None in those that begin after ``duration``."""
    edges = np.linspace(0.0, span, bins + 1)
    inside = np.diff(np.minimum(edges, duration))
    lengths = spans[:, 1] - spans[:, 0]
    until = np.cumsum(lengths)
    knots = np.concatenate([[0.0], spans.ravel(), [span]])
    amounts = np.concatenate([[0.0], np.stack([until - lengths, until], axis=1).ravel(), [lengths.sum()]])
    covered = np.diff(np.interp(edges, knots, amounts))
    there = inside > 1e-6 * span / bins
    shares = np.clip(covered / np.where(there, inside, 1.0), 0.0, 1.0).round(6)
    return tuple(float(share) if begun else None for share, begun in zip(shares, there, strict=True))


def subject_problems(row: SubjectInspection, table: SubjectTable, manifest: CohortManifest) -> list[str]:
    """What should be looked at before training on a subject: one sentence each, naming it."""
    seconds = manifest.time_unit == "second"
    reasons = [*_tracking_problems(row, manifest, seconds), *_constant_problems(table, manifest)]
    reasons += _reader_problems(row)
    return [f"subject {row.subject}: {reason}" for reason in reasons]


def _tracking_problems(row: SubjectInspection, manifest: CohortManifest, seconds: bool) -> Iterator[str]:
    if row.tracked_percent < LEAST_TRACKED_PERCENT:
        yield f"only {row.tracked_percent:.0f} % of the frames are tracked"
    if seconds and row.longest_gap > LONGEST_GAP_SECONDS:
        yield f"no tracked frame for {row.longest_gap:.1f} s"
    if row.rate is not None and abs(row.rate / manifest.frame_rate - 1) > RATE_TOLERANCE:
        yield (
            f"{row.rate:.4g} frames per {manifest.time_unit} where the source has {manifest.frame_rate:g}; "
            "check the timestamps"
        )


def _constant_problems(table: SubjectTable, manifest: CohortManifest) -> Iterator[str]:
    if labels := _constant(table.labels, manifest.labels):
        yield f"{_listed(labels)} never changes: its CCC is 0 whatever is predicted"
    if features := _constant(table.features, manifest.features):
        yield f"{_listed(features)} never changes; check that it was measured"


def _constant(values: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """Columns with more than one value there, all of them equal."""
    there = np.isfinite(values)
    low, high = np.where(there, values, np.inf).min(axis=0), np.where(there, values, -np.inf).max(axis=0)
    return [name for name, flat in zip(names, (there.sum(axis=0) > 1) & (low == high), strict=True) if flat]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"each of {', '.join(names)}"


def _reader_problems(row: SubjectInspection) -> Iterator[str]:
    others, rows = _count(row.quality, "rows_of_other_faces"), _count(row.quality, "rows") or row.frames
    if others > MOST_OTHER_FACES * rows:
        yield f"{100 * others / rows:.0f} % of the rows are of other faces; check that the right one was followed"
    if repaired := _count(row.quality, "timestamps_repaired"):
        yield f"{repaired:.0f} timestamps were repaired; check them against the recording"
    if (turned := _count(row.quality, "fraction_turned")) > MOST_TURNED:
        share = f"{100 * turned:.0f} % of the frames"
        yield f"the head is 15 degrees or more from its usual pose in {share}, which moves the landmarks"
    if _count(row.quality, "neutral_uncertain"):
        yield "the neutral face is uncertain, and with it the level of all action units"
    if jumps := _count(row.quality, "face_jumps"):
        yield f"the face that was followed jumped {jumps:.0f} times; look whether it is always the subject's"
    lost, frames = _count(row.quality, "frames_not_decoded"), _count(row.quality, "frames")
    if lost > MOST_LOST * (lost + frames):
        yield f"{lost:.0f} of {lost + frames:.0f} frames could not be decoded: the video is damaged or cut off"


def _count(quality: Mapping[str, Any], key: str) -> float:
    """A count of the reader's; 0 where there is none, or no number (a cohort's manifest may say anything)."""
    value = quality.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
