import pytest

from data_prep.recola_layout import PARTITION
from tff_affect.errors import InputError
from tff_affect.recola_partitions import DEVELOPMENT, SHARED, TEST, TRAIN, recola_partition

ALL = tuple(f"P{number}" for number in sorted((*TRAIN, *DEVELOPMENT, *TEST)))
SOME = tuple(f"P{number}" for number in SHARED)


def test_the_partition_is_the_one_that_the_reader_writes_into_cohorts() -> None:
    found = recola_partition(ALL, "recola-46")
    assert {subject: name for name, subjects in found.items() for subject in subjects} == PARTITION
    assert [len(subjects) for subjects in found.values()] == [16, 15, 15]


def test_the_shared_participants_keep_their_places() -> None:
    found = recola_partition(SOME, "recola-23")
    assert [len(subjects) for subjects in found.values()] == [10, 10, 3]
    assert all(PARTITION[subject] == name for name, subjects in found.items() for subject in subjects)
    assert found["test"] == ("P48", "P58", "P62")


@pytest.mark.parametrize("form", ["P{:d}", "P{:03d}", "{:d}", "p{:02d}"])
def test_subjects_are_told_by_their_number(form: str) -> None:
    found = recola_partition([form.format(number) for number in SHARED], "recola-23")
    assert found["test"] == tuple(form.format(number) for number in (48, 58, 62))


@pytest.mark.parametrize(
    ("subjects", "scheme", "message"),
    [
        (SOME[2:], "recola-23", "expected the 23 participants of that partition; missing are P16, P17;"),
        (SOME, "recola-46", "expected the 46 participants of that partition; missing are P13, P14, P15, P18"),
        ((*SOME, "P13", "train_1"), "recola-23", "not among them are P13, train_1;"),
        ((*SOME[1:], "P99"), "recola-23", "missing are P16; not among them are P99;"),
        ((*SOME, "16"), "recola-23", "participant P16 is in the cohort twice"),
    ],
)
def test_another_cohort_is_refused_by_name(subjects: tuple[str, ...], scheme: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        recola_partition(subjects, scheme)
