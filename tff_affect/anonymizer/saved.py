"""A trained anonymiser as a folder: settings, classes and weights, checked when it is read.

``anonymizer.json`` says what it is and how faces have to be cut out for it; beside it are weights, as of
`tff_affect.saved_weights`. No image is kept and no name of a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tff_affect.anonymizer.config import AnonymizerConfig
from tff_affect.anonymizer.game import Anonymizer
from tff_affect.anonymizer.networks import build_emotion_head, build_transformation
from tff_affect.errors import InputError
from tff_affect.saved_weights import WEIGHTS, SavedKind, Weights

__all__ = ["DESCRIPTION", "WEIGHTS", "SavedAnonymizer", "load_anonymizer", "save_anonymizer", "shape_of"]

DESCRIPTION = "anonymizer.json"
_KIND = SavedKind("anonymiser", DESCRIPTION, 1, "'anonymize train'")
_NETWORKS = ("transformation", "emotion_head")


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
    description = {
        "config": asdict(anonymizer.config), "shape": list(shape_of(anonymizer)), "classes": list(anonymizer.classes),
        "preparation": dict(preparation), "facts": dict(facts),
    }  # fmt: skip
    _KIND.save(folder, {name: getattr(anonymizer, name) for name in _NETWORKS}, description)


def load_anonymizer(folder: Path) -> SavedAnonymizer:
    """Reads what `save_anonymizer` wrote.

    Raises:
        InputError: If there is none, or it is damaged, was edited, or is of another version of the format.
    """
    return _KIND.load(folder, _rebuilt)


def _rebuilt(content: Mapping[str, Any], weights: Weights) -> SavedAnonymizer:
    config, classes = AnonymizerConfig(**content["config"]), tuple(map(str, content["classes"]))
    rows, columns = map(int, content["shape"])
    networks = build_transformation((rows, columns), config), build_emotion_head((rows, columns), len(classes))
    for name, network in zip(_NETWORKS, networks, strict=True):
        network.set_weights(weights[name])
    anonymizer = Anonymizer(config, classes, *networks)
    return SavedAnonymizer(anonymizer, dict(content["preparation"]), dict(content["facts"]))
