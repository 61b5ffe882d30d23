"""The private folder in which clients' sequences lie while a study runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "tff_affect-staging-"
_LOCK = ".lock"


@contextmanager
def staging_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder that only this user can read, removed at the end.

    It lies in ``parent``, or else in the system's temporary folder (``TMPDIR`` moves it). What a killed run left there
    is removed first: its lock went with it, whatever machine or container it ran on.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        with open(folder / _LOCK, "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_temporary_files() -> Iterator[None]:
    """Puts the temporary files of this process into a `staging_folder`.

    TensorFlow writes some for as long as the process lives; what a killed one left is swept with the folder then.
    """
    before = tempfile.tempdir
    with staging_folder() as folder:
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        if _is_own(folder) and _is_abandoned(folder / _LOCK):
            shutil.rmtree(folder, ignore_errors=True)


def _is_own(folder: Path) -> bool:
    try:
        return not folder.is_symlink() and folder.stat().st_uid == os.getuid()
    except FileNotFoundError:  # another driver swept it meanwhile
        return False


def _is_abandoned(lock: Path) -> bool:
    """Whether a driver once held the lock and none does now; without one, the folder is just being made."""
    try:
        with open(lock, encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:
        return False
