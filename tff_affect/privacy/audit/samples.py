"""What attackers learn from and are tested on: samples, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tff_affect.errors import InputError


@dataclass(frozen=True)
class Samples:
    """Samples of one or more people, in chronological order for each.

    Attributes:
        vectors: ``[samples, statistics]`` float64, finite.
        sequences: ``[samples, time, channel]`` float32, NaN where missing; None where there is no series behind.
    """

    vectors: np.ndarray
    sequences: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or not np.isfinite(self.vectors).all():
            found = f"shape {list(self.vectors.shape)}, {np.count_nonzero(~np.isfinite(self.vectors))} not finite"
            raise InputError(f"attack: expected finite vectors [samples, statistics], found {found}; leave such out")
        if self.sequences is not None and len(self.sequences) != len(self.vectors):
            raise InputError(
                f"attack: expected one sequence for each of {len(self.vectors)} vectors, found {len(self.sequences)}"
            )

    def __len__(self) -> int:
        return len(self.vectors)

    def part(self, rows: slice | np.ndarray) -> Samples:
        """Some of them."""
        return Samples(self.vectors[rows], None if self.sequences is None else self.sequences[rows])

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        """One after the other; sequences only where all have them."""
        sequences = [part.sequences for part in parts if part.sequences is not None]
        complete = len(sequences) == len(parts)
        return cls(np.concatenate([part.vectors for part in parts]), np.concatenate(sequences) if complete else None)


@dataclass(frozen=True)
class Owned:
    """Samples of several people.

    Attributes:
        samples: Those of the first person, then of the second, and so on.
        owner: ``[samples]`` the person's number.
    """

    samples: Samples
    owner: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[Samples]) -> Owned:
        """One part for each person."""
        return cls(Samples.joined(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts]))

    @property
    def people(self) -> int:
        """How many people; each has a sample."""
        return int(self.owner[-1]) + 1

    def early_and_late(self) -> tuple[Owned, Owned]:
        """The first 60 % and the last 30 % of each person's samples, and at least one."""
        rows = [np.flatnonzero(self.owner == person) for person in range(self.people)]
        early = np.concatenate([own[: max(1, 6 * len(own) // 10)] for own in rows])
        late = np.concatenate([own[-max(1, 3 * len(own) // 10) :] for own in rows])
        return self._part(early), self._part(late)

    def _part(self, rows: np.ndarray) -> Owned:
        return Owned(self.samples.part(rows), self.owner[rows])

    def shares(self, hits: np.ndarray) -> np.ndarray:
        """``[people]`` share of each one's samples with a hit, from ``[samples]``."""
        return np.bincount(self.owner, weights=hits) / np.bincount(self.owner)
