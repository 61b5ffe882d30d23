"""What an attack found: one number beside what guessing gives, and who could carry the attack out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tff_affect.plain_json import plain

OBSERVERS: Mapping[str, str] = {
    "data": "whoever is given the features: level 1's output, without any image",
    "server": "the server that runs the rounds: it follows the protocol and keeps what each client sends",
    "model": "whoever gets the model: other clients and all who use it; they know their own data and the settings",
    "outputs": "whoever sees what the model says of people: its predictions, or its hidden states",
}
"""Who could carry out an attack -> what they see."""
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Finding:
    """What the strongest of several attackers found.

    Attributes:
        attack: ``re-identification``, ``verification``, ``membership``, ``inversion``, ``attribute`` or ``epsilon``.
        target: What was attacked, in words: ``action units``, ``updates of "federated"``.
        method: Row of the results table whose training is attacked; empty for features, which none has touched.
        observer: Key of ``OBSERVERS``.
        attacker: Name of the strongest.
        measure: Of ``value``, in words: ``top-1``, ``AUC``.
        value: Of the strongest attacker; of ``epsilon`` the lower bound.
        chance: What guessing gives.
        best: What a perfect attacker reaches; ``inf`` where there is no such number.
        interval: Lower and upper end, at ``level``; None where there are too few subjects.
        level: Confidence of the interval.
        p: How often guessing gives such a value, corrected for the number of attackers; None where it is not tested.
        sentence: What it means, in plain words.
        refuted: Whether it contradicts a claim of the run.
        details: Further figures, of JSON's types: of each attacker, of other measures.
    """

    attack: str
    target: str
    method: str
    observer: str
    attacker: str
    measure: str
    value: float
    chance: float
    sentence: str
    best: float = 1.0
    interval: tuple[float, float] | None = None
    level: float = 0.95
    p: float | None = None
    refuted: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def advantage(self) -> float:
        """How far it is from chance to perfect, 0-1; 0 where there is no perfect, or it is below chance."""
        if not math.isfinite(self.best) or self.best <= self.chance:
            return 0.0
        return max(0.0, (self.value - self.chance) / (self.best - self.chance))

    @property
    def beats_chance(self) -> bool:
        """Whether that cannot be luck: p is small, or without a p the interval lies above chance."""
        if self.p is not None:
            return self.p <= SIGNIFICANT
        return self.interval is not None and self.interval[0] > self.chance

    @property
    def severity(self) -> tuple[bool, bool, float]:
        """To sort by: a refuted claim, then what beats chance, then by advantage."""
        return self.refuted, self.beats_chance, self.advantage

    def to_json(self) -> dict[str, Any]:
        """Of JSON's types; an infinite number is the text ``inf``, since JSON has none."""
        return plain(asdict(self))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Finding:
        """What `to_json` made."""
        numbers = {name: float(content[name]) for name in ("value", "chance", "best")}
        interval = content["interval"]
        ends = None if interval is None else (float(interval[0]), float(interval[1]))
        return cls(**{**content, **numbers, "interval": ends})


@dataclass(frozen=True)
class Shown:
    """What an attack on samples looks at.

    Attributes:
        target: In words: ``action units``.
        method: Row of the results table; empty for features.
        observer: Key of ``OBSERVERS``.
        sees: One sample in words: ``ten seconds of action units``.
    """

    target: str
    method: str
    observer: str
    sees: str


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings in the order in which they should be read."""
    return sorted(findings, key=lambda finding: finding.severity, reverse=True)
