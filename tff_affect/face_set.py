"""Aligned grey faces in memory, with whose they are and what they show.

Unlike a cohort of action units, such a set is made of what identifies people. It is never written to disk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tff_affect.errors import InputError
from tff_affect.labelled_set import LabelledSet


@dataclass(frozen=True, eq=False)
class FaceSet(LabelledSet):
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

    def part(self, rows: np.ndarray) -> FaceSet:
        """Some of the images, by number or by mask."""
        numbers = np.flatnonzero(rows) if rows.dtype == bool else rows
        subjects, emotions, files = (
            tuple(column[row] for row in numbers) for column in (self.subjects, self.emotions, self.files)
        )
        return FaceSet(self.name, self.images[numbers], subjects, emotions, files, self.synthetic)

    def with_images(self, images: np.ndarray) -> FaceSet:
        """The same people and emotions with other images, as a transformation gives them."""
        return FaceSet(self.name, images, self.subjects, self.emotions, self.files, self.synthetic)
