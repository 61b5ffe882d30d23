"""Aligned grey faces in memory, with whose they are and what they show.

Unlike a cohort of action units, such a set is made of what identifies people. It is never written to disk.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tff_affect.errors import InputError


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Faces of several people, of one size.

    Attributes:
        name: Of the set, for tables and pictures.
        images: ``[image, row, column]`` float32, 0 (black) to 1 (white).
        subjects: Of each image, whose face it is.
        emotions: Of each image, the class of what it shows.
        files: Of each image, its file within the source, for messages; a drawn face has a name of that kind.
        synthetic: Whether the faces are drawn.
    """

    name: str
    images: np.ndarray
    subjects: tuple[str, ...]
    emotions: tuple[str, ...]
    files: tuple[str, ...]
    synthetic: bool = False

    def __post_init__(self) -> None:
        shape = self.images.shape
        if len(shape) != 3 or {len(self.subjects), len(self.emotions), len(self.files)} != {shape[0]}:
            counts = len(self.subjects), len(self.emotions), len(self.files)
            raise InputError(
                f"faces: expected images [image, row, column] with a subject, an emotion and a file each, found shape "
                f"{list(shape)} and {counts} of those"
            )
        if not ((self.images >= 0) & (self.images <= 1)).all():
            raise InputError("faces: expected grey values from 0 to 1")

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def people(self) -> tuple[str, ...]:
        """Everybody, sorted."""
        return tuple(sorted(set(self.subjects)))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """All emotions, sorted."""
        return tuple(sorted(set(self.emotions)))

    @cached_property
    def person(self) -> np.ndarray:
        """``[image]`` number of its person in `people`."""
        return np.searchsorted(self.people, self.subjects)

    def emotion(self, classes: tuple[str, ...]) -> np.ndarray:
        """``[image]`` number of its emotion among sorted classes, which a part of a set may not all show.

        Raises:
            InputError: If an emotion is none of them.
        """
        unknown = sorted(set(self.emotions) - set(classes))
        if unknown:
            shown = ", ".join(classes)
            raise InputError(f"faces: expected nothing but {shown}, found {unknown[0]}, which nobody else shows")
        return np.searchsorted(classes, self.emotions)

    def part(self, rows: np.ndarray) -> FaceSet:
        """Some of the images, by number or by mask."""
        numbers = np.flatnonzero(rows) if rows.dtype == bool else rows
        subjects, emotions, files = (
            tuple(column[row] for row in numbers) for column in (self.subjects, self.emotions, self.files)
        )
        return FaceSet(self.name, self.images[numbers], subjects, emotions, files, self.synthetic)

    def of(self, people: Collection[str]) -> FaceSet:
        """All images of some people."""
        return self.part(np.isin(self.subjects, list(people)))

    def with_images(self, images: np.ndarray) -> FaceSet:
        """The same people and emotions with other images, as a transformation gives them."""
        return FaceSet(self.name, images, self.subjects, self.emotions, self.files, self.synthetic)
