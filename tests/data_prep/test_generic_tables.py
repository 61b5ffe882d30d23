import csv
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data_prep.column_map import ColumnMap, column_map_from_mapping, load_column_map, packaged_maps
from data_prep.convert import convert
from data_prep.files.delimited import DelimitedTable
from data_prep.source import SourceOptions, read_all
from data_prep.sources import open_source
from tff_affect.errors import InputError

MAP = ColumnMap(subject="who", features=r"AU\d\d", labels={"valence": "v"}, groups={"gender": "sex"})


def convert_table(file, folder, column_map):
    return convert(file, folder, SourceOptions(column_map))


def frame(subjects=2, steps=4):
    rng = np.random.default_rng(1)
    n = subjects * steps
    return pd.DataFrame(
        {
            "who": np.repeat([f"s{i}" for i in range(subjects)], steps),
            "t": np.tile(np.arange(steps), subjects),
            "AU01": rng.uniform(0, 5, n).round(3),
            "AU12": rng.uniform(0, 5, n).round(3),
            "v": rng.uniform(-1, 1, n).round(2),
            "sex": "x",
            "image_path": "faces/secret.png",
            "Identity_1": 0.5,
        }
    )


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_separators_are_sniffed_and_only_mapped_columns_come_through(tmp_path, separator):
    source = frame()
    source.to_csv(tmp_path / "t.txt", sep=separator, index=False)
    cohort = convert_table(tmp_path / "t.txt", tmp_path / "c", MAP)
    assert cohort.subjects == ("s0", "s1")
    table = cohort.load("s1")
    np.testing.assert_array_equal(table.features, source[["AU01", "AU12"]].to_numpy(np.float32)[4:])
    np.testing.assert_array_equal(table.labels[:, 0], source["v"].to_numpy(np.float32)[4:])
    np.testing.assert_array_equal(table.time, [0, 1, 2, 3])
    assert cohort.manifest.features == ("AU01", "AU12")
    written = b"".join(file.read_bytes() for file in cohort.path.rglob("*") if file.is_file())
    assert b"secret" not in written
    assert b"Identity" not in written
    assert str(tmp_path).encode() not in written


def test_blank_rows_are_dropped_and_counted_and_missing_cells_are_masked(tmp_path):
    lines = frame().astype(object).to_csv(index=False).splitlines()
    lines[2:2] = ["", ",,,,,,,"]
    cells = lines[4].split(",")
    lines[4] = ",".join([*cells[:2], "NA", *cells[3:]])
    (tmp_path / "t.csv").write_text("\n".join(lines))
    cohort = convert_table(tmp_path / "t.csv", tmp_path / "c", MAP)
    assert cohort.manifest.provenance["blank_rows_dropped"] == 2
    table = cohort.load("s0")
    assert table.frames == 4
    assert np.isnan(table.features[1, 0])
    assert list(table.valid) == [True, False, True, True]


def test_interleaved_subjects_keep_their_own_order(tmp_path):
    source = frame().sort_values(["t", "who"])
    source.to_csv(tmp_path / "t.csv", index=False)
    convert_table(tmp_path / "t.csv", tmp_path / "a", MAP)
    cohort = convert_table(tmp_path / "t.csv", tmp_path / "b", column_map_from_mapping(MAP.to_json() | {"order": "t"}))
    np.testing.assert_array_equal(cohort.load("s0").time, [0, 1, 2, 3])
    np.testing.assert_array_equal(cohort.load("s0").labels[:, 0], frame()["v"].to_numpy(np.float32)[:4])


def test_shuffled_steps_are_a_seeded_permutation_of_rows(tmp_path):
    frame(3, 30).to_csv(tmp_path / "t.csv", index=False)
    plain = convert_table(tmp_path / "t.csv", tmp_path / "plain", MAP)
    shuffled = [
        convert_table(
            tmp_path / "t.csv", tmp_path / str(i), column_map_from_mapping(MAP.to_json() | {"shuffle_steps": seed})
        )
        for i, seed in enumerate((0, 0, 1))
    ]
    assert shuffled[0].content_sha256 == shuffled[1].content_sha256 != shuffled[2].content_sha256
    assert shuffled[0].manifest.provenance["map"]["shuffle_steps"] == 0
    orders = []
    for subject in plain.subjects:
        old, new = plain.load(subject), shuffled[0].load(subject)
        order = [int(np.flatnonzero((old.features == row).all(axis=1))[0]) for row in new.features]
        assert sorted(order) == list(range(30)) != order
        np.testing.assert_array_equal(old.labels[order], new.labels)
        np.testing.assert_array_equal(old.time, new.time)
        orders.append(order)
    assert orders[0] != orders[1]


def test_a_synthetic_table_says_so(tmp_path):
    frame().to_csv(tmp_path / "t.csv", index=False)
    cohort = convert_table(
        tmp_path / "t.csv", tmp_path / "c", column_map_from_mapping(MAP.to_json() | {"synthetic": True})
    )
    assert cohort.manifest.synthetic
    assert "SYNTHETIC" in cohort.manifest.name


def test_real_people_and_clips(shared_data, tmp_path):
    file = shared_data / "au_table" / "alone.tsv"
    if not file.is_file():
        pytest.skip(f"no {file.name} among the shared data")
    cohort = convert(file, tmp_path / "c", SourceOptions(load_column_map("clip_self_report")))
    assert len(cohort.subjects) == 40
    source = pd.read_csv(file, sep="\t", keep_default_na=False)
    columns = [name for name in source.columns if name[:2] == "AU" and len(name) == 4]
    assert cohort.manifest.features == tuple(columns)
    assert len(columns) == 17
    words = {"Unpleasant": -1, "Neutral": 0, "Pleasant": 1}
    for subject, own in source.groupby("private_id", sort=False):
        table = cohort.load(str(subject))
        assert table.frames == 12
        np.testing.assert_array_equal(table.features, own[columns].to_numpy(np.float32))
        np.testing.assert_array_equal(table.labels[:, 0], own["valence_self_report"].map(words).to_numpy(np.float32))
        assert cohort.entry(str(subject)).groups == {"gender": own["gender"].iloc[0]}
    assert cohort.manifest.time_unit == "step"
    assert not cohort.manifest.synthetic


def test_packaged_maps_load():
    assert packaged_maps() == ("clip_self_report", "clip_self_report_shuffled")
    assert load_column_map("clip_self_report").values["valence"] == {"Unpleasant": -1, "Neutral": 0, "Pleasant": 1}


def test_the_shuffled_map_is_the_plain_one_but_for_the_seed():
    plain, shuffled = (load_column_map(name) for name in packaged_maps())
    assert plain.shuffle_steps is None
    assert shuffled.shuffle_steps == 0
    assert shuffled.name == "clips with self-reported valence, steps shuffled"
    assert replace(shuffled, shuffle_steps=None, name=plain.name) == plain


def test_columns_are_read_once_whatever_the_number_of_subjects(tmp_path, monkeypatch):
    reads = []
    text = DelimitedTable.text
    monkeypatch.setattr(DelimitedTable, "text", lambda table, column: reads.append(column) or text(table, column))
    counts = []
    for subjects in (2, 20):
        # A blank line, so that the strict reader reads.
        (tmp_path / "t.csv").write_text(frame(subjects).to_csv(index=False) + "\n\n")
        reads.clear()
        found = list(read_all(open_source(tmp_path / "t.csv", SourceOptions(MAP))))
        assert [entry.groups for entry, _ in found] == [{"gender": "x"}] * subjects
        counts.append(len(reads))
    assert 0 < counts[0] == counts[1]


def test_only_mapped_columns_are_held_and_both_readers_agree(tmp_path):
    source = frame(3, 5).assign(v=["bad", "good", ""] * 5)
    source.loc[4, "AU01"] = np.nan
    source.to_csv(tmp_path / "plain.csv", index=False)
    (tmp_path / "blank.csv").write_text(source.to_csv(index=False) + "\n,,,,,,,\n")
    source.to_csv(tmp_path / "quoted.csv", index=False, quoting=csv.QUOTE_NONNUMERIC)
    column_map = replace(MAP, values={"valence": {"bad": -1.0, "good": 1.0}})
    for name in ("plain", "blank", "quoted"):
        opened = open_source(tmp_path / f"{name}.csv", SourceOptions(column_map))
        assert (opened._table.lines is None) == (name == "plain")
        assert {*opened._table.numbers, *opened._table.texts} == {"who", "AU01", "AU12", "v", "sex"}
        assert opened.manifest.provenance["blank_rows_dropped"] == (2 if name == "blank" else 0)
        for (_, found), (_, own) in zip(read_all(opened), source.groupby("who"), strict=True):
            np.testing.assert_array_equal(found.features, own[["AU01", "AU12"]].to_numpy(np.float32))
            np.testing.assert_array_equal(found.labels[:, 0], own["v"].map({"bad": -1, "good": 1}).to_numpy(np.float32))


def test_a_column_may_be_group_and_feature(tmp_path):
    frame(2, 1).to_csv(tmp_path / "t.csv", index=False)
    entry, table = open_source(tmp_path / "t.csv", SourceOptions(replace(MAP, groups={"g": "AU01"}))).read("s1")
    assert float(entry.groups["g"]) == pytest.approx(float(table.features[0, 0]), rel=1e-6)


GOOD = {"subject": "s", "features": ["AU01"], "labels": {"valence": "v"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"features": []}, "at least one feature"),
        ({"features": "AU("}, "no regular expression"),
        ({"features": ["v"]}, "used for features and for labels"),
        ({"features": ["AU01", "AU01"]}, "name it once"),
        ({"labels": {}}, "at least one label"),
        ({"labels": 3}, "column map"),
        ({"values": {"arousal": {"a": 1}}}, "is no label"),
        ({"values": {"valence": {"a": "much"}}}, "column map"),
        ({"feature_scale": "0-9"}, "feature_scale"),
        ({"time_unit": "minute"}, "time_unit"),
        ({"separator": "|"}, "separator"),
        ({"frame_rate": 0}, "frame_rate"),
        ({"frame_rate": "fast"}, "column map"),
        ({"shuffle_steps": 1, "time_unit": "second"}, "shuffle_steps"),
        ({"shuffle_steps": False}, "shuffle_steps: expected a whole number or null, found False"),
        ({"shuffle_steps": 1.5}, "shuffle_steps: expected a whole number or null, found 1.5"),
        ({"shuffle_steps": "0"}, "shuffle_steps: expected a whole number or null, found '0'"),
        ({"synthetic": "false"}, "synthetic: expected true or false, found 'false'"),
        ({"synthetic": 0}, "synthetic: expected true or false, found 0"),
        ({"values": {"valence": {False: 0}}}, "values: .*found the YAML value False.*quotes"),
        ({"values": {"valence": {"no": True}}}, "values: expected a number, found True"),
        ({"labels": {"valence": True}}, "labels: .*found the YAML value True.*quotes"),
        ({"features": ["AU01", False]}, "features: .*found the YAML value False.*quotes"),
        ({"subject": True}, "subject: .*found the YAML value True.*quotes"),
        ({"frame_rate": True}, "frame_rate: expected a number, found True"),
    ],
)
def test_bad_maps_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        column_map_from_mapping(GOOD | change, "map.yaml")


def test_bad_map_files_are_refused(tmp_path):
    for name, text in (("a.yaml", "subject: [1"), ("b.yaml", "- 1\n- 2"), ("c.yaml", "subject: s"), ("d.yaml", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=name):
            load_column_map(tmp_path / name)
    with pytest.raises(InputError, match="clip_self_report"):
        load_column_map("nothing")


def test_words_that_yaml_takes_for_booleans_are_refused_with_a_hint(tmp_path):
    text = "subject: s\nfeatures: [AU01]\nlabels: {pain: p}\nvalues: {pain: {%s: 0, %s: 1}}\n"
    (tmp_path / "bare.yaml").write_text(text % ("no", "yes"))
    with pytest.raises(InputError, match=r"bare.yaml.*False.*quotes"):
        load_column_map(tmp_path / "bare.yaml")
    (tmp_path / "quoted.yaml").write_text(text % ("'no'", "'yes'"))
    assert load_column_map(tmp_path / "quoted.yaml").values == {"pain": {"no": 0.0, "yes": 1.0}}


def test_a_name_longer_than_any_file_is_refused():
    with pytest.raises(InputError, match="no such column map"):
        load_column_map("x" * 5000)
    for options in (SourceOptions(MAP), None):
        with pytest.raises(InputError, match="cannot look here: File name too long"):
            open_source("x" * 5000, options)
