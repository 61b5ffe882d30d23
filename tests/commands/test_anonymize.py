"""``tff-affect anonymize``: what it hands on, what it prints and writes, and one message for bad input."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from conftest import Said
from PIL import Image
from sample_faces_results import sample_results

from experiments import face_anonymizer
from experiments.face_anonymizer import FrontierOutcome, TrainedOutcome
from experiments.face_settings import FaceConfig
from tff_affect.anonymizer.config import AnonymizerConfig
from tff_affect.anonymizer.game import Anonymizer
from tff_affect.anonymizer.networks import build_emotion_head, build_transformation
from tff_affect.anonymizer.saved import WEIGHTS, save_anonymizer
from tff_affect.report.faces import FacesText, summarise

RECORD = {
    "synthetic": True, "train_people": 36, "test_people": 15, "own_emotion_uar": 0.5, "emotion_chance": 1 / 7,
    "adversary_accuracy": 0.03, "adversary_chance": 1 / 36,
}  # fmt: skip


@dataclass
class Stand:
    """Stands for the training and for the study."""

    asked: tuple[Any, ...] = ()

    def train(self, out: Path, folder: Path | None, config: FaceConfig, seed: int, pictures: bool, _: object) -> Any:
        self.asked = (out, folder, config, seed, pictures)
        return TrainedOutcome(RECORD, None)

    def study(self, out: Path, folder: Path | None, config: FaceConfig, pictures: bool, count: int, _: object) -> Any:
        self.asked = (out, folder, config, pictures, count)
        results, text = sample_results(), FacesText("SYNTHETIC drawn faces", True)
        return FrontierOutcome(results, summarise(results), text, out / "anonymizer.html", None)


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    made = Stand()
    monkeypatch.setattr(face_anonymizer, "train_anonymizer", made.train)
    monkeypatch.setattr(face_anonymizer, "study_frontier", made.study)
    return made


def test_train_hands_on_what_it_is_told(command_line: Any, stand: Stand, tmp_path: Path) -> None:
    said: Said = command_line(
        "anonymize", "train", tmp_path / "out", "--faces", "mine", "--layout", "yale", "--alignment", "haar", "--size",
        "32", "--privacy-weight", "2.5", "--objective", "entropy", "--seed", "4", "--pictures", "-o",
        "anonymizer.steps=7", "-o", "faces.size=64",
    )  # fmt: skip
    assert (said.code, said.err) == (0, "")
    out, folder, config, seed, pictures = stand.asked
    assert (out, folder, seed, pictures) == (tmp_path / "out", Path("mine"), 4, True)
    # Options win over -o.
    assert (config.faces.layout, config.faces.alignment, config.faces.size) == ("yale", "haar", 32)
    trained = config.anonymizer
    assert (trained.privacy_weight, trained.objective, trained.steps) == (2.5, "entropy", 7)
    assert said.out.startswith("SYNTHETIC data: trained on 36 people")
    assert "no evidence" in said.out


def test_by_default_faces_are_drawn_and_no_pictures_are_written(
    command_line: Any, stand: Stand, tmp_path: Path
) -> None:
    said = command_line("anonymize", "train", tmp_path / "out", "--json")
    assert json.loads(said.out) == {**RECORD, "folder": None}
    _, folder, config, seed, pictures = stand.asked
    assert (folder, seed, pictures) == (None, 0, False)
    assert config.drawn.people == 100


def test_evaluate_hands_on_what_it_is_told(command_line: Any, stand: Stand, tmp_path: Path) -> None:
    said = command_line(
        "anonymize", "evaluate", tmp_path / "out", "--seeds", "3", "--privacy-weights", "0.5,4", "--objectives",
        "reversal,adversary", "--processes", "2", "-o", "frontier.blur=[1]",
    )  # fmt: skip
    assert (said.code, said.err) == (0, "")
    _, folder, config, pictures, count = stand.asked
    assert (folder, pictures, count) == (None, False, 2)
    frontier = config.frontier
    assert (frontier.seeds, frontier.privacy_weights) == ([0, 1, 2], [0.5, 4.0])
    assert (frontier.objectives, frontier.blur) == (["reversal", "adversary"], [1.0])
    assert "SYNTHETIC data - " not in said.out
    assert "Emotion kept and people recognised, SYNTHETIC drawn faces" in said.out
    assert f"Report: {tmp_path / 'out' / 'anonymizer.html'}" in said.out


def test_the_study_as_json_is_its_summary(command_line: Any, stand: Stand, tmp_path: Path) -> None:
    records = json.loads(command_line("anonymize", "evaluate", tmp_path / "out", "--json").out)
    assert [record["transformation"] for record in records] == list(summarise(sample_results())["transformation"])
    assert all(record["synthetic"] for record in records)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "OUT", "--layout", "yale"), ("--layout", "--faces")),
        (("train", "OUT", "--objective", "magic"), ("objective", "magic")),
        (("train", "OUT", "-o", "anonymizer.step=1"), ("step",)),
        (("train", "OUT", "-o", "steps"), ("NAME=VALUE",)),
        (("evaluate", "OUT", "--privacy-weights", "1,x"), ("--privacy-weights",)),
        (("evaluate", "OUT", "--privacy-weights", "-1"), ("privacy_weights",)),
        (("evaluate", "OUT", "--objectives", "adversary,none"), ("none",)),
        (("apply", "nowhere", "missing", "OUT"), ("missing", "found nothing")),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], words: tuple[str, ...], command_line: Any, stand: Stand, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = command_line("anonymize", *(out if word == "OUT" else word for word in arguments))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("tff-affect: ")
    assert said.err.count("\n") == 1
    assert all(word in said.err for word in words)
    assert not out.exists()
    assert stand.asked == ()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model")
    tf.keras.utils.set_random_seed(0)
    config = AnonymizerConfig()
    networks = build_transformation((16, 16), config), build_emotion_head((16, 16), 2)
    save_anonymizer(place, Anonymizer(config, ("happy", "sad"), *networks), {"size": 16}, {})
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "pictures" / "anna"
    place.mkdir(parents=True)
    for number in range(3):
        grey = np.random.default_rng(number).integers(0, 256, (20, 20), np.uint8)
        Image.fromarray(grey).save(place / f"{number}.jpg")
    return place.parent


def test_apply_writes_images_and_warns_of_names(command_line: Any, model: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = command_line("anonymize", "apply", model, folder, out, "--quiet")
    assert said.code == 0
    assert "--rename" in said.err
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.*")} == {f"anna/{n}.png" for n in range(3)}
    for path in out.rglob("*.png"):
        with Image.open(path) as image:
            assert (image.size, image.mode) == ((16, 16), "L")
    said = command_line("anonymize", "apply", model, folder, tmp_path / "numbers", "--rename", "--quiet", "--json")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out) == {"written": 3, "skipped": {}, "passed_over": []}
    assert {path.name for path in (tmp_path / "numbers").iterdir()} == {"1.png", "2.png", "3.png"}


def test_a_bad_image_is_named_and_the_exit_code_is_1(
    command_line: Any, model: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "anna" / "1.jpg").write_bytes(b"nothing")
    said = command_line("anonymize", "apply", model, folder, tmp_path / "out", "--quiet")
    assert said.code == 1
    assert "skipped anna/1.jpg: expected an image" in said.err
    assert "2 images written" in said.out
    assert len(list((tmp_path / "out").rglob("*.png"))) == 2


def test_a_damaged_model_is_refused_before_anything_is_written(
    command_line: Any, model: Path, folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "model"
    copy.mkdir()
    for file in model.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / WEIGHTS).write_bytes(b"")
    said = command_line("anonymize", "apply", copy, folder, tmp_path / "out", "--quiet")
    assert (said.code, said.out) == (2, "")
    assert "damaged" in said.err
    assert not (tmp_path / "out").exists()
