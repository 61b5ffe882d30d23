"""What is shown of people, as samples that an attacker may learn from and then has to name: windows of features.

Whoever is known by one part of a recording, or by one session, is looked for in a later one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tff_affect.cohort import Cohort
from tff_affect.learning.sampling import derived_seed
from tff_affect.privacy.audit.exposed import Exposed, expose, gather
from tff_affect.privacy.audit.finding import Shown
from tff_affect.privacy.identity_windows import Session

PERSON = "person"
"""Group attribute that tells whose sessions belong together; without it each subject is a person of one session."""


@dataclass(frozen=True)
class Surface:
    """One thing that an observer gets.

    Attributes:
        key: Short, for file names.
        shown: What it is, and to whom.
        exposed: Makes the samples.
        linked: Those for `verify`, where they are others: attackers that compare parts of one recording must not have
            them standardised together, as one part is the mirror of the other then.
    """

    key: str
    shown: Shown
    exposed: Callable[[], Exposed]
    linked: Callable[[], Exposed] | None = None


def sessions_of(cohort: Cohort, subjects: Sequence[str]) -> dict[str, list[str]]:
    """Person -> subjects that are this person's sessions, in the cohort's order."""
    found: dict[str, list[str]] = {}
    for subject in subjects:
        found.setdefault(cohort.entry(subject).groups.get(PERSON, subject), []).append(subject)
    return found


def drawn(cohort: Cohort, subjects: Sequence[str], most: int, seed: int) -> list[str]:
    """Subjects of at most so many persons, drawn by the seed; in the cohort's order."""
    people = sessions_of(cohort, subjects)
    if len(people) <= most:
        return list(subjects)
    chosen = np.random.default_rng(derived_seed(seed, "people")).choice(len(people), most, replace=False)
    kept = {subject for number in chosen for subject in list(people.values())[number]}
    return [subject for subject in subjects if subject in kept]


@dataclass(frozen=True)
class FeatureSurfaces:
    """What the cohort itself shows.

    Attributes:
        cohort: The cohort.
        subjects: Who is attacked.
        seconds: Length of a window; sequences of steps take each step as a window.
    """

    cohort: Cohort
    subjects: Sequence[str]
    seconds: float

    @property
    def frames(self) -> int:
        """Frames of a window."""
        if self.cohort.manifest.time_unit == "step":
            return 1
        return max(1, round(self.seconds * self.cohort.manifest.frame_rate))

    @property
    def span(self) -> str:
        """A window, in words."""
        if self.frames == 1:
            return "one step"
        return f"{self.frames / self.cohort.manifest.frame_rate:.3g} seconds"

    def surfaces(self) -> Iterator[Surface]:
        """The features as they are, and standardised by each subject's own mean and deviation."""
        plain = Shown("action units", "", "data", f"{self.span} of action units")
        yield Surface("features", plain, self.plain)
        shown = Shown("action units standardised per subject", "", "data", f"{self.span} of standardised action units")
        yield Surface("standardised", shown, self.standardised, self.standardised_apart)

    def plain(self) -> Exposed:
        """The features as the cohort holds them."""
        return self._exposed(self._table)

    def standardised(self) -> Exposed:
        """The features by mean and deviation of each session."""
        return self._exposed(lambda subject: self._table(subject).standardised())

    def standardised_apart(self) -> Exposed:
        """The features by mean and deviation of each part: nothing of one part stands in the other."""
        people = sessions_of(self.cohort, self.subjects)
        if any(len(own) > 1 for own in people.values()):
            return self.standardised()
        parts = {}
        for person, (subject,) in people.items():
            first, last = (part.standardised().samples(sequences=True) for part in self._table(subject).parts())
            parts[person] = first, last
        return gather(parts)

    def of_parts(self, parts: Mapping[str, tuple[np.ndarray, np.ndarray]], frames_of_a_value: int = 1) -> Exposed:
        """Windows of the first and the last part of each person, ``[values, channel]`` each."""
        length = max(1, self.frames // frames_of_a_value)
        cut = {
            person: tuple(Session.of_array(part, length).samples(sequences=True) for part in both)
            for person, both in parts.items()
        }
        return gather({person: (first, last) for person, (first, last) in cut.items()})

    def of_series(self, series: Mapping[str, np.ndarray], frames_of_a_value: int = 1) -> Exposed:
        """Windows of ``[values, channel]`` of each subject, with a value for each so many frames."""
        length = max(1, self.frames // frames_of_a_value)
        return self._exposed(lambda subject: Session.of_array(series[subject], length))

    def _exposed(self, session: Callable[[str], Session]) -> Exposed:
        people = sessions_of(self.cohort, self.subjects)
        return expose({person: [session(subject) for subject in own] for person, own in people.items()})

    def _table(self, subject: str) -> Session:
        manifest = self.cohort.manifest
        return Session.of_table(self.cohort.load(subject), manifest.frame_rate, self.frames, manifest.time_unit)
