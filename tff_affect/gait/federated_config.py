"""Settings of rounds in which gaits are learned to be taken apart where they stay with their people."""

from __future__ import annotations

from dataclasses import dataclass, field

from tff_affect.config import OptimizerConfig
from tff_affect.config_checks import at_least


@dataclass(frozen=True)
class FederatedGaitConfig:
    """How rounds of federated training are run.

    Attributes:
        rounds: Instead of a `GaitConfig`'s steps.
        clients_per_round: People of a round, drawn at random without replacement; all where there are fewer.
        reconstruction_steps: Of a client's private encoder, before it changes what is shared.
        training_steps: Of what is shared.
        batch: Cycles of a step; each brings a cycle of another emotion for the swap.
        reconstruction_optimizer: Of the private encoder, fresh each round.
        client_optimizer: Of what is shared, fresh each round.
        server_optimizer: Of the server.
    """

    rounds: int = 100
    clients_per_round: int = 10
    reconstruction_steps: int = 20
    training_steps: int = 10
    batch: int = 16
    reconstruction_optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig("adam", 3e-3))
    client_optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig("adam", 1e-3))
    server_optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig("sgd", 1.0))

    def __post_init__(self) -> None:
        for name in ("rounds", "clients_per_round", "reconstruction_steps", "training_steps", "batch"):
            at_least(f"federated.{name}", getattr(self, name), 1)
