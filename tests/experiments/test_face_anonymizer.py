"""The anonymiser's experiments: each part once, the same numbers side by side, and no original image left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data_prep.synthetic_faces import SyntheticFacesConfig, draw_faces
from experiments import face_jobs
from experiments.face_anonymizer import Source, read_source, study_frontier, train_anonymizer
from experiments.face_jobs import Part, WithNoise, baseline, parts_of
from experiments.face_settings import DivisionConfig, FaceConfig, FrontierConfig, divide, face_config
from experiments.study_folder import PARTS, check_study
from tff_affect.anonymizer.saved import load_anonymizer
from tff_affect.errors import InputError, RunError
from tff_affect.face_set import FaceSet
from tff_affect.progress import Progress
from tff_affect.report.face_grid import rows_to_show

SMALL = (
    "drawn.people=8", "drawn.images=1", "faces.size=16", "division.test=0.25", "anonymizer.steps=4",
    "anonymizer.batch=4", "frontier.objectives=[adversary]", "frontier.privacy_weights=[1]",
    "frontier.single_task=false", "frontier.blur=[]", "frontier.pixelate=[]", "frontier.noise=[]",
    "frontier.seeds=[0]", "attacks.attackers=[nearest mean]", "attacks.known=false", "attacks.verification=false",
    "attacks.reconstruction=0", "attacks.reader=1",
)  # fmt: skip
QUIET = Progress()


def settings(*more: str) -> FaceConfig:
    return face_config([*SMALL, *more])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces as if they were people's, with a damaged image."""
    place = tmp_path_factory.mktemp("people")
    drawn = draw_faces(SyntheticFacesConfig(people=8, images=1, size=16, seed=5))
    for image, file in zip(drawn.images, drawn.files, strict=True):
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.round(255 * image).astype(np.uint8)).save(place / file)
    (place / "S000" / "happy" / "damaged.png").write_bytes(b"\x89PNG nothing")
    return place


@pytest.mark.slow
def test_a_study_from_start_to_end_and_with_a_seed_more(tmp_path: Path) -> None:
    out = tmp_path / "study"
    found = study_frontier(out, None, settings(), False, 1, QUIET)
    assert list(found.rows["transformation"]) == ["unchanged", "trained (adversary)", "constant"]
    written = {entry.name for entry in out.iterdir()}
    assert {"results.csv", "summary.md", "frontier.png", "adversary.svg", "anonymizer.html", "faces.png"} <= written
    assert "SYNTHETIC" in (out / "summary.md").read_text(encoding="utf-8")
    made = {file: file.read_bytes() for file in (out / PARTS).iterdir()}
    assert {file.suffix for file in made} == {".json", ".npz"}
    # The ceiling, measured by a single attacker, still names people better than the floor, which is chance.
    top1 = found.rows.set_index("transformation")["identity_top1"]
    assert top1["unchanged"] > top1["constant"] == pytest.approx(0.5)

    more = study_frontier(out, None, settings("frontier.seeds=[0,1]"), False, 2, QUIET)
    assert set(more.rows["seeds"]) == {2}
    assert {file: file.read_bytes() for file in made} == made
    assert len(list((out / PARTS).glob("*.json"))) == 6


@pytest.mark.slow
def test_a_part_keeps_what_it_found_and_pictures_of_test_people(tmp_path: Path) -> None:
    config, part = settings("attacks.reconstruction=1"), Part("unchanged", 0.0, 0)
    face_jobs.do_part(tmp_path, part, FACES, config, True)
    row, pictures = face_jobs.read_part(tmp_path, part), face_jobs.read_pictures(tmp_path, part)
    assert (row["transformation"], row["people"], row["synthetic"]) == ("unchanged", 2, True)
    test = FACES.of(divide(FACES, config.division, 0).test)
    shown = rows_to_show(test)
    np.testing.assert_array_equal(pictures["transformed"], test.images[shown])
    assert pictures["rebuilt"].shape == test.images[shown].shape
    assert row["reconstruction_error"] > 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Part]:
    """Parts that were carried out, in a moment, with figures that say which they are."""
    done: list[Part] = []

    def do(folder: Path, part: Part, faces: FaceSet, config: FaceConfig, pictures: bool) -> None:
        done.append(part)
        (folder / f"{part.name}.json").write_text(json.dumps({"strength": part.strength}))

    monkeypatch.setattr(face_jobs, "do_part", do)
    return done


def parts(config: FaceConfig) -> dict[Part, bool]:
    return dict.fromkeys(parts_of(config.frontier), False)


FACES = draw_faces(SyntheticFacesConfig(people=8, images=1, size=16))


def test_what_was_cut_off_goes_on_where_it_was(tmp_path: Path, counted: list[Part], monkeypatch: Any) -> None:
    config = settings("frontier.seeds=[0,1]")
    plain: Callable[..., None] = face_jobs.do_part

    def failing(folder: Path, part: Part, *given: Any) -> None:
        if len(counted) == 4:
            raise RunError("out of memory")
        plain(folder, part, *given)

    monkeypatch.setattr(face_jobs, "do_part", failing)
    with pytest.raises(RunError):
        face_jobs.run_parts(tmp_path, parts(config), FACES, config, 1, QUIET)
    monkeypatch.setattr(face_jobs, "do_part", plain)
    face_jobs.run_parts(tmp_path, parts(config), FACES, config, 1, QUIET)
    assert sorted(counted, key=str) == sorted(parts(config), key=str)
    face_jobs.run_parts(tmp_path, parts(config), FACES, config, 1, QUIET)
    assert len(counted) == len(parts(config)) == 6


def test_pictures_that_are_asked_for_later_are_made(tmp_path: Path, counted: list[Part]) -> None:
    config = settings()
    face_jobs.run_parts(tmp_path, parts(config), FACES, config, 1, QUIET)
    shown = {part: part.trained for part in parts(config)}
    face_jobs.run_parts(tmp_path, shown, FACES, config, 1, QUIET)
    assert [part for part in counted if part.trained] == 2 * [part for part in shown if part.trained]


def test_every_part_has_a_name_of_its_own() -> None:
    config = FrontierConfig()
    names = [part.name for part in parts_of(config)]
    assert len(set(names)) == len(names) == 5 * (2 + 2 + 1 + 2 + 1 * 2)
    assert "seed-0_trained-adversary-0.5" in names


def test_a_baseline_is_what_it_is_called() -> None:
    image = FACES.images[:2]
    np.testing.assert_array_equal(baseline(Part("unchanged", 0, 0))(image), image)
    assert len(np.unique(baseline(Part("constant", 0, 0))(image))) == 1
    assert len(np.unique(baseline(Part("pixelate", 4, 0))(image)[0])) <= 16
    noisy = [baseline(Part("noise", 0.3, seed))(image) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert not np.array_equal(noisy[0], noisy[2])


def test_noise_is_the_same_for_the_same_images_and_other_for_others() -> None:
    def transform(images: np.ndarray, seed: int) -> np.ndarray:
        return images + np.random.default_rng(seed).random(images.shape)

    images = np.zeros((2, 4, 4), np.float32)
    made = WithNoise(transform, 3)
    np.testing.assert_array_equal(made(images), made(images))
    assert not np.array_equal(made(images), WithNoise(transform, 4)(images))
    assert not np.array_equal(made(images), made(images + 1) - 1)


def test_people_are_divided_whole_and_by_seed() -> None:
    splits = [divide(FACES, DivisionConfig(), seed) for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]
    assert sorted((*splits[2].train, *splits[2].development, *splits[2].test)) == list(FACES.people)
    assert (len(splits[0].test), len(splits[0].development)) == (2, 1)


@pytest.mark.parametrize("people", [2, 3, 4])
def test_too_few_people_are_refused(people: int) -> None:
    with pytest.raises(InputError, match=f"found {people} in all"):
        divide(FACES.of(FACES.people[:people]), DivisionConfig(), 0)


def test_an_emotion_that_nobody_trained_on_shows_is_refused() -> None:
    tested = divide(FACES, DivisionConfig(), 0).test
    emotions = (
        "bored" if subject in tested and emotion == "sad" else emotion
        for subject, emotion in zip(FACES.subjects, FACES.emotions, strict=True)
    )
    with pytest.raises(InputError, match="found 'bored', which nobody shows whom a reader learns from"):
        divide(replace(FACES, emotions=tuple(emotions)), DivisionConfig(), 0)


def test_faces_that_cannot_be_attacked_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    drawn = draw_faces(SyntheticFacesConfig(people=8, images=1, size=16))
    two = drawn.part(np.isin(drawn.emotions, ("happy", "sad")))
    for image, file in zip(two.images, two.files, strict=True):
        (tmp_path / "two" / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.round(255 * image).astype(np.uint8)).save(tmp_path / "two" / file)
    with pytest.raises(InputError, match=r"at least 3 images each; give more, or set attacks\.pair"):
        study_frontier(tmp_path / "study", tmp_path / "two", settings(), False, 1, QUIET)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("frontier.seed=1", "seed"),
        ("frontier.seeds=[0,0]", "none twice"),
        ("frontier.seeds=[]", "seeds"),
        ("frontier.privacy_weights=[0]", "above 0"),
        ("frontier.privacy_weights=[0.12345671,0.12345672]", "none twice"),
        ("faces.size=50", "multiple of 8"),
        ("attacks.reader=0", "at least 1"),
        ("attacks.reconstruction=-1", "at least 0"),
        ("frontier.blur=[0]", "above 0"),
        ("frontier.pixelate=[400]", "1 to 48 cells"),
        ("frontier.objectives=[blur]", "adversary, reversal, entropy"),
        ("division.test=1", "leaves people to train on"),
        ("anonymizer.steps=many", "anonymizer.steps"),
        ("attacks.attackers=[guesswork]", "guesswork"),
        ("attacks.pair=[happy,happy]", "expected two emotions, found happy twice"),
        ("faces.alignment=eyes", "haar"),
        ("drawn=[", "setting is wrong"),
    ],
)
def test_wrong_settings_are_one_line(setting: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        face_config([setting])
    assert "\n" not in str(error.value)


def test_a_study_of_something_else_is_not_mixed_in(tmp_path: Path, counted: list[Part], monkeypatch: Any) -> None:
    out = tmp_path / "study"
    # The figures that stand for an evaluation are none.
    with pytest.raises(InputError, match="found it changed"):
        study_frontier(out, None, settings(), False, 1, QUIET)
    before = len(counted)
    for other, said in (
        (settings("anonymizer.steps=5"), "other settings"),
        (settings("attacks.reader=2"), "other settings"),
        (settings("drawn.seed=1"), "other images"),
    ):
        with pytest.raises(InputError, match=said):
            study_frontier(out, None, other, False, 1, QUIET)
    with pytest.raises(InputError, match="found it changed"):
        study_frontier(out, None, settings("frontier.blur=[2]"), False, 1, QUIET)
    # Of a drawn set, the blur that is shown is a part more.
    assert [part.kind for part in counted[before:]].count("blur") == 1


def test_other_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(InputError, match="holds no study"):
        check_study(tmp_path, "anonymisers")
    with pytest.raises(InputError, match="found a file"):
        check_study(tmp_path / "mine", "anonymisers")
    with pytest.raises(InputError, match="new or empty"):
        train_anonymizer(tmp_path, None, settings(), 0, False, QUIET)
    check_study(tmp_path / "new", "anonymisers")


def test_fingerprints_tell_faces_apart_and_not_their_files() -> None:
    def of(faces: FaceSet) -> str:
        return Source(faces).fingerprint

    renamed = replace(FACES, files=tuple(f"x{file}" for file in FACES.files))
    assert of(renamed) == of(FACES)
    others = [
        FACES.with_images(FACES.images[::-1]),
        replace(FACES, emotions=FACES.emotions[::-1]),
        replace(FACES, subjects=FACES.subjects[::-1]),
    ]
    assert len({of(FACES), *map(of, others)}) == 4


@pytest.mark.slow
def test_no_image_of_a_person_is_written_unless_asked_for(folder: Path, tmp_path: Path) -> None:
    found = train_anonymizer(tmp_path / "model", folder, settings(), 0, False, QUIET)
    assert found.report is not None
    written = {path.relative_to(tmp_path / "model").as_posix() for path in (tmp_path / "model").rglob("*")}
    assert not [name for name in written if name.endswith((".png", ".npz", ".jpg")) and name != "weights.npz"]
    assert {"anonymizer.json", "weights.npz", "transformation.tflite", "saved_model"} <= written
    assert "S000/happy/damaged.png" in {row.name for row in found.report.dropped}
    assert not found.record["synthetic"]
    loaded = load_anonymizer(tmp_path / "model")
    assert loaded.shape == (16, 16)
    assert loaded.preparation["size"] == 16
    assert loaded.facts["train_people"] == 5
    # No name of a person or a file travels with the weights.
    made = [file for file in (tmp_path / "model").rglob("*") if file.is_file()]
    assert len(made) >= 5
    assert [file.name for file in made if b"S00" in file.read_bytes()] == []

    train_anonymizer(tmp_path / "shown", folder, settings(), 0, True, QUIET)
    assert (tmp_path / "shown" / "faces.png").is_file()


def test_real_faces_are_shown_in_a_study_only_if_asked_for(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    asked: list[bool] = []
    for pictures in (False, True):
        kept: dict[Part, bool] = {}

        def run(place: Path, given: dict[Part, bool], *_: Any, kept: dict[Part, bool] = kept) -> None:
            kept.update(given)
            raise RunError("enough")

        monkeypatch.setattr("experiments.face_anonymizer.run_parts", run)
        with pytest.raises(RunError):
            study_frontier(tmp_path / f"{pictures}", folder, settings(), pictures, 1, QUIET)
        asked.append(any(kept.values()))
    assert asked == [False, True]


def test_drawn_faces_are_synthetic_and_a_folder_is_read_with_its_report(folder: Path) -> None:
    drawn = read_source(None, settings(), QUIET)
    assert drawn.faces.synthetic
    assert drawn.report is None
    assert drawn.text.remarks == ()
    read = read_source(folder, settings(), QUIET)
    assert not read.faces.synthetic
    assert len(read.faces) == 56
    assert read.text.remarks == ("Of the folder 1 file could not be used.",)
