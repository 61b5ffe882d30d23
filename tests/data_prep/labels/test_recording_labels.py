import numpy as np
import pytest

from data_prep.files.marker import MARKER, says_synthetic
from data_prep.labels.fusion_record import FusionRecord, write_fusion
from data_prep.labels.label_folder import write_label
from data_prep.labels.recording_labels import RecordingLabels
from tff_affect.errors import InputError


@pytest.fixture
def place(tmp_path):
    """Recordings of two subjects with labels four folders below the test's own, out of reach of other marks."""
    folder = tmp_path / "a" / "b" / "recordings"
    (folder / "labels" / "arousal").mkdir(parents=True)
    for subject in ("S1", "S2"):
        write_label(folder / "labels" / "arousal" / f"{subject}.csv", np.arange(5) / 5, np.arange(5) / 10)
    return folder


def test_single_columns_are_as_supplied(place):
    assert RecordingLabels(place, ("S1", "S2")).fusion == "as supplied"
    write_fusion(place / "labels", FusionRecord("ewe"))
    assert RecordingLabels(place, ("S1", "S2")).fusion == "as supplied: ewe"
    with pytest.raises(InputError, match="nothing to fuse by 'dba'"):
        RecordingLabels(place, ("S1", "S2"), fusion="dba")


def test_the_mark_is_found_up_to_two_folders_above(place):
    assert not RecordingLabels(place, ("S1", "S2")).synthetic
    above = place.parents[2]
    (above / MARKER).write_text("SYNTHETIC")
    assert not says_synthetic(place)
    assert says_synthetic(place.parent)
    assert RecordingLabels(place.parent, ("S1", "S2"), labels=place / "labels").synthetic
    (above / MARKER).unlink()
    (place.parent / MARKER).write_text("SYNTHETIC")
    assert RecordingLabels(place, ("S1", "S2")).synthetic


def test_labels_of_a_marked_corpus_make_real_recordings_synthetic(place, tmp_path):
    recordings = tmp_path / "c" / "d" / "mine"
    recordings.mkdir(parents=True)
    (place.parent / MARKER).write_text("SYNTHETIC")
    assert RecordingLabels(recordings, ("S1", "S2"), labels=place / "labels").synthetic


def test_notes_say_what_was_left_aside(place):
    (place / "subjects.csv").write_text("subject,gender,name\nS1,f,Anna\nS2,m,Bert\nS3,m,Carl\n")
    found = RecordingLabels(place, ("S1",), all_subjects=False)
    assert found.entry("S1").groups == {"gender": "f"}
    assert len(found.notes) == 1
    assert "left aside: name" in found.notes[0]
