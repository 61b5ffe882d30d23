import pytest

from data_prep.files.folders import entries_of, one_file_each
from tff_affect.errors import InputError


def test_links_may_stay_inside_and_not_lead_out(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.csv").write_text("x")
    (root / "b.csv").symlink_to("a.csv")
    (root / ".hidden").write_text("x")
    assert [file.name for file in entries_of(root, root)] == ["a.csv", "b.csv"]
    (tmp_path / "out.csv").write_text("x")
    (root / "c.csv").symlink_to(tmp_path / "out.csv")
    with pytest.raises(InputError, match=r"c\.csv: a link leads out"):
        entries_of(root, root)
    with pytest.raises(InputError, match="the folder is missing"):
        entries_of(root / "none", root)


def test_a_subject_has_one_file(tmp_path):
    files = [tmp_path / name for name in ("anna.csv", "ben.csv")]
    assert one_file_each(files) == {"anna": files[0], "ben": files[1]}
    for twice in ("anna.CSV", "Anna.csv"):
        with pytest.raises(InputError, match=r"'anna\.csv' is there too") as raised:
            one_file_each([*files, tmp_path / twice])
        assert raised.value.file == str(tmp_path / twice)
