"""The cohort on disk: what is written comes back, and what is damaged is refused by name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sample_cohort import FRAME_RATE, small_manifest, small_subjects

from tff_affect.cohort import (
    Cohort,
    CohortManifest,
    SubjectEntry,
    SubjectTable,
    check_destination,
    new_folder,
    write_cohort,
)
from tff_affect.errors import InputError, RunError

WriteSmall = Callable[[], Cohort]
SUBJECT = "P2"


def same_table(found: SubjectTable, expected: SubjectTable) -> None:
    np.testing.assert_array_equal(found.time, expected.time)
    np.testing.assert_array_equal(found.features, expected.features)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.valid, expected.valid)


def one_subject(**changes: Any) -> tuple[SubjectEntry, SubjectTable]:
    entry, table = next(small_subjects(frames=20))
    return entry, replace(table, **changes)


# What is written comes back.


def test_round_trip_keeps_every_value_and_nan(small_cohort: Cohort) -> None:
    opened = Cohort.open(small_cohort.path)
    assert opened.subjects == ("P1", "P2", "P3", "P4")
    assert replace(opened.manifest, subjects=()) == small_manifest()
    for entry, table in small_subjects():
        found = opened.load(entry.subject)
        same_table(found, table)
        assert np.isnan(found.features).any()
        assert found.features.dtype == np.float32
        assert found.time.dtype == np.float64
        assert opened.entry(entry.subject).partition == entry.partition
        assert opened.entry(entry.subject).groups == entry.groups


def test_the_folder_holds_the_manifest_and_one_table_each(small_cohort: Cohort) -> None:
    files = {str(p.relative_to(small_cohort.path)) for p in small_cohort.path.rglob("*") if p.is_file()}
    assert files == {"cohort.json", *(f"subjects/P{n}.parquet" for n in (1, 2, 3, 4))}
    assert str(small_cohort.path) not in (small_cohort.path / "cohort.json").read_text()


def test_hashes_are_of_the_files(small_cohort: Cohort) -> None:
    for entry in small_cohort.manifest.subjects:
        assert entry.sha256 == hashlib.sha256((small_cohort.path / entry.file).read_bytes()).hexdigest()
        assert entry.frames == 200


def test_writing_twice_gives_the_same_content(small_cohort: Cohort, write_small: WriteSmall) -> None:
    again = write_small()
    assert again.content_sha256 == small_cohort.content_sha256
    assert (again.path / "cohort.json").read_bytes() == (small_cohort.path / "cohort.json").read_bytes()


def test_content_hash_sees_partitions_and_data_but_not_the_name(tmp_path: Path, small_cohort: Cohort) -> None:
    subjects = list(small_subjects())
    renamed = write_cohort(tmp_path / "a", replace(small_manifest(), name="other"), subjects)
    assert renamed.content_sha256 == small_cohort.content_sha256
    moved = [(replace(subjects[0][0], partition="test"), subjects[0][1]), *subjects[1:]]
    assert write_cohort(tmp_path / "b", small_manifest(), moved).content_sha256 != small_cohort.content_sha256


def test_the_permissions_follow_the_umask(write_small: WriteSmall) -> None:
    before = os.umask(0o027)
    try:
        path = write_small().path
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o750


@given(
    features=npst.arrays(
        np.float32, st.tuples(st.integers(1, 12), st.just(2)), elements=st.floats(0, 1, width=32) | st.just(np.nan)
    ),
    label=st.floats(-100, 100, width=32),
    rate=st.floats(0.1, 1000),
    name=st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip),
)
def test_any_lawful_table_survives(
    tmp_path_factory: pytest.TempPathFactory, features: np.ndarray, label: float, rate: float, name: str
) -> None:
    features[0] = 0.5  # a lawful table has a valid frame and no column that is missing throughout
    labels = np.full((len(features), 1), label, np.float32)
    valid = np.isfinite(features).all(axis=1)
    table = SubjectTable(np.arange(len(features)) / rate, features, labels, valid)
    manifest = CohortManifest(name, ("a", "b"), "0-1", rate, ("valence",), synthetic=True)
    path = tmp_path_factory.mktemp("any") / "cohort"
    written = write_cohort(path, manifest, [(SubjectEntry("s"), table)])
    opened = Cohort.open(path)
    same_table(opened.load("s"), table)
    assert opened.manifest == written.manifest
    assert opened.manifest.frame_rate == rate


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    path = tmp_path / "seed=1" / "AU01=2"
    written = write_cohort(path, small_manifest(), small_subjects())
    same_table(Cohort.open(path).load("P1"), next(small_subjects())[1])
    assert written.subjects == Cohort.open(path).subjects


def test_relabelled_entries_of_another_cohort_are_accepted(tmp_path: Path, small_cohort: Cohort) -> None:
    first, second = (small_cohort.entry(s) for s in ("P1", "P2"))
    swapped = [
        (replace(first, subject="P2"), small_cohort.load("P1")),
        (replace(second, subject="P1"), small_cohort.load("P2")),
    ]
    same_table(write_cohort(tmp_path / "c", small_manifest(), swapped).load("P2"), small_cohort.load("P1"))


# What is refused in writing leaves nothing behind.


def nan_but_valid() -> tuple[SubjectEntry, SubjectTable]:
    entry, table = one_subject()
    return entry, replace(table, features=np.full_like(table.features, np.nan), valid=np.ones(20, bool))


REFUSED_IN_WRITING: dict[str, Callable[[], tuple[SubjectEntry, SubjectTable]]] = {
    "shape": lambda: one_subject(features=np.zeros((20, 4), np.float32)),
    "labels of another length": lambda: one_subject(labels=np.zeros((19, 2), np.float32)),
    "features without columns": lambda: one_subject(features=np.zeros(20, np.float32)),
    "time with columns": lambda: one_subject(time=np.zeros((20, 1))),
    "valid as numbers": lambda: one_subject(valid=np.ones(20)),
    "time backwards": lambda: one_subject(time=np.arange(20)[::-1] / FRAME_RATE),
    "missing but valid": nan_but_valid,
    "no valid frame": lambda: one_subject(valid=np.zeros(20, bool)),
    "partition": lambda: (SubjectEntry("P9", "holdout"), one_subject()[1]),
    "identifier": lambda: (SubjectEntry("a/b"), one_subject()[1]),
    "twice": lambda: (SubjectEntry("p1"), one_subject()[1]),
}


@pytest.mark.parametrize("case", REFUSED_IN_WRITING)
def test_a_bad_subject_leaves_nothing_behind(case: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_cohort(tmp_path / "cohort", small_manifest(), [*small_subjects(), REFUSED_IN_WRITING[case]()])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [{"features": ()}, {"labels": ("valid",)}, {"frame_rate": -1.0}, {"feature_scale": "x"}, {"name": ""}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_bad_manifest_leaves_nothing_behind(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_cohort(tmp_path / "cohort", replace(small_manifest(), **changes), small_subjects())
    assert list(tmp_path.iterdir()) == []


def test_no_subject_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one subject"):
        write_cohort(tmp_path / "cohort", small_manifest(), [])
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_breaks_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> Any:
        yield from small_subjects()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cohort(tmp_path / "cohort", small_manifest(), broken())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(RunError, match="No space left"):
        write_cohort(tmp_path / "cohort", small_manifest(), small_subjects())
    assert list(tmp_path.iterdir()) == []


# Where a cohort may be written.


def test_an_occupied_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="not empty"):
            write_cohort(tmp_path, small_manifest(), small_subjects(), overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_cohort_is_replaced_only_when_asked_and_only_by_a_whole_one(write_small: WriteSmall) -> None:
    first = write_small()
    with pytest.raises(InputError, match="not empty"):
        write_small()
    with pytest.raises(InputError):
        write_cohort(first.path, small_manifest(), [nan_but_valid()], overwrite=True)
    assert Cohort.open(first.path).content_sha256 == first.content_sha256
    second = write_cohort(first.path, small_manifest(), [one_subject()], overwrite=True)
    assert Cohort.open(first.path).subjects == second.subjects == ("P1",)
    assert [p.name for p in first.path.parent.iterdir()] == ["cohort"]


@pytest.mark.parametrize("path", ["file/cohort", "file", "x" * 300, "nul\0byte"])
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        write_cohort(tmp_path / path, small_manifest(), small_subjects())
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_link_to_an_empty_folder_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write_cohort(tmp_path / "link", small_manifest(), small_subjects())
    assert (tmp_path / "link").is_symlink()
    assert Cohort.open(tmp_path / "real").subjects == ("P1", "P2", "P3", "P4")


def test_overwriting_is_proposed_only_where_it_can_be_asked_for(small_cohort: Cohort, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, overwrite, proposed in (
        (small_cohort.path, False, True),
        (small_cohort.path, None, False),
        (tmp_path, False, False),
        (tmp_path, None, False),
    ):
        with pytest.raises(InputError, match="not empty; name a new one") as caught:
            check_destination(path, overwrite)
        assert ("add --overwrite" in str(caught.value)) == proposed


def test_new_folder_appears_only_at_the_end(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as folder:
        assert not (tmp_path / "out").exists()
        (folder / "a").write_text("1")
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_every_stored_column_is_of_the_documented_type(small_cohort: Cohort) -> None:
    schema = pq.read_schema(small_cohort.path / "subjects/P1.parquet")
    assert schema.field("time").type == pa.float64()
    assert schema.field("valid").type == pa.bool_()
    assert {schema.field(name).type for name in ("AU01", "AU06", "AU12", "arousal", "valence")} == {pa.float32()}
