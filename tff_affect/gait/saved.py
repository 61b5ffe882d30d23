"""Trained encoders and decoder of gaits as a folder: settings, skeleton and weights, checked when they are read.

``gait.json`` says what they are and how walks have to be cut and normalised for them; beside it are weights, as of
`tff_affect.saved_weights`. No motion is kept and no name of a person. But weights are not anonymous: among them, as
they are, are the mean gait of the training people and how far they differ from it, and somebody who was alone in
training is that mean gait. An encoder that one person made of own cycles alone is as personal as these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.config import GaitConfig
from tff_affect.gait.disentangler import Disentangler
from tff_affect.gait.networks import build_biometric_encoder, build_decoder, build_emotion_encoder, build_head
from tff_affect.saved_weights import SavedKind, Weights

DESCRIPTION = "gait.json"
_KIND = SavedKind("gait disentangler", DESCRIPTION, 1, "its training")
_NETWORKS = ("emotion_encoder", "biometric_encoder", "decoder", "emotion_head")


@dataclass(frozen=True, eq=False)
class SavedDisentangler:
    """Trained encoders and decoder, ready for use.

    Attributes:
        disentangler: Without its history and the people of its training.
        preparation: How walks became cycles before training: fields of `data_prep.mocap.GaitOptions`.
        facts: Of its training, of JSON's types: how many people and cycles, whether they were drawn.
    """

    disentangler: Disentangler
    preparation: Mapping[str, Any]
    facts: Mapping[str, Any]


def save_disentangler(
    folder: Path, disentangler: Disentangler, preparation: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Writes encoders and decoder into a folder that is there; ``gait.json``, without which there are none, comes last.

    Args:
        folder: Where to.
        disentangler: A trained one.
        preparation: How walks became cycles.
        facts: Of the training, of JSON's types.

    Raises:
        InputError: If it cannot be written there.
    """
    tree = disentangler.tree
    description = {
        "config": asdict(disentangler.config), "classes": disentangler.classes, "samples": disentangler.samples,
        "joints": tree.joints, "bones": tree.bones, "preparation": dict(preparation), "facts": dict(facts),
    }  # fmt: skip
    _KIND.save(folder, {name: getattr(disentangler, name) for name in _NETWORKS}, description)


def load_disentangler(folder: Path) -> SavedDisentangler:
    """Reads what `save_disentangler` wrote.

    Raises:
        InputError: If there is none, or it is damaged, was edited, or is of another version of the format.
    """
    return _KIND.load(folder, _rebuilt)


def _rebuilt(content: Mapping[str, Any], weights: Weights) -> SavedDisentangler:
    config, classes = GaitConfig(**content["config"]), tuple(map(str, content["classes"]))
    joints, samples = tuple(map(str, content["joints"])), int(content["samples"])
    bones = [(int(near), int(far)) for near, far in content["bones"]]
    if not all(0 <= joint < len(joints) for bone in bones for joint in bone):
        raise ValueError(f"expected bones between {len(joints)} joints, found {bones}")
    tree = BoneTree.of(joints, bones)
    _check_sizes(weights, tree, samples, config, len(classes))
    found = Disentangler(
        config=config,
        classes=classes,
        tree=tree,
        emotion_encoder=build_emotion_encoder(tree, samples, config),
        biometric_encoder=build_biometric_encoder(tree, samples, config),
        decoder=build_decoder(tree, samples, config),
        emotion_head=build_head(config.emotion_code, len(classes), "emotion_head"),
    )
    for name in _NETWORKS:
        getattr(found, name).set_weights(weights[name])
    return SavedDisentangler(found, dict(content["preparation"]), dict(content["facts"]))


def _check_sizes(weights: Weights, tree: BoneTree, samples: int, config: GaitConfig, classes: int) -> None:
    """Checks what sizes a description gives before networks of these sizes take memory."""
    wanted: dict[str, list[tuple[int, ...]]] = {
        "emotion_encoder": [(samples, 6 * len(tree.bones) + 1), (config.emotion_code,)],
        "biometric_encoder": [(samples, 3 * len(tree.joints) + 1), (config.biometric_code,)],
        "emotion_head": [(config.emotion_code, classes)],
    }
    for name, shapes in wanted.items():
        found = {weight.shape for weight in weights[name]}
        if not found.issuperset(shapes):
            raise ValueError(f"{name}: expected weights of shapes {shapes}, found {sorted(found)}")
