"""What an audit is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from tff_affect.errors import InputError

AUDIT_FOLDER = "audit"
"""Where a study keeps its audit."""
LEAST_SHADOWS = 6
"""With fewer no subject is trained with twice, and left out twice, beside a run and its counterpart."""

ATTACKS = ("re-identification", "verification", "attribute", "inversion", "epsilon", "membership")


@dataclass(frozen=True)
class AuditConfig:
    """Settings of an audit.

    Attributes:
        attacks: Those to carry out, of ``ATTACKS``.
        seed: Of attackers, permutations, intervals and canaries; the same seed gives the same numbers.
        seconds: Length of the windows by which people are recognised.
        shadows: Shadow runs for membership inference, an even number.
        most_people: A larger cohort is represented by so many people, drawn by the seed.
        victims: People whose windows are rebuilt from an update.
        features: Whether a run's features are attacked too; those of one cohort are the same in all of its runs.
        most_runs: Runs of a sweep whose claims are checked, drawn by the seed.
    """

    attacks: tuple[str, ...] = ATTACKS
    seed: int = 0
    seconds: float = 10.0
    shadows: int = 16
    most_people: int = 60
    victims: int = 4
    features: bool = True
    most_runs: int = 20

    def __post_init__(self) -> None:
        for attack in self.attacks:
            if attack not in ATTACKS:
                raise InputError(f"audit: expected attacks of {', '.join(ATTACKS)}, found {attack!r}")
        if not 0 < self.seconds < float("inf"):
            raise InputError(f"audit: expected windows above 0 seconds, found {self.seconds:g}")
        if self.shadows % 2:
            raise InputError(f"audit: expected an even number of shadow runs, found {self.shadows}")
        for name, least in (
            ("seed", 0),
            ("shadows", LEAST_SHADOWS),
            ("most_people", 2),
            ("victims", 1),
            ("most_runs", 1),
        ):
            if getattr(self, name) < least:
                raise InputError(f"audit: expected {name} of at least {least}, found {getattr(self, name)}")
