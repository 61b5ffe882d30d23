"""Names of face images: whose face and what it shows; what does not fit is named."""

import pytest

from data_prep.face_layouts import LAYOUTS, list_faces
from data_prep.synthetic_faces import EXPRESSIONS
from tff_affect.errors import InputError

CONDITIONS = (
    "centerlight", "glasses", "happy", "leftlight", "noglasses", "normal", "rightlight", "sad", "sleepy", "surprised",
    "wink",
)  # fmt: skip
SIX = {"happy", "neutral", "sad", "sleepy", "surprised", "wink"}


def put(folder, *names):
    """Empty files: names alone are looked at."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def yale(people=3, ending=""):
    return [f"subject{person:02d}.{condition}{ending}" for person in range(1, people + 1) for condition in CONDITIONS]


def found(listing):
    return {(face.name, face.subject, face.emotion) for face in listing.faces}


def dropped(listing):
    return {row.name: row.kind for row in listing.dropped}


@pytest.mark.parametrize("ending", ["", ".gif", ".pgm", ".png", ".PNG"])
def test_yale_has_six_expressions(ending, tmp_path):
    listing = list_faces(put(tmp_path, *yale(ending=ending)))
    assert listing.layout == "yale"
    assert {face.emotion for face in listing.faces} == SIX
    assert len(listing.faces) == 18
    assert (f"subject02.normal{ending}", "subject02", "neutral") in found(listing)
    assert len(listing.dropped) == 15
    assert {row.reason.split()[0] for row in listing.dropped} == set(CONDITIONS) - SIX - {"normal"}
    assert listing.notes == ()
    everything = list_faces(tmp_path, all_conditions=True)
    assert len({face.emotion for face in everything.faces}) == 11
    assert len(everything.faces) == 33
    assert sum(face.is_expression for face in everything.faces) == 18


def test_what_yale_lacks_is_said(tmp_path):
    names = [name for name in yale() if name not in ("subject01.centerlight", "subject03.sad")]
    listing = list_faces(put(tmp_path, *names, "Readme.txt", "subject01.gif"))
    assert listing.notes == ("missing: subject01.centerlight, subject03.sad",)
    assert dropped(listing)["subject01.gif"] == "name does not fit the layout"
    assert dropped(listing)["Readme.txt"] == "not an image by its name"


def test_jaffe_speaks_of_emotions_as_drawn_faces_do(tmp_path):
    names = [
        f"{who}.{what}{k}.{k + 9}.tiff"
        for who in ("KA", "NA")
        for what in ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
        for k in (1, 2)
    ]
    listing = list_faces(put(tmp_path, *names, "README", "KA.XX1.3.tiff", ".DS_Store"))
    assert listing.layout == "jaffe"
    assert len(listing.faces) == 28
    assert {face.emotion for face in listing.faces} == set(EXPRESSIONS)
    assert {face.subject for face in listing.faces} == {"KA", "NA"}
    assert ("KA.FE2.11.tiff", "KA", "afraid") in found(listing)
    assert dropped(listing)["KA.XX1.3.tiff"] == "name does not fit the layout"


def test_the_london_set_is_neutral_and_happy(tmp_path):
    listing = list_faces(put(tmp_path, "001_03.jpg", "001_08.jpg", "002_03.jpg", "002_01.jpg"))
    assert found(listing) == {
        ("001_03.jpg", "001", "neutral"), ("001_08.jpg", "001", "happy"), ("002_03.jpg", "002", "neutral"),
    }  # fmt: skip
    assert dropped(listing) == {"002_01.jpg": "no expression"}
    assert listing.notes == ("missing: 002_08",)


def test_folders_are_people_and_emotions(tmp_path):
    names = (
        "A/Happy/1.png",
        "A/sad/x",
        "B/happy/1.png",
        "B/stray.png",
        "A/sad/deep/1.png",
        "top.png",
        "A/sad/Thumbs.db",
    )
    listing = list_faces(put(tmp_path, *names))
    assert listing.layout == "folders"
    assert found(listing) == {("A/Happy/1.png", "A", "happy"), ("A/sad/x", "A", "sad"), ("B/happy/1.png", "B", "happy")}
    assert dropped(listing) == {
        "B/stray.png": "name does not fit the layout",
        "A/sad/deep": "name does not fit the layout",
        "top.png": "name does not fit the layout",
        "A/sad/Thumbs.db": "not an image by its name",
    }


def test_links_are_not_followed_out(tmp_path):
    put(tmp_path / "secret", "1.png")
    folder = put(tmp_path / "faces", "A/happy/1.png", "B/sad/2.png")
    (folder / "A" / "happy" / "out.png").symlink_to(tmp_path / "secret" / "1.png")
    (folder / "A" / "happy" / "nowhere.png").symlink_to("nothing")
    (folder / "A" / "happy" / "within.png").symlink_to(folder / "B" / "sad" / "2.png")
    (folder / "C").symlink_to(tmp_path / "secret")
    (folder / "D").symlink_to(folder)
    (folder / "E").symlink_to("E")
    listing = list_faces(folder)
    assert {face.name for face in listing.faces} == {"A/happy/1.png", "B/sad/2.png", "A/happy/within.png"}
    reasons = {row.name: row.reason for row in listing.dropped}
    assert reasons.keys() == {"A/happy/out.png", "A/happy/nowhere.png", "C", "D", "E"}
    assert "leads out" in reasons["A/happy/out.png"]
    assert "leads out" in reasons["C"]
    assert "nowhere" in reasons["A/happy/nowhere.png"]
    assert set(dropped(listing).values()) == {"not followed"}


def manifest(folder, *lines, name="faces.csv"):
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def test_a_manifest_says_it_all(tmp_path):
    put(tmp_path, "a.png", "deep/down/below/b.png", "c.png", "001_03.jpg")
    manifest(tmp_path, "subject;emotion;file", "NA;Happy;a.png", "KA;sad;./deep/down/below/b.png")
    for listing in (list_faces(tmp_path), list_faces(tmp_path / "faces.csv"), list_faces(tmp_path, "manifest")):
        assert listing.layout == "manifest"
        assert found(listing) == {("a.png", "NA", "happy"), ("deep/down/below/b.png", "KA", "sad")}
        assert {name for name, kind in dropped(listing).items() if "manifest" in kind} == {"c.png", "001_03.jpg"}
        assert listing.notes == ("people and emotions are from faces.csv",)
    assert list_faces(tmp_path, "london").layout == "london"


HEAD = "file,subject,emotion"
WRONG_MANIFESTS = {
    "unknown column": ([f"{HEAD},age", "a.png,A,happy,3"], "line 1: .*'age'"),
    "missing column": (["file,emotion", "a.png,happy"], "line 1: column 'subject' is missing; found file, emotion"),
    "absolute": ([HEAD, "/etc/passwd,A,happy"], "line 2: .*relative"),
    "drive": ([HEAD, "C:\\a.png,A,happy"], "line 2: .*relative"),
    "above": ([HEAD, "a.png,A,happy", "../other/a.png,A,happy"], "line 3: .*within"),
    "above, later": ([HEAD, "x/../../other/a.png,A,happy"], "line 2: .*within"),
    "above with backslashes": ([HEAD, "x\\..\\a.png,A,happy"], "line 2: .*within"),
    "link out": ([HEAD, "out.png,A,happy"], "line 2: .*leads out of the folder"),
    "linked folder": ([HEAD, "away/a.png,A,happy"], "line 2: .*leads out of the folder"),
    "dangling": ([HEAD, "nowhere.png,A,happy"], "line 2: .*leads nowhere"),
    "no such file": ([HEAD, "b.png,A,happy"], "line 2: .*is missing"),
    "twice": ([HEAD, "a.png,A,happy", "x.png,B,sad", "./a.png,A,sad"], "line 4: .*line 2 too"),
    "empty subject": ([HEAD, "a.png,,happy"], "line 2: column 'subject'"),
    "empty emotion": ([HEAD, "x.png,B,sad", "a.png,A,"], "line 3: column 'emotion'"),
    "empty file": ([HEAD, ",A,happy"], "line 2: column 'file'"),
    "two spellings": ([HEAD, "a.png,anna,happy", "x.png,Anna,sad"], "line 3: .*'anna' and 'Anna'"),
    "short row": ([HEAD, "a.png,A"], "line 2: expected 3 cells"),
    "header alone": ([HEAD], "no rows"),
    "column twice": (["file,file,subject,emotion", "a.png,a.png,A,sad"], "line 1: .*more than once"),
}


@pytest.mark.parametrize("case", WRONG_MANIFESTS)
def test_a_wrong_manifest_is_refused_with_its_line(case, tmp_path):
    put(tmp_path / "other", "a.png")
    folder = put(tmp_path / "faces", "a.png", "x.png")
    (folder / "out.png").symlink_to(tmp_path / "other" / "a.png")
    (folder / "away").symlink_to(tmp_path / "other")
    (folder / "nowhere.png").symlink_to("nothing")
    lines, words = WRONG_MANIFESTS[case]
    with pytest.raises(InputError, match=words) as error:
        list_faces(manifest(folder, *lines))
    assert error.value.file == str(folder / "faces.csv")


def test_two_manifests_are_ambiguous(tmp_path):
    put(tmp_path, "a.png")
    for name in ("one.csv", "two.csv"):
        manifest(tmp_path, HEAD, "a.png,A,happy", name=name)
    with pytest.raises(InputError, match=r"one\.csv, two\.csv"):
        list_faces(tmp_path)
    assert list_faces(tmp_path / "two.csv").layout == "manifest"
    with pytest.raises(InputError, match="read as a manifest, not as yale"):
        list_faces(tmp_path / "two.csv", "yale")


def test_another_table_is_no_manifest(tmp_path):
    manifest(put(tmp_path, "001_03.jpg", "001_08.jpg"), "subject,age", "1,30", name="ages.csv")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    assert list_faces(tmp_path).layout == "london"
    with pytest.raises(InputError, match=r"ages\.csv.*|binary\.csv.*"):
        list_faces(tmp_path, "manifest")


UNKNOWN = {
    "empty": ((), "found nothing"),
    "photographs": (("a.jpg", "b.jpg"), r"found 2 files such as a\.jpg, b\.jpg"),
    "texts": (("README", "notes.txt"), "found nothing"),
    "one level": (("anna/1.png",), "found 1 folder such as anna"),
    "one level up": (("jaffe/KA.AN1.39.tiff",), "jaffe in it looks like one: name that"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_an_unknown_folder_says_what_was_seen_and_what_is_known(case, tmp_path):
    names, words = UNKNOWN[case]
    with pytest.raises(InputError, match=words) as error:
        list_faces(put(tmp_path, *names))
    for layout in LAYOUTS:
        assert f"{layout}: " in str(error.value)


def test_several_layouts_need_a_choice(tmp_path):
    put(tmp_path, "001_03.jpg", *yale(1), "A/happy/1.png")
    with pytest.raises(InputError, match=r"11 of yale, 1 of london, 1 of folders"):
        list_faces(tmp_path)
    assert {layout: len(list_faces(tmp_path, layout).faces) for layout in ("yale", "london", "folders")} == {
        "yale": 6, "london": 1, "folders": 1,
    }  # fmt: skip
    with pytest.raises(InputError, match=r"expected KA\.AN1\.39\.tiff"):
        list_faces(tmp_path, "jaffe")
    with pytest.raises(InputError, match=r"expected a layout of yale.*found 'ck'"):
        list_faces(tmp_path, "ck")
    with pytest.raises(InputError, match="found no CSV"):
        list_faces(tmp_path, "manifest")


def test_two_spellings_of_a_person_are_refused(tmp_path):
    with pytest.raises(InputError, match="'Anna' and 'anna' differ by case"):
        list_faces(put(tmp_path, "Anna/happy/1.png", "anna/sad/1.png"))


def test_what_is_no_folder_is_refused(tmp_path):
    put(tmp_path, "file.png")
    for name, words in (("nothing", "found nothing"), ("file.png", "found a file")):
        with pytest.raises(InputError, match=words):
            list_faces(tmp_path / name)
