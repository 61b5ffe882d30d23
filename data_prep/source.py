"""What every reader gives: a source of subjects, opened once and read one subject at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Protocol

from data_prep.column_map import ColumnMap
from tff_affect.cohort import CohortManifest, SubjectEntry, SubjectTable
from tff_affect.errors import InputError

# Names of head pose in a cohort, in degrees, whoever measured it.
POSE = ("pitch", "yaw", "roll")


@dataclass(frozen=True)
class SourceOptions:
    """How a source is to be read. None, or False, leaves the choice to the reader.

    Attributes:
        column_map: What a generic table's columns mean.
        fusion: Rule that makes a gold standard of several raters; a name in ``data_prep.labels.gold_standard.FUSIONS``.
        deltas: Whether RECOLA's time differences of the features come along.
        labels: Folder with ``<dimension>/<subject>.csv``, for sources that have none of their own.
        frame_rate: Frames per second of the recordings, instead of what their timestamps say.
        pose: Whether head pose (pitch, yaw, roll in degrees) comes along with the action units.
        feature_set: Which of a corpus's feature folders to read.
    """

    column_map: ColumnMap | None = None
    fusion: str | None = None
    deltas: bool = False
    labels: Path | None = None
    frame_rate: float | None = None
    pose: bool = False
    feature_set: str | None = None

    def __post_init__(self) -> None:
        if self.frame_rate is not None and not 0 < self.frame_rate <= 1000:
            raise InputError(f"expected a frame rate above 0 and up to 1000, found {self.frame_rate:g}")

    def given(self) -> tuple[str, ...]:
        """Names of the options that are set."""
        return tuple(item.name for item in fields(self) if getattr(self, item.name) != item.default)


class Source(Protocol):
    """A source, opened.

    Attributes:
        kind: What it is, in a word: ``recola``, ``openface`` ...
        takes: The `SourceOptions` that mean something to it.
        manifest: The manifest of the cohort that it makes, without subjects.
        subjects: The subjects' identifiers.
        notes: What was left out on opening, one sentence each.
    """

    kind: str
    takes: ClassVar[frozenset[str]]
    manifest: CohortManifest
    subjects: tuple[str, ...]
    notes: tuple[str, ...]

    def read(self, subject: str) -> tuple[SubjectEntry, SubjectTable]:
        """Reads one subject; the entry's ``quality`` counts what was masked, dropped or repaired.

        Raises:
            InputError: For the first thing wrong with the subject's files.
        """


def read_all(source: Source) -> Iterator[tuple[SubjectEntry, SubjectTable]]:
    """Reads the subjects in order, one at a time."""
    return (source.read(subject) for subject in source.subjects)
