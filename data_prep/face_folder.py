"""What is in a folder of faces, three levels deep, told apart by names; no file is opened and no link followed out."""

from __future__ import annotations

import os
from pathlib import Path

from data_prep.labelled_folder import FolderContent, list_folder

_NO_IMAGES = frozenset(
    {
        ".txt", ".md", ".rst", ".html", ".htm", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".json", ".xml", ".yaml",
        ".yml", ".ini", ".db", ".zip", ".gz", ".tar", ".tgz", ".rar", ".7z", ".py", ".m", ".mat", ".log", ".url",
        ".sha256", ".md5", ".tem",
    }
)  # fmt: skip
_NO_IMAGE_NAMES = frozenset({"readme", "license", "licence", "copying", "makefile"})


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
    return list_folder(folder, "faces", lambda name: name.lower().endswith(".csv") or is_no_image(name))
