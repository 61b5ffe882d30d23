"""A trained anonymiser on a folder of images: transformed images come out, and nothing else.

What is written is made of grey values alone: no EXIF, no colour profile, no time of the original. The new folder is
filled under a temporary name and appears whole.
"""

from __future__ import annotations

import csv
import io
import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from data_prep.face_crop import Cropper, open_cropper, standard_contrast, whole
from data_prep.face_folder import is_no_image
from data_prep.faces import FaceOptions
from data_prep.image_file import read_image
from data_prep.labelled_folder import outside
from tff_affect.atomic import replace_bytes, replace_text
from tff_affect.cohort import new_folder
from tff_affect.errors import InputError, RunError
from tff_affect.progress import Progress

PNG = ".png"
IMAGE_ENDINGS = frozenset(
    {".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp", ".pgm", ".ppm", ".jp2", ".avif"}
)
NAMES_MAY_TELL = (
    "names of files and folders were kept, and may themselves say whose face it is; --rename gives numbers instead"
)
_AT_ONCE = 64


class Trained(Protocol):
    """What `tff_affect.anonymizer.saved.load_anonymizer` gives."""

    @property
    def preparation(self) -> Mapping[str, Any]:
        """How faces were cut out before training, the fields of `data_prep.faces.FaceOptions`."""

    def transform(self, images: np.ndarray) -> np.ndarray:
        """``[image, row, column]`` to the same."""


@dataclass(frozen=True)
class Applied:
    """What was written.

    Attributes:
        written: How many images.
        skipped: Name of an image -> why it could not be used.
        passed_over: Names of files that are no images by name.
        kept_names: Whether the names are those of the originals.
    """

    written: int
    skipped: Mapping[str, str]
    passed_over: tuple[str, ...]
    kept_names: bool


def apply_anonymizer(
    anonymizer: Trained, folder: Path, out: Path, progress: Progress, rename: bool = False, key: Path | None = None
) -> Applied:
    """Transforms all images of a folder and of the folders in it.

    Args:
        anonymizer: A trained one.
        folder: The images; it is only read.
        out: The folder to write, new or empty, and not within ``folder``.
        progress: Shows how many images are done.
        rename: Gives the images numbers, in an order drawn from the system's randomness, in no folders.
        key: Where the table of new and old names goes, outside ``out``; only with ``rename``. Without it nobody can
            tell which image is whose.

    Returns:
        What was written; images that cannot be used are named and left out.

    Raises:
        InputError: If a folder is not as it has to be, or holds no image.
        RunError: If not one image could be used; nothing is written then.
    """
    check_places(folder, out, rename, key)
    names, passed_over, links = _images(folder)
    if not names:
        raise InputError("expected images, found none; name the folder that holds them", file=folder)
    targets = dict(zip(names, _numbers(len(names)) if rename else png_names(names), strict=True))
    with new_folder(out) as place:
        skipped = links | _transform(anonymizer, folder, place, targets, progress)
        written = [name for name in names if name not in skipped]
        if not written:
            name, reason = next(iter(skipped.items()))
            raise RunError(
                f"{folder}: none of {len(names)} images could be used, so nothing was written ({name}: {reason})"
            )
        if key is not None:
            # Before the images appear: without it a renaming cannot be undone.
            _write_key(key, {name: targets[name] for name in written})
    return Applied(len(written), skipped, passed_over, not rename)


def check_places(folder: Path, out: Path, rename: bool = False, key: Path | None = None) -> None:
    """Refuses folders that are not as they have to be, before anything long is begun.

    Raises:
        InputError: Then.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise InputError(f"expected a folder of images, found {found}; name the folder", file=folder)
    if out.resolve().is_relative_to(folder.resolve()):
        raise InputError("it lies within the folder of originals, which is only read; name another", file=out)
    check_new(out)
    if key is not None and not rename:
        raise InputError("--key: expected it with --rename alone; kept names need no key")
    if key is None:
        return
    if key.exists() or any(key.resolve().is_relative_to(place.resolve()) for place in (out, folder)):
        raise InputError(
            "--key: expected a new file outside the folders of images: whoever has both knows whose image is which",
            file=key,
        )
    if not os.access(key.parent, os.W_OK):
        raise InputError("--key: expected a folder there that can be written to; make it first", file=key)


def check_new(out: Path) -> None:
    """Refuses a folder that is not new or empty.

    Raises:
        InputError: Then.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError("expected a new or empty folder, found something there; name a new one", file=out)


def _images(folder: Path) -> tuple[list[str], tuple[str, ...], dict[str, str]]:
    """Names of what may be an image, of what is none by its name, and links that are not followed, with the reason."""
    top = folder.resolve()
    names, others, links = [], [], {}
    for place, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [*files, *(name for name in folders if (Path(place) / name).is_symlink())]:
            path = Path(place) / name
            relative = path.relative_to(folder).as_posix()
            reason = outside(path, top) if path.is_symlink() else None
            if path.is_dir():
                reason = reason or "a link to a folder"
            if reason is not None:
                links[relative] = reason
            elif is_no_image(name) or name.lower().endswith(".csv"):
                others.append(relative)
            else:
                names.append(relative)
    return sorted(names), tuple(sorted(others)), links


def _unreadable(error: OSError) -> None:
    raise InputError(f"cannot read the folder: {error.strerror}; give access, or take it out", file=error.filename)


def png_names(names: Sequence[str]) -> list[str]:
    """The names with an image's ending replaced by ``.png``; where two would be one, the whole old name stays.

    Names without such an ending, as Yale's ``subject01.happy``, stay whole too.
    """
    short = [_short(name) for name in names]
    count = Counter(short)
    made = [f"{name}{PNG}" if count[new] > 1 else new for name, new in zip(names, short, strict=True)]
    return made if len(set(made)) == len(made) else [f"{name}{PNG}" for name in names]


def _short(name: str) -> str:
    stem, ending = os.path.splitext(name)
    return f"{stem if ending.lower() in IMAGE_ENDINGS else name}{PNG}"


def _numbers(count: int) -> list[str]:
    numbers = list(range(1, count + 1))
    # Not the order of the old names, which would say who is whose neighbour.
    random.SystemRandom().shuffle(numbers)
    return [f"{number:0{len(str(count))}d}{PNG}" for number in numbers]


def _transform(
    anonymizer: Trained, folder: Path, place: Path, targets: Mapping[str, str], progress: Progress
) -> dict[str, str]:
    """Writes what can be transformed; returns what cannot, with the reason."""
    # In the order of the new names: what is written when says nothing of the old ones.
    names, skipped = sorted(targets, key=lambda name: targets[name]), {}
    try:
        options = FaceOptions(**anonymizer.preparation)
    except TypeError as error:
        raise InputError(
            "the model says of its faces what this version does not know, or was changed; train it again"
        ) from error
    with open_cropper(options.alignment, options.size) as cropper, progress.task("images", len(names)) as task:
        for first in range(0, len(names), _AT_ONCE):
            faces: dict[str, np.ndarray] = {}
            for name in names[first : first + _AT_ONCE]:
                found = _face(folder / name, cropper, options)
                if isinstance(found, str):
                    skipped[name] = found
                else:
                    faces[name] = found
                task.advance()
            if faces:
                for name, image in zip(faces, anonymizer.transform(np.stack(list(faces.values()))), strict=True):
                    write_png(place / targets[name], image)
    return skipped


def _face(file: Path, cropper: Cropper, options: FaceOptions) -> np.ndarray | str:
    """The face as the anonymiser was trained on faces, or why there is none."""
    try:
        image = read_image(file)
    except InputError as error:
        return error.reason
    crop = cropper(image)
    if crop is None and options.without_face == "drop":
        return "no face was found"
    face = (crop or whole(image, options.size)).image
    return standard_contrast(face) if options.contrast == "standard" else face


def write_png(file: Path, image: np.ndarray) -> None:
    """Writes grey values 0-1 ``[row, column]`` with 8 bits and without any metadata."""
    stream = io.BytesIO()
    Image.fromarray(np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)).save(stream, "PNG")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make a folder for it: {error.strerror}; rename one of the two", file=file) from error
    replace_bytes(file, stream.getvalue())


def _write_key(key: Path, targets: Mapping[str, str]) -> None:
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(("new", "original"))
    rows.writerows(sorted((new, old) for old, new in targets.items()))
    replace_text(key, stream.getvalue())
