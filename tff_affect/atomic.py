"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tff_affect.errors import InputError


def replace_bytes(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name and renames it: a reader sees the old content or the new.

    Raises:
        InputError: If it cannot be written there.
    """
    path = Path(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(temporary, 0o666 & ~current_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=path) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """`replace_bytes` of UTF-8 text."""
    replace_bytes(path, text.encode("utf-8"))


def current_umask() -> int:
    """The process's umask; temporary files ignore it and are given it afterwards."""
    umask = os.umask(0)
    os.umask(umask)
    return umask
