"""What is exposed of people who are alike tells nobody from anybody, standardised or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from staged_clients import FEATURES, staged_clients

from tff_affect.cohort import Cohort, write_cohort
from tff_affect.cohort_types import CohortManifest, SubjectEntry, SubjectTable
from tff_affect.privacy.audit.verification import verify
from tff_affect.runs.audit.exposure import FeatureSurfaces
from tff_affect.runs.audit.recording_parts import apart, part_of, stage_parts


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """24 people whose frames come from one distribution."""
    units = tuple(f"AU{number:02d}" for number in range(1, 9))
    manifest = CohortManifest("alike", units, "arbitrary", 5.0, (), synthetic=True)

    def subjects() -> list[tuple[SubjectEntry, SubjectTable]]:
        found = []
        for number in range(24):
            features = np.random.default_rng([5, number]).normal(size=(600, len(units))).astype(np.float32)
            table = SubjectTable.of_complete_frames(np.arange(600) / 5, features, np.zeros((600, 0), np.float32))
            found.append((SubjectEntry(f"P{number:02d}"), table))
        return found

    return write_cohort(tmp_path_factory.mktemp("alike") / "cohort", manifest, subjects())


def test_parts_standardised_together_are_linked_whoever_they_are_and_apart_they_are_not(alike: Cohort) -> None:
    features = FeatureSurfaces(alike, alike.subjects, seconds=4)
    together, separate, plain = (
        verify(exposed(), 0) for exposed in (features.standardised, features.standardised_apart, features.plain)
    )
    assert together is not None
    assert separate is not None
    assert plain is not None
    assert not together.is_chance
    assert separate.is_chance
    assert plain.is_chance


def test_linking_attacks_what_is_standardised_apart(alike: Cohort) -> None:
    features = FeatureSurfaces(alike, alike.subjects, seconds=4)
    by_key = {surface.key: surface for surface in features.surfaces()}
    assert by_key["features"].linked is None
    linked = by_key["standardised"].linked
    assert linked is not None
    found = linked()
    assert len(found.people) == 24
    assert [len(part) for part in (found.enrolment[0], found.probe[0])] == [18, 9]


@pytest.mark.parametrize("scaling", ["subject", "none"])
def test_parts_of_a_recording_have_nothing_in_common(scaling: str, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    staged = staged_clients(tmp_path / "whole", {"A": 10, "B": 6}, missing=0.1)
    staged = replace(staged, data=replace(staged.data, scaling=scaling))
    parts = stage_parts(staged, ["A", "B"], tmp_path / "parts")
    assert parts.clients == ("A.first", "A.last", "B.first", "B.last")
    whole = staged.sequence("A").numpy()
    for name, rows in (("first", slice(0, 60)), ("last", slice(70, 100))):
        part = parts.sequence(part_of("A", name)).numpy()
        np.testing.assert_array_equal(part[:, FEATURES:], whole[rows, FEATURES:])
        if scaling == "none":
            np.testing.assert_array_equal(part, whole[rows])
        else:
            np.testing.assert_allclose(np.nanmean(part[:, :FEATURES], axis=0), 0, atol=1e-5)
            np.testing.assert_allclose(np.nanstd(part[:, :FEATURES], axis=0), 1, atol=1e-4)


def test_windows_of_a_part_are_standardised_by_themselves(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"A": 10}, missing=0.1)
    windows = staged.training_windows("A")
    features, labels = apart(windows, "subject")
    np.testing.assert_allclose(np.nanmean(features.numpy(), axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_array_equal(labels, windows[1])
    assert apart(windows, "federated") is windows
