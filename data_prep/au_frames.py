"""A recording's rows, as a tool wrote them, to one row per frame of one face, with times.

What cannot be trusted becomes missing (NaN) and is counted; what cannot be told is refused. Nothing becomes zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.au_tables import Dialect
from data_prep.files.clocks import REPAIRABLE, increasing, repaired, typical_step, wild_jump
from data_prep.files.wide_csv import line_of_row, read_columns, read_header
from data_prep.source import POSE
from tff_affect.cohort import FEATURE_SCALES
from tff_affect.errors import InputError

RATES = (1.0, 240.0)
# Low, because faces move between frames, the more so where frames were skipped, and seldom cover one another.
_SAME_FACE = 0.1
_MOST_FRAMES_PER_ROW = 100
_NAME_THE_RATE = "name the frame rate with --frame-rate"


@dataclass(frozen=True)
class AuFrames:
    """One face of one recording.

    Attributes:
        time: ``[frames]`` float64 seconds, increasing, from the first row's frame number to the last's.
        features: ``[frames, features]`` float64, NaN where the tracker failed or there is no row; pose in degrees.
        tracked: ``[frames]`` bool, True where the tracker and its confidence can be trusted.
        frame_rate: Frames per second, of those that the tool looked at: the one asked for, or the timestamps'.
        quality: Counts: ``rows``, ``failed_frames``, ``confidence_out_of_range``, ``rows_of_other_faces``,
            ``rows_between_steps``, ``faces_seen``, ``timestamps_repaired``, ``frames_without_row``.
    """

    time: np.ndarray
    features: np.ndarray
    tracked: np.ndarray
    frame_rate: float
    quality: Mapping[str, int]


@dataclass(frozen=True)
class _Rows:
    """A file's rows: ``[rows]`` each, ``features`` ``[rows, features]``."""

    file: Path
    dialect: Dialect
    columns: Mapping[str, np.ndarray]
    frame: np.ndarray
    features: np.ndarray
    confidence: np.ndarray
    out_of_range: np.ndarray
    tracked: np.ndarray

    def refuse(self, reason: str, row: int) -> InputError:
        return InputError(reason, file=self.file, line=line_of_row(self.file, row))


def read_frames(file: Path, dialect: Dialect, features: Mapping[str, str], frame_rate: float | None = None) -> AuFrames:
    """Reads one recording.

    Args:
        file: The table.
        dialect: Its dialect.
        features: Feature name -> column, as `Dialect.select` gives them.
        frame_rate: Frames per second, instead of what the timestamps say.

    Raises:
        InputError: For the first thing wrong with the file, with its line where there is one.
    """
    rows = _rows(Path(file), dialect, features)
    kept, faces = _subject_rows(rows)
    _check_scale(rows, kept, tuple(features))
    stride = _stride(rows.frame[kept])
    between = (rows.frame[kept] - rows.frame[kept[0]]) % stride != 0
    kept = kept[~between]
    frame = rows.frame[kept]
    time, rate, mended = _times(rows, kept, frame_rate)
    tracked = rows.tracked[kept]
    values = np.where(tracked[:, None], rows.features[kept], np.nan)
    quality = {
        "rows": len(rows.frame),
        "failed_frames": int((~tracked).sum()),
        "confidence_out_of_range": int(rows.out_of_range[kept].sum()),
        "rows_of_other_faces": len(rows.frame) - len(between),
        "rows_between_steps": int(between.sum()),
        "faces_seen": faces,
        "timestamps_repaired": mended,
        "frames_without_row": int(frame[-1] - frame[0]) // stride + 1 - len(frame),
    }
    if quality["frames_without_row"]:
        time, values, tracked = _with_missing_frames(rows, kept, stride, time, values, tracked)
    return AuFrames(time, values, tracked, rate / stride, quality)


def _stride(frame: np.ndarray) -> int:
    """How many frames the tool went on from row to row: 1, unless it was told to skip all but every nth.

    A few rows between the steps, such as a last frame, are no reason to take every frame for looked at.
    """
    usual = max(1, int(np.median(np.diff(frame)))) if len(frame) > 1 else 1
    return usual if ((frame - frame[0]) % usual != 0).mean() <= REPAIRABLE else 1


def _with_missing_frames(
    rows: _Rows, kept: np.ndarray, stride: int, time: np.ndarray, values: np.ndarray, tracked: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The recording with the frames that have no row, so that nothing is later interpolated across them."""
    frame = rows.frame[kept]
    count = int(frame[-1] - frame[0]) // stride + 1
    if count > _MOST_FRAMES_PER_ROW * len(frame):
        last = int(np.argmax(np.diff(frame))) + 1
        reason = f"frame {frame[last]:g} follows frame {frame[last - 1]:g}, and {len(frame)} rows make {count} frames"
        raise rows.refuse(f"column {rows.dialect.frame!r}: {reason}; correct the frame numbers", int(kept[last]))
    place = (frame - frame[0]).astype(int) // stride
    all_values, all_tracked = np.full((count, values.shape[1]), np.nan), np.zeros(count, dtype=bool)
    all_values[place], all_tracked[place] = values, tracked
    return np.interp(np.arange(count), place, time), all_values, all_tracked


def _rows(file: Path, dialect: Dialect, features: Mapping[str, str]) -> _Rows:
    beside = dialect.beside(read_header(file))
    columns = read_columns(file, dict.fromkeys([*beside, *features.values()]))
    count = len(next(iter(columns.values())))
    values = np.stack([columns[column] for column in features.values()], axis=1)
    angles = np.isin(list(features), POSE)
    values[:, angles] = dialect.to_degrees(values[:, angles])
    confidence = columns.get(dialect.confidence or "", np.ones(count))
    with np.errstate(invalid="ignore"):
        out_of_range = (confidence < 0) | (confidence > 1)
    trusted = np.isfinite(confidence) & ~out_of_range & np.isfinite(values[:, ~angles]).any(axis=1)
    if dialect.success is not None:
        trusted &= columns[dialect.success] == 1
    if dialect.positive_confidence:
        trusted &= confidence > 0
    frame = columns.get(dialect.frame, np.arange(count) + float(dialect.first_frame))
    rows = _Rows(file, dialect, columns, frame, values, confidence, out_of_range, trusted)
    _check_frames(rows)
    if not trusted.any():
        raise InputError("no frame has a tracked face; leave the recording out", file=file)
    return rows


def _check_frames(rows: _Rows) -> None:
    column, frame = rows.dialect.frame, rows.frame
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(~((frame >= 0) & (frame < 2**53) & (frame == np.floor(frame))))
    if len(wrong):
        found = frame[wrong[0]]
        raise rows.refuse(f"column {column!r}: expected a frame number, found {found:g}", int(wrong[0]))
    back = np.flatnonzero(np.diff(frame) < 0)
    if len(back):
        row = int(back[0]) + 1
        reason = f"column {column!r}: frame {frame[row]:g} comes after {frame[row - 1]:g}; one file is one recording"
        raise rows.refuse(reason, row)


def _subject_rows(rows: _Rows) -> tuple[np.ndarray, int]:
    """Positions of the rows of the face that is there most, and how many faces were seen."""
    face = _faces(rows)
    names, index = np.unique(face, return_inverse=True)
    presence = np.bincount(index, weights=np.where(rows.tracked, rows.confidence, 0.0))
    seen = int((np.bincount(index, weights=rows.tracked) > 0).sum())
    theirs = face == names[int(np.argmax(presence))]
    # A row without any face says that the tracker failed there, on the subject as on all others.
    kept = np.flatnonzero(theirs | ((face < 0) & ~np.isin(rows.frame, rows.frame[theirs])))
    twice = np.flatnonzero(np.diff(rows.frame[kept]) == 0)
    if len(twice):
        row = int(kept[twice[0] + 1])
        raise rows.refuse(f"frame {rows.frame[row]:g} is there twice for one face; keep one of the rows", row)
    return kept, seen


def _faces(rows: _Rows) -> np.ndarray:
    """A number for each row's face."""
    columns = rows.dialect.face
    alone = not (np.diff(rows.frame) == 0).any()
    if not columns or (alone and len(columns) > 1):
        return np.zeros(len(rows.frame))
    if len(columns) == 1:
        return np.nan_to_num(rows.columns[columns[0]], nan=-1.0)
    return link_boxes(rows.frame, np.stack([rows.columns[column] for column in columns], axis=1))


def link_boxes(frame: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Follows faces by the overlap of their boxes from frame to frame.

    Args:
        frame: ``[rows]`` frame numbers, not decreasing.
        boxes: ``[rows, 4]``: left, top, width, height in pixels; NaN where no face was found.

    Returns:
        ``[rows]`` int: a number for each face; -1 where there is no box.
    """
    face = np.full(len(frame), -1)
    last: list[np.ndarray] = []
    starts = np.flatnonzero(np.concatenate([[True], np.diff(frame) != 0]))
    for found in np.split(np.arange(len(frame)), starts[1:]):
        found = found[np.isfinite(boxes[found]).all(axis=1) & (boxes[found, 2:] > 0).all(axis=1)]
        _link_frame(face, found, boxes, last)
    return face


def _link_frame(face: np.ndarray, rows: np.ndarray, boxes: np.ndarray, last: list[np.ndarray]) -> None:
    """Gives the rows of one frame to the faces where they overlap most with where those were ``last``."""
    overlap = _overlaps(boxes[rows], np.array(last)) if last else np.zeros((len(rows), 0))
    while overlap.size and (best := overlap.max()) >= _SAME_FACE:
        row, known = np.argwhere(overlap == best)[0]
        face[rows[row]] = known
        overlap[row, :], overlap[:, known] = 0, 0
    for row in rows:
        if face[row] < 0:
            face[row] = len(last)
            last.append(boxes[row])
        last[face[row]] = boxes[row]


def _overlaps(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes ``[n, 4]`` and ``[m, 4]``, as ``[n, m]``."""
    a, b = some[:, None], others[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    union = a[..., 2:].prod(axis=-1) + b[..., 2:].prod(axis=-1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _check_scale(rows: _Rows, kept: np.ndarray, names: Sequence[str]) -> None:
    low, high = FEATURE_SCALES[rows.dialect.scale]
    units = ~np.isin(names, POSE)
    values = np.where(rows.tracked[kept, None], rows.features[kept], np.nan)
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(units & ((values < low) | (values > high + 1e-6)))
    if len(wrong):
        at, which = (int(part) for part in wrong[0])
        reason = f"{names[which]}: expected an intensity on the scale {rows.dialect.scale}, found {values[at, which]:g}"
        raise rows.refuse(reason, int(kept[at]))
    turned = np.argwhere(~units & (np.abs(np.nan_to_num(values)) > 360.0))
    if rows.dialect.pose_in_radians and len(turned):
        at, which = (int(part) for part in turned[0])
        found = np.radians(values[at, which])
        raise rows.refuse(f"{names[which]}: expected radians, found {found:g}; leave pose out", int(kept[at]))


def _times(rows: _Rows, kept: np.ndarray, frame_rate: float | None) -> tuple[np.ndarray, float, int]:
    """``[frames]`` seconds, the frame rate, and how many timestamps were repaired."""
    frame, dialect = rows.frame[kept], rows.dialect
    if len(frame) < 2:
        raise InputError(f"expected at least two frames, found {len(frame)}", file=rows.file)
    if frame_rate is not None:
        return (frame - dialect.first_frame) / frame_rate, frame_rate, 0
    if dialect.time is None:
        raise InputError(f"{dialect.title} writes no timestamps; {_NAME_THE_RATE}", file=rows.file)
    clock = rows.columns[dialect.time][kept]
    good = increasing(clock)
    if (~good).mean() > REPAIRABLE or good.sum() < 2:
        reason = f"{(~good).sum()} of {len(good)} timestamps are missing or do not increase; {_NAME_THE_RATE}"
        raise InputError(f"column {dialect.time!r}: {reason}", file=rows.file)
    step = typical_step(frame[good], clock[good])
    leap = wild_jump(frame[good], clock[good], step)
    if leap is not None:
        row = int(np.flatnonzero(good)[leap])
        raise rows.refuse(f"column {dialect.time!r}: {clock[row]:g} is a leap; {_NAME_THE_RATE}", int(kept[row]))
    unit = next((unit for unit in dialect.time_units if RATES[0] <= 1 / (step * unit) <= RATES[1]), None)
    if unit is None:
        reason = f"column {dialect.time!r}: frames are {step:g} apart, which is no frame rate of a camera"
        raise InputError(f"{reason} ({RATES[0]:g}-{RATES[1]:g} Hz); {_NAME_THE_RATE}", file=rows.file)
    return repaired(frame, clock, good, step) * unit, 1 / (step * unit), int((~good).sum())
