"""A recording as windows to be recognised by: a first part to learn from and a last part to name.

A window is a mean, a deviation and two percentiles of each feature, over its tracked frames; those with too few are
left out. What lies between the parts is used for neither, so that no window to name has a known one for a neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tff_affect.cohort import SubjectTable
from tff_affect.errors import InputError
from tff_affect.privacy.audit.samples import Samples

AS_THEY_ARE, STANDARDISED = "as they are", "standardised per subject"
VIEWS = (AS_THEY_ARE, STANDARDISED)
LEAST_TRACKED = 0.5
_PERCENTILES = (10.0, 90.0)


@dataclass(frozen=True)
class Session:
    """One session of one person, divided into windows.

    Attributes:
        values: ``[frames, channel]`` float64; a frame with a NaN is missing.
        window: ``[frames]`` the number of each frame's window, never falling.
        frames: Frames of a whole window; a window of a single frame is that frame as it is.
    """

    values: np.ndarray
    window: np.ndarray
    frames: int

    @classmethod
    def of_array(cls, values: np.ndarray, frames: int) -> Session:
        """Windows of ``frames`` of ``[frames, channel]``.

        Raises:
            InputError: If it is no such array, or is empty.
        """
        if values.ndim != 2 or not len(values) or frames < 1:
            found = f"{list(values.shape)} and windows of {frames}"
            raise InputError(f"session: expected [frames, channel] and windows of one frame or more, found {found}")
        return cls(values.astype(np.float64), np.arange(len(values)) // frames, frames)

    @classmethod
    def of_table(cls, table: SubjectTable, frame_rate: float, frames: int, time_unit: str = "second") -> Session:
        """Windows of a subject's trusted frames.

        Args:
            table: The subject.
            frame_rate: Frames per time unit.
            frames: Frames of a window.
            time_unit: ``second``, where windows are cut by time, so that missing rows move no window, or ``step``,
                where steps are counted.
        """
        values = table.features.astype(np.float64)
        values[~table.trusted] = np.nan
        if time_unit == "step":
            return cls(values, np.arange(table.frames), frames)
        window = np.floor((table.time - table.time[0]) * (frame_rate / frames) + 1e-6).astype(int)
        return cls(values, window, frames)

    @property
    def count(self) -> int:
        """Windows, with those that have too few frames."""
        return int(self.window[-1]) + 1 if len(self.window) else 0

    def standardised(self) -> Session:
        """By mean and deviation of the whole session, as training with scaling per subject takes them."""
        seen = self.values[np.isfinite(self.values).all(axis=1)]
        if not len(seen):
            return self
        deviation = seen.std(axis=0)
        return replace(self, values=(self.values - seen.mean(axis=0)) / np.where(deviation > 1e-8, deviation, 1.0))

    def samples(self, part: range | None = None, sequences: bool = False) -> Samples:
        """Windows by their numbers, all by default; without those of which too few frames are there."""
        part = range(self.count) if part is None else part
        ends = np.searchsorted(self.window, [part.start, part.stop])
        rows = np.split(np.arange(*ends), np.flatnonzero(np.diff(self.window[slice(*ends)])) + 1)
        kept = [self.values[own] for own in rows if self._is_tracked(own)]
        width = self.values.shape[1]
        vectors = np.array([self._vector(window) for window in kept]) if kept else np.empty((0, width))
        return Samples(vectors, self._series(kept) if sequences and self.frames > 1 else None)

    def first_and_last(self, sequences: bool = False) -> tuple[Samples, Samples]:
        """Windows of the first 60 % and of the last 30 %."""
        first, last = self._ranges
        return self.samples(first, sequences), self.samples(last, sequences)

    def parts(self) -> tuple[Session, Session]:
        """The windows of the first 60 % and of the last 30 % as sessions of their own."""
        first, last = (self._part(windows) for windows in self._ranges)
        return first, last

    @property
    def _ranges(self) -> tuple[range, range]:
        # Whole numbers, so that at least one window always lies between the parts.
        return range(6 * self.count // 10), range(self.count - 3 * self.count // 10, self.count)

    def _part(self, windows: range) -> Session:
        rows = slice(*np.searchsorted(self.window, [windows.start, windows.stop]))
        return replace(self, values=self.values[rows], window=self.window[rows] - windows.start)

    def _is_tracked(self, rows: np.ndarray) -> bool:
        return bool(np.isfinite(self.values[rows]).all(axis=1).sum() >= max(1, LEAST_TRACKED * self.frames))

    def _vector(self, window: np.ndarray) -> np.ndarray:
        seen = window[np.isfinite(window).all(axis=1)]
        if self.frames == 1:
            return np.asarray(seen.mean(axis=0))
        return np.concatenate([seen.mean(axis=0), seen.std(axis=0), *np.percentile(seen, _PERCENTILES, axis=0)])

    def _series(self, windows: list[np.ndarray]) -> np.ndarray:
        series = np.full((len(windows), self.frames, self.values.shape[1]), np.nan, np.float32)
        for place, window in zip(series, windows, strict=True):
            place[: len(window)] = window[: self.frames]
        return series


@dataclass(frozen=True)
class Recording:
    """One subject's windows: view -> ``[windows, statistics]``.

    Attributes:
        train: Of the first 60 % of the recording.
        test: Of the last 30 %.
    """

    train: Mapping[str, np.ndarray]
    test: Mapping[str, np.ndarray]


def cut_recording(table: SubjectTable, frame_rate: float, frames: int, time_unit: str = "second") -> Recording:
    """Cuts a recording into windows that do not overlap, and these into a first and a last part.

    Args:
        table: The subject.
        frame_rate: Frames per time unit.
        frames: Frames of a window; of a single frame the features are taken as they are.
        time_unit: ``second``, where windows are cut by time, or ``step``, where steps are counted.
    """
    session = Session.of_table(table, frame_rate, frames, time_unit)
    views = {AS_THEY_ARE: session.first_and_last(), STANDARDISED: session.standardised().first_and_last()}
    train, test = ({view: both[part].vectors for view, both in views.items()} for part in (0, 1))
    return Recording(train, test)
