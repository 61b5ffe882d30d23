"""Folders of walks: whose each recording is and what is felt, by names alone.

Three layouts are known:

- ``glasgow``: Body Movement Library, ``ale_walk_an_1_fin.ptd``, in folders such as ``ale_pt`` or without them: subject,
  action, emotion (an, ha, nu, sa: angry, happy, neutral, sad), number. Other actions than walking are left out.
- ``folders``: ``<subject>/<emotion>/<recording>``, under any names.
- ``manifest``: a CSV in the folder with the columns file, subject, emotion.

Emotions are lower-case. A link that leads out of the folder is never followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_prep.labelled_folder import FolderContent, check_spelling, list_folder, seen
from data_prep.labelled_manifest import open_folder, read_manifest
from data_prep.labelled_report import NO_FIT, Dropped
from tff_affect.errors import InputError

LAYOUTS: Mapping[str, str] = {
    "glasgow": "ale_walk_an_1_fin.ptd",
    "folders": "<subject>/<emotion>/<recording>",
    "manifest": "a CSV with the columns file, subject, emotion",
}
ENDINGS = (".ptd", ".bvh", ".c3d", ".csv")
GLASGOW_EMOTIONS = {"an": "angry", "ha": "happy", "nu": "neutral", "sa": "sad"}
_GLASGOW = re.compile(rf"([a-z]+)_([a-z]+)_({'|'.join(GLASGOW_EMOTIONS)})_\d+(?:_fin)?\.ptd", re.IGNORECASE)


@dataclass(frozen=True)
class WalkFile:
    """One recording and what its name says.

    Attributes:
        name: Of the file, relative to the folder, with slashes.
        subject: Who walks.
        emotion: What is felt or acted.
    """

    name: str
    subject: str
    emotion: str


@dataclass(frozen=True)
class WalkListing:
    """The recordings of a folder.

    Attributes:
        layout: One of `LAYOUTS`.
        folder: What the names are relative to.
        walks: In the order of their names.
        dropped: What else is there.
    """

    layout: str
    folder: Path
    walks: tuple[WalkFile, ...]
    dropped: tuple[Dropped, ...] = ()


def list_walks(path: Path, layout: str | None = None) -> WalkListing:
    """Lists the recordings of a folder of walks.

    Args:
        path: The folder, or the manifest in it.
        layout: One of `LAYOUTS`; None: a manifest where there is one, else the one that names in the folder fit.

    Raises:
        InputError: If the folder is missing or unreadable, no layout or several fit, or a manifest is wrong.
    """
    content, manifest = open_folder(Path(path), layout, LAYOUTS, _look_into)
    if manifest is not None:
        return _from_manifest(content, manifest)
    return _from_names(content, layout or _recognised(content))


def _look_into(folder: Path) -> FolderContent:
    return list_folder(folder, "walks", _is_no_walk)


def _is_no_walk(name: str) -> bool:
    return name.startswith(".") or os.path.splitext(name.lower())[1] not in ENDINGS


def _recordings(content: FolderContent) -> tuple[str, ...]:
    return (*content.files, *content.csv_files, *content.nested, *content.deep)


def _from_manifest(content: FolderContent, manifest: Path) -> WalkListing:
    walks = tuple(WalkFile(*row) for row in read_manifest(manifest, content.folder))
    used = {walk.name for walk in walks} | {manifest.name}
    used |= {parent.as_posix() for walk in walks for parent in PurePosixPath(walk.name).parents}
    others = [Dropped(name, "not in the manifest") for name in _recordings(content) if name not in used]
    others += [row for row in _no_walks(content) if row.name not in used]
    return WalkListing("manifest", content.folder, walks, tuple(others))


def _from_names(content: FolderContent, layout: str) -> WalkListing:
    walks, dropped = [], []
    for name in _recordings(content):
        made = _READERS[layout](name)
        if isinstance(made, WalkFile):
            walks.append(made)
        else:
            dropped.append(made or Dropped(name, NO_FIT, f"expected {LAYOUTS[layout]}"))
    if not walks:
        raise InputError(f"expected {LAYOUTS[layout]} ({layout}), found {_seen(content)}", file=content.folder)
    check_spelling((walk.subject for walk in walks), content.folder)
    ordered = tuple(sorted(walks, key=lambda walk: walk.name))
    return WalkListing(layout, content.folder, ordered, (*dropped, *_no_walks(content)))


def _no_walks(content: FolderContent) -> list[Dropped]:
    rows = [Dropped(name, "not a recording by its name") for name in content.others]
    return rows + [Dropped(name, "not followed", reason) for name, reason in content.links.items()]


def _glasgow(name: str) -> WalkFile | Dropped | None:
    found = _GLASGOW.fullmatch(name.rsplit("/", 1)[-1])
    if found is None:
        return None
    if found[2].lower() != "walk":
        return Dropped(name, "another action", found[2].lower())
    return WalkFile(name, found[1].lower(), GLASGOW_EMOTIONS[found[3].lower()])


def _in_folders(name: str) -> WalkFile | None:
    parts = name.split("/")
    return WalkFile(name, parts[0].strip(), parts[1].strip().lower()) if len(parts) == 3 else None


_READERS = {"glasgow": _glasgow, "folders": _in_folders}


def _recognised(content: FolderContent) -> str:
    names = _recordings(content)
    glasgow = [name for name in names if _glasgow(name)]
    if glasgow:
        # Its own names say more than the folders around them.
        return "glasgow"
    if any(_in_folders(name) for name in names):
        return "folders"
    known = "; ".join(f"{name}: {example}" for name, example in LAYOUTS.items())
    reason = f"expected a folder of walks ({known}), found {_seen(content)}"
    raise InputError(reason, file=content.folder)


def _seen(content: FolderContent) -> str:
    return seen((*content.files, *content.csv_files, *content.others), content.folders)
