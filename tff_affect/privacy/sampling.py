"""Who takes part in a round, as far as privacy is concerned."""

from __future__ import annotations

from dataclasses import dataclass

from tff_affect.config_checks import at_least, choice
from tff_affect.errors import InputError
from tff_affect.privacy_config import PrivacyConfig

SCHEMES = ("full", "poisson", "fixed-size", "passes")


@dataclass(frozen=True)
class Sampling:
    """Who takes part in a round.

    Attributes:
        scheme: ``full`` (all), ``poisson``, ``fixed-size`` or ``passes``.
        clients: Training subjects.
        clients_per_round: Those of a round; with ``poisson`` their expected number.
    """

    scheme: str
    clients: int
    clients_per_round: int

    def __post_init__(self) -> None:
        choice("sampling", self.scheme, SCHEMES)
        at_least("clients", self.clients, 1)
        if not 1 <= self.clients_per_round <= self.clients:
            raise InputError(
                f"clients per round: expected from 1 to the {self.clients} clients, found {self.clients_per_round}"
            )

    @classmethod
    def of(cls, privacy: PrivacyConfig, clients: int, clients_per_round: int = 0) -> Sampling:
        """From the configuration; 0 clients per round, or as many as there are, is full participation."""
        at_least("clients per round", clients_per_round, 0)
        if not 0 < clients_per_round < clients:
            return cls("full", clients, clients)
        return cls(privacy.sampling, clients, clients_per_round)

    @property
    def share(self) -> float:
        """A client's probability of taking part in a round."""
        return self.clients_per_round / self.clients

    @property
    def rounds_per_pass(self) -> int:
        """Rounds of whole cohorts in a pass over the clients; 1 where all take part in each."""
        return self.clients // self.clients_per_round

    def text(self) -> str:
        """In words."""
        who = f"{self.clients_per_round:,} of {self.clients:,} clients"
        return {
            "full": f"all {self.clients:,} clients in each round",
            "poisson": f"each client by itself, {who} expected in a round",
            "fixed-size": f"{who} in each round, without replacement",
            "passes": f"{who} in each round, none twice in the {self.rounds_per_pass} rounds of a pass",
        }[self.scheme]
