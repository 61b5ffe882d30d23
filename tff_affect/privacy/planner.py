"""What a guarantee costs, before anything is trained.

Of epsilon, noise multiplier, rounds and clients one is left out, and found by trying values in the `Ledger` that also
accounts for runs. What is found is accounted for like a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tff_affect.config_checks import above_zero, at_least
from tff_affect.errors import InputError
from tff_affect.privacy.guarantee import Guarantee
from tff_affect.privacy.noise_to_signal import FINE, judge, noise_to_signal
from tff_affect.privacy.plan_search import Case, least_clients, least_noise, most_rounds, rounded_up
from tff_affect.privacy_config import PrivacyConfig

COHORTS = (27, 100, 300, 1_000, 3_000, 10_000)
"""Numbers of training subjects that a plan is carried over to."""
_ROUGHLY = 3e-3
UNKNOWNS = ("epsilon", "noise_multiplier", "rounds", "clients")


@dataclass(frozen=True)
class Question:
    """What is known of a study with subject-level privacy; exactly one of ``UNKNOWNS`` is None.

    Attributes:
        clients: Training subjects.
        rounds: Rounds of training.
        epsilon: The guarantee.
        clients_per_round: Expected clients of a round; 0 is all. Needed where ``clients`` is asked for.
        parameters: Trainable weights; None leaves noise and signal uncompared.
        privacy: Mechanism, sampling, adjacency, delta, and the noise multiplier if that is known.
    """

    clients: int | None
    rounds: int | None
    epsilon: float | None
    clients_per_round: int = 0
    parameters: int | None = None
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)

    def __post_init__(self) -> None:
        if self.privacy.level != "user" or self.privacy.mechanism == "tree":
            raise InputError(
                "plan: expected privacy.level=user and a mechanism other than tree; others are not planned"
            )
        known = {name: value for name, value in self._values().items() if value is not None}
        if len(known) != len(UNKNOWNS) - 1:
            names = ", ".join(name.replace("_", " ") for name in UNKNOWNS)
            found = ", ".join(name.replace("_", " ") for name in known) or "none"
            raise InputError(f"plan: expected all of {names} but the one that is asked for, found {found}")
        for name, value in known.items():
            above_zero(name.replace("_", " "), float(value))
        at_least("clients per round", self.clients_per_round, 0)
        at_least("parameters", 1 if self.parameters is None else self.parameters, 1)
        if self.clients is None and not self.clients_per_round:
            raise InputError(
                "clients per round: expected a number, found none; clients help only where a round takes a few of them"
            )
        if self.clients is not None and self.clients_per_round > self.clients:
            raise InputError(
                f"clients per round: expected at most the {self.clients} clients, found {self.clients_per_round}"
            )

    @property
    def unknown(self) -> str:
        """What is asked for."""
        return next(name for name, value in self._values().items() if value is None)

    def _values(self) -> dict[str, float | None]:
        return {
            "epsilon": self.epsilon,
            "noise_multiplier": self.privacy.noise_multiplier,
            "rounds": self.rounds,
            "clients": self.clients,
        }


@dataclass(frozen=True)
class CohortSize:
    """A row of the extrapolation: the same epsilon and rounds with as large a share of more or fewer clients.

    Attributes:
        clients: Training subjects.
        clients_per_round: Expected clients of a round.
        delta: 1 / (10 clients).
        noise_multiplier: What epsilon needs.
        noise_to_signal: Length of the noise in the mean update over the clipping norm; None without parameters.
        verdict: In plain words.
    """

    clients: int
    clients_per_round: int
    delta: float
    noise_multiplier: float
    noise_to_signal: float | None
    verdict: str


@dataclass(frozen=True)
class Plan:
    """An answered question.

    Attributes:
        unknown: What was asked for, of ``UNKNOWNS``.
        clients: Training subjects.
        clients_per_round: Expected clients of a round.
        parameters: Trainable weights, if known.
        guarantee: Of a run as planned, from the ledger.
        noise_to_signal: Length of the noise in the mean update over the clipping norm; None without parameters.
        verdict: In plain words.
        cohorts: The same guarantee with other numbers of clients.
    """

    unknown: str
    clients: int
    clients_per_round: int
    parameters: int | None
    guarantee: Guarantee
    noise_to_signal: float | None
    verdict: str
    cohorts: tuple[CohortSize, ...]

    @property
    def answer(self) -> str:
        """What was asked for, with its value."""
        value = {
            "epsilon": f"{self.guarantee.epsilon:.4g}",
            "noise_multiplier": f"{self.guarantee.noise_multiplier:.4g}",
            "rounds": f"{self.guarantee.rounds:,}",
            "clients": f"{self.clients:,}",
        }[self.unknown]
        return f"{self.unknown.replace('_', ' ')}: {value}"

    def text(self) -> str:
        """The answer, the verdict and the guarantee, for a terminal."""
        return f"{self.answer}\n{self.verdict[:1].upper()}{self.verdict[1:]}.\n\n{self.guarantee.text()}"

    def to_json(self) -> dict[str, Any]:
        """Of JSON's types."""
        return {**asdict(replace(self, cohorts=())), "guarantee": self.guarantee.to_json()} | {
            "cohorts": [asdict(row) for row in self.cohorts]
        }


def make_plan(question: Question, cohorts: Sequence[int] = COHORTS) -> Plan:
    """Finds what is asked for, judges the noise, and carries the guarantee over to other numbers of clients.

    Args:
        question: What is known.
        cohorts: Numbers of clients to carry the plan over to.

    Raises:
        InputError: If no number of rounds or clients gives the guarantee, or delta is 1 / N or more.
    """
    case = _solved(question)
    guarantee = case.ledger().guarantee()
    sampling, noise = case.sampling, guarantee.noise_multiplier
    ratio = noise_to_signal(noise, question.parameters, sampling.clients_per_round, case.privacy.mechanism)
    target = guarantee.epsilon if question.epsilon is None else question.epsilon
    rows = _extrapolated(case, target, question.parameters, cohorts)
    verdict = judge(ratio, case.clients)
    if ratio is not None and ratio >= FINE:
        verdict += f"; {_way_out(rows, case.clients)}"
    return Plan(
        question.unknown, case.clients, sampling.clients_per_round, question.parameters, guarantee, ratio, verdict, rows
    )


def _way_out(rows: Sequence[CohortSize], clients: int) -> str:
    enough = [row for row in rows if row.clients > clients and (row.noise_to_signal or 0) < FINE]
    more = f"the same guarantee takes about {enough[0].clients:,} subjects" if enough else ""
    return more or "a smaller model, fewer rounds or a larger epsilon would help, and so would protecting windows"


def _solved(question: Question) -> Case:
    privacy = question.privacy
    if privacy.noise_multiplier is None:
        privacy = replace(privacy, noise_multiplier=1.0)
    case = Case(privacy, question.clients or 1, question.clients_per_round, question.rounds or 1)
    target = question.epsilon
    if target is None:
        return case
    match question.unknown:
        case "noise_multiplier":
            return case.with_noise(rounded_up(case, target, least_noise(case, target)))
        case "rounds":
            return replace(case, rounds=most_rounds(case, target))
    return replace(case, clients=least_clients(case, target))


def _extrapolated(case: Case, target: float, parameters: int | None, cohorts: Sequence[int]) -> tuple[CohortSize, ...]:
    share, noise, rows = case.sampling.share, case.privacy.noise_multiplier, []
    if not 0 < target < math.inf:
        return ()
    for clients in cohorts:
        members = clients if share == 1 else max(1, round(share * clients))
        # The delta of a configuration belongs to its own number of clients.
        privacy = replace(case.privacy, delta=None)
        other = Case(privacy, clients, members, case.rounds)
        noise = least_noise(other, target, noise, _ROUGHLY)
        ratio = noise_to_signal(noise, parameters, members, privacy.mechanism)
        rows.append(CohortSize(clients, members, other.delta, noise, ratio, judge(ratio, clients)))
    return tuple(rows)
