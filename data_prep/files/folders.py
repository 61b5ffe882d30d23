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
        outside = next((entry for entry in entries if not entry.resolve().is_relative_to(top)), None)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "a link cannot be followed"
        raise InputError(f"cannot read the folder: {reason}", file=folder) from error
    if outside is not None:
        raise InputError("a link leads out of the folder; put the file itself there", file=outside)
    return entries


def one_file_each(files: Iterable[Path]) -> dict[str, Path]:
    """Subject -> file, the subject being the file's name without its ending.

    Raises:
        InputError: If two files are of one subject, or differ by case alone.
    """
    found: dict[str, Path] = {}
    spelling: dict[str, Path] = {}
    for file in files:
        other = spelling.setdefault(file.stem.lower(), file)
        if other != file:
            raise InputError(f"{other.name!r} is there too; keep one of the two", file=file, subject=file.stem)
        found[file.stem] = file
    return found
