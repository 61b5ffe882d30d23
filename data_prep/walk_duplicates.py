"""The same walk found twice: told by its gait cycles, whatever the files' names.

A walk that stands in two places would be known to an attacker who learnt from the one and is asked of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from data_prep.labelled_report import Dropped
from data_prep.walk_file import Cycles
from data_prep.walk_layouts import WalkFile

AGAIN = "the same walk again"
TWO_EMOTIONS = "the same walk under two emotions"
TWO_PEOPLE = "the same walk under two people"


def drop_duplicates(walks: Sequence[tuple[WalkFile, Cycles]]) -> tuple[list[tuple[WalkFile, Cycles]], list[Dropped]]:
    """Leaves each walk once, or not at all where its labels contradict each other.

    Of identical walks of one person with one emotion the first name is kept; under two emotions or two people, at least
    one label is wrong, and none is kept.

    Returns:
        What is left, in order; what is dropped.
    """
    groups: dict[bytes, list[tuple[WalkFile, Cycles]]] = {}
    for walk, cycles in walks:
        groups.setdefault(_digest(cycles), []).append((walk, cycles))
    dropped = [row for group in groups.values() if len(group) > 1 for row in _dropped([walk for walk, _ in group])]
    gone = {row.name for row in dropped}
    return [(walk, cycles) for walk, cycles in walks if walk.name not in gone], dropped


def _digest(cycles: Cycles) -> bytes:
    return sha256(repr(cycles.motions.shape).encode() + np.ascontiguousarray(cycles.motions).tobytes()).digest()


def _dropped(group: list[WalkFile]) -> list[Dropped]:
    for of, kind in (("subject", TWO_PEOPLE), ("emotion", TWO_EMOTIONS)):
        if len({getattr(walk, of) for walk in group}) > 1:
            names = {walk.name: ", ".join(other.name for other in group if other is not walk) for walk in group}
            return [Dropped(name, kind, f"as {others}") for name, others in names.items()]
    return [Dropped(walk.name, AGAIN, f"as {group[0].name}") for walk in group[1:]]
