"""What all sets of labelled samples in memory have in common: whose each sample is, and what it shows."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Self

import numpy as np

from tff_affect.errors import InputError


class LabelledSet:
    """Samples of several people who show emotions; a set adds the samples themselves.

    Attributes:
        subjects: Of each sample, whose it is.
        emotions: Of each sample, the class of what is shown.
    """

    subjects: tuple[str, ...]
    emotions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.subjects)

    @cached_property
    def people(self) -> tuple[str, ...]:
        """Everybody, sorted."""
        return tuple(sorted(set(self.subjects)))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """All emotions, sorted."""
        return tuple(sorted(set(self.emotions)))

    @cached_property
    def person(self) -> np.ndarray:
        """``[sample]`` number of its person in `people`."""
        return np.searchsorted(self.people, self.subjects)

    def emotion(self, classes: tuple[str, ...]) -> np.ndarray:
        """``[sample]`` number of its emotion among sorted classes, which a part of a set may not all show.

        Raises:
            InputError: If an emotion is none of them.
        """
        unknown = sorted(set(self.emotions) - set(classes))
        if unknown:
            raise InputError(f"emotions: expected {', '.join(classes)} alone, found {unknown[0]}")
        return np.searchsorted(classes, self.emotions)

    def part(self, rows: np.ndarray) -> Self:
        """Some of the samples, by number or by mask."""
        raise NotImplementedError

    def of(self, people: Collection[str]) -> Self:
        """All samples of some people."""
        return self.part(np.isin(self.subjects, list(people)))
