import pytest

from data_prep.labels.subjects_csv import SubjectsCsv, read_subjects_csv
from tff_affect.cohort import SubjectEntry
from tff_affect.errors import InputError


def test_subjects_csv(tmp_path):
    assert read_subjects_csv(tmp_path) == SubjectsCsv({})
    (tmp_path / "subjects.csv").write_text("subject;gender ;partition;site\nP9;female;devel;A\nP16;;train;B\nP20;m;;\n")
    assert read_subjects_csv(tmp_path).entries == {
        "P9": SubjectEntry("P9", "development", {"gender": "female", "site": "A"}),
        "P16": SubjectEntry("P16", "train", {"site": "B"}),
        "P20": SubjectEntry("P20", "unassigned", {"gender": "m"}),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name\nP9\n", ("line 1", "'subject' is missing")),
        ("subject,partition\nP9,train\nP16,holdout\n", ("line 3", "train, development, test", "'holdout'")),
        ("subject,partition\nP9,train\np9,test\n", ("line 3", "twice")),
        ("subject,site\nP9,A\n,B\n", ("line 3", "the subject is missing")),
    ],
)
def test_a_broken_subjects_csv_is_named_with_its_line(tmp_path, text, words):
    (tmp_path / "subjects.csv").write_text(text)
    with pytest.raises(InputError) as refused:
        read_subjects_csv(tmp_path)
    for word in ("subjects.csv", *words):
        assert word in str(refused.value)


def test_a_subjects_csv_that_is_a_link_out_is_refused(tmp_path):
    (tmp_path / "else.csv").write_text("subject\nP9\n")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "subjects.csv").symlink_to(tmp_path / "else.csv")
    with pytest.raises(InputError, match="leads out"):
        read_subjects_csv(tmp_path / "labels")
    (tmp_path / "labels" / "subjects.csv").unlink()
    (tmp_path / "labels" / "subjects.csv").symlink_to("subjects.csv")
    with pytest.raises(InputError, match="cannot be followed"):
        read_subjects_csv(tmp_path / "labels")


def test_what_points_at_a_person_is_left_aside(tmp_path):
    rows = [
        f"P{i},{'mf'[i % 2]},Name {i},{20 + i},{1960 + 10 * (i % 3)},{'long ' * (9 if i == 3 else 1)}" for i in range(8)
    ]
    (tmp_path / "subjects.csv").write_text("subject,gender,name,age,decade,remark\n" + "\n".join(rows))
    found = read_subjects_csv(tmp_path)
    assert found.entries["P3"].groups == {"gender": "f", "decade": "1960"}
    assert found.notes == (
        "3 columns of subjects.csv do not divide the subjects into groups and are left aside: name, age, remark",
    )


def test_groups_are_few_and_have_members(tmp_path):
    for last, kept in (("z", True), ("w", False)):
        (tmp_path / "subjects.csv").write_text(f"subject,school\nA,x\nB,y\nC,z\nD,z\nE,z\nF,{last}\n")
        assert ("school" in read_subjects_csv(tmp_path).entries["A"].groups) == kept


def test_a_few_names_among_many_empty_cells_are_left_aside(tmp_path):
    rows = [f"S{i},{'Anna' if i == 1 else 'Ben' if i == 2 else ''},{1990 + i // 2}-04-12" for i in range(10)]
    (tmp_path / "subjects.csv").write_text("subject,name,birthdate\n" + "\n".join(rows))
    found = read_subjects_csv(tmp_path)
    assert "name" in found.notes[0]
    assert all("name" not in entry.groups for entry in found.entries.values())


@pytest.mark.parametrize("cell", ["a@b.org", "/home/anna", "C:\\anna", "male/other"])
def test_addresses_and_paths_are_refused(tmp_path, cell):
    (tmp_path / "subjects.csv").write_text(f"subject,gender\nA,n/a\nB,{cell}\n")
    with pytest.raises(InputError, match=r"line 3: column 'gender': expected a group"):
        read_subjects_csv(tmp_path)
