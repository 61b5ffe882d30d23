"""Applying an anonymiser: transformed images alone come out, whatever goes in."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_prep.faces import FaceOptions
from experiments.face_apply import apply_anonymizer, png_names
from tff_affect.errors import InputError, RunError
from tff_affect.progress import Progress


class Inverted:
    """Stands for an anonymiser: black becomes white, so that no original can be mistaken for what was made of it."""

    def __init__(self, **options: Any) -> None:
        self._options = {"size": 24, **options}

    @property
    def preparation(self) -> Mapping[str, Any]:
        return self._options

    def transform(self, images: np.ndarray) -> np.ndarray:
        return 1 - images


def picture(seed: int, side: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of two people, one of them with what a camera notes; a text; a damaged image."""
    place = tmp_path / "faces"
    for person in ("anna", "ben"):
        (place / person).mkdir(parents=True)
    exif = Image.Exif()
    exif[0x010F] = "SECRET CAMERA OF ANNA"
    Image.fromarray(picture(0)).save(place / "anna" / "happy.jpg", quality=100, exif=exif, comment=b"SECRET CAMERA")
    Image.fromarray(picture(1)).save(place / "anna" / "sad.png")
    Image.fromarray(picture(2)).save(place / "ben" / "subject01.happy", "GIF")
    (place / "README.txt").write_text("not an image")
    return place


def files(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def test_transformed_images_alone_are_written(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = apply_anonymizer(Inverted(), folder, out, Progress())
    assert files(out) == {"anna/happy.png", "anna/sad.png", "ben/subject01.happy.png"}
    assert (found.written, dict(found.skipped), found.passed_over) == (3, {}, ("README.txt",))
    assert found.kept_names
    for name, seed in (("anna/sad", 1), ("ben/subject01.happy", 2)):
        np.testing.assert_array_equal(np.asarray(Image.open(out / f"{name}.png")), 255 - picture(seed))


def test_nothing_of_the_camera_is_carried_over(folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert any(b"SECRET" in content for content in before.values())
    out = tmp_path / "out"
    apply_anonymizer(Inverted(), folder, out, Progress())
    for name in files(out):
        image = Image.open(out / name)
        image.load()
        assert (image.format, image.mode, image.info, dict(image.getexif())) == ("PNG", "L", {}, {})
        assert b"SECRET" not in (out / name).read_bytes()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_bad_image_is_named_and_left_out(folder: Path, tmp_path: Path) -> None:
    (folder / "ben" / "broken.png").write_bytes((folder / "anna" / "sad.png").read_bytes()[:60])
    (folder / "ben" / "away.png").symlink_to(tmp_path / "elsewhere.png")
    Image.fromarray(picture(4)).save(tmp_path / "elsewhere.png")
    out = tmp_path / "out"
    found = apply_anonymizer(Inverted(), folder, out, Progress())
    assert set(found.skipped) == {"ben/broken.png", "ben/away.png"}
    assert "out of the folder" in found.skipped["ben/away.png"]
    assert files(out) == {"anna/happy.png", "anna/sad.png", "ben/subject01.happy.png"}


def test_if_no_image_is_good_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    for path in list(folder.rglob("*.*")):
        path.write_bytes(b"")
    with pytest.raises(RunError, match="none of 3 images could be used"):
        apply_anonymizer(Inverted(), folder, tmp_path / "out", Progress())
    assert {entry.name for entry in tmp_path.iterdir()} == {"faces"}


def test_a_failure_in_between_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    class Failing(Inverted):
        def transform(self, images: np.ndarray) -> np.ndarray:
            raise RunError("out of memory")

    with pytest.raises(RunError, match="out of memory"):
        apply_anonymizer(Failing(), folder, tmp_path / "out", Progress())
    assert {entry.name for entry in tmp_path.iterdir()} == {"faces"}


@pytest.mark.parametrize("place", ["faces", "faces/out", "faces/anna/../out", "link/out"])
def test_the_folder_of_originals_is_never_written_to(place: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    before = files(folder)
    with pytest.raises(InputError, match="within the folder of originals"):
        apply_anonymizer(Inverted(), folder, tmp_path / place, Progress())
    assert files(folder) == before


def test_folders_that_do_not_do_are_refused(folder: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("kept")
    empty = tmp_path / "empty"
    empty.mkdir()
    for source, out, said in (
        (folder, full, "new or empty"),
        (folder, full / "mine", "new or empty"),
        (tmp_path / "missing", tmp_path / "out", "found nothing"),
        (full / "mine", tmp_path / "out", "found a file"),
        (empty, tmp_path / "out", "expected images, found none"),
    ):
        with pytest.raises(InputError, match=said):
            apply_anonymizer(Inverted(), source, out, Progress())
    assert apply_anonymizer(Inverted(), folder, empty, Progress()).written == 3


def test_renamed_images_have_numbers_and_no_folders(folder: Path, tmp_path: Path) -> None:
    for number in range(12):
        Image.fromarray(picture(10 + number)).save(folder / f"{number:02d}.png")
    orders = set()
    for attempt in range(3):
        out, key = tmp_path / f"out-{attempt}", tmp_path / f"key-{attempt}.csv"
        found = apply_anonymizer(Inverted(), folder, out, Progress(), rename=True, key=key)
        assert files(out) == {f"{number:02d}.png" for number in range(1, 16)}
        assert not found.kept_names
        rows = list(csv.DictReader(key.read_text().splitlines()))
        for row in rows:
            if row["original"].endswith(".png") and "/" not in row["original"]:
                seed = 10 + int(row["original"][:2])
                np.testing.assert_array_equal(np.asarray(Image.open(out / row["new"])), 255 - picture(seed))
        assert len(rows) == 15
        orders.add(tuple(row["original"] for row in sorted(rows, key=lambda row: row["new"])))
    # By chance two of three orders are equal once in 15! / 3 times.
    assert len(orders) == 3


def test_times_do_not_tell_the_order_of_old_names(folder: Path, tmp_path: Path) -> None:
    for number in range(12):
        Image.fromarray(picture(10 + number)).save(folder / f"{number:02d}.png")
    out = tmp_path / "out"
    apply_anonymizer(Inverted(), folder, out, Progress(), rename=True)
    assert sorted(files(out), key=lambda name: (os.stat(out / name).st_mtime_ns, name)) == sorted(files(out))


def test_a_key_lies_elsewhere_and_only_with_new_names(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for rename, key, said in (
        (False, tmp_path / "key.csv", "with --rename alone"),
        (True, out / "key.csv", "outside the folder"),
        (True, folder / "key.csv", "outside the folder"),
        (True, tmp_path / "nowhere" / "key.csv", "written to"),
        (True, folder / "README.txt", "expected a new file"),
    ):
        with pytest.raises(InputError, match=said):
            apply_anonymizer(Inverted(), folder, out, Progress(), rename=rename, key=key)
    assert not out.exists()


def test_faces_are_cut_out_as_they_were_for_training(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RunError, match="no face was found"):
        apply_anonymizer(Inverted(alignment="haar"), folder, out, Progress())
    whole = apply_anonymizer(Inverted(alignment="haar", without_face="whole", size=16), folder, out, Progress())
    assert whole.written == 3
    with Image.open(out / "anna" / "sad.png") as image:
        assert image.size == (16, 16)


def test_a_model_that_says_of_its_faces_what_is_not_known_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train it again"):
        apply_anonymizer(Inverted(colour="sepia"), folder, tmp_path / "out", Progress())
    assert not (tmp_path / "out").exists()


def test_contrast_is_made_as_it_was_for_training(folder: Path, tmp_path: Path) -> None:
    apply_anonymizer(Inverted(contrast="standard"), folder, tmp_path / "out", Progress())
    made = np.asarray(Image.open(tmp_path / "out" / "anna" / "sad.png")) / 255
    assert made.std() == pytest.approx(0.2, abs=0.02)
    assert FaceOptions().contrast == "as it is"


@given(
    st.lists(
        st.sampled_from(["a.png", "a.gif", "a.gif.png", "a.png.png", "a", "b/a.png", "subject01.happy", "a.PNG"]),
        unique=True,
        min_size=1,
    )
)
def test_no_two_images_ever_get_one_name(names: list[str]) -> None:
    made = png_names(names)
    assert len(set(made)) == len(names)
    assert all(name.endswith(".png") for name in made)


def test_names_are_as_near_to_the_old_ones_as_can_be() -> None:
    assert png_names(["a/b.jpg", "subject01.happy", "KA.AN1.39.tiff"]) == [
        "a/b.png",
        "subject01.happy.png",
        "KA.AN1.39.png",
    ]
    assert png_names(["a.jpg", "a.gif", "c.jpg"]) == ["a.jpg.png", "a.gif.png", "c.png"]
