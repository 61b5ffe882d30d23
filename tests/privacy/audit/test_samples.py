"""Samples and their owners."""

from __future__ import annotations

import numpy as np
import pytest

from tff_affect.errors import InputError
from tff_affect.privacy.audit.samples import Owned, Samples


def counted(count: int, start: int = 0, sequences: bool = False) -> Samples:
    vectors = np.arange(start, start + count, dtype=float)[:, np.newaxis]
    return Samples(vectors, np.repeat(vectors[:, np.newaxis], 4, axis=1).astype(np.float32) if sequences else None)


def test_early_samples_are_each_persons_first_and_late_ones_their_last() -> None:
    early, late = Owned.of([counted(10, 0), counted(2, 100), counted(1, 200)]).early_and_late()
    assert early.samples.vectors[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 100, 200]
    assert late.samples.vectors[:, 0].tolist() == [7, 8, 9, 101, 200]
    assert early.owner.tolist() == [0] * 6 + [1, 2]
    assert late.owner.tolist() == [0, 0, 0, 1, 2]


def test_every_person_counts_alike() -> None:
    owned = Owned.of([counted(4), counted(1)])
    assert owned.people == 2
    assert owned.shares(np.array([True, True, True, False, False])).tolist() == [0.75, 0.0]


def test_sequences_are_kept_only_where_all_have_them() -> None:
    both = Samples.joined([counted(2, sequences=True), counted(3, sequences=True)])
    assert both.sequences is not None
    assert both.sequences.shape == (5, 4, 1)
    assert both.part(slice(1, 3)).sequences is not None
    assert Samples.joined([counted(2, sequences=True), counted(3)]).sequences is None


def test_what_cannot_be_learned_from_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected finite vectors .* 1 not finite"):
        Samples(np.array([[1.0, np.nan]]))
    with pytest.raises(InputError, match="one sequence for each of 2 vectors, found 3"):
        Samples(np.zeros((2, 1)), np.zeros((3, 4, 1), np.float32))
