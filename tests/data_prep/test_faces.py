"""Folders of faces, damaged and with duplicates as they come, to a set of faces and a report of every file."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from data_prep.face_crop import BOX, EYES, MESH, WHOLE
from data_prep.face_duplicates import digest_of
from data_prep.faces import FaceOptions, read_faces
from data_prep.synthetic_faces import SyntheticFacesConfig, draw_faces
from tff_affect.errors import InputError

CONDITIONS = {
    "centerlight": "neutral", "glasses": "neutral", "happy": "happy", "leftlight": "neutral", "noglasses": "neutral",
    "normal": "neutral", "rightlight": "neutral", "sad": "sad", "sleepy": "disgusted", "surprised": "surprised",
    "wink": "afraid",
}  # fmt: skip
DRAWN = draw_faces(SyntheticFacesConfig(people=4, images=7, size=64, seed=3))


def drawn(person, emotion, number):
    """One drawn face as an 8-bit image."""
    row = DRAWN.files.index(f"S{person:03d}/{emotion}/{number}.png")
    return Image.fromarray(np.round(DRAWN.images[row] * 255).astype(np.uint8))


def save(image, file, name="PNG", **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, name, **options)


@pytest.fixture
def yale(tmp_path):
    """A copy like those that go round: GIF without endings, a file missing, duplicates, a damaged one."""
    folder = tmp_path / "yalefaces"
    for person in range(4):
        for number, (condition, emotion) in enumerate(CONDITIONS.items()):
            save(drawn(person, emotion, number % 7), folder / f"subject{person + 1:02d}.{condition}", "GIF")
    (folder / "subject01.centerlight").unlink()
    for copied, original in (("subject02.noglasses", "subject02.normal"), ("subject04.sad", "subject04.normal")):
        (folder / copied).write_bytes((folder / original).read_bytes())
    damaged = folder / "subject03.wink"
    damaged.write_bytes(damaged.read_bytes()[:900])
    (folder / "Readme.txt").write_text("The Yale Face Database")
    (folder / ".DS_Store").write_bytes(bytes(10))
    (folder / "subject01.gif").write_bytes((folder / "subject01.happy").read_bytes())
    os.mkfifo(folder / "subject01.winking")
    return folder


@pytest.mark.timeout(60)
def test_yale_as_it_goes_round(yale):
    faces, report = read_faces(yale)
    assert faces.name == report.name == "Yale Face Database"
    assert faces.classes == ("happy", "neutral", "sad", "sleepy", "surprised", "wink")
    assert faces.people == ("subject01", "subject02", "subject03", "subject04")
    assert faces.images.shape == (21, 48, 48)
    assert (faces.images.dtype, faces.synthetic) == (np.float32, False)
    assert list(faces.files) == sorted(faces.files)
    kinds = {kind: {row.name for row in rows} for kind, rows in report.dropped_kinds.items()}
    assert kinds["unreadable"] == {"subject03.wink"}
    assert kinds["the same picture under two emotions"] == {"subject04.sad", "subject04.normal"}
    assert kinds["name does not fit the layout"] == {"subject01.gif", "subject01.winking"}
    assert kinds["not an image by its name"] == {"Readme.txt", ".DS_Store"}
    assert len(kinds["no expression"]) == 19
    assert sum(map(len, kinds.values())) + len(faces) == len(list(yale.iterdir()))
    assert report.notes == ("missing: subject01.centerlight",)
    assert report.kept["subject01"] == dict.fromkeys(faces.classes, 1)
    assert report.emotions == {"happy": 4, "neutral": 3, "sad": 3, "sleepy": 4, "surprised": 4, "wink": 3}


def test_a_condition_gives_way_to_an_expression_of_the_same_pixels(yale):
    faces, report = read_faces(yale, FaceOptions(all_conditions=True))
    assert len(faces.classes) == 11
    again = report.dropped_kinds["the same picture again"]
    assert [(row.name, row.reason) for row in again] == [("subject02.noglasses", "as subject02.normal")]
    assert "subject02.normal" in faces.files
    assert report.kept["subject02"] == {emotion: 1 for emotion in faces.classes if emotion != "noglasses"}


def test_the_report_is_a_short_table_and_json(yale):
    _, report = read_faces(yale)
    text = report.text()
    lines = text.splitlines()
    expected = "Yale Face Database: 21 images of 4 people (layout yale, alignment none, 48 pixels a side)"
    assert lines[0] == expected
    assert lines[2].split() == ["people", "happy", "neutral", "sad", "sleepy", "surprised", "wink"]
    assert lines[3].split() == ["subject01,", "subject02", *"111111"]
    assert "all" in text
    assert "dropped, unreadable: 1: subject03.wink (the image is damaged or cut short" in text
    assert "and 14 more" in text
    assert "note: missing: subject01.centerlight" in text
    assert len(lines) < 20
    content = json.loads(json.dumps(report.to_json()))
    assert (content["images"], content["people"]) == (21, 4)
    assert content["dropped"]["unreadable"].keys() == {"subject03.wink"}
    assert len(content["dropped"]["no expression"]) == 19
    assert content["options"] == {
        "alignment": "none", "size": 48, "all_conditions": False, "without_face": "drop", "contrast": "as it is",
    }  # fmt: skip
    assert str(yale.parent) not in json.dumps(content)
    assert str(yale.parent) not in text


def test_jaffe_tiffs(tmp_path):
    words = {"AN": "angry", "DI": "disgusted", "FE": "afraid", "HA": "happy", "NE": "neutral", "SA": "sad"}
    for person, who in enumerate(("KA", "NA", "TM")):
        for serial, (word, emotion) in enumerate(words.items(), start=1):
            for number in (1, 2, 3):
                file = tmp_path / f"{who}.{word}{number}.{3 * serial + number}.tiff"
                save(drawn(person, emotion, number).resize((256, 256)), file, "TIFF")
    faces, report = read_faces(tmp_path, FaceOptions(size=64))
    assert (faces.name, faces.people, faces.classes) == ("JAFFE", ("KA", "NA", "TM"), tuple(sorted(words.values())))
    assert faces.images.shape == (54, 64, 64)
    assert set(report.emotions.values()) == {9}
    assert report.dropped == ()
    row = faces.files.index("NA.HA2.14.tiff")
    np.testing.assert_allclose(faces.images[row], np.asarray(drawn(1, "happy", 2)) / 255, atol=0.15)


@pytest.fixture
def folders(tmp_path):
    """Three people, two emotions, two images each."""
    for person, who in enumerate(("anna", "ben", "cleo")):
        for emotion in ("happy", "sad"):
            for number in range(2):
                save(drawn(person, emotion, number), tmp_path / "mine" / who / emotion / f"{number}.png")
    return tmp_path / "mine"


def test_folders_and_manifests_give_the_same_faces(folders):
    faces, report = read_faces(folders)
    assert (faces.name, report.layout, len(faces)) == ("mine", "folders", 12)
    columns = faces.files, faces.subjects, faces.emotions
    rows = [f"{name},{who},{emotion}" for name, who, emotion in zip(*columns, strict=True)]
    (folders / "table.csv").write_text("\n".join(["file,subject,emotion", *reversed(rows)]) + "\n")
    again, report = read_faces(folders)
    assert report.layout == "manifest"
    assert (again.files, again.subjects, again.emotions) == (faces.files, faces.subjects, faces.emotions)
    np.testing.assert_array_equal(again.images, faces.images)


def test_what_is_marked_synthetic_is_called_so(folders):
    (folders / "SYNTHETIC.txt").write_text("SYNTHETIC\n")
    faces, report = read_faces(folders)
    assert faces.synthetic
    assert faces.name == report.name == "SYNTHETIC mine"
    assert report.text().startswith("SYNTHETIC")


def test_duplicates_are_told_by_pixels_whatever_the_format(folders):
    happy = drawn(0, "happy", 0)
    save(happy, folders / "anna" / "happy" / "again.tif", "TIFF")
    save(happy.convert("RGB"), folders / "anna" / "happy" / "colour", "BMP")
    save(happy.transpose(Image.Transpose.ROTATE_90), folders / "anna" / "happy" / "z.png", exif=bytes_of_orientation(6))
    save(drawn(1, "sad", 0), folders / "cleo" / "sad" / "stolen.gif", "GIF")
    save(drawn(2, "sad", 1), folders / "cleo" / "happy" / "wrong.gif", "GIF")
    faces, report = read_faces(folders)
    kinds = {kind: {row.name: row.reason for row in rows} for kind, rows in report.dropped_kinds.items()}
    assert kinds == {
        "the same picture again": {
            "anna/happy/again.tif": "as anna/happy/0.png",
            "anna/happy/colour": "as anna/happy/0.png",
            "anna/happy/z.png": "as anna/happy/0.png",
        },
        "the same picture under two people": {
            "ben/sad/0.png": "as cleo/sad/stolen.gif",
            "cleo/sad/stolen.gif": "as ben/sad/0.png",
        },
        "the same picture under two emotions": {
            "cleo/sad/1.png": "as cleo/happy/wrong.gif",
            "cleo/happy/wrong.gif": "as cleo/sad/1.png",
        },
    }
    assert len(faces) == 10
    assert len({image.tobytes() for image in faces.images}) == 10


def test_pixels_in_another_shape_are_another_picture():
    values = np.linspace(0, 1, 600, dtype=np.float32)
    assert digest_of(values.reshape(20, 30)) != digest_of(values.reshape(30, 20))
    assert digest_of(values.reshape(20, 30)) == digest_of(np.asfortranarray(values.reshape(20, 30)))


def bytes_of_orientation(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()


def test_pictures_that_are_nearly_the_same_are_warned_of(folders):
    save(drawn(0, "happy", 0), folders / "anna" / "happy" / "recompressed.jpg", "JPEG", quality=98)
    save(drawn(1, "happy", 0), folders / "ben" / "sad" / "recompressed.jpg", "JPEG", quality=98)
    save(drawn(2, "happy", 0), folders / "anna" / "sad" / "of-cleo.jpg", "JPEG", quality=98)
    faces, report = read_faces(folders)
    assert len(faces) == 15
    same, other = report.notes
    assert "1 pair of images of one person and emotion" in same
    assert "anna/happy/0.png and anna/happy/recompressed.jpg" in same
    assert "under two emotions" in other
    assert "ben/happy/0.png and ben/sad/recompressed.jpg" in other


def test_progress_counts_every_image_damaged_or_not(folders):
    (folders / "anna" / "sad" / "0.png").write_bytes(b"\x89PNG")
    said = []
    read_faces(folders, progress=lambda note, total: said.append((note, total)))
    assert len(said) == 12
    assert {total for _, total in said} == {12}
    assert [note for note, _ in said] == sorted(note for note, _ in said)


def test_contrast_is_each_images_own(folders):
    faces, report = read_faces(folders, FaceOptions(contrast="standard", size=32))
    np.testing.assert_allclose(faces.images.mean(axis=(1, 2)), 0.5, atol=0.03)
    np.testing.assert_allclose(faces.images.std(axis=(1, 2)), 0.2, atol=0.03)
    assert report.options["contrast"] == "standard"
    assert "standard contrast" in report.text()


def test_where_no_face_is_found_the_image_is_dropped_or_taken_whole(tmp_path):
    for number, name in enumerate(("anna/sad/0.png", "anna/happy/0.png", "ben/sad/0.png")):
        waves = 127 + 127 * np.sin(np.linspace(0, 9 + number, 64))
        save(Image.fromarray(np.tile(waves.astype(np.uint8), (64, 1))), tmp_path / name)
    with pytest.raises(InputError, match=r"found 0 images.*no face found: 3: anna/happy/0.png, and 2 more"):
        read_faces(tmp_path, FaceOptions(alignment="haar"))
    faces, report = read_faces(tmp_path, FaceOptions(alignment="haar", without_face="whole"))
    np.testing.assert_array_equal(faces.images, read_faces(tmp_path)[0].images)
    assert report.found == {WHOLE: 3}
    assert "whole where no face is found" in report.text()


WRONG = {
    "alignment": ({"alignment": "eyes"}, "one of none, haar, facemesh, found 'eyes'"),
    "size": ({"size": 8}, "16 to 512 pixels, found 8"),
    "layout": ({"layout": "ck+"}, "one of yale"),
    "contrast": ({"contrast": "high"}, "as it is, standard"),
    "without_face": ({"without_face": "keep"}, "drop, whole"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_refused(name):
    settings, words = WRONG[name]
    with pytest.raises(InputError, match=words):
        FaceOptions(**settings)


def test_one_person_or_one_emotion_is_too_little(folders, tmp_path):
    for who in ("anna", "ben"):
        (folders / who).rename(tmp_path / who)
    with pytest.raises(InputError, match="found 4 images of 1 people with 2 emotions"):
        read_faces(folders)
    (tmp_path / "anna").rename(folders / "anna")
    for file in folders.glob("*/sad/*"):
        file.write_bytes(b"gone")
    with pytest.raises(
        InputError, match=r"of 2 people with 1 emotions \(dropped, unreadable: 4: .*found text"
    ) as error:
        read_faces(folders)
    assert error.value.file == str(folders)
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alignment", "ways"), [("none", {WHOLE: 80}), ("haar", {EYES: 79, BOX: 1}), ("facemesh", {MESH: 80})]
)
def test_the_london_set(alignment, ways, shared_data):
    """Face Research Lab London Set (DeBruine & Jones): 40 people, neutral and smiling."""
    faces, report = read_faces(shared_data / "faces_london", FaceOptions(alignment=alignment))
    assert len(faces) == 80
    assert len(faces.people) == 40
    assert report.emotions == {"happy": 40, "neutral": 40}
    assert report.dropped == ()
    assert report.notes == ()
    assert report.found.get(EYES, 80) >= 75
    assert sum(report.found.values()) == sum(ways.values())
    assert report.found.keys() <= {*ways, BOX} if alignment == "haar" else report.found == ways


@pytest.mark.slow
def test_a_photograph_that_was_saved_again_is_noticed_though_its_crop_moved(shared_data, tmp_path):
    for name in ("001_03", "001_08", "002_03", "002_08"):
        who, emotion = name[:3], "happy" if name.endswith("8") else "neutral"
        save(Image.open(shared_data / "faces_london" / f"{name}.jpg"), tmp_path / who / emotion / "1.png")
    again = Image.open(tmp_path / "002" / "happy" / "1.png").resize((300, 300))
    save(again, tmp_path / "002" / "happy" / "2.jpg", "JPEG", quality=30)
    faces, report = read_faces(tmp_path, FaceOptions(alignment="haar"))
    assert len(faces) == 5
    assert len(report.notes) == 1
    assert "002/happy/1.png and 002/happy/2.jpg" in report.notes[0]
