"""Exported and saved anonymisers give the network's images, in other processes too, and damaged ones are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tff_affect.anonymizer import export
from tff_affect.anonymizer.config import AnonymizerConfig
from tff_affect.anonymizer.export import LITE, SAVED_MODEL, export_transformation, open_lite, open_saved_model
from tff_affect.anonymizer.game import Anonymizer
from tff_affect.anonymizer.networks import build_emotion_head, build_transformation, code_shape
from tff_affect.anonymizer.saved import DESCRIPTION, WEIGHTS, load_anonymizer, save_anonymizer
from tff_affect.errors import InputError, RunError

SHAPE = (16, 24)
CONFIG = AnonymizerConfig(code_channels=3, code_noise=0.5)
PREPARATION = {"alignment": "haar", "size": 16}
OTHER_PROCESS = """
import sys
import numpy as np
from pathlib import Path
from tff_affect.anonymizer.export import LITE, SAVED_MODEL, open_lite, open_saved_model
place = Path(sys.argv[1])
given = dict(np.load(place / "given.npz"))
made = {}
for name, run in (("saved", open_saved_model(place / SAVED_MODEL)), ("lite", open_lite((place / LITE).read_bytes()))):
    made[name], made[f"{name}_drawn"] = run(**given), run(images=given["images"])
np.savez(place / "made.npz", **made)
"""


def anonymizer(config: AnonymizerConfig = CONFIG) -> Anonymizer:
    tf.keras.utils.set_random_seed(3)
    return Anonymizer(config, ("happy", "sad"), build_transformation(SHAPE, config), build_emotion_head(SHAPE, 2))


@cache
def trained() -> Anonymizer:
    """Made when it is needed: Keras models of before are invalid once a test has built one in a graph."""
    return anonymizer()


def given(count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((count, *code_shape(SHAPE, CONFIG)), np.float32)
    return rng.random((count, *SHAPE), np.float32), noise


def expected(images: np.ndarray, noise: np.ndarray) -> np.ndarray:
    return trained().transformation([images[..., np.newaxis], noise], training=False).numpy()[..., 0]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("export")
    # As training does, whose seed must not reach the noise of the export.
    tf.keras.utils.set_random_seed(3)
    export_transformation(trained().transformation, place)
    return place


def test_an_export_leaves_two_models_and_nothing_else(exported: Path) -> None:
    assert {entry.name for entry in exported.iterdir()} == {SAVED_MODEL, LITE}


@pytest.mark.slow
def test_another_process_gets_the_same_images_from_the_same_noise(exported: Path) -> None:
    images, noise = given()
    np.savez(exported / "given.npz", images=images, noise=noise)
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", OTHER_PROCESS, str(exported)]
    subprocess.run(command, check=True, env=environment, cwd=Path(__file__).resolve().parents[2])
    made = dict(np.load(exported / "made.npz"))
    for name in ("saved", "lite"):
        np.testing.assert_allclose(made[name], expected(images, noise), atol=1e-5)
        assert made[name].dtype == np.float32
    own = {
        "saved": open_saved_model(exported / SAVED_MODEL)(images=images),
        "lite": open_lite((exported / LITE).read_bytes())(images=images),
    }
    for name, found in own.items():
        # Noise starts elsewhere in each process: nobody can run the model again to take it away.
        assert np.abs(found - made[f"{name}_drawn"]).max() > 1e-4


def test_noise_is_of_the_same_size_and_new_for_each_image(exported: Path) -> None:
    image = given(1)[0]
    many = np.repeat(image, 300, axis=0)
    noise = np.random.default_rng(1).standard_normal((300, *code_shape(SHAPE, CONFIG)), np.float32)
    spread = expected(many, noise).std(axis=0).mean()
    for run in (open_saved_model(exported / SAVED_MODEL), open_lite((exported / LITE).read_bytes())):
        found = run(images=many)
        assert len(np.unique(found.reshape(300, -1), axis=0)) == 300
        assert found.std(axis=0).mean() == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("wrong", ["other images", "other shape", "no noise", "nothing"])
def test_a_model_that_does_otherwise_is_not_left_behind(wrong: str, tmp_path: Path, monkeypatch: Any) -> None:
    def run(**inputs: np.ndarray) -> np.ndarray:
        if wrong == "no noise" and "noise" not in inputs:
            inputs["noise"] = np.zeros((len(inputs["images"]), *code_shape(SHAPE, CONFIG)), np.float32)
        made = as_the_network(**inputs)
        return made[:1] if wrong == "other shape" else made + (2e-5 if wrong == "other images" else 0)

    monkeypatch.setattr(export, "open_lite", lambda content: run)
    monkeypatch.setattr(export, "_lite", lambda place: b"")
    monkeypatch.setattr(export, "open_saved_model", lambda place: as_the_network)
    monkeypatch.setattr(export, "_save", lambda network, place: place.mkdir())
    if wrong == "nothing":
        export_transformation(trained().transformation, tmp_path)
    else:
        with pytest.raises(RunError, match="TensorFlow Lite"):
            export_transformation(trained().transformation, tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} == ({SAVED_MODEL, LITE} if wrong == "nothing" else set())


def as_the_network(**inputs: np.ndarray) -> np.ndarray:
    """What an export does that is right."""
    images = inputs["images"]
    drawn = np.random.default_rng().standard_normal((len(images), *code_shape(SHAPE, CONFIG)), np.float32)
    return expected(images, inputs.get("noise", drawn))


def test_an_export_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write the export here"):
        export_transformation(trained().transformation, tmp_path / "missing")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_anonymizer(tmp_path, trained(), PREPARATION, {"train_people": 7})
    return tmp_path


def test_a_saved_anonymiser_is_the_same_again(saved: Path) -> None:
    found = load_anonymizer(saved)
    images, _ = given()
    np.testing.assert_array_equal(found.anonymizer.transform(images, seed=5), trained().transform(images, seed=5))
    transformed = trained().transform(images, seed=5)
    np.testing.assert_array_equal(found.anonymizer.emotion(transformed), trained().emotion(transformed))
    assert (found.anonymizer.config, found.anonymizer.classes) == (CONFIG, ("happy", "sad"))
    assert (found.preparation, found.facts, found.shape) == (PREPARATION, {"train_people": 7}, SHAPE)
    # Two calls have noise of their own.
    assert not np.array_equal(found.transform(images), found.transform(images))


def test_images_of_another_size_are_refused(saved: Path) -> None:
    with pytest.raises(InputError, match="expected images of 16 x 24 pixels, found 24 x 16"):
        load_anonymizer(saved).transform(np.zeros((1, 24, 16), np.float32))


def test_weights_are_numbers_alone(saved: Path) -> None:
    with np.load(saved / WEIGHTS, allow_pickle=False) as stored:
        assert {stored[name].dtype for name in stored.files} == {np.dtype(np.float32)}
        count = sum(stored[name].size for name in stored.files)
    assert count == trained().transformation.count_params() + trained().emotion_head.count_params()


def edited(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **changes}))


def test_damaged_folders_are_refused_in_one_line(saved: Path) -> None:
    whole = (saved / WEIGHTS).read_bytes()
    for content in (whole[:-1], whole[:50] + bytes([whole[50] ^ 1]) + whole[51:], b""):
        (saved / WEIGHTS).write_bytes(content)
        with pytest.raises(InputError, match="damaged or not of this anonymiser"):
            load_anonymizer(saved)
    (saved / WEIGHTS).unlink()
    with pytest.raises(InputError, match="weights cannot be read"):
        load_anonymizer(saved)
    with pytest.raises(InputError, match="there is no anonymiser here"):
        load_anonymizer(saved / "elsewhere")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "of format 1"),
        ({"classes": ["happy", "sad", "angry"]}, "found it changed"),
        ({"shape": [32, 32, 1]}, "found it changed"),
        ({"config": {"unknown": 1}}, "found it changed"),
        ({"config": {"code_channels": 5}}, "found it changed"),
        ({"preparation": None}, "found it changed"),
        ({"config": {"steps": 0}}, "anonymizer.steps"),
    ],
)
def test_edited_descriptions_are_refused(changes: dict[str, Any], said: str, saved: Path) -> None:
    edited(saved / DESCRIPTION, **changes)
    with pytest.raises(InputError, match=said):
        load_anonymizer(saved)


def test_pickled_weights_are_refused(saved: Path) -> None:
    import hashlib

    np.savez(saved / WEIGHTS, **{"transformation/00": np.array([{"a": 1}], dtype=object)})
    edited(saved / DESCRIPTION, weights_sha256=hashlib.sha256((saved / WEIGHTS).read_bytes()).hexdigest())
    with pytest.raises(InputError, match="expected weights as"):
        load_anonymizer(saved)


def test_without_noise_an_export_need_not_vary(tmp_path: Path, monkeypatch: Any) -> None:
    network = anonymizer(replace(CONFIG, code_noise=0.0)).transformation

    def run(images: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        none = np.zeros((len(images), *code_shape(SHAPE, CONFIG)), np.float32)
        return network([images[..., np.newaxis], none], training=False).numpy()[..., 0]

    for name in ("open_lite", "open_saved_model"):
        monkeypatch.setattr(export, name, lambda place: run)
    monkeypatch.setattr(export, "_lite", lambda place: b"")
    monkeypatch.setattr(export, "_save", lambda network, place: place.mkdir())
    export_transformation(network, tmp_path)
    assert (tmp_path / LITE).is_file()
