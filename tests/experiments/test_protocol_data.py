"""The delay of a split is that of its training and development subjects, whatever its test subjects hold."""

from dataclasses import replace

import numpy as np
import pytest

from data_prep.labels.annotation_delay import search_delay
from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from experiments.protocol_data import delay_of
from tff_affect.cohort import Cohort, SubjectTable
from tff_affect.errors import InputError
from tff_affect.splits import Split


class LateLabels(Cohort):
    """The cohort, with the labels of some subjects moved 5 s later."""

    late: tuple[str, ...] = ()

    def load(self, subject: str) -> SubjectTable:
        table = super().load(subject)
        moved = np.roll(table.labels, round(5 * self.manifest.frame_rate), axis=0)
        return replace(table, labels=moved) if subject in self.late else table


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    config = SyntheticConfig(subjects=6, seconds=120, frame_rate=5, rater_lag_seconds=(2.0, 2.0), max_expression_lag=0)
    return write_synthetic_cohort(tmp_path_factory.mktemp("cohort") / "cohort", config)


def late(cohort: Cohort, subjects: tuple[str, ...]) -> LateLabels:
    changed = LateLabels(cohort.path, cohort.manifest)
    changed.late = subjects
    return changed


def test_the_delay_is_that_of_the_search_on_the_splits_own_subjects(cohort: Cohort) -> None:
    subjects = cohort.subjects
    split = Split(subjects[:3], subjects[3:5], subjects[5:])
    tables = {subject: cohort.load(subject) for subject in subjects}
    expected = search_delay(
        {s: tables[s] for s in split.train}, {s: tables[s] for s in split.development}, 5.0, cohort.manifest.labels
    )
    assert delay_of(cohort, split) == expected.joint == pytest.approx(2.0, abs=0.41)


def test_what_test_subjects_hold_changes_nothing(cohort: Cohort) -> None:
    subjects = cohort.subjects
    split = Split(subjects[:3], subjects[3:5], subjects[5:])
    assert delay_of(late(cohort, split.test), split) == delay_of(cohort, split)
    everybody = late(cohort, (*split.train, *split.development))
    assert delay_of(everybody, split) == pytest.approx(delay_of(cohort, split) + 5, abs=0.41)


def test_a_cohort_without_seconds_or_labels_is_refused(cohort: Cohort) -> None:
    split = Split(cohort.subjects[:3], cohort.subjects[3:5], cohort.subjects[5:])
    for changes, message in (({"time_unit": "step"}, "time is in steps"), ({"labels": ()}, "has no labels")):
        with pytest.raises(InputError, match=message):
            delay_of(Cohort(cohort.path, replace(cohort.manifest, **changes)), split)
