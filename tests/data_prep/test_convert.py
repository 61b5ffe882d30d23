"""What `convert` leaves in the manifest and on the disk, and what the command says."""

import pytest
from typer.testing import CliRunner

from data_prep.convert import convert
from data_prep.layouts.registry import write_layout
from data_prep.synthetic import SyntheticConfig
from tff_affect.cli import app
from tff_affect.cohort import Cohort, new_folder
from tff_affect.errors import InputError

CONFIG = SyntheticConfig(subjects=4, seconds=4.0, seed=8, bad_trackers=())


def test_notes_are_said_and_kept(tmp_path):
    folder = write_layout("muse", tmp_path / "package", CONFIG)
    result = CliRunner().invoke(app, ["data", "convert", str(folder), str(tmp_path / "c"), "--quiet"])
    assert result.exit_code == 0, result.output
    expected = "1 test subjects have no labels and are left out: 4."
    assert f"note: {expected}" in result.stderr
    assert expected not in result.stdout
    assert Cohort.open(tmp_path / "c").manifest.provenance["notes"] == [expected]


def test_a_refused_conversion_leaves_no_folder_above(tmp_path):
    folder = write_layout("muse", tmp_path / "package", CONFIG)
    (folder / "features/fau_intensity/2.csv").write_text("timestamp,AU01_r\n0,99\n40,99\n")
    (tmp_path / "kept").mkdir()
    with pytest.raises(InputError):
        convert(folder, tmp_path / "kept" / "np1" / "np2" / "o")
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_folder_above_that_got_other_content_stays(tmp_path):
    def fail():
        with new_folder(tmp_path / "a" / "b" / "c"):
            (tmp_path / "a" / "mine.txt").write_text("mine")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine.txt"]


def test_a_source_named_too_long_is_an_input_error(tmp_path):
    for arguments in (["x" * 5000, str(tmp_path / "o")], [str(tmp_path), str(tmp_path / "o"), "--map", "x" * 5000]):
        result = CliRunner().invoke(app, ["data", "convert", *arguments])
        assert isinstance(result.exception, InputError)
