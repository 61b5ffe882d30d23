"""Files that are there whole or not at all, and stay through a crash of the machine."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tff_affect.errors import InputError, RunError

_TEMPORARY = ".part"
# The disk, a quota, or the largest size of a file is used up.
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def replace_bytes(path: Path, content: bytes | memoryview, what: str = "here") -> None:
    """Writes a file under a temporary name and renames it: a reader sees the old content or the new.

    The new content is on the disk when this returns.

    Args:
        path: The file.
        content: All of it.
        what: What an error says cannot be written.

    Raises:
        InputError: If it cannot be written there.
        RunError: If space is short; the old content stays.
    """
    path = Path(path)
    temporary: str | None = None
    try:
        with _named_errors(path, what):
            handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_TEMPORARY, dir=path.parent)
            with os.fdopen(handle, "wb", buffering=0) as stream:
                _write(stream.fileno(), content)
            os.chmod(temporary, 0o666 & ~current_umask())
            os.replace(temporary, path)
            _keep_entries(path.parent)
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """`replace_bytes` of UTF-8 text."""
    replace_bytes(path, text.encode("utf-8"))


def append_text(path: Path, text: str) -> None:
    """`append_bytes` of UTF-8 text."""
    append_bytes(path, text.encode("utf-8"))


def append_bytes(path: Path, content: bytes) -> None:
    """Adds to a file's end; it is on the disk when this returns. A crash may leave the first part of it.

    Raises:
        InputError: If it cannot be written there.
        RunError: If space is short; nothing is added then.
    """
    with _named_errors(path, "here"), open(path, "ab", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        try:
            _write(stream.fileno(), content)
        except OSError:
            stream.truncate(size)
            raise


def remove_temporaries(folder: Path, name: str = "*") -> None:
    """Removes what a killed `replace_bytes` of a file left in a folder that nobody else writes to.

    Args:
        folder: The file's.
        name: The file's name; may hold wildcards.
    """
    for temporary in Path(folder).glob(f".{name}.*{_TEMPORARY}"):
        temporary.unlink(missing_ok=True)


def current_umask() -> int:
    """The process's umask; temporary files ignore it and are given it afterwards."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _write(handle: int, content: bytes | memoryview) -> None:
    """Writes all of it, to the disk itself."""
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]
    os.fsync(handle)


def _keep_entries(folder: Path) -> None:
    """Has the names of files in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot do it for a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


@contextmanager
def _named_errors(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            advice = "free space and run the command again (a study: with --resume)"
            raise RunError(f"{path}: cannot write {what}: {error.strerror}; {advice}") from error
        raise InputError(f"cannot write {what}: {error.strerror}", file=path) from error
