"""Folders of the user's: what is in them, never what a link leads to elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tff_affect.errors import InputError


def entries_of(folder: Path, root: Path) -> list[Path]:
    """A folder's entries, sorted, hidden ones left out; none may lead out of ``root``.

    Raises:
        InputError: If the folder is missing or unreadable, or a link leads out of it.
    """
    if not folder.is_dir():
        raise InputError("the folder is missing", file=folder)
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        top = root.resolve()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "a link cannot be followed"
        raise InputError(f"cannot read the folder: {reason}", file=folder) from error
    for entry in entries:
        _require_inside(entry, top)
    return entries


def _require_inside(entry: Path, top: Path) -> None:
    try:
        inside = entry.resolve().is_relative_to(top)
    except (OSError, RuntimeError) as error:
        raise InputError("the link cannot be followed; put the file itself there", file=entry) from error
    if not inside:
        raise InputError("a link leads out of the folder; put the file itself there", file=entry)


def csv_files(folder: Path, root: Path) -> list[Path]:
    """The CSV files among `entries_of` a folder."""
    return [entry for entry in entries_of(folder, root) if entry.suffix.lower() == ".csv" and not entry.is_dir()]


def one_file_each(files: Iterable[Path]) -> dict[str, Path]:
    """Subject -> file, the subject being the file's name without its ending.

    Raises:
        InputError: If two files are of one subject, or differ by case alone, or one is a folder, a pipe or a device.
    """
    found: dict[str, Path] = {}
    spelling: dict[str, Path] = {}
    for file in files:
        if file.exists() and not file.is_file():
            raise InputError("cannot read the file: it is a folder, a pipe or a device", file=file)
        other = spelling.setdefault(file.stem.lower(), file)
        if other != file:
            raise InputError(f"{other.name!r} is there too; keep one of the two", file=file, subject=file.stem)
        found[file.stem] = file
    return found
