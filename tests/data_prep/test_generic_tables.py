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
        frame(subjects).to_csv(tmp_path / "t.csv", index=False)
        reads.clear()
        found = list(read_all(open_source(tmp_path / "t.csv", SourceOptions(MAP))))
        assert [entry.groups for entry, _ in found] == [{"gender": "x"}] * subjects
        counts.append(len(reads))
    assert counts[0] == counts[1]


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
