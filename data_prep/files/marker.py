"""The mark of generated data: a file ``SYNTHETIC.txt`` in the folder of the data, or above it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["MARKER", "says_synthetic"]

MARKER = "SYNTHETIC.txt"
_FOLDERS_ABOVE = 2


def says_synthetic(folder: Path) -> bool:
    """Whether a folder, or one of up to two folders above it, is marked as generated.

    Labels and recordings lie up to two folders deep in a corpus, and the mark lies beside the corpus's parts.
    """
    here = Path(folder).resolve()
    return any((place / MARKER).is_file() for place in (here, *here.parents[:_FOLDERS_ABOVE]))
