"""What stands beside recordings of one subject each: labels, partition and group attributes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.files.marker import says_synthetic
from data_prep.files.resample import regular_times, to_times, without_jitter
from data_prep.labels.label_folder import LabelFolder
from data_prep.labels.subjects_csv import SUBJECTS_CSV, SubjectsCsv, read_subjects_csv
from tff_affect.cohort import SubjectEntry, SubjectTable
from tff_affect.errors import InputError

LABELS = "labels"
_LEAST_OVERLAP = 0.5


class RecordingLabels:
    """Labels and attributes of a folder of recordings.

    Attributes:
        labels: The labels; None where there are none.
        fusion: Rule that fuses several raters, or ``as supplied``, as `LabelFolder` has it; None without labels.
        synthetic: Whether a marker says that the data are generated.
        notes: Who and what was left out, and how the labels' clock was understood, a sentence each.
    """

    def __init__(
        self,
        folder: Path,
        subjects: Sequence[str],
        labels: Path | None = None,
        fusion: str | None = None,
        all_subjects: bool = True,
    ) -> None:
        """Looks for them.

        Args:
            folder: The recordings' folder. ``labels`` and ``subjects.csv`` in it are used where they are.
            subjects: Those who were recorded.
            labels: The labels' folder, instead of the one in ``folder``; a ``subjects.csv`` may be there as well.
            fusion: Rule for several raters, as `LabelFolder` takes it.
            all_subjects: Whether labels without a recording are an error.

        Raises:
            InputError: If a recording has no labels, labels have no recording, or a file is wrong.
        """
        own = folder / LABELS
        place = labels or (own if own.is_dir() else None)
        if place is None and fusion is not None:
            raise InputError("a fusion needs labels; name their folder with --labels", file=folder)
        self.labels = None if place is None else LabelFolder(place, fusion)
        self.fusion = self.labels.fusion if self.labels else None
        self._folder = folder
        if self.labels:
            self._check_subjects(self.labels, subjects, all_subjects)
        places = [folder, *([place] if place else [])]
        self.synthetic = any(says_synthetic(each) for each in places)
        listed = next((found for each in places if (found := read_subjects_csv(each)).entries), SubjectsCsv({}))
        known = listed.entries
        absent = [subject for subject in subjects if known and subject not in known]
        if absent:
            raise InputError(f"the recording has no row in {SUBJECTS_CSV}", file=folder, subject=absent[0])
        self._entries = {subject: known.get(subject, SubjectEntry(subject)) for subject in subjects}
        unseen = [subject for subject in known if subject not in subjects] if all_subjects else []
        left_out = f"subjects of {SUBJECTS_CSV} without a recording are left out: {', '.join(unseen)}"
        of_labels = self.labels.notes if self.labels else ()
        self.notes = (*((left_out,) if unseen else ()), *listed.notes, *of_labels)

    def _check_subjects(self, labels: LabelFolder, subjects: Sequence[str], all_subjects: bool) -> None:
        for subject in subjects:
            if subject not in labels.subjects:
                reason = "the recording has no labels; supply them, or remove the recording"
                raise InputError(reason, file=labels.path, subject=subject)
        rated = [subject for subject in labels.subjects if subject not in subjects]
        if rated and all_subjects:
            reason = "the subject has labels and no recording; supply it, or remove the labels"
            raise InputError(reason, file=self._folder, subject=rated[0])

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the label dimensions; none without labels."""
        return self.labels.dimensions if self.labels else ()

    def entry(self, subject: str) -> SubjectEntry:
        """A subject's partition and group attributes."""
        return self._entries[subject]

    def check(self, subject: str, seconds: float, file: Path) -> None:
        """Reads a subject's labels before long work, to see that they can be read and fit a recording so long.

        Raises:
            InputError: If they cannot be read, or fewer than half of them lie within the recording.
        """
        if self.labels is not None:
            _check_overlap(self.labels.read(subject)[0], (0.0, seconds), file, subject)

    def table(
        self,
        subject: str,
        own: np.ndarray,
        features: np.ndarray,
        frame_rate: float,
        file: Path,
        longest_gap: float = 0.0,
    ) -> SubjectTable:
        """A recording at the times of its labels; without labels, at ``k / frame_rate`` within the recording.

        Args:
            subject: Whose it is.
            own: ``[frames]`` seconds, increasing.
            features: ``[frames, features]``, NaN where missing.
            frame_rate: Frames per second of the result.
            file: The recording, for messages.
            longest_gap: As in ``resample.to_times``.

        Raises:
            InputError: If the labels cannot be read, or fewer than half of them have a frame.
        """
        if self.labels is None:
            time = regular_times(own, frame_rate)
            labels = np.empty((len(time), 0), dtype=np.float32)
            own = without_jitter(own, frame_rate)
        else:
            time, labels = self.labels.read(subject)
            _check_overlap(time, (own[0], own[-1]), file, subject)
        resampled = to_times(features, own, time, longest_gap).astype(np.float32)
        return SubjectTable.of_complete_frames(time, resampled, labels)


def _check_overlap(time: np.ndarray, span: tuple[float, float], file: Path, subject: str) -> None:
    share = float(((time >= span[0] - 1e-6) & (time <= span[1] + 1e-6)).mean())
    if share < _LEAST_OVERLAP:
        reason = (
            f"{100 * share:.0f} % of the labels ({time[0]:.3f}-{time[-1]:.3f} s) lie within the recording "
            f"({span[0]:.3f}-{span[1]:.3f} s); correct the times, or the frame rate with --frame-rate"
        )
        raise InputError(reason, file=file, subject=subject)
