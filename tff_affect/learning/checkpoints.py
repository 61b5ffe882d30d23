"""Checkpoints of a training program: one file each, verified when it is read. They hold no client's data.

A file is NumPy's ``.npz`` of the state's leaves, each under its number and its path in the state, and after it a line
with the SHA-256 of all before. TensorFlow Federated's own file manager writes folders that are neither flushed to the
disk nor verified, and leaks memory with each.
"""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tree

from tff_affect.atomic import remove_temporaries, replace_bytes
from tff_affect.errors import InputError

_KEPT = 3
_FILE = re.compile(r"round_(\d+)\.checkpoint")
_TRAILER = "\ntff-affect checkpoint 1 sha256 {}\n"
_TRAILER_LENGTH = len(_TRAILER.format("0" * 64))
# Booleans, integers, real and complex numbers, and strings of both kinds.
_KINDS = "biufcSU"
# Of the tree aggregation of TensorFlow Privacy: one entry for each level in use, and these come and go.
_GROWING = ("level_buffer", "level_buffer_idx")
_LOG = logging.getLogger(__name__)


class _Unusable(Exception):
    """A checkpoint that cannot be taken; the message says why."""


class Checkpoints:
    """Numbered states in a folder that one driver writes to; the newest three are kept.

    Args:
        folder: Made if it is not there. What a killed driver half wrote is removed from it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        remove_temporaries(self._folder)

    def save(self, state: Any, version: int) -> None:
        """Saves a structure of arrays, numbers and strings; it is on the disk when this returns.

        Raises:
            TypeError: If a leaf is anything else; nothing is written.
            InputError: If the folder cannot be written to.
            RunError: If space is short. The checkpoints before stay as they are.
        """
        replace_bytes(self._file(version), encode(state), f"the checkpoint of round {version}")
        for old in self._versions()[:-_KEPT]:
            self._file(old).unlink(missing_ok=True)

    def load_latest(self, structure: Any) -> tuple[Any, int] | None:
        """The newest good state with its number, shaped like ``structure``; None if there is none.

        A checkpoint that is damaged, or of another structure, is set aside with a warning, and the one before it is
        taken.

        Raises:
            InputError: If a checkpoint may not be read.
        """
        versions = self._versions()
        for version in reversed(versions):
            try:
                return decode(self._read(version), structure), version
            except _Unusable as reason:
                self._set_aside(version, str(reason))
        if versions or any(self._folder.glob("round_*/saved_model.pb")):
            _LOG.warning("%s: no checkpoint can be read by this version; training starts anew", self._folder)
        return None

    def _file(self, version: int) -> Path:
        return self._folder / f"round_{version}.checkpoint"

    def _versions(self) -> list[int]:
        names = (_FILE.fullmatch(entry.name) for entry in self._folder.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def _read(self, version: int) -> bytes:
        try:
            return self._file(version).read_bytes()
        except OSError as error:
            if error.errno == errno.EIO:
                raise _Unusable("the disk cannot read it") from error
            raise InputError(f"cannot read the checkpoint: {error.strerror}", file=self._file(version)) from error

    def _set_aside(self, version: int, reason: str) -> None:
        aside = self._folder / f"damaged_{self._file(version).name}"
        self._file(version).replace(aside)
        _LOG.warning("the checkpoint of round %d was set aside as %s: %s", version, aside, reason)


def encode(state: Any) -> memoryview:
    """A state as the content of a file.

    Raises:
        TypeError: If a leaf is neither a number, nor a string, nor an array of them.
    """
    arrays = {name: _array(name, leaf) for name, leaf in zip(_names(state), tree.flatten(state), strict=True)}
    content = io.BytesIO()
    np.savez(content, **arrays)
    content.write(_trailer(content.getbuffer()))
    return content.getbuffer()


def decode(content: bytes, structure: Any) -> Any:
    """The state in the content of a file, shaped like ``structure``.

    Raises:
        _Unusable: If the content is not what was written, or the state is of another structure.
    """
    if not content.endswith(_trailer(memoryview(content)[:-_TRAILER_LENGTH])):
        raise _Unusable("it is not whole, or was altered: its SHA-256 does not fit")
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    leaves = dict(zip(_names(structure), tree.flatten(structure), strict=True))
    if list(arrays) != list(leaves):
        raise _Unusable(f"it is of another training: {_difference(list(leaves), list(arrays))}")
    return tree.unflatten_as(structure, [_leaf(name, arrays[name], leaf) for name, leaf in leaves.items()])


def _trailer(content: memoryview) -> bytes:
    return _TRAILER.format(hashlib.sha256(content).hexdigest()).encode()


def _names(state: Any) -> list[str]:
    """Each leaf's number and path, such as ``3/learning/finalizer/step``."""
    paths = (path for path, _ in tree.flatten_with_path(state))
    return [f"{number}/{'/'.join(map(str, path))}" for number, path in enumerate(paths)]


def _array(name: str, leaf: Any) -> np.ndarray:
    """What is stored of a leaf. A NumPy string would lose zeros at its end: those of Python are stored as bytes."""
    encoded = leaf.encode("utf-8") if isinstance(leaf, str) else leaf
    array = np.frombuffer(encoded, np.uint8) if isinstance(encoded, bytes) else np.asarray(encoded)
    if array.dtype.kind not in _KINDS:
        raise TypeError(f"checkpoint: expected numbers or strings at {name}, found {type(leaf).__name__}")
    return array


def _leaf(name: str, array: np.ndarray, like: Any) -> Any:
    """A stored leaf as the kind of value that ``like`` is."""
    expected = _array(name, like)
    if not _is_alike(name, array, expected, isinstance(like, str | bytes)):
        raise _Unusable(
            f"it is of another training: expected {expected.dtype}{list(expected.shape)} at {name}, "
            f"found {array.dtype}{list(array.shape)}"
        )
    if isinstance(like, str | bytes):
        return array.tobytes() if isinstance(like, bytes) else array.tobytes().decode("utf-8")
    if isinstance(like, np.generic):
        return array[()]
    return array.item() if isinstance(like, bool | int | float | complex) else array


def _is_alike(name: str, found: np.ndarray, expected: np.ndarray, text: bool) -> bool:
    """Whether type and shape fit; texts, and what grows from round to round, may differ in length."""
    kind = found.dtype.kind
    if found.dtype != expected.dtype and not (kind in "SU" and kind == expected.dtype.kind):
        return False
    start = 1 if text or any(part in _GROWING for part in name.split("/")) else 0
    return found.ndim == expected.ndim and found.shape[start:] == expected.shape[start:]


def _difference(expected: Sequence[str], found: Sequence[str]) -> str:
    if len(expected) != len(found):
        return f"expected {len(expected)} values, found {len(found)}"
    return next(f"expected {a}, found {b}" for a, b in zip(expected, found, strict=True) if a != b)
