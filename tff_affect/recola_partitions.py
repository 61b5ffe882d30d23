"""Who trains, develops and tests on RECOLA: the published partition of 46 participants, and its part of 23.

The corpus is that of Ringeval et al. (2013). Of its 46 participants 23 are shared with researchers; the restriction of
the partition to these leaves three to test, so that folds over all 23 say more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tff_affect.errors import InputError

TRAIN = (15, 16, 17, 18, 21, 23, 25, 37, 39, 41, 46, 50, 51, 55, 56, 60)
DEVELOPMENT = (14, 19, 24, 26, 28, 30, 34, 40, 42, 43, 44, 45, 52, 64, 65)
TEST = (13, 20, 22, 32, 38, 47, 48, 49, 53, 54, 57, 58, 59, 62, 63)
SHARED = (16, 17, 19, 21, 23, 25, 26, 28, 30, 34, 37, 39, 41, 42, 43, 45, 46, 48, 56, 58, 62, 64, 65)

_PARTITIONS = {"train": TRAIN, "development": DEVELOPMENT, "test": TEST}


def recola_partition(subjects: Sequence[str], scheme: str) -> dict[str, tuple[str, ...]]:
    """The subjects of each partition, in the order given.

    Args:
        subjects: Identifiers that hold a participant's number: ``P16``, ``P016`` or ``16``.
        scheme: ``recola-46`` (the whole partition) or ``recola-23`` (its restriction to the shared participants).

    Raises:
        InputError: Unless the subjects are those participants, all of them and no others.
    """
    wanted = set(SHARED) if scheme == "recola-23" else {n for numbers in _PARTITIONS.values() for n in numbers}
    number_of = {subject: _number(subject) for subject in subjects}
    _require_exactly(wanted, number_of, scheme)
    return {
        name: tuple(subject for subject, number in number_of.items() if number in numbers)
        for name, numbers in _PARTITIONS.items()
    }


def _number(subject: str) -> int | None:
    match = re.fullmatch(r"[Pp]?(\d{1,6})", subject)
    return int(match[1]) if match else None


def _require_exactly(wanted: set[int], number_of: Mapping[str, int | None], scheme: str) -> None:
    there = [number for number in number_of.values() if number is not None]
    twice = sorted({number for number in there if there.count(number) > 1})
    if twice:
        raise InputError(f"split.scheme={scheme}: participant P{twice[0]} is in the cohort twice; keep one")
    wrong = []
    missing = sorted(wanted - set(there))
    strangers = [subject for subject, number in number_of.items() if number not in wanted]
    if missing:
        wrong.append(f"missing are {', '.join(f'P{number}' for number in missing)}")
    if strangers:
        wrong.append(f"not among them are {', '.join(strangers)}")
    if wrong:
        raise InputError(
            f"split.scheme={scheme}: expected the {len(wanted)} participants of that partition; {'; '.join(wrong)}; "
            "use another scheme for this cohort"
        )
