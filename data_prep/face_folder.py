"""What is in a folder of faces, three levels deep, told apart by names; no file is opened and no link followed out."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tff_affect.errors import InputError

_DEPTH = 3
_NO_IMAGES = frozenset(
    {
        ".txt", ".md", ".rst", ".html", ".htm", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".json", ".xml", ".yaml",
        ".yml", ".ini", ".db", ".zip", ".gz", ".tar", ".tgz", ".rar", ".7z", ".py", ".m", ".mat", ".log", ".url",
        ".sha256", ".md5", ".tem",
    }
)  # fmt: skip
_NO_IMAGE_NAMES = frozenset({"readme", "license", "licence", "copying", "makefile"})


@dataclass
class FolderContent:
    """Names relative to a folder, with slashes, sorted.

    Attributes:
        folder: The folder.
        files: What may be an image, in the folder itself.
        nested: What may be an image, two folders down.
        deep: What lies elsewhere: one folder down; and folders three down, which are not looked into.
        folders: The folders in it.
        csv_files: The CSV files in the folder itself.
        others: What is no image by its name.
        links: What cannot be used, and why: links out of the folder or to nowhere, unreadable folders.
    """

    folder: Path
    files: list[str] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)
    deep: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    csv_files: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)


def is_no_image(name: str) -> bool:
    """Whether a file's name alone says that it is no image: hidden, a text, an archive, a system's own."""
    lower = name.lower()
    ending = os.path.splitext(lower)[1]
    return lower.startswith(".") or ending in _NO_IMAGES or lower in _NO_IMAGE_NAMES or lower.startswith("readme.")


def look_into(folder: Path) -> FolderContent:
    """Lists a folder of faces.

    Raises:
        InputError: If it is missing, no folder, or cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise InputError(f"expected a folder of faces, found {found}; name the folder", file=folder)
    content = FolderContent(folder)
    try:
        top = folder.resolve()
        _list(content, top, "", 0)
    except OSError as error:
        raise InputError(f"cannot read the folder: {error.strerror or error}", file=folder) from error
    return content


def outside(file: Path, top: Path) -> str | None:
    """Why a file is not followed: it leads nowhere, or out of a resolved folder; None if it may be used."""
    try:
        target = file.resolve(strict=True)
    except FileNotFoundError:
        return "a link that leads nowhere" if file.is_symlink() else "it is missing"
    except (OSError, RuntimeError):
        return "a link that cannot be followed"
    return None if target.is_relative_to(top) else "a link that leads out of the folder"


def _list(content: FolderContent, top: Path, within: str, depth: int) -> None:
    for entry in sorted(os.scandir(content.folder / within), key=lambda entry: entry.name):
        name = within + entry.name
        path = content.folder / name
        reason = outside(path, top) if entry.is_symlink() else None
        if reason is not None:
            content.links[name] = reason
        elif entry.is_dir() and not entry.name.startswith("."):
            _list_folder(content, top, name, depth, linked=entry.is_symlink())
        else:
            _sort_in(content, name, depth)


def _list_folder(content: FolderContent, top: Path, name: str, depth: int, linked: bool) -> None:
    if depth == 0:
        content.folders.append(name)
    if linked:
        content.links[name] = "a link to a folder"
    elif depth + 1 < _DEPTH:
        try:
            _list(content, top, f"{name}/", depth + 1)
        except OSError as error:
            content.links[name] = f"the folder cannot be read: {error.strerror or error}"
    else:
        content.deep.append(name)


def _sort_in(content: FolderContent, name: str, depth: int) -> None:
    last = name.rsplit("/", 1)[-1]
    if last.lower().endswith(".csv"):
        (content.csv_files if depth == 0 else content.others).append(name)
    elif is_no_image(last):
        content.others.append(name)
    else:
        (content.files, content.deep, content.nested)[depth].append(name)
