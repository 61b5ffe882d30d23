"""With whom a cycle can exchange a code: the same emotion of other people, other emotions of the same person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Drawn(NamedTuple):
    """Cycles and their partners, by number; whoever has none is its own, and is marked.

    Attributes:
        rows: ``[batch]`` cycles.
        same_emotion: ``[batch]`` a cycle of another person with the same emotion.
        same_person: ``[batch]`` a cycle of the same person with another emotion.
        paired: ``[2, batch]`` whether there is one, of each kind.
    """

    rows: np.ndarray
    same_emotion: np.ndarray
    same_person: np.ndarray
    paired: np.ndarray


class Partners:
    """All possible partners.

    Args:
        person: ``[cycle]`` numbers of people.
        emotion: ``[cycle]`` numbers of emotions.
    """

    def __init__(self, person: np.ndarray, emotion: np.ndarray) -> None:
        self._cell = list(zip(person.tolist(), emotion.tolist(), strict=True))
        cells = set(self._cell)
        self._same_emotion = {cell: np.flatnonzero((emotion == cell[1]) & (person != cell[0])) for cell in cells}
        self._same_person = {cell: np.flatnonzero((person == cell[0]) & (emotion != cell[1])) for cell in cells}

    @property
    def any_of_same_emotion(self) -> bool:
        """Whether two people show one emotion."""
        return any(map(len, self._same_emotion.values()))

    @property
    def any_of_same_person(self) -> bool:
        """Whether one person shows two emotions."""
        return any(map(len, self._same_person.values()))

    def draw(self, batch: int, rng: np.random.Generator) -> Drawn:
        """Cycles at random, each with partners at random."""
        rows = rng.integers(len(self._cell), size=batch)
        same_emotion, found_one = _chosen(rows, [self._same_emotion[self._cell[row]] for row in rows], rng)
        same_person, found_other = _chosen(rows, [self._same_person[self._cell[row]] for row in rows], rng)
        return Drawn(rows, same_emotion, same_person, np.stack([found_one, found_other]))


def _chosen(
    rows: np.ndarray, partners: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """``[batch]`` a partner of each row at random, or itself where there is none; and whether there is one."""
    chosen = [rng.choice(own) if len(own) else row for row, own in zip(rows, partners, strict=True)]
    return np.array(chosen), np.array([len(own) > 0 for own in partners])
