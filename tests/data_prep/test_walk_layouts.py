"""Names of recordings: who walks and what is felt; what does not fit is named."""

import pytest

from data_prep.walk_layouts import LAYOUTS, list_walks
from tff_affect.errors import InputError


def put(folder, *names):
    """Empty files: names alone are looked at."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(listing):
    return {(walk.name, walk.subject, walk.emotion) for walk in listing.walks}


def dropped(listing):
    return {row.name: row.kind for row in listing.dropped}


def test_glasgow_names_in_folders_and_without(tmp_path):
    names = (
        "ale_pt/ale_walk_an_1_fin.ptd", "ale_pt/ale_walk_NU_2_fin.PTD", "ali_walk_sa_10_fin.ptd",
        "bml/alx_pt/alx_walk_ha_3_fin.ptd",
        "ale_pt/ale_knock_an_1_fin.ptd", "ale_pt/ale_walk_xx_1_fin.ptd", "ale_csm/ale_walk_an_1_fin.csm", "readme.txt",
        "ale_pt/.DS_Store",
    )  # fmt: skip
    listing = list_walks(put(tmp_path, *names))
    assert listing.layout == "glasgow"
    assert found(listing) == {
        (names[0], "ale", "angry"), (names[1], "ale", "neutral"), (names[2], "ali", "sad"), (names[3], "alx", "happy"),
    }  # fmt: skip
    assert [walk.name for walk in listing.walks] == sorted(names[:4])
    assert dropped(listing) == {
        names[4]: "another action", names[5]: "name does not fit the layout", names[6]: "not a recording by its name",
        names[7]: "not a recording by its name", names[8]: "not a recording by its name",
    }  # fmt: skip


def test_folders_are_people_and_emotions_tables_among_them(tmp_path):
    names = ("Anna/Happy/1.bvh", "Anna/sad/x.csv", "ben/sad/2.c3d", "ben/stray.bvh", "top.csv", "ben/sad/note.txt")
    listing = list_walks(put(tmp_path, *names))
    assert listing.layout == "folders"
    assert found(listing) == {(names[0], "Anna", "happy"), (names[1], "Anna", "sad"), (names[2], "ben", "sad")}
    assert dropped(listing) == {
        names[3]: "name does not fit the layout", names[4]: "name does not fit the layout",
        names[5]: "not a recording by its name",
    }  # fmt: skip


def test_a_manifest_says_it_all(tmp_path):
    put(tmp_path, "a.bvh", "b.csv", "deep/down/below/c.ptd", "left.bvh", "license")
    (tmp_path / "walks.csv").write_text(
        "file,subject,emotion\na.bvh,P1,Happy\nb.csv,P2,sad\ndeep/down/below/c.ptd,P1,sad\n"
    )
    (tmp_path / "b.csv").write_text("time,a_x,a_y,a_z\n0,1,2,3\n")
    for listing in (list_walks(tmp_path), list_walks(tmp_path / "walks.csv"), list_walks(tmp_path, "manifest")):
        assert listing.layout == "manifest"
        assert found(listing) == {
            ("a.bvh", "P1", "happy"),
            ("b.csv", "P2", "sad"),
            ("deep/down/below/c.ptd", "P1", "sad"),
        }
        assert dropped(listing) == {"left.bvh": "not in the manifest", "license": "not a recording by its name"}


def test_links_and_paths_that_lead_out_are_not_followed(tmp_path):
    put(tmp_path / "secret", "1.bvh")
    folder = put(tmp_path / "walks", "A/happy/1.bvh", "B/sad/2.bvh")
    (folder / "A" / "happy" / "out.bvh").symlink_to(tmp_path / "secret" / "1.bvh")
    (folder / "C").symlink_to(tmp_path / "secret")
    listing = list_walks(folder)
    assert {walk.name for walk in listing.walks} == {"A/happy/1.bvh", "B/sad/2.bvh"}
    assert dropped(listing) == {"A/happy/out.bvh": "not followed", "C": "not followed"}
    for name, words in (("../secret/1.bvh", "line 2: .*within"), ("/etc/passwd", "relative"), ("C/1.bvh", "leads out")):
        (folder / "m.csv").write_text(f"file,subject,emotion\n{name},A,happy\n")
        with pytest.raises(InputError, match=words):
            list_walks(folder)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a folder of walks, found nothing"):
        list_walks(tmp_path / "none")
    with pytest.raises(InputError, match="found nothing") as error:
        list_walks(tmp_path)
    assert all(f"{layout}: " in str(error.value) for layout in LAYOUTS)
    with pytest.raises(InputError, match=r"found 1 file such as a\.bvh"):
        list_walks(put(tmp_path, "a.bvh"))
    with pytest.raises(InputError, match="layout of glasgow, folders, manifest, found 'cmu'"):
        list_walks(tmp_path, "cmu")
    with pytest.raises(InputError, match="found no CSV"):
        list_walks(tmp_path, "manifest")
    with pytest.raises(InputError, match=r"expected ale_walk_an_1_fin\.ptd"):
        list_walks(tmp_path, "glasgow")
    with pytest.raises(InputError, match="'Anna' and 'anna' differ by case"):
        list_walks(put(tmp_path / "two", "Anna/happy/1.bvh", "anna/sad/1.bvh"))
    (tmp_path / "x.csv").write_text("file,subject,emotion\na.bvh,A,sad\n")
    with pytest.raises(InputError, match="read as a manifest, not as folders"):
        list_walks(tmp_path / "x.csv", "folders")
