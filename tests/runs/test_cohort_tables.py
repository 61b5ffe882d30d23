"""What a study keeps of its cohort: counted again from the tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_cohort import small_manifest, small_subjects

from tff_affect.cohort import Cohort, write_cohort
from tff_affect.errors import InputError
from tff_affect.evaluation.fairness import read_groups
from tff_affect.remote_cohort import RemoteCohort
from tff_affect.run_folder import GROUPS, QUALITY
from tff_affect.runs.cohort_tables import VALID, write_cohort_tables


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """The small cohort with groups, some features missing, and a comma in a group's name."""
    subjects = []
    for i, (entry, table) in enumerate(small_subjects()):
        features, valid = table.features.copy(), table.valid.copy()
        features[: 10 * i, 1] = np.nan
        valid[: 10 * i] = False
        valid[-1] = False
        groups = {"gender": "f", "age": "20, or so"} if i % 2 else {}
        subjects.append((replace(entry, groups=groups), replace(table, features=features, valid=valid)))
    return write_cohort(tmp_path / "cohort", small_manifest(), subjects)


def test_groups_and_quality_of_each_subject_in_the_cohorts_order(cohort: Cohort, tmp_path: Path) -> None:
    write_cohort_tables(cohort, tmp_path)
    groups = read_groups(tmp_path / GROUPS)
    assert groups is not None
    expected = [
        [entry.subject, name, group] for entry in cohort.manifest.subjects for name, group in entry.groups.items()
    ]
    assert groups.to_numpy().tolist() == expected
    assert len(expected) == 4

    quality = pd.read_csv(tmp_path / QUALITY, dtype={"client": str})
    names = [*cohort.manifest.features, VALID]
    assert list(quality.columns) == ["client", "feature", "frames", "missing"]
    assert list(quality["client"]) == [subject for subject in cohort.subjects for _ in names]
    assert list(quality["feature"]) == names * len(cohort.subjects)
    for row in quality.itertuples():
        table = cohort.load(row.client)
        frames = ~table.valid if row.feature == VALID else np.isnan(table.features[:, names.index(row.feature)])
        assert row.frames == len(table.time)
        assert row.missing == pytest.approx(np.mean(frames))


def test_of_nobodys_groups_the_header_is_left(tmp_path: Path) -> None:
    write_cohort_tables(write_cohort(tmp_path / "c", small_manifest(), without_groups()), tmp_path)
    assert (tmp_path / GROUPS).read_text(encoding="utf-8") == "client,attribute,group\n"
    assert read_groups(tmp_path / GROUPS) is None


def without_groups() -> list:
    return [(replace(entry, groups={}), table) for entry, table in small_subjects()]


def test_of_workers_only_what_their_manifests_say(cohort: Cohort, tmp_path: Path) -> None:
    holders = dict.fromkeys(cohort.subjects, ("site-1",))
    write_cohort_tables(RemoteCohort(tmp_path / "hosts.yaml", cohort.manifest, holders), tmp_path)
    assert len(pd.read_csv(tmp_path / GROUPS)) == 4
    assert (tmp_path / QUALITY).read_text(encoding="utf-8") == "client,feature,frames,missing\n"


def test_nothing_is_written_where_a_table_is_gone(cohort: Cohort, tmp_path: Path) -> None:
    (cohort.path / cohort.manifest.subjects[-1].file).unlink()
    with pytest.raises(InputError, match="the subject's table is missing"):
        write_cohort_tables(cohort, tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cohort"]
