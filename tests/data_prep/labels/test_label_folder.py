import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_prep.avec import AvecSource
from data_prep.files.arff_tables import open_table
from data_prep.files.delimited import read_text
from data_prep.files.marker import MARKER
from data_prep.files.timed_tables import stacked, value_columns
from data_prep.labels.fusion_record import FusionRecord, read_fusion, write_fusion
from data_prep.labels.gold_standard import FUSIONS, fuse_dba
from data_prep.labels.label_folder import LabelFolder, write_label
from data_prep.layouts.recola_writer import write_recola_layout
from data_prep.layouts.registry import write_layout
from data_prep.recola import RecolaSource
from data_prep.recola_layout import ANNOTATION
from data_prep.source import SourceOptions
from data_prep.synthetic import SyntheticConfig
from tff_affect.errors import InputError

CONFIG = SyntheticConfig(subjects=2, seconds=6.0, seed=8, bad_trackers=())


def put(folder, dimension, subject, text):
    (folder / dimension).mkdir(parents=True, exist_ok=True)
    file = folder / dimension / f"{subject}.csv"
    file.write_text(text)
    return file


@pytest.fixture
def folder(tmp_path):
    """Two dimensions, three subjects, 0.25 s apart."""
    for dimension in ("valence", "arousal"):
        for subject in ("P16", "P9", "P101"):
            put(tmp_path, dimension, subject, "time,value\n0.0,0.1\n0.25,0.2\n0.5,\n")
    return tmp_path


def test_the_annotations_of_recola_are_read_as_they_are(tmp_path):
    write_recola_layout(tmp_path / "recola", CONFIG)
    labels = LabelFolder(tmp_path / "recola" / ANNOTATION, "ccc_centred")
    assert labels.dimensions == ("arousal", "valence")
    assert labels.subjects == ("P101", "P102")
    assert labels.frame_rate == 25.0
    _, names, ratings = labels.ratings("P101", "valence")
    assert names == ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")
    assert ratings.shape == (CONFIG.frames + 1, 6)
    source = RecolaSource(tmp_path / "recola", SourceOptions(fusion="ccc_centred"))
    for subject in labels.subjects:
        time, values = labels.read(subject)
        table = source.read(subject)[1]
        # The centred level depends on the row at time 0, which the corpus's reader drops after fusing, too.
        np.testing.assert_array_equal(values[1:], table.labels)
        np.testing.assert_array_equal(time[1:], table.time)
        assert values.dtype == np.float32


def test_dimensions_are_sorted_and_subjects_in_natural_order(folder):
    labels = LabelFolder(folder)
    assert labels.dimensions == ("arousal", "valence")
    assert labels.subjects == ("P9", "P16", "P101")
    assert labels.frame_rate == 4.0
    time, values = labels.read("P9")
    np.testing.assert_array_equal(time, [0.0, 0.25, 0.5])
    np.testing.assert_array_equal(values, np.float32([[0.1, 0.1], [0.2, 0.2], [np.nan, np.nan]]))


@pytest.mark.parametrize(
    ("header", "step", "seconds"),
    [
        ("time,value", 0.04, 0.04),
        ("Time in milliseconds;value", 40, 0.04),
        ("timestamp\tsegment_id\tvalue", 500, 0.5),
        ("name;frameTime;GoldStandard", 0.04, 0.04),
        ("timestamp,value,segment_id", 250, 0.25),
        ("time in seconds,value", 10, 10.0),
        ("time in seconds,value", 2, 2.0),
    ],
)
def test_clocks_and_separators(tmp_path, header, step, seconds):
    separator = next(mark for mark in "\t;," if mark in header)
    cells = {"value": "0.5", "GoldStandard": "0.5", "name": "dev_1", "segment_id": "7"}
    rows = [separator.join(cells.get(name, str(i * step)) for name in header.split(separator)) for i in range(5)]
    put(tmp_path, "arousal", "S1", "\n".join([header, *rows]) + "\n")
    labels = LabelFolder(tmp_path)
    time, values = labels.read("S1")
    np.testing.assert_allclose(time, np.arange(5) * seconds, atol=1e-12)
    np.testing.assert_array_equal(values, np.full((5, 1), 0.5, np.float32))
    assert labels.frame_rate == pytest.approx(1 / seconds)


@pytest.mark.parametrize("name", ["mean", "ewe", "ccc_centred"])
def test_raters_are_fused_by_the_rule(tmp_path, name):
    ratings = np.round(np.random.default_rng(1).normal(size=(40, 3)), 3)
    rows = [f"{i / 4},{','.join(map(str, row))}" for i, row in enumerate(ratings)]
    put(tmp_path, "arousal", "S1", "\n".join(["time,A,B,C", *rows]))
    found = LabelFolder(tmp_path, name).read("S1")[1][:, 0]
    np.testing.assert_array_equal(found, FUSIONS[name](ratings).astype(np.float32))


def test_the_barycentres_window_follows_the_frame_rate(tmp_path):
    ratings = np.round(np.random.default_rng(1).normal(size=(80, 3)).cumsum(axis=0), 3)
    rows = [f"{i / 4},{','.join(map(str, row))}" for i, row in enumerate(ratings)]
    put(tmp_path, "arousal", "S1", "\n".join(["time,A,B,C", *rows]))
    found = LabelFolder(tmp_path, "dba").fused("S1", "arousal")[1]
    np.testing.assert_array_equal(found, fuse_dba(ratings, window=16))
    assert not np.array_equal(found, fuse_dba(ratings))


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, 12, elements=st.one_of(st.floats(-100, 100, width=32), st.just(np.nan))), st.booleans())
def test_what_is_written_reads_back_exactly(tmp_path_factory, values, double):
    if not np.isfinite(values).any():
        return
    place = tmp_path_factory.mktemp("labels")
    (place / "valence").mkdir()
    written = values.astype(np.float64) / 3 if double else values
    time = np.arange(1, 13) / 29.97
    write_label(place / "valence" / "S1.csv", time, written)
    read_time, _, read = LabelFolder(place).ratings("S1", "valence")
    np.testing.assert_array_equal(read_time, time)
    np.testing.assert_array_equal(read[:, 0].astype(written.dtype), written)


def test_labels_are_written_in_their_shortest_form(tmp_path):
    write_label(tmp_path / "x.csv", np.array([0.04, 0.08]), np.array([0.1, np.nan], np.float32))
    assert (tmp_path / "x.csv").read_text() == "time,value\n0.04,0.1\n0.08,\n"
    with pytest.raises(InputError, match="one shape"):
        write_label(tmp_path / "x.csv", np.zeros(2), np.zeros(3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,value\n0,0.1\n0,0.2\n", ("line 3", "times that increase")),
        ("time,value\n0,0.1\n,0.2\n", ("line 3", "times that increase")),
        ("time,value\n0,0.1\n0.25,oops\n", ("line 3", "expected a number", "oops")),
        ("time,value\n0,0.1\n0.25,100.5\n", ("line 3", "+-100", "100.5")),
        ("time,value\n0,\n0.25,\n", ("'value'", "no rating")),
        ("time,value\n0,0.1\n", ("at least two rows",)),
        ("value\n0.1\n0.2\n", ("line 1", "column of times", "found 0")),
        ("time,timestamp,value\n0,0,0.1\n1,1,0.2\n", ("line 1", "one column of times", "found 2")),
        ("time,name\n0,a\n1,b\n", ("line 1", "columns of values")),
        ("time,value\n0,0.1,7\n", ("line 2", "2 cells")),
        ("", ("empty",)),
    ],
)
def test_a_broken_file_is_named_with_its_line(folder, text, words):
    file = put(folder, "valence", "P101", text)
    with pytest.raises(InputError) as refused:
        LabelFolder(folder).read("P101")
    for word in (str(file), *words):
        assert word in str(refused.value)


def test_dimensions_must_share_their_times(folder):
    put(folder, "valence", "P9", "time,value\n0.0,0.1\n0.25,0.2\n0.502,0.3\n")
    with pytest.raises(InputError, match=r"valence.P9\.csv.*different times"):
        LabelFolder(folder).read("P9")
    put(folder, "valence", "P9", "time,value\n0.0,0.1\n0.25,0.2\n0.5005,0.3\n")
    assert LabelFolder(folder).read("P9")[1].shape == (3, 2)


def test_a_missing_file_and_an_empty_folder_are_named(folder, tmp_path_factory):
    (folder / "valence" / "P9.csv").unlink()
    with pytest.raises(InputError, match=r"valence.P9\.csv.*the file is missing"):
        LabelFolder(folder)
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(InputError, match="folders of labels"):
        LabelFolder(empty)
    (empty / "arousal").mkdir()
    with pytest.raises(InputError, match="expected a file"):
        LabelFolder(empty)
    with pytest.raises(InputError, match="the folder is missing"):
        LabelFolder(empty / "nowhere")


def test_what_is_not_there_is_named(folder):
    labels = LabelFolder(folder)
    with pytest.raises(InputError, match="no labels of 'anger'; found arousal, valence"):
        labels.ratings("P9", "anger")
    with pytest.raises(InputError, match="the file is missing"):
        labels.read("P404")
    with pytest.raises(InputError, match="fusion among"):
        LabelFolder(folder, "median")


def test_hidden_and_foreign_files_are_left_alone(folder):
    (folder / ".git").mkdir()
    (folder / "arousal" / ".DS_Store").write_text("x")
    (folder / "arousal" / "readme.txt").write_text("x")
    (folder / "agreement.csv").write_text("x")
    assert LabelFolder(folder).subjects == ("P9", "P16", "P101")


def test_names_that_differ_by_case_alone_are_refused(folder):
    put(folder, "arousal", "p9", "time,value\n0,0.1\n1,0.2\n")
    with pytest.raises(InputError, match="keep one of the two"):
        LabelFolder(folder)


def test_links_out_of_the_folder_are_refused(folder, tmp_path_factory):
    elsewhere = put(tmp_path_factory.mktemp("elsewhere"), "arousal", "P9", "time,value\n0,0.1\n1,0.2\n")
    (folder / "arousal" / "P9.csv").unlink()
    (folder / "arousal" / "P9.csv").symlink_to(elsewhere)
    with pytest.raises(InputError, match="leads out of the folder"):
        LabelFolder(folder)
    (folder / "arousal" / "P9.csv").unlink()
    (folder / "arousal" / "P9.csv").symlink_to("P9.csv")
    with pytest.raises(InputError, match="cannot be followed"):
        LabelFolder(folder)
    (folder / "arousal" / "P9.csv").unlink()
    (folder / "arousal" / "P9.csv").symlink_to("P16.csv")
    assert LabelFolder(folder).read("P9")[1].shape == (3, 2)


def test_a_link_to_the_folder_itself_is_followed(folder, tmp_path_factory):
    link = tmp_path_factory.mktemp("links") / "labels"
    link.symlink_to(folder)
    assert LabelFolder(link).subjects == ("P9", "P16", "P101")


TEXT = "{header}\n0,0.1,0.3\n0.25,0.2,0.4\n0.5,0.1,0.1\n"


@pytest.mark.parametrize(
    "header", ["arousal,confidence", "x,y", "A,V", "B,C", "rater_1,certainty", "FM1,mean", "R1,date"]
)
def test_columns_that_are_no_raters_are_not_averaged(tmp_path, header):
    file = put(tmp_path, "arousal", "S1", TEXT.format(header=f"time,{header}"))
    with pytest.raises(InputError, match="named like raters") as refused:
        LabelFolder(tmp_path)
    assert refused.value.file == str(file)
    asked = LabelFolder(tmp_path, "mean")
    assert asked.fusion == "mean"
    np.testing.assert_allclose(asked.read("S1")[1][:, 0], [0.2, 0.3, 0.1], atol=1e-6)


@pytest.mark.parametrize(
    "header", ["FM1,FF2", "rater_3,Rater 12", "R1,R2", "annotator-1,annotator-2", "1,2", "A,B", "rater_a,rater_b"]
)
def test_columns_named_like_raters_are_fused_by_the_mean(tmp_path, header):
    put(tmp_path, "arousal", "S1", TEXT.format(header=f"time,{header}"))
    labels = LabelFolder(tmp_path)
    assert labels.fusion == "mean"
    np.testing.assert_allclose(labels.read("S1")[1][:, 0], [0.2, 0.3, 0.1], atol=1e-6)


def test_a_later_file_of_other_columns_is_refused(folder):
    put(folder, "arousal", "P101", TEXT.format(header="time,arousal,confidence"))
    with pytest.raises(InputError, match=r"P101\.csv.*named like raters"):
        LabelFolder(folder).read("P101")
    put(folder, "arousal", "P101", TEXT.format(header="time,R1,R2"))
    with pytest.raises(InputError, match=r"P101\.csv.*one column of values as in the first"):
        LabelFolder(folder).read("P101")


def test_labels_that_come_fused_say_so_and_a_useless_fusion_is_refused(folder):
    assert LabelFolder(folder).fusion == "as supplied"
    with pytest.raises(InputError, match="nothing to fuse by 'dba'"):
        LabelFolder(folder, "dba")
    write_fusion(folder, FusionRecord("ewe"))
    assert LabelFolder(folder).fusion == "as supplied: ewe"
    write_fusion(folder, FusionRecord("dba", 1.5, True))
    assert LabelFolder(folder).fusion == "as supplied: dba, median over 1.5 s"
    assert read_fusion(folder) == FusionRecord("dba", 1.5, True)
    for text in ("", "[]", "{", '{"rule": "ewe"}', '{"rule": "best", "smoothing": null, "synthetic": false}'):
        (folder / "fusion.json").write_text(text)
        with pytest.raises(InputError, match=r"fusion\.json.*labels fuse"):
            LabelFolder(folder)


def test_milliseconds_are_said(folder, tmp_path_factory):
    assert LabelFolder(folder).notes == ()
    place = tmp_path_factory.mktemp("muse")
    put(place, "arousal", "1", "timestamp,value,segment_id\n0,0.1,1\n500,0.2,1\n")
    assert LabelFolder(place).notes == ("the labels' times, column 'timestamp', are taken for milliseconds",)


def test_a_pipe_is_refused_and_never_waited_for(folder):
    file = folder / "arousal" / "P9.csv"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(InputError, match=r"P9\.csv.*it is a folder, a pipe"):
        LabelFolder(folder)
    with pytest.raises(InputError, match="it is a pipe"):
        read_text(file)


def test_a_rate_of_no_rater_is_refused_with_its_file(tmp_path):
    put(tmp_path, "arousal", "S1", "time,A,B\n0,0.1,0.2\n0.0001,0.1,0.2\n")
    with pytest.raises(InputError, match=r"S1\.csv.*up to 1000 per second"):
        LabelFolder(tmp_path, "dba")


def test_the_barycentres_window_follows_the_rate_of_each_corpus(tmp_path):
    config = SyntheticConfig(subjects=3, seconds=40.0, frame_rate=5.0, seed=8, bad_trackers=())
    recola = RecolaSource(write_recola_layout(tmp_path / "recola", config), SourceOptions(fusion="dba"))
    ratings = LabelFolder(tmp_path / "recola" / ANNOTATION).ratings("P101", "arousal")[2]
    expected = fuse_dba(ratings, window=20)
    assert not np.array_equal(expected, fuse_dba(ratings))
    np.testing.assert_array_equal(recola.read("P101")[1].labels[:, 0], expected[1:].astype(np.float32))
    avec = AvecSource(write_layout("avec2016", tmp_path / "avec", config), SourceOptions(fusion="dba"))
    file = avec._labels_of["arousal"]["train_1"]
    table = open_table(file)
    ratings = stacked(table, value_columns(table), "train_1")
    expected = fuse_dba(ratings, window=20)
    assert not np.array_equal(expected, fuse_dba(ratings))
    np.testing.assert_array_equal(avec.read("train_1")[1].labels[:, 0], expected.astype(np.float32))


def test_a_mark_above_a_corpus_is_seen(tmp_path):
    folder = write_recola_layout(tmp_path / "corpora" / "recola", CONFIG)
    (folder / MARKER).rename(tmp_path / "corpora" / MARKER)
    assert RecolaSource(folder, SourceOptions()).manifest.synthetic
    (tmp_path / "corpora" / MARKER).unlink()
    assert not RecolaSource(folder, SourceOptions()).manifest.synthetic
