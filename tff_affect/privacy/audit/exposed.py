"""What an attacker gets of each person: samples that are known to be theirs, and later ones to be named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tff_affect.errors import InputError
from tff_affect.privacy.audit.samples import Owned, Samples
from tff_affect.privacy.identity_windows import Session

__all__ = ["ANOTHER_SESSION", "LEAST_ENROLMENT", "SAME_SESSION", "Exposed", "Owned", "Samples", "expose", "gather"]

SAME_SESSION, ANOTHER_SESSION = "same session", "another session"
LEAST_ENROLMENT = 2
"""A person known by a single sample leaves nothing to choose an attacker's settings by."""


@dataclass(frozen=True)
class Exposed:
    """What is seen of several people.

    Attributes:
        people: Their names.
        enrolment: Of each, samples known to be theirs, in chronological order.
        probe: Of each, later samples whose owner is to be found.
        session: ``same session``, whose camera, light and seat help to tell people apart, or ``another session``.
        left_out: Person -> why there is too little of them.
    """

    people: tuple[str, ...]
    enrolment: tuple[Samples, ...]
    probe: tuple[Samples, ...]
    session: str = SAME_SESSION
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = len(self.people), len(self.enrolment), len(self.probe)
        if len(set(counts)) != 1:
            raise InputError(f"attack: expected enrolment and probe of each person, found {counts} of them")
        if len({part.vectors.shape[1] for part in (*self.enrolment, *self.probe)}) > 1:
            raise InputError("attack: expected vectors of one width for all people, found several")

    def of(self, numbers: Sequence[int] | np.ndarray) -> Exposed:
        """Some of the people, by their numbers."""
        return replace(
            self,
            people=tuple(self.people[number] for number in numbers),
            enrolment=tuple(self.enrolment[number] for number in numbers),
            probe=tuple(self.probe[number] for number in numbers),
        )

    @property
    def known(self) -> Owned:
        """All enrolment samples."""
        return Owned.of(self.enrolment)

    @property
    def unknown(self) -> Owned:
        """All probe samples, with their true owners."""
        return Owned.of(self.probe)

    @property
    def chance(self) -> float:
        """Of naming the right person by guessing."""
        return 1.0 / len(self.people)


def gather(
    parts: Mapping[str, tuple[Samples, Samples]], session: str = SAME_SESSION, left_out: Mapping[str, str] | None = None
) -> Exposed:
    """Leaves out whom too little is seen of.

    Args:
        parts: Person -> enrolment and probe samples, each in chronological order.
        session: ``same session`` or ``another session``.
        left_out: Those who were left out before: person -> why.
    """
    few = {
        person: f"{len(enrolment)} usable windows in its first part and {len(probe)} in its last"
        for person, (enrolment, probe) in parts.items()
        if len(enrolment) < LEAST_ENROLMENT or not len(probe)
    }
    kept = {person: both for person, both in parts.items() if person not in few}
    enrolment, probe = (tuple(both[part] for both in kept.values()) for part in (0, 1))
    return Exposed(tuple(kept), enrolment, probe, session, {**(left_out or {}), **few})


def expose(recordings: Mapping[str, Sequence[Session]], sequences: bool = True) -> Exposed:
    """What recordings give away of people, window by window.

    Where half of the people or more have several sessions, the last one is the probe and those before are the
    enrolment, and people with a single one are left out. Otherwise everybody's first session is divided: its first
    60 % of windows are the enrolment, its last 30 % the probe.

    Args:
        recordings: Person -> sessions in chronological order, with windows of one length.
        sequences: Whether windows are kept as series too; windows of a single frame never are.

    Raises:
        InputError: If a person has no session.
    """
    empty = [person for person, sessions in recordings.items() if not sessions]
    if empty:
        raise InputError(f"attack: expected a session of each person, found none of {empty[0]}; leave such out")
    several = {person: sessions for person, sessions in recordings.items() if len(sessions) > 1}
    if recordings and 2 * len(several) >= len(recordings):
        single = {person: "only one session" for person in recordings if person not in several}
        return gather({p: _by_session(s, sequences) for p, s in several.items()}, ANOTHER_SESSION, single)
    return gather({person: sessions[0].first_and_last(sequences) for person, sessions in recordings.items()})


def _by_session(sessions: Sequence[Session], sequences: bool) -> tuple[Samples, Samples]:
    parts = [session.samples(sequences=sequences) for session in sessions]
    return Samples.joined([part for part in parts[:-1] if len(part)] or parts[:1]), parts[-1]
