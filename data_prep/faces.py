"""Folders of face images to a `FaceSet` in memory; nothing is written.

Every image is read and cut out apart from the others, so that nothing of one person reaches another's image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from data_prep.face_crop import ALIGNMENTS, CONTRASTS, Cropper, open_cropper, standard_contrast, whole
from data_prep.face_duplicates import ReadFace, digest_of, drop_duplicates, near_duplicates, near_notes
from data_prep.face_layouts import LAYOUTS, FaceListing, list_faces
from data_prep.face_names import FaceFile
from data_prep.face_report import FaceReport
from data_prep.files.marker import says_synthetic
from data_prep.image_file import read_image
from data_prep.labelled_report import Dropped, describe_dropped
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet

UNREADABLE = "unreadable"
NO_FACE = "no face found"
WITHOUT_FACE = ("drop", "whole")
SIZES = (16, 512)
_THUMBNAIL = 48
_TITLES = {"yale": "Yale Face Database", "jaffe": "JAFFE", "london": "Face Research Lab London Set"}
# (name of the image that is done, number of all images)
OnFace = Callable[[str, int], None]


@dataclass(frozen=True)
class FaceOptions:
    """How a folder of faces is read.

    Attributes:
        layout: One of ``face_layouts.LAYOUTS``; None: recognised by what is in the folder.
        alignment: How faces are cut out: ``none``, ``haar`` or ``facemesh`` (see ``face_crop``).
        size: Side of an image of the set, pixels.
        all_conditions: Whether Yale's five conditions of light and glasses are kept, as classes of their own.
        without_face: What becomes of an image in which no face is found: ``drop``, or ``whole`` to take it whole.
        contrast: ``as it is``, or ``standard``: each image's mean becomes 0.5 and its standard deviation 0.2.
    """

    layout: str | None = None
    alignment: str = "none"
    size: int = 48
    all_conditions: bool = False
    without_face: str = "drop"
    contrast: str = "as it is"

    def __post_init__(self) -> None:
        for name, allowed in (("alignment", ALIGNMENTS), ("without_face", WITHOUT_FACE), ("contrast", CONTRASTS)):
            _check_among(name, getattr(self, name), allowed)
        if self.layout is not None:
            _check_among("layout", self.layout, tuple(LAYOUTS))
        if not SIZES[0] <= self.size <= SIZES[1]:
            raise InputError(f"faces: size: expected {SIZES[0]} to {SIZES[1]} pixels, found {self.size}")

    def describe(self, layout: str) -> str:
        """In a few words, what is as usual left out."""
        words = [f"layout {layout}", f"alignment {self.alignment}", f"{self.size} pixels a side"]
        words += ["all conditions"] if self.all_conditions else []
        words += ["whole where no face is found"] if self.without_face == "whole" else []
        words += ["standard contrast"] if self.contrast == "standard" else []
        return ", ".join(words)


def _check_among(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"faces: {name}: expected one of {', '.join(allowed)}, found {value!r}")


def read_faces(
    folder: Path, options: FaceOptions | None = None, progress: OnFace | None = None
) -> tuple[FaceSet, FaceReport]:
    """Reads a folder of faces.

    Args:
        folder: Of a layout that ``face_layouts`` knows, or the manifest in it. A file ``SYNTHETIC.txt`` in it or above
            it says that the faces are generated.
        options: How.
        progress: Called after each image with its name and the number of all images.

    Returns:
        The faces, in the order of their files' names; what became of each file.

    Raises:
        InputError: If the folder cannot be read, no layout fits, a library is missing, or fewer than two people or two
            emotions are left.
    """
    options = options or FaceOptions()
    listing = list_faces(Path(folder), options.layout, options.all_conditions)
    read, unread = _read_all(listing, options, progress)
    kept, twice = drop_duplicates(read)
    dropped = (*listing.dropped, *unread, *twice)
    _check_enough(kept, dropped, listing)
    notes = (*listing.notes, *near_notes(near_duplicates(kept)))
    synthetic = says_synthetic(listing.folder)
    title = _TITLES.get(listing.layout) or listing.folder.resolve().name
    name = f"SYNTHETIC {title}" if synthetic else title
    return _face_set(name, kept, synthetic), _report(name, listing, kept, dropped, notes, options)


def _read_all(
    listing: FaceListing, options: FaceOptions, progress: OnFace | None
) -> tuple[list[ReadFace], list[Dropped]]:
    read: list[ReadFace] = []
    dropped: list[Dropped] = []
    with open_cropper(options.alignment, options.size) as crop:
        for file in listing.faces:
            made = _read_one(listing.folder, file, options, crop)
            if isinstance(made, ReadFace):
                read.append(made)
            else:
                dropped.append(made)
            if progress is not None:
                progress(file.name, len(listing.faces))
    return read, dropped


def _read_one(folder: Path, file: FaceFile, options: FaceOptions, crop: Cropper) -> ReadFace | Dropped:
    try:
        image = read_image(folder / file.name)
    except InputError as error:
        return Dropped(file.name, UNREADABLE, error.reason)
    found = crop(image)
    if found is None and options.without_face == "drop":
        return Dropped(file.name, NO_FACE)
    made = found or whole(image, options.size)
    if options.contrast == "standard":
        made = replace(made, image=standard_contrast(made.image))
    return ReadFace(file, digest_of(image), made.image, made.found, whole(image, _THUMBNAIL).image)


def _check_enough(kept: Sequence[ReadFace], dropped: Sequence[Dropped], listing: FaceListing) -> None:
    people, emotions = ({getattr(face.file, of) for face in kept} for of in ("subject", "emotion"))
    if len(people) < 2 or len(emotions) < 2:
        found = f"{len(kept)} images of {len(people)} people with {len(emotions)} emotions"
        why = describe_dropped(dropped)
        reason = f"expected faces of at least 2 people with 2 emotions, found {found}{f' ({why})' if why else ''}"
        raise InputError(f"{reason}; add what is missing", file=listing.folder)


def _face_set(name: str, kept: Sequence[ReadFace], synthetic: bool) -> FaceSet:
    files = [face.file for face in kept]
    return FaceSet(
        name=name,
        images=np.stack([face.crop for face in kept]),
        subjects=tuple(file.subject for file in files),
        emotions=tuple(file.emotion for file in files),
        files=tuple(file.name for file in files),
        synthetic=synthetic,
    )


def _report(
    name: str,
    listing: FaceListing,
    kept: Sequence[ReadFace],
    dropped: tuple[Dropped, ...],
    notes: tuple[str, ...],
    options: FaceOptions,
) -> FaceReport:
    counts: dict[str, Counter[str]] = {}
    for face in kept:
        counts.setdefault(face.file.subject, Counter())[face.file.emotion] += 1
    ways = Counter(face.found for face in kept)
    settings = {key: value for key, value in asdict(options).items() if key != "layout"}
    return FaceReport(
        name=name,
        layout=listing.layout,
        kept={subject: dict(sorted(counts[subject].items())) for subject in sorted(counts)},
        found=dict(sorted(ways.items())),
        dropped=dropped,
        notes=notes,
        how=options.describe(listing.layout),
        options=settings,
    )
