"""Trained networks as a folder: a description in JSON and weights, both checked when they are read.

``weights.npz`` holds numbers alone, no pickled objects. Its SHA-256 and that of the rest of the description stand in
the description, which is written last: a folder without it holds nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zipfile import BadZipFile, ZipFile

import numpy as np

from tff_affect import __version__
from tff_affect.atomic import replace_bytes
from tff_affect.errors import InputError
from tff_affect.run_folder import read_json, write_json

WEIGHTS = "weights.npz"
Weights = Mapping[str, Sequence[np.ndarray]]
"""Name of a network -> its weights, in its own order."""
_OF_WEIGHTS, _OF_REST = "weights_sha256", "description_sha256"
_NUMBERS = "fiu"
# What NumPy and zipfile raise for archives that are none, or hold other things than arrays of numbers.
_NO_ARRAYS = (OSError, ValueError, TypeError, EOFError, LookupError, RuntimeError, MemoryError, BadZipFile, zlib.error)
_Found = TypeVar("_Found")


class HasWeights(Protocol):
    """A network, as far as it is saved."""

    def get_weights(self) -> list[np.ndarray]:
        """All of them, trained or not."""


@dataclass(frozen=True)
class SavedKind:
    """One kind of folder.

    Attributes:
        name: What it is called in messages.
        description: Name of the file that describes it.
        format: Its number; folders of other numbers are refused.
        writer: Who writes such folders, for messages.
    """

    name: str
    description: str
    format: int
    writer: str

    def save(self, folder: Path, networks: Mapping[str, HasWeights], description: Mapping[str, Any]) -> None:
        """Writes into a folder that is there; the description comes last.

        Args:
            folder: Where to.
            networks: Under their names.
            description: What else is needed to build them again, of JSON's types.

        Raises:
            InputError: If it cannot be written there.
        """
        stored = {
            f"{name}/{place:02d}": weights
            for name, network in networks.items()
            for place, weights in enumerate(network.get_weights())
        }
        stream = io.BytesIO()
        np.savez(stream, **stored)
        content = stream.getvalue()
        replace_bytes(folder / WEIGHTS, content)
        whole = {"format": self.format, "version": __version__, **description, _OF_WEIGHTS: _sha256(content)}
        whole = json.loads(json.dumps(whole))
        write_json(folder / self.description, {**whole, _OF_REST: _digest(whole)})

    def load(self, folder: Path, rebuilt: Callable[[Mapping[str, Any], Weights], _Found]) -> _Found:
        """Reads what `save` wrote.

        Args:
            folder: Where it is.
            rebuilt: Makes of a description and weights what they describe; may raise what Python raises where a
                description lacks something or weights do not fit.

        Raises:
            InputError: If there is none, or it is damaged, was edited, or is of another version of the format.
        """
        file = folder / self.description
        if not file.is_file():
            raise InputError(f"there is no {self.name} here; name the folder that {self.writer} wrote", file=folder)
        content = read_json(file)
        if not isinstance(content, dict) or content.get("format") != self.format:
            raise InputError(
                f"expected what {self.writer} writes, of format {self.format}; train it again with this version",
                file=file,
            )
        weights = self._verified(folder / WEIGHTS, content.get(_OF_WEIGHTS))
        changed = InputError(f"expected what {self.writer} wrote, found it changed; train it again", file=file)
        try:
            found = rebuilt(content, weights)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise changed from error
        # At the end, so that a setting that somebody edited is named where it is impossible.
        if content.get(_OF_REST) not in (None, _digest(content)):
            raise changed
        return found

    def _verified(self, file: Path, expected: object) -> Weights:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise InputError(
                f"the weights cannot be read: {error.strerror}; copy the whole folder", file=file
            ) from error
        if _sha256(content) != expected:
            raise InputError(
                f"the weights are damaged or not of this {self.name}; copy the whole folder again", file=file
            )
        try:
            return _arrays(content)
        except _NO_ARRAYS as error:
            raise InputError(f"expected weights as {self.writer} writes them; train it again", file=file) from error


def _arrays(content: bytes) -> Weights:
    found: dict[str, dict[int, np.ndarray]] = {}
    ZipFile(io.BytesIO(content)).close()
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        for key in stored.files:
            name, place = key.split("/")
            if stored[key].dtype.kind not in _NUMBERS:
                raise ValueError(f"expected numbers, found {stored[key].dtype}")
            found.setdefault(name, {})[int(place)] = stored[key]
    return {name: [weights[place] for place in sorted(weights)] for name, weights in found.items()}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest(description: Mapping[str, Any]) -> str:
    """Of all but itself, however it is laid out."""
    rest = {name: value for name, value in description.items() if name != _OF_REST}
    return _sha256(json.dumps(rest, sort_keys=True).encode())
