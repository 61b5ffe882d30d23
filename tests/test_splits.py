from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.config import SplitConfig
from tff_affect.errors import InputError
from tff_affect.splits import Split, make_splits


def cohort(subjects: int, partitions: tuple[str, ...] = ("unassigned",)) -> Any:
    names = tuple(f"P{i}" for i in range(subjects))
    entries = {n: SimpleNamespace(partition=partitions[i % len(partitions)]) for i, n in enumerate(names)}
    return SimpleNamespace(subjects=names, entry=entries.__getitem__, path="cohort")


@given(st.integers(8, 60), st.integers(2, 8), st.integers(0, 99))
def test_folds_test_every_subject_once_and_never_mix(subjects: int, folds: int, seed: int) -> None:
    splits = make_splits(cohort(subjects), SplitConfig("k-fold", folds=folds, seed=seed))
    tested = [s for split in splits for s in split.test]
    assert sorted(tested) == sorted(cohort(subjects).subjects)
    for split in splits:
        assert sorted((*split.train, *split.development, *split.test)) == sorted(cohort(subjects).subjects)


@given(st.integers(8, 60), st.floats(0.1, 0.5), st.floats(0.1, 0.5))
def test_holdout_takes_the_shares_asked_for(subjects: int, test: float, development: float) -> None:
    (split,) = make_splits(cohort(subjects), SplitConfig("holdout", test=test, development=development))
    assert len(split.test) == max(1, round(test * subjects))
    assert len(split.development) == max(1, round(development * (subjects - len(split.test))))
    assert sorted((*split.train, *split.development, *split.test)) == sorted(cohort(subjects).subjects)


def test_splits_follow_their_seed() -> None:
    first, again, other = (make_splits(cohort(20), SplitConfig(seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_fixed_takes_the_cohorts_partitions() -> None:
    (split,) = make_splits(cohort(8, ("train", "test", "development", "unassigned")), SplitConfig("fixed"))
    assert split == Split(("P0", "P4"), ("P2", "P6"), ("P1", "P5"))


@pytest.mark.parametrize(
    ("config", "subjects", "message"),
    [
        (SplitConfig("fixed"), 8, "no partitions of its own"),
        (SplitConfig("k-fold", folds=9), 8, "at most the 8 subjects"),
        (SplitConfig("holdout"), 2, "no subject for train"),
        (SplitConfig("k-fold", folds=2), 2, "no subject for train"),
    ],
)
def test_a_cohort_too_small_or_unpartitioned_is_refused(config: SplitConfig, subjects: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_splits(cohort(subjects), config)


def test_a_subject_in_two_partitions_is_refused() -> None:
    with pytest.raises(InputError, match="subject P1 in two partitions"):
        Split(("P0", "P1"), ("P1",), ("P2",))
