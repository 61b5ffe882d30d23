import json

import numpy as np
import pytest

from data_prep.files.marker import MARKER, says_synthetic
from data_prep.labels.gold_standard import FUSIONS, fusion_named
from data_prep.labels.label_folder import LabelFolder
from data_prep.labels.label_fusion import AGREEMENT, fuse_folder
from tff_affect.errors import InputError

FRAMES = 40


@pytest.fixture
def ratings(tmp_path):
    rng = np.random.default_rng(0)
    for dimension in ("anger", "joy"):
        (tmp_path / "corpus" / "raters" / dimension).mkdir(parents=True)
        for subject in ("S1", "S2", "S10"):
            said = np.round(rng.normal(size=(FRAMES, 3)).cumsum(axis=0) / 10, 2)
            rows = [f"{i / 5},{','.join(map(str, row))}" for i, row in enumerate(said)]
            file = tmp_path / "corpus" / "raters" / dimension / f"{subject}.csv"
            file.write_text("\n".join(["time,A,B,C", *rows]) + "\n")
    return tmp_path / "corpus" / "raters"


@pytest.mark.parametrize("rule", FUSIONS)
def test_every_file_is_fused_by_the_rule(ratings, tmp_path, rule):
    seen = []
    table = fuse_folder(ratings, tmp_path / "gold", rule, on_file=lambda name, total: seen.append((name, total)))
    raters, gold = LabelFolder(ratings), LabelFolder(tmp_path / "gold")
    for dimension in raters.dimensions:
        for subject in raters.subjects:
            fused = fusion_named(rule, 5.0)(raters.ratings(subject, dimension)[2])
            np.testing.assert_array_equal(gold.fused(subject, dimension)[1], fused)
    assert list(zip(table["dimension"], table["subject"], strict=True))[:4] == [
        ("anger", "S1"),
        ("anger", "S2"),
        ("anger", "S10"),
        ("joy", "S1"),
    ]
    assert seen[0] == ("anger S1", 6)
    assert len(seen) == 6
    assert (tmp_path / "gold" / AGREEMENT).is_file()


def test_the_mark_of_generated_data_is_found_up_to_the_corpus(ratings, tmp_path):
    assert not says_synthetic(ratings)
    (tmp_path / "corpus" / MARKER).write_text("SYNTHETIC")
    assert says_synthetic(ratings)
    fuse_folder(ratings, tmp_path / "gold")
    assert says_synthetic(tmp_path / "gold")


def test_a_fault_in_the_last_file_leaves_nothing(ratings, tmp_path):
    last = ratings / "joy" / "S10.csv"
    last.write_text(last.read_text().replace("\n0.2,", "\n0.0,"))
    with pytest.raises(InputError, match=r"S10\.csv, line 3"):
        fuse_folder(ratings, tmp_path / "gold")
    last.write_text("time,A,B\n0,0.1,\n0.2,,0.1\n0.4,0.2,\n")
    with pytest.raises(InputError, match=r"S10\.csv, subject S10: no stretch"):
        fuse_folder(ratings, tmp_path / "gold", "dba")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == ["raters"]


def test_a_broken_subjects_csv_is_refused_and_a_good_one_taken_along(ratings, tmp_path):
    (ratings / "subjects.csv").write_text("subject,partition\nS1,holdout\n")
    with pytest.raises(InputError, match="partition"):
        fuse_folder(ratings, tmp_path / "gold")
    (ratings / "subjects.csv").write_text("subject,partition\nS1,dev\n")
    fuse_folder(ratings, tmp_path / "gold")
    assert (tmp_path / "gold" / "subjects.csv").read_text() == "subject,partition\nS1,dev\n"


def test_a_full_folder_is_refused(ratings, tmp_path):
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        fuse_folder(ratings, tmp_path / "gold")


@pytest.mark.parametrize("seconds", [9.0, 1e18, 1e300])
def test_smoothing_over_more_than_a_recording_is_refused_and_named(ratings, tmp_path, seconds):
    with pytest.raises(InputError, match=r"S1\.csv, subject S1: .*recording of 8 s"):
        fuse_folder(ratings, tmp_path / "gold", smooth_seconds=seconds)
    assert not (tmp_path / "gold").exists()


def test_how_it_was_fused_is_written_and_reported(ratings, tmp_path):
    (tmp_path / "corpus" / MARKER).write_text("SYNTHETIC")
    fuse_folder(ratings, tmp_path / "gold", "ewe", 1.0)
    assert json.loads((tmp_path / "gold" / "fusion.json").read_text()) == {
        "rule": "ewe",
        "smoothing": {"kind": "median", "seconds": 1.0},
        "synthetic": True,
    }
    assert LabelFolder(tmp_path / "gold").fusion == "as supplied: ewe, median over 1 s"
    with pytest.raises(InputError, match="nothing to fuse"):
        fuse_folder(tmp_path / "gold", tmp_path / "again", "ewe")
