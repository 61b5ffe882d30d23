"""Action-unit intensities from the geometry of a face mesh: source ``facemesh-geometry``.

Every unit is a distance or a height between landmarks of the aligned face (``data_prep.face_geometry``), less its value
in the neutral face, times a gain, clipped to 0-5. The gains put the strongest of posed smiles near 5; nobody coded
them, and the numbers share OpenFace's range, not its meaning. Never pool them with another tracker's columns without
standardising per subject.

Which units can be had. Within a person, on two clips, the geometry agrees with OpenFace 2 as Pearson r: AU12 .97/.93,
AU06 .94/.91, AU10 .89/.79. These are tier A. Tier B is mixed and asked for by name. The rest did no better than chance
and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from data_prep.face_geometry import (
    CHEEKS,
    CHIN,
    INNER_BROWS,
    INNER_EYES,
    INNER_LIPS,
    LID_PAIRS,
    LIP_CORNERS,
    LOWER_LIDS,
    NOSE_BASE,
    OUTER_BROWS,
    OUTER_EYES,
    UPPER_LIP,
    align,
    columns,
    head_angles,
    reference_shape,
    turn_from_usual,
)
from tff_affect.errors import InputError

SOURCE = "facemesh-geometry"
_REFUSED = ("AU04", "AU05", "AU09", "AU14", "AU17", "AU20", "AU23")
_TURNED_DEGREES = 15.0
_BLOCKS = 4
_LEAST_NEUTRAL_FRAMES = 10
_LARGEST_SPREAD = 1.0


def _height(points: np.ndarray, landmarks: tuple[int, ...]) -> np.ndarray:
    return np.asarray(points[:, columns(landmarks), 1].mean(axis=1))


def _apart(points: np.ndarray, first: int, second: int) -> np.ndarray:
    a, b = columns((first, second))
    return np.asarray(np.linalg.norm(points[:, a] - points[:, b], axis=-1))


def _closure(points: np.ndarray) -> np.ndarray:
    opened = np.mean([_apart(points, *pair) for pair in LID_PAIRS], axis=0)
    width = (_apart(points, OUTER_EYES[0], INNER_EYES[0]) + _apart(points, OUTER_EYES[1], INNER_EYES[1])) / 2
    return np.asarray(-opened / width)


def _smile(points: np.ndarray) -> np.ndarray:
    """Corners out and up, against the middle of the lips: unlike their height in the head, it does not follow pitch."""
    return 0.5 * _apart(points, *LIP_CORNERS) + _height(points, LIP_CORNERS) - _height(points, INNER_LIPS)


_Measure = Callable[[np.ndarray], np.ndarray]
# Unit -> (what rises with it, in distances between the outer eye corners; intensity per such distance).
_TIER_A: Mapping[str, tuple[_Measure, float]] = {
    "AU06": (lambda p: _height(p, CHEEKS), 125.0),
    "AU10": (lambda p: -np.mean([_apart(p, lip, NOSE_BASE) for lip in UPPER_LIP], axis=0), 90.0),
    "AU12": (_smile, 30.0),
}
_TIER_B: Mapping[str, tuple[_Measure, float]] = {
    "AU01": (lambda p: _height(p, INNER_BROWS) - _height(p, INNER_EYES), 60.0),
    "AU02": (lambda p: _height(p, OUTER_BROWS) - _height(p, OUTER_EYES), 60.0),
    "AU07": (lambda p: _height(p, LOWER_LIDS) - _height(p, (*OUTER_EYES, *INNER_EYES)), 160.0),
    "AU15": (lambda p: _height(p, INNER_LIPS) - _height(p, LIP_CORNERS), 80.0),
    "AU25": (lambda p: _apart(p, *INNER_LIPS), 20.0),
    "AU26": (lambda p: -_height(p, CHIN), 20.0),
    "AU45": (_closure, 20.0),
}
TIERS: Mapping[str, tuple[str, ...]] = {"A": tuple(_TIER_A), "B": tuple(_TIER_B)}
_MEASURES = {**_TIER_A, **_TIER_B}


def resolve_units(wanted: Sequence[str]) -> tuple[str, ...]:
    """Action units from names and tiers: ``A`` or ``["A", "AU25"]`` or ``["AU12"]``.

    Raises:
        InputError: For a unit that the geometry does not carry, with the reason, or one that is unknown.
    """
    chosen: set[str] = set()
    for name in wanted:
        unit = name.strip().upper()
        if unit in TIERS:
            chosen |= set(TIERS[unit])
        elif unit in _MEASURES:
            chosen.add(unit)
        elif unit in _REFUSED:
            raise InputError(
                f"{unit} cannot be had from a face mesh: its geometry agreed with OpenFace no better than chance, and "
                f"invented numbers help nobody; take {', '.join(_MEASURES)}, or bring OpenFace's own files"
            )
        else:
            raise InputError(f"expected tier A or B, or units among {', '.join(sorted(_MEASURES))}; found {name!r}")
    if not chosen:
        raise InputError("expected at least one action unit, found none")
    return tuple(sorted(chosen))


@dataclass(frozen=True)
class GeometryConfig:
    """How intensities are made of landmarks.

    Attributes:
        units: Action units, as `resolve_units` gives them.
        neutral_seconds: Span of the recording (from, to) with a neutral face; None: `neutral_percentile`.
        neutral_percentile: Without a neutral span, each unit's neutral is this percentile of its own course.
        max_turn: Frames whose yaw, or pitch against the usual, exceeds this many degrees are missing.
        max_residual: So are frames whose rigid points miss the reference by more, in distances between the outer eyes.
    """

    units: tuple[str, ...] = TIERS["A"]
    neutral_seconds: tuple[float, float] | None = None
    neutral_percentile: float = 10.0
    max_turn: float = 30.0
    max_residual: float = 0.06

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", resolve_units(self.units))
        if self.neutral_seconds is not None and not 0 <= self.neutral_seconds[0] < self.neutral_seconds[1] < np.inf:
            found = "{:g}-{:g}".format(*self.neutral_seconds)
            raise InputError(f"expected a neutral span of seconds from-to, such as 0-2; found {found}")
        if not 0 <= self.neutral_percentile <= 50:
            raise InputError(f"expected a neutral percentile from 0 to 50, found {self.neutral_percentile:g}")

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON types."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class FaceActivity:
    """What remains of a video.

    Attributes:
        time: ``[frames]`` seconds.
        intensities: ``[frames, units]`` float32, 0-5, NaN where no face was trusted.
        pose: ``[frames, 3]`` float32 pitch (against the recording's median, since what is level differs between faces),
            yaw and roll in degrees, NaN likewise.
        quality: Counts and shares that say how far to trust it.
    """

    time: np.ndarray
    intensities: np.ndarray
    pose: np.ndarray
    quality: Mapping[str, float | int | bool]


def face_activity(time: np.ndarray, points: np.ndarray, config: GeometryConfig) -> FaceActivity:
    """Intensities, pose and quality of one recording.

    Args:
        time: ``[frames]`` seconds.
        points: ``[frames, points, 3]`` of ``face_geometry.KEPT``: pixels, y up, z towards the camera; NaN where no face
            was found.
        config: Units, neutral and limits.

    Raises:
        InputError: If no frame shows a face, or none within the neutral span.
    """
    found = np.isfinite(points).all(axis=(1, 2))
    if not found.any():
        raise InputError(f"no face was found in {len(points)} frames")
    neutral = found if config.neutral_seconds is None else found & _within(time, config.neutral_seconds)
    if not neutral.any():
        span = "{:g}-{:g} s".format(*(config.neutral_seconds or (0, 0)))
        raise InputError(f"no face was found in the neutral span {span} of {time[-1]:.1f} s; name another")
    aligned, residual, rotation = align(points[found].astype(np.float64), reference_shape(points[neutral]))
    pitch, yaw, roll = head_angles(rotation)
    pitch = pitch - np.median(pitch)
    trusted = (np.maximum(np.abs(yaw), np.abs(pitch)) <= config.max_turn) & (residual <= config.max_residual)
    if not trusted[neutral[found]].any():
        raise InputError("no frame shows the face well enough: turned away, or its landmarks do not hold together")
    signals = np.stack([_MEASURES[unit][0](aligned) * _MEASURES[unit][1] for unit in config.units], axis=1)
    restful = trusted & neutral[found]
    rest, spread = _neutral(signals[restful], config)
    turn = turn_from_usual(rotation)
    quality: dict[str, float | int | bool] = {
        "frames": len(points),
        "frames_without_face": int((~found).sum()),
        "frames_distrusted": int((~trusted).sum()),
        "fraction_tracked": _rounded(trusted.sum() / len(points)),
        "rigid_residual": _rounded(np.median(residual)),
        "yaw_95_percent": _rounded(np.percentile(np.abs(yaw), 95)),
        "fraction_turned": _rounded((turn > _TURNED_DEGREES).mean()),
        "face_jumps": _jumps(points[found]),
        "neutral_frames": int(restful.sum()),
        "neutral_spread": _rounded(spread),
        "neutral_uncertain": bool(spread > _LARGEST_SPREAD or restful.sum() < _LEAST_NEUTRAL_FRAMES),
    }
    intensities = np.clip(signals - rest, 0.0, 5.0)
    return FaceActivity(
        time,
        _spread_out(intensities, found, trusted),
        _spread_out(np.stack([pitch, yaw, roll], axis=1), found, trusted),
        quality,
    )


def _within(time: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    return (time >= span[0]) & (time < span[1])


def _jumps(points: np.ndarray) -> int:
    """How often the face is elsewhere, or of another size, from one frame to the next: perhaps another person's."""
    right, left = (points[:, columns((eye,))[0]].astype(np.float64) for eye in OUTER_EYES)
    size = np.linalg.norm(left - right, axis=1)
    moved = np.linalg.norm(np.diff((left + right) / 2, axis=0)[:, :2], axis=1) / np.minimum(size[1:], size[:-1])
    grown = np.abs(np.log(size[1:] / size[:-1]))
    return int(((moved > 1.0) | (grown > np.log(1.5))).sum())


def _neutral(signals: np.ndarray, config: GeometryConfig) -> tuple[np.ndarray, float]:
    """Each unit's neutral ``[units]``, and how far four parts of the usable frames disagree on it, in intensity.

    A percentile takes the least expressive frames for neutral. Where the parts of a recording disagree, either the face
    was hardly ever at rest or the pose moved the landmarks, and every intensity of the recording is off by as much.
    """
    rank = 50.0 if config.neutral_seconds is not None else config.neutral_percentile
    parts = [np.percentile(part, rank, axis=0) for part in np.array_split(signals, _BLOCKS) if len(part)]
    return np.percentile(signals, rank, axis=0), float(np.ptp(parts, axis=0).max())


def _spread_out(values: np.ndarray, found: np.ndarray, trusted: np.ndarray) -> np.ndarray:
    out = np.full((len(found), values.shape[1]), np.nan, np.float32)
    out[np.flatnonzero(found)[trusted]] = values[trusted]
    return out


def _rounded(value: float) -> float:
    return round(float(value), 4)
