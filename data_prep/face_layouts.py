"""Folders of faces: whose each image is and what it shows, by names alone.

Five layouts are known:

- ``yale``: Yale Face Database, ``subject01.happy``, with or without an ending (15 people, 11 conditions each). Six
  conditions are expressions: happy, normal (here ``neutral``), sad, sleepy, surprised, wink. The other five are of
  light and glasses: centerlight, glasses, leftlight, noglasses, rightlight. The face is at rest in them as in
  ``normal``, so that as classes of their own they would make lamps and glasses into emotions, and as ``neutral`` they
  would make it six times as frequent as the others. They are left out unless ``all_conditions`` is asked for.
- ``jaffe``: ``KA.AN1.39.tiff``, which is subject, expression with its number, serial number.
- ``london``: Face Research Lab London Set, ``001_03.jpg`` neutral, ``001_08.jpg`` happy; other views are left out.
- ``folders``: ``<subject>/<emotion>/<image>``, under any names.
- ``manifest``: a CSV in the folder with the columns file, subject, emotion.

Emotions are lower-case. A link that leads out of the folder is never followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from data_prep.face_folder import look_into
from data_prep.face_names import NAME_READERS, FaceFile, in_folders, missing
from data_prep.labelled_folder import FolderContent, check_spelling, seen
from data_prep.labelled_manifest import open_folder, read_manifest
from data_prep.labelled_report import NO_FIT, Dropped
from tff_affect.errors import InputError

LAYOUTS: Mapping[str, str] = {
    "yale": "subject01.happy",
    "jaffe": "KA.AN1.39.tiff",
    "london": "001_03.jpg and 001_08.jpg",
    "folders": "<subject>/<emotion>/<image>",
    "manifest": "a CSV with the columns file, subject, emotion",
}


@dataclass(frozen=True)
class FaceListing:
    """The images of a folder.

    Attributes:
        layout: One of `LAYOUTS`.
        folder: What the names are relative to.
        faces: In the order of their names.
        dropped: What else is there.
        notes: What was expected and is missing, one sentence each.
    """

    layout: str
    folder: Path
    faces: tuple[FaceFile, ...]
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Names:
    """What a layout makes of names."""

    faces: list[FaceFile] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def put(self, name: str, made: FaceFile | Dropped | None, expected: str) -> None:
        """Takes a file, or drops one of which the layout makes nothing."""
        if isinstance(made, FaceFile):
            self.faces.append(made)
        else:
            self.dropped.append(made or Dropped(name, NO_FIT, f"expected {expected}"))


def list_faces(path: Path, layout: str | None = None, all_conditions: bool = False) -> FaceListing:
    """Lists the images of a folder of faces.

    Args:
        path: The folder, or the manifest in it.
        layout: One of `LAYOUTS`; None: a manifest where there is one, else the one that names in the folder fit.
        all_conditions: Whether Yale's conditions of light and glasses are kept, each as a class of its own name.

    Raises:
        InputError: If the folder is missing or unreadable, no layout or several fit, or a manifest is wrong.
    """
    content, manifest = open_folder(Path(path), layout, LAYOUTS, look_into)
    if manifest is not None:
        return _from_manifest(content, manifest)
    return _from_names(content, layout or _recognised(content), all_conditions)


def _from_manifest(content: FolderContent, manifest: Path) -> FaceListing:
    faces = tuple(FaceFile(*row) for row in read_manifest(manifest, content.folder))
    named = {face.name for face in faces}
    known = (*content.files, *content.nested, *content.deep)
    used = named.union(parent.as_posix() for name in named for parent in PurePosixPath(name).parents)
    others = [Dropped(name, "not in the manifest") for name in known if name not in used]
    note = f"people and emotions are from {manifest.name}"
    return FaceListing("manifest", content.folder, faces, (*others, *_never_images(content, named)), (note,))


def _from_names(content: FolderContent, layout: str, all_conditions: bool) -> FaceListing:
    names = _Names()
    for name in content.files:
        made = None if layout == "folders" else NAME_READERS[layout](name, all_conditions)
        names.put(name, made, LAYOUTS[layout])
    for name in content.nested:
        names.put(name, in_folders(name) if layout == "folders" else None, LAYOUTS[layout])
    for name in content.deep:
        names.put(name, None, LAYOUTS[layout])
    if not names.faces:
        raise InputError(
            f"expected {LAYOUTS[layout]} ({layout}), found {_seen(content)}",
            file=content.folder,
        )
    check_spelling((face.subject for face in names.faces), content.folder)
    faces = tuple(sorted(names.faces, key=lambda face: face.name))
    dropped = (*names.dropped, *_never_images(content, set()))
    return FaceListing(layout, content.folder, faces, dropped, missing(layout, (*content.files, *content.others)))


def _never_images(content: FolderContent, named: set[str]) -> tuple[Dropped, ...]:
    """What is no image by its name, or cannot be followed."""
    rows = [(name, "not an image by its name", "") for name in (*content.others, *content.csv_files)]
    rows += [(name, "not followed", reason) for name, reason in content.links.items()]
    return tuple(Dropped(*row) for row in rows if row[0] not in named)


def _recognised(content: FolderContent) -> str:
    counts = _counts(content)
    if len(counts) == 1:
        return next(iter(counts))
    if counts:
        found = ", ".join(f"{count} of {layout}" for layout, count in counts.items())
        raise InputError(
            f"the names fit several layouts ({found} files); say which with the layout", file=content.folder
        )
    inside = next(
        (f"; {child} in it looks like one: name that" for child in content.folders if _inside(content, child)), ""
    )
    known = "; ".join(f"{name}: {example}" for name, example in LAYOUTS.items())
    reason = f"expected a folder of faces ({known}), found {_seen(content)}{inside}"
    raise InputError(reason, file=content.folder)


def _counts(content: FolderContent) -> dict[str, int]:
    counts = {name: sum(read(file, True) is not None for file in content.files) for name, read in NAME_READERS.items()}
    counts["folders"] = sum(in_folders(file) is not None for file in content.nested)
    return {name: count for name, count in counts.items() if count}


def _inside(content: FolderContent, child: str) -> bool:
    try:
        return bool(_counts(look_into(content.folder / child)))
    except InputError:
        return False


def _seen(content: FolderContent) -> str:
    return seen((*content.files, *content.csv_files), content.folders)
