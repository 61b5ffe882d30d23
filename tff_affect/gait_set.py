"""Gait cycles of a common skeleton in memory, with who walks and what they feel.

Unlike a cohort of action units, such a set is made of what identifies people. It is never written to disk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tff_affect.errors import InputError
from tff_affect.labelled_set import LabelledSet


@dataclass(frozen=True, eq=False)
class GaitSet(LabelledSet):
    """Gait cycles of several people, each of the same number of samples.

    Attributes:
        name: Of the set, for tables and pictures.
        motions: ``[cycle, time, joint, 3]`` float32 metres, z up; where cycles are turned to one heading, x is forward
            and y is left. Sample k is k / samples of the cycle.
        joints: Their names.
        bones: Pairs of numbers of joints, to be drawn.
        subjects: Of each cycle, who walks.
        emotions: Of each cycle, the class of what is felt or acted.
        takes: Of each cycle, the recording that it is from: its file within the source. Cycles of one take are of one
            walk, and belong on one side of a split.
        spans: ``[cycle, 2]`` seconds within the take at which it begins and ends; resampling takes the pace out.
        synthetic: Whether the walkers are made up.
    """

    name: str
    motions: np.ndarray
    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    subjects: tuple[str, ...]
    emotions: tuple[str, ...]
    takes: tuple[str, ...]
    spans: np.ndarray
    synthetic: bool = False

    def __post_init__(self) -> None:
        shape = self.motions.shape
        counts = [len(self.subjects), len(self.emotions), len(self.takes)]
        if len(shape) != 4 or shape[2:] != (len(self.joints), 3) or set(counts) != {shape[0]}:
            raise InputError(
                f"gait: expected motions [cycle, time, {len(self.joints)} joints, 3] with a subject, an emotion and a "
                f"take each, found shape {list(shape)} and {counts} of those"
            )
        spans = self.spans
        if spans.shape != (shape[0], 2) or not (np.isfinite(spans).all() and (spans[:, 0] < spans[:, 1]).all()):
            raise InputError("gait: expected a beginning before an end, in seconds, for each cycle")
        if not np.isfinite(self.motions).all():
            raise InputError("gait: expected places of all joints in every sample, found NaN or infinity")
        if not all(0 <= joint < len(self.joints) for bone in self.bones for joint in bone):
            raise InputError(f"gait: expected bones between joints 0 to {len(self.joints) - 1}")

    @cached_property
    def take(self) -> np.ndarray:
        """``[cycle]`` number of its take among the sorted takes."""
        return np.searchsorted(sorted(set(self.takes)), self.takes)

    @cached_property
    def durations(self) -> np.ndarray:
        """``[cycle]`` seconds."""
        return self.spans[:, 1] - self.spans[:, 0]

    @cached_property
    def series(self) -> np.ndarray:
        """``[cycle, time, joint x 3 + 1]`` float32: places of all joints, and the cycle's duration at every sample."""
        flat = self.motions.reshape(*self.motions.shape[:2], 3 * len(self.joints))
        durations = np.broadcast_to(self.durations[:, np.newaxis, np.newaxis], (*flat.shape[:2], 1))
        return np.concatenate([flat, durations], axis=2).astype(np.float32)

    def place(self, cycle: int) -> str:
        """Where a cycle is from, for messages."""
        start, end = self.spans[cycle]
        return f"{self.takes[cycle]}, {start:.2f} s to {end:.2f} s"

    def part(self, rows: np.ndarray) -> GaitSet:
        """Some of the cycles, by number or by mask."""
        numbers = np.flatnonzero(rows) if rows.dtype == bool else rows
        subjects, emotions, takes = (
            tuple(column[row] for row in numbers) for column in (self.subjects, self.emotions, self.takes)
        )
        spans = self.spans[numbers]
        return replace(
            self, motions=self.motions[numbers], subjects=subjects, emotions=emotions, takes=takes, spans=spans
        )

    def with_series(self, series: np.ndarray) -> GaitSet:
        """The same people, emotions and takes with other motions and durations, in the form of `series`.

        Cycles begin where they began.

        Args:
            series: Of as many cycles, samples and joints; a cycle's duration is that at its first sample.

        Raises:
            InputError: If a place or a duration is NaN or infinite, or a duration is not above 0.
        """
        motions = series[:, :, :-1].reshape(self.motions.shape)
        starts = self.spans[:, 0]
        spans = np.column_stack([starts, starts + series[:, 0, -1].astype(np.float64)])
        return replace(self, motions=motions, spans=spans)
