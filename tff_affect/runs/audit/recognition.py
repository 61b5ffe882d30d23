"""Attacks that recognise people, or what kind of people they are, by what is exposed of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial

from tff_affect.cohort import Cohort
from tff_affect.errors import InputError
from tff_affect.privacy.audit.attributes import Unanswered, attribute_finding, infer_attribute
from tff_affect.privacy.audit.exposed import Exposed
from tff_affect.privacy.audit.finding import Finding
from tff_affect.privacy.audit.reidentification import reidentification_finding, reidentify
from tff_affect.privacy.audit.verification import LEAST_PEOPLE, verification_finding, verify
from tff_affect.runs.audit.exposure import PERSON, Surface, sessions_of
from tff_affect.runs.audit.steps import Step


def recognition_steps(surfaces: Iterable[Surface], cohort: Cohort, attacks: Iterable[str], seed: int) -> Iterator[Step]:
    """One step for each attack on each surface.

    Args:
        surfaces: What is exposed.
        cohort: Tells each person's attributes.
        attacks: Those wanted, of ``re-identification``, ``verification`` and ``attribute``.
        seed: Of the attackers.
    """
    wanted, attributes = set(attacks), attributes_of(cohort)
    for surface in surfaces:
        exposed, linked = cache(surface.exposed), cache(surface.linked or surface.exposed)
        if "re-identification" in wanted:
            yield _step("re-identification", surface, partial(_reidentified, surface, exposed, seed))
        if "verification" in wanted:
            yield _step("verification", surface, partial(_verified, surface, linked, seed))
        for name, values in attributes.items() if "attribute" in wanted else ():
            work = partial(_inferred, surface, exposed, name, values, seed)
            yield _step(f"{name} from", surface, work, f"attribute-{name}")


def attributes_of(cohort: Cohort) -> dict[str, dict[str, str]]:
    """Attribute -> person -> value; of a person of several sessions the first one's."""
    found: dict[str, dict[str, str]] = {}
    for person, sessions in sessions_of(cohort, cohort.subjects).items():
        for name, value in cohort.entry(sessions[0]).groups.items():
            if name != PERSON:
                found.setdefault(name, {})[person] = value
    return found


def _step(attack: str, surface: Surface, work: Callable[[], list[Finding]], key: str = "") -> Step:
    return Step(re.sub(r"[^\w-]+", "-", f"{key or attack}_{surface.key}"), f"{attack}, {surface.shown.target}", work)


def _reidentified(surface: Surface, exposed: Callable[[], Exposed], seed: int) -> list[Finding]:
    return [reidentification_finding(reidentify(exposed(), seed), surface.shown)]


def _verified(surface: Surface, exposed: Callable[[], Exposed], seed: int) -> list[Finding]:
    found = verify(exposed(), seed)
    if found is None:
        raise InputError(f"verification: expected at least {LEAST_PEOPLE} people, found {len(exposed().people)}")
    return [verification_finding(found, surface.shown)]


def _inferred(
    surface: Surface, exposed: Callable[[], Exposed], attribute: str, values: Mapping[str, str], seed: int
) -> list[Finding]:
    found = infer_attribute(exposed(), values, seed, attribute)
    if isinstance(found, Unanswered):
        raise InputError(found.reason)
    return [attribute_finding(found, attribute, surface.shown)]
