"""What an audit found, and ``audit.json``, in which it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tff_affect.errors import InputError
from tff_affect.privacy.audit.finding import Finding, worst_first
from tff_affect.run_folder import read_json, write_json

AUDIT = "audit.json"


@dataclass(frozen=True)
class AuditFacts:
    """What was audited, and how.

    Attributes:
        cohort: Its name.
        synthetic: Whether it is generated: everything made of this then says SYNTHETIC.
        subjects: How many the cohort has.
        run: Name of the run; empty where the cohort alone was audited.
        train: Its training subjects.
        test: Its test subjects.
        methods: Methods that were attacked.
        seed: Of the audit.
        shadows: Shadow runs.
        window: What people are recognised by, in words: ``10 seconds``.
        session: Whether people were recognised in the ``same session`` or in ``another session``.
    """

    cohort: str
    synthetic: bool
    subjects: int
    run: str = ""
    train: int = 0
    test: int = 0
    methods: tuple[str, ...] = ()
    seed: int = 0
    shadows: int = 0
    window: str = "10 seconds"
    session: str = "same session"


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Attributes:
        facts: What was audited.
        findings: The worst first.
        left_out: Attack -> why it was not carried out.
    """

    facts: AuditFacts
    findings: tuple[Finding, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def refuted(self) -> tuple[Finding, ...]:
        """What contradicts a claim of the run."""
        return tuple(finding for finding in self.findings if finding.refuted)

    def write(self, folder: Path) -> Path:
        """Writes ``audit.json``, all of it or nothing."""
        findings = [finding.to_json() for finding in worst_first(self.findings)]
        write_json(folder / AUDIT, {"facts": asdict(self.facts), "findings": findings, "left_out": dict(self.left_out)})
        return folder / AUDIT

    @classmethod
    def read(cls, folder: Path) -> AuditResult:
        """Reads ``audit.json``.

        Raises:
            InputError: If it is missing or holds something else.
        """
        file = folder / AUDIT
        content = read_json(file)
        try:
            facts = AuditFacts(**{**content["facts"], "methods": tuple(content["facts"]["methods"])})
            return cls(facts, tuple(map(Finding.from_json, content["findings"])), content["left_out"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError("expected what an audit wrote; run 'tff-affect privacy audit' again", file=file) from error
