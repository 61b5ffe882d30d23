"""A trained anonymiser as a folder: settings, classes and weights, checked when it is read.

``anonymizer.json`` says what it is and how faces have to be cut out for it; ``weights.npz`` holds numbers alone, no
pickled objects, and its SHA-256 stands in the other. No image is kept and no name of a person.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tff_affect import __version__
from tff_affect.anonymizer.config import AnonymizerConfig
from tff_affect.anonymizer.game import Anonymizer
from tff_affect.anonymizer.networks import build_emotion_head, build_transformation
from tff_affect.atomic import replace_bytes
from tff_affect.errors import InputError
from tff_affect.run_folder import read_json, write_json

DESCRIPTION, WEIGHTS = "anonymizer.json", "weights.npz"
FORMAT = 1
_HEADS = ("transformation", "emotion_head")


@dataclass(frozen=True, eq=False)
class SavedAnonymizer:
    """A trained anonymiser, ready for use.

    Attributes:
        anonymizer: Without its history.
        preparation: How faces were cut out before training: fields of `data_prep.faces.FaceOptions`.
        facts: Of its training, of JSON's types: how many people and images, whether they were drawn.
    """

    anonymizer: Anonymizer
    preparation: Mapping[str, Any]
    facts: Mapping[str, Any]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of its images."""
        return shape_of(self.anonymizer)

    def transform(self, images: np.ndarray) -> np.ndarray:
        """``[image, row, column]`` float32 from 0 to 1, transformed to the same, with noise that nobody knows.

        Raises:
            InputError: If images have another size.
        """
        if images.shape[1:] != self.shape:
            expected, found = (" x ".join(map(str, shape)) for shape in (self.shape, images.shape[1:]))
            raise InputError(f"anonymiser: expected images of {expected} pixels, found {found}")
        return self.anonymizer.transform(images)


def shape_of(anonymizer: Anonymizer) -> tuple[int, int]:
    """Rows and columns of an anonymiser's images."""
    rows, columns = anonymizer.emotion_head.input_shape[1:3]
    return int(rows), int(columns)


def save_anonymizer(
    folder: Path, anonymizer: Anonymizer, preparation: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Writes an anonymiser into a folder that is there; ``anonymizer.json``, without which it is none, comes last.

    Args:
        folder: Where to.
        anonymizer: A trained one.
        preparation: How faces were cut out.
        facts: Of the training, of JSON's types.

    Raises:
        InputError: If it cannot be written there.
    """
    stored = {
        f"{name}/{place:02d}": weights
        for name in _HEADS
        for place, weights in enumerate(getattr(anonymizer, name).get_weights())
    }
    stream = io.BytesIO()
    np.savez(stream, **stored)
    content = stream.getvalue()
    replace_bytes(folder / WEIGHTS, content)
    description = {
        "format": FORMAT, "version": __version__, "config": asdict(anonymizer.config),
        "shape": list(shape_of(anonymizer)), "classes": list(anonymizer.classes), "preparation": dict(preparation),
        "facts": dict(facts), "weights_sha256": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    write_json(folder / DESCRIPTION, description)


def load_anonymizer(folder: Path) -> SavedAnonymizer:
    """Reads what `save_anonymizer` wrote.

    Raises:
        InputError: If there is none, or it is damaged, was edited, or is of another version of the format.
    """
    file = folder / DESCRIPTION
    if not file.is_file():
        raise InputError("there is no anonymiser here; name the folder that 'anonymize train' wrote", file=folder)
    content = read_json(file)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"expected an anonymiser of format {FORMAT}; train it again with this version", file=file)
    weights = _verified(folder / WEIGHTS, content.get("weights_sha256"))
    try:
        return SavedAnonymizer(_rebuilt(content, weights), dict(content["preparation"]), dict(content["facts"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "expected what 'anonymize train' wrote, found it changed; train it again", file=file
        ) from error


def _rebuilt(content: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Anonymizer:
    config, classes = AnonymizerConfig(**content["config"]), tuple(map(str, content["classes"]))
    rows, columns = map(int, content["shape"])
    networks = build_transformation((rows, columns), config), build_emotion_head((rows, columns), len(classes))
    for name, network in zip(_HEADS, networks, strict=True):
        network.set_weights([weights[key] for key in sorted(weights) if key.startswith(f"{name}/")])
    return Anonymizer(config, classes, *networks)


def _verified(file: Path, expected: object) -> dict[str, np.ndarray]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"the weights cannot be read: {error.strerror}; copy the whole folder", file=file) from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise InputError("the weights are damaged or not of this anonymiser; copy the whole folder again", file=file)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError("expected weights as 'anonymize train' writes them; train it again", file=file) from error
