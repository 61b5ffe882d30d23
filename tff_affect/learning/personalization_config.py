"""Settings of personalisation: which ways, what a client learns from, and what is tried on development clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tff_affect.config import PRIVATE_FEDERATED
from tff_affect.config_checks import above_zero, at_least, choice
from tff_affect.errors import InputError

BASELINES = ("shift", "own-only")
WAYS = ("shift", "fine-tune", "head", "fedrecon", "clustered", "own-only")
LEGEND = {
    "shift": "the support part's mean residual is added to the federated model's predictions; nothing is trained",
    "fine-tune": "all weights of the federated model are trained on the support part",
    "head": "the federated model's body stays; its last layer is trained on the support part",
    "fedrecon": "body trained with heads that each client makes anew (Singhal et al. 2021); then as head",
    "clustered": "several models; each client takes the one that fits its support part best (Ghosh et al. 2020)",
    "own-only": "initial weights, trained on the support part alone; no federated model enters",
}
"""What each way does, for captions."""


@dataclass(frozen=True)
class PersonalizationConfig:
    """How clients adapt a federated model to themselves, and what they are scored on.

    Attributes:
        ways: Of ``WAYS``.
        method: The study's federated training whose model is adapted: ``federated`` or ``federated + DP``.
        share: Share of a recording, from its beginning, that a client learns from: the support part; 0-1.
        gap: Time units left out between the support part and the later part, beside the annotation delay.
        learning_rates: Candidates for the optimizer that the study's clients use.
        passes: Candidates for passes over the support part's windows, rising; 0 leaves a model as it is.
        clusters: Models of ``clustered``; with one it is federated averaging.
        reconstruction_passes: Passes over the support part in which ``fedrecon`` makes a head in each round.
    """

    ways: tuple[str, ...] = WAYS
    method: str = "federated"
    share: float = 0.5
    gap: float = 0.0
    learning_rates: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03)
    passes: tuple[int, ...] = (1, 3, 10, 30, 100, 300)
    clusters: int = 2
    reconstruction_passes: int = 5

    def __post_init__(self) -> None:
        _several("personalisation.ways", self.ways)
        for way in self.ways:
            choice("personalisation.ways", way, WAYS)
        choice("personalisation.method", self.method, ("federated", PRIVATE_FEDERATED))
        if not 0 < self.share < 1:
            raise InputError(f"personalisation.share: expected a share between 0 and 1, found {self.share:g}")
        at_least("personalisation.gap", self.gap, 0)
        _several("personalisation.learning_rates", self.learning_rates)
        for rate in self.learning_rates:
            above_zero("personalisation.learning_rates", rate)
        _several("personalisation.passes", self.passes)
        at_least("personalisation.passes", min(self.passes), 0)
        if list(self.passes) != sorted(self.passes):
            raise InputError(f"personalisation.passes: expected rising numbers, found {list(self.passes)}")
        at_least("personalisation.clusters", self.clusters, 1)
        at_least("personalisation.reconstruction_passes", self.reconstruction_passes, 1)


def _several(name: str, values: Sequence[object]) -> None:
    if not values or len(set(values)) != len(values):
        raise InputError(f"{name}: expected at least one and none twice, found {list(values)}")
