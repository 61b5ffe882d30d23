"""A saved disentangler is the same again, and damaged or edited folders are refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from data_prep.mocap import GaitOptions
from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.errors import InputError
from tff_affect.gait.bone_tree import bones_of
from tff_affect.gait.config import GaitConfig
from tff_affect.gait.disentangler import Disentangler
from tff_affect.gait.layers import adapt
from tff_affect.gait.networks import build_biometric_encoder, build_decoder, build_emotion_encoder, build_head
from tff_affect.gait.saved import DESCRIPTION, load_disentangler, save_disentangler
from tff_affect.saved_weights import WEIGHTS

GAITS = draw_walkers(SyntheticWalkersConfig(people=2, takes=1, cycles=2), CycleOptions(samples=16))
CONFIG = GaitConfig(emotion_code=3, biometric_code=5)
PREPARATION = asdict(GaitOptions(samples=16))
FACTS = {"train_people": 2, "synthetic": True}
NETWORKS = ("emotion_encoder", "biometric_encoder", "decoder", "emotion_head")


@cache
def trained() -> Disentangler:
    """Made when it is needed: Keras models of before are invalid once a test has built one in a graph."""
    tf.keras.utils.set_random_seed(3)
    tree = bones_of(GAITS)
    encoders = [build(tree, 16, CONFIG) for build in (build_emotion_encoder, build_biometric_encoder)]
    networks = (*encoders, build_decoder(tree, 16, CONFIG), build_head(3, 4, "emotion_head"))
    for network in networks[:3]:
        adapt(network, GAITS.series)
    return Disentangler(CONFIG, GAITS.classes, tree, *networks, ({"step": 1.0},), GAITS.people)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_disentangler(tmp_path, trained(), PREPARATION, FACTS)
    return tmp_path


def test_a_saved_disentangler_is_the_same_again(saved: Path) -> None:
    loaded = load_disentangler(saved)
    found = loaded.disentangler
    assert (found.config, found.classes, found.tree) == (CONFIG, GAITS.classes, trained().tree)
    assert (loaded.preparation, loaded.facts) == (PREPARATION, FACTS)
    assert GaitOptions(**loaded.preparation) == GaitOptions(samples=16)
    for name in NETWORKS:
        for one, other in zip(getattr(found, name).weights, getattr(trained(), name).weights, strict=True):
            assert one.name.split("/")[-1] == other.name.split("/")[-1]
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    # What layers learned of people by `adapt` is among the weights.
    mean = next(weight for weight in found.biometric_encoder.weights if "mean" in weight.name).numpy()
    np.testing.assert_allclose(mean, GAITS.series.mean(axis=0), atol=1e-5)
    np.testing.assert_array_equal(found.reconstruct(GAITS, 5).motions, trained().reconstruct(GAITS, 5).motions)
    np.testing.assert_array_equal(found.emotion(GAITS, 5), trained().emotion(GAITS, 5))


def test_neither_people_nor_their_motions_are_saved(saved: Path) -> None:
    assert {entry.name for entry in saved.iterdir()} == {DESCRIPTION, WEIGHTS}
    assert not any(name in (saved / DESCRIPTION).read_text() for name in GAITS.people)
    assert (load_disentangler(saved).disentangler.people, load_disentangler(saved).disentangler.history) == ((), ())
    with np.load(saved / WEIGHTS, allow_pickle=False) as stored:
        assert {stored[name].dtype for name in stored.files} == {np.dtype(np.float32)}
        count = sum(stored[name].size for name in stored.files)
    assert count == sum(getattr(trained(), name).count_params() for name in NETWORKS)


def edited(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


BONES = [list(bone) for bone in bones_of(GAITS).bones]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "of format 1"),
        ({"classes": ["angry", "happy", "neutral"]}, "found it changed"),
        ({"classes": ["angry", "happy", "neutral", "worried"]}, "found it changed"),
        ({"samples": 4 * 10**12}, "found it changed"),
        ({"samples": "many"}, "found it changed"),
        ({"joints": None}, "found it changed"),
        ({"joints": ["Pelvis"]}, "found it changed"),
        ({"bones": [[0, 99]]}, "found it changed"),
        ({"bones": [[0, 1, 2]]}, "found it changed"),
        ({"bones": BONES[:-1]}, "bones that connect each joint"),
        ({"bones": BONES[::-1]}, "found it changed"),
        ({"config": {"unknown": 1}}, "found it changed"),
        ({"config": {**asdict(CONFIG), "biometric_code": 10**12}}, "found it changed"),
        ({"config": {**asdict(CONFIG), "reconstruction": 0.5}}, "found it changed"),
        ({"config": {**asdict(CONFIG), "steps": 0}}, r"gait\.steps"),
        ({"preparation": None}, "found it changed"),
        ({"preparation": {"samples": 16}}, "found it changed"),
        ({"facts": 3}, "found it changed"),
    ],
)
def test_edited_descriptions_are_refused(changes: dict[str, Any], said: str, saved: Path) -> None:
    edited(saved / DESCRIPTION, **changes)
    with pytest.raises(InputError, match=said):
        load_disentangler(saved)


def flipped(content: bytes) -> bytes:
    return content[:900] + bytes([content[900] ^ 1]) + content[901:]


@pytest.mark.parametrize("damage", [lambda content: content[:-1], flipped, lambda content: b""])
def test_damaged_weights_are_refused(damage: Callable[[bytes], bytes], saved: Path) -> None:
    (saved / WEIGHTS).write_bytes(damage((saved / WEIGHTS).read_bytes()))
    with pytest.raises(InputError, match="damaged or not of this gait disentangler"):
        load_disentangler(saved)


def test_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no gait disentangler here"):
        load_disentangler(tmp_path)
