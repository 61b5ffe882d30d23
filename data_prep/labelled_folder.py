"""What is in a folder of labelled files, told apart by names; no file is opened, no link followed out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tff_affect.errors import InputError

_DEPTH = 3
_SHOWN = 4


@dataclass
class FolderContent:
    """Names relative to a folder, with slashes, sorted.

    Attributes:
        folder: The folder.
        files: What may be data, in the folder itself.
        nested: What may be data, two folders down.
        deep: What lies elsewhere: one folder down; and folders three down, which are not looked into.
        folders: The folders in it.
        csv_files: The CSV files in the folder itself.
        others: What is no data by its name.
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


def list_folder(folder: Path, what: str, is_other: Callable[[str], bool]) -> FolderContent:
    """Lists a folder.

    Args:
        folder: The folder.
        what: What should be in it, for messages.
        is_other: Whether a file's name alone says that it is no data.

    Raises:
        InputError: If it is missing, no folder, or cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise InputError(f"expected a folder of {what}, found {found}; name the folder", file=folder)
    content = FolderContent(folder)
    try:
        _Lister(content, folder.resolve(), is_other).list("", 0)
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


def seen(files: Sequence[str], folders: Sequence[str]) -> str:
    """What is in a folder, in a few words."""
    parts = [
        f"{len(names)} {word if len(names) > 1 else word[:-1]} such as {', '.join(names[:_SHOWN])}"
        for word, names in (("files", files), ("folders", folders))
        if names
    ]
    return " and ".join(parts) or "nothing"


def check_spelling(subjects: Iterable[str], folder: Path) -> None:
    """Raises `InputError` if two subjects differ by case alone: they are one person, or nobody can tell them apart."""
    spelling: dict[str, str] = {}
    for subject in subjects:
        other = spelling.setdefault(subject.lower(), subject)
        if other != subject:
            reason = f"subjects {other!r} and {subject!r} differ by case alone; use one spelling"
            raise InputError(reason, file=folder)


@dataclass
class _Lister:
    content: FolderContent
    top: Path
    is_other: Callable[[str], bool]

    def list(self, within: str, depth: int) -> None:
        for entry in sorted(os.scandir(self.content.folder / within), key=lambda entry: entry.name):
            name = within + entry.name
            path = self.content.folder / name
            reason = outside(path, self.top) if entry.is_symlink() else None
            if reason is not None:
                self.content.links[name] = reason
            elif entry.is_dir() and not entry.name.startswith("."):
                self._list_folder(name, depth, linked=entry.is_symlink())
            else:
                self._sort_in(name, depth)

    def _list_folder(self, name: str, depth: int, linked: bool) -> None:
        if depth == 0:
            self.content.folders.append(name)
        if linked:
            self.content.links[name] = "a link to a folder"
        elif depth + 1 < _DEPTH:
            try:
                self.list(f"{name}/", depth + 1)
            except OSError as error:
                self.content.links[name] = f"the folder cannot be read: {error.strerror or error}"
        else:
            self.content.deep.append(name)

    def _sort_in(self, name: str, depth: int) -> None:
        content, last = self.content, name.rsplit("/", 1)[-1]
        if depth == 0 and last.lower().endswith(".csv"):
            content.csv_files.append(name)
        elif self.is_other(last):
            content.others.append(name)
        else:
            (content.files, content.deep, content.nested)[depth].append(name)
