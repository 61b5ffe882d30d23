"""The steps of an audit: each is carried out once, and kept.

What a step found lies in ``steps/<name>.json`` beside a hash of all that it depends on. An audit that was cut off, or
is asked for again, carries out what is not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tff_affect.errors import InputError
from tff_affect.privacy.audit.finding import Finding
from tff_affect.progress import Progress
from tff_affect.run_folder import read_json, write_json

STEPS = "steps"


@dataclass(frozen=True)
class Step:
    """One attack.

    Attributes:
        key: Its file's name.
        label: Shown with progress.
        work: Carries it out.
        depends: On what else than what all steps depend on; of JSON's types.
    """

    key: str
    label: str
    work: Callable[[], Sequence[Finding]]
    depends: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """What steps found.

    Attributes:
        findings: All of them.
        left_out: Attack -> why it was not carried out.
    """

    findings: tuple[Finding, ...]
    left_out: Mapping[str, str]

    def joined(self, other: Outcome) -> Outcome:
        """Both."""
        return Outcome((*self.findings, *other.findings), {**self.left_out, **other.left_out})


def carry_out(
    steps: Sequence[Step], folder: Path, facts: Mapping[str, Any], progress: Progress, title: str = "audit"
) -> Outcome:
    """Carries out the steps that are not there yet, in order.

    Args:
        steps: What to do. A step that raises `InputError`, as for too few subjects, is left out, with the reason.
        folder: The audit's; it holds a folder ``steps``.
        facts: What all steps depend on, of JSON's types.
        progress: Shows how far it is.
        title: By which progress names them.
    """
    if not steps:
        return Outcome((), {})
    findings: list[Finding] = []
    left_out: dict[str, str] = {}
    with progress.task(title, len(steps)) as task:
        for step in steps:
            task.advance(step.label, steps=0)
            found = _kept_or_done(step, folder / STEPS, facts)
            findings += [Finding.from_json(finding) for finding in found["findings"]]
            if found["left_out"]:
                left_out[step.label] = found["left_out"]
            task.advance(step.label)
    return Outcome(tuple(findings), left_out)


def _kept_or_done(step: Step, folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    file = folder / f"{step.key}.json"
    told = json.dumps([step.label, facts, step.depends], sort_keys=True)
    key = hashlib.sha256(told.encode()).hexdigest()
    kept = _kept(file, key)
    if kept is not None:
        return kept
    try:
        found = {"key": key, "findings": [finding.to_json() for finding in step.work()], "left_out": ""}
    except InputError as error:
        found = {"key": key, "findings": [], "left_out": str(error)}
    write_json(file, found)
    # Read again: what is used is what is kept.
    return dict(read_json(file))


def _kept(file: Path, key: str) -> dict[str, Any] | None:
    """What an earlier audit of the same found; a file that is damaged, or says why nothing was, is written anew."""
    try:
        found = read_json(file)
    except InputError:
        return None
    if not isinstance(found, dict) or found.get("key") != key or found.get("left_out"):
        return None
    return found
