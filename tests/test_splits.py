from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from tff_affect.config import SplitConfig
from tff_affect.errors import InputError
from tff_affect.recola_partitions import SHARED
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


@given(st.integers(8, 60), st.integers(2, 8))
def test_unshuffled_folds_are_those_of_an_unshuffled_k_fold(subjects: int, folds: int) -> None:
    names = np.array(cohort(subjects).subjects)
    splits = make_splits(cohort(subjects), SplitConfig("k-fold", folds=folds, shuffle=False))
    expected = [tuple(names[test]) for _, test in KFold(folds).split(names)]
    assert [split.test for split in splits] == expected
    for split in splits:
        assert sorted((*split.train, *split.development, *split.test)) == sorted(names)


def test_leaving_one_subject_out_tests_each_alone_in_the_cohorts_order() -> None:
    splits = make_splits(cohort(9), SplitConfig("loso"))
    assert [split.test for split in splits] == [(name,) for name in cohort(9).subjects]
    for split in splits:
        assert (len(split.train), len(split.development)) == (6, 2)
        assert sorted((*split.train, *split.development, *split.test)) == sorted(cohort(9).subjects)


@pytest.mark.parametrize("config", [SplitConfig("loso"), SplitConfig("k-fold", folds=9, shuffle=False)])
def test_development_subjects_differ_from_fold_to_fold(config: SplitConfig) -> None:
    assert len({split.development for split in make_splits(cohort(9), config)}) > 3


def test_published_partitions_are_taken_by_name() -> None:
    shared = SimpleNamespace(subjects=tuple(f"P{number}" for number in SHARED))
    (split,) = make_splits(shared, SplitConfig("recola-23"))
    assert (len(split.train), len(split.development), split.test) == (10, 10, ("P48", "P58", "P62"))
    with pytest.raises(InputError, match="missing are P13"):
        make_splits(shared, SplitConfig("recola-46"))


def test_the_shared_participants_can_be_folded_as_in_an_unshuffled_k_fold() -> None:
    shared = SimpleNamespace(subjects=tuple(f"P{number}" for number in SHARED))
    splits = make_splits(shared, SplitConfig("k-fold", folds=8, shuffle=False))
    assert [len(split.test) for split in splits] == [3] * 7 + [2]
    assert splits[0].test == ("P16", "P17", "P19")


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
        (SplitConfig("loso"), 2, "no subject for train"),
        (SplitConfig("recola-46"), 8, "missing are P13"),
    ],
)
def test_a_cohort_too_small_or_unpartitioned_is_refused(config: SplitConfig, subjects: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_splits(cohort(subjects), config)


def test_a_subject_in_two_partitions_is_refused() -> None:
    with pytest.raises(InputError, match="subject P1 in two partitions"):
        Split(("P0", "P1"), ("P1",), ("P2",))
