"""What a study is refused for before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from tff_affect.config import StudyConfig
from tff_affect.errors import InputError
from tff_affect.models.registry import architecture, check_window_gradients
from tff_affect.privacy.guarantee import default_delta, delta_remarks
from tff_affect.runs.learners import SOLVED
from tff_affect.runs.private import user_ledger
from tff_affect.splits import Split


def check_model(config: StudyConfig) -> None:
    """Refuses a network that the registry has not, or that privacy cannot train.

    Raises:
        InputError: With the reason.
    """
    architecture(config.model).resolve(config.model)
    if not config.privacy.enabled:
        return
    if config.model.name in SOLVED:
        raise InputError(
            f"privacy: {config.model.name} is solved from sums that have no noise; choose a network that is trained, "
            "or leave privacy.noise_multiplier out"
        )
    if config.privacy.level == "window":
        check_window_gradients(config.model)


def check_guarantees(config: StudyConfig, splits: Sequence[Split]) -> None:
    """Refuses privacy whose account is refused, as it will be at the end, for some split.

    Raises:
        InputError: With the reason.
    """
    privacy = config.privacy
    if not privacy.enabled or privacy.level != "user":
        return
    if privacy.mechanism == "tree" and config.tuning.client_learning_rates:
        raise InputError("tuning.client_learning_rates: trees are accounted for one training; name one rate")
    per_round = config.training.clients_per_round
    for clients in {len(split.train) for split in splits}:
        if 0 < per_round < clients and privacy.sampling == "poisson" and privacy.mechanism in ("local", "distributed"):
            raise InputError(
                f"privacy.sampling: with mechanism {privacy.mechanism!r} the noise is in the clients' hands, and a "
                "round with fewer of them would have less; set privacy.sampling=fixed-size, or let all take part"
            )
        user_ledger(config, clients)
        delta_remarks(privacy.delta or default_delta(clients), clients, privacy.force)
