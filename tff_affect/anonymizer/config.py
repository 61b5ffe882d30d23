"""Settings of the transformation and of the game in which it is trained. None are known of the paper: all are ours."""

from __future__ import annotations

from dataclasses import dataclass, field

from tff_affect.config import OptimizerConfig
from tff_affect.config_checks import above_zero, at_least, choice
from tff_affect.errors import InputError
from tff_affect.game_schedule import is_past, risen

FEDERATED = "federated"
OBJECTIVES = ("adversary", "reversal", "entropy", FEDERATED)
"""How a transformation is taught to lose identity."""
IDENTITY_ONLY = "identity"
"""The other single-task network: the transformation helps the identity head, and nobody reads emotion."""
FACTOR = 8
"""An image's side is a multiple of the side of its code."""


@dataclass(frozen=True)
class AnonymizerConfig:
    """How a transformation is built and trained.

    Attributes:
        objective: ``adversary``: alternating steps, cross-entropy of the identity head against it; ``reversal``: one
            step for both, by gradient reversal (Ganin et al. 2016); ``entropy``: alternating steps, the identity head
            shall be undecided (Roy and Boddeti 2019); ``federated``: the same by federated averaging, see
            `tff_affect.anonymizer.federated`; ``identity``: the single-task baseline.
        privacy_weight: Lambda, once the ramp is over; 0 is the network for emotion only.
        code_channels: Numbers that the transformation keeps at each place of an eighth of the image's side.
        code_noise: Standard deviation of the noise added to those numbers, which lie in -1 to 1, whenever an image is
            transformed; without noise, differences too small to be seen are as good as large ones to an attacker.
        steps: Of the transformation; where it is federated there are rounds instead. There is no other stop rule:
            losses of the game say nothing of fresh attackers.
        batch: Images of a step.
        learning_rate: Of transformation and emotion head (Adam); falls to a tenth along a cosine.
        adversary_learning_rate: Of the identity head (Adam).
        adversary_steps: Of the identity head before each step of the transformation.
        head_start: Share of steps before lambda leaves 0; the identity head starts two thirds into it.
        ramp: Share of steps in which lambda rises evenly to its full value.
    """

    objective: str = "adversary"
    privacy_weight: float = 0.25
    code_channels: int = 4
    code_noise: float = 0.3
    steps: int = 2500
    batch: int = 32
    learning_rate: float = 2e-3
    adversary_learning_rate: float = 1e-3
    adversary_steps: int = 1
    head_start: float = 0.25
    ramp: float = 0.3

    def __post_init__(self) -> None:
        choice("anonymizer.objective", self.objective, (*OBJECTIVES, IDENTITY_ONLY))
        for name in ("privacy_weight", "code_noise", "head_start", "ramp"):
            at_least(f"anonymizer.{name}", getattr(self, name), 0)
        for name in ("code_channels", "steps", "batch", "adversary_steps"):
            at_least(f"anonymizer.{name}", getattr(self, name), 1)
        for name in ("learning_rate", "adversary_learning_rate"):
            above_zero(f"anonymizer.{name}", getattr(self, name))
        if self.head_start + self.ramp > 1:
            raise InputError(
                f"anonymizer.head_start and ramp: expected shares of the steps, at most 1 together, found "
                f"{self.head_start:g} and {self.ramp:g}"
            )

    def weight_at(self, step: int) -> float:
        """Lambda at a step, from 0."""
        return self.privacy_weight * risen(step, self.steps, self.head_start, self.ramp)

    def has_started(self, step: int, share: float = 2 / 3) -> bool:
        """Whether a share of the head start is over."""
        return is_past(step, self.steps, share * self.head_start)


@dataclass(frozen=True)
class FederatedConfig:
    """How rounds of federated training are run.

    Attributes:
        rounds: Instead of an `AnonymizerConfig`'s steps.
        clients: People of a round, drawn at random without replacement.
        local_epochs: Passes of a client over its images.
        adversary_steps: Of the identity head on public people's images, before each round.
        client_optimizer: Of a client.
        server_optimizer: Of the server.
        public: Share of the training people whose faces are public, where a set has to be divided.
    """

    rounds: int = 200
    clients: int = 10
    local_epochs: int = 1
    adversary_steps: int = 10
    client_optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig("adam", 1e-3))
    server_optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig("sgd", 1.0))
    public: float = 0.3

    def __post_init__(self) -> None:
        for name in ("rounds", "clients", "local_epochs", "adversary_steps"):
            at_least(f"federated.{name}", getattr(self, name), 1)
        if not 0 < self.public < 1:
            raise InputError(f"federated.public: expected a share between 0 and 1, found {self.public:g}")
