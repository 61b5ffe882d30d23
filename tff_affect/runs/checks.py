"""What a study is refused for before anything is written."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tff_affect.client_data import StagedCohort
from tff_affect.config import PRIVATE_CENTRALISED, StudyConfig
from tff_affect.errors import InputError
from tff_affect.learning.private_baseline import check_private_optimizer
from tff_affect.models.registry import architecture, check_window_gradients
from tff_affect.privacy.guarantee import default_delta, delta_remarks
from tff_affect.runs.learners import SOLVED
from tff_affect.runs.private import user_ledger
from tff_affect.splits import Split


def check_model(config: StudyConfig) -> None:
    """Refuses a network that the registry has not, or that privacy cannot train as is asked for.

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
    if PRIVATE_CENTRALISED in config.rows:
        check_private_optimizer(config.baseline_optimizer)


def check_window_delta(config: StudyConfig, staged: StagedCohort, split: Split) -> None:
    """Refuses a delta that the training windows of a split are too many for.

    Raises:
        InputError: With the reason.
    """
    privacy = config.privacy
    if not privacy.enabled or privacy.level != "window" or privacy.delta is None:
        return
    windows = staged.count_windows(split.train).values()
    delta_remarks(privacy.delta, max(windows), privacy.force)
    if PRIVATE_CENTRALISED in config.rows:
        delta_remarks(privacy.delta, sum(windows), privacy.force)


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
    if math.isinf(privacy.clipping_norm) and privacy.mechanism in ("adaptive", "distributed"):
        raise InputError(
            f"privacy.clipping_norm: mechanism {privacy.mechanism!r} takes a finite norm, found inf; name one above "
            "all updates' norms, or set privacy.mechanism=fixed"
        )
    per_round = config.training.clients_per_round
    for clients in {len(split.train) for split in splits}:
        if 0 < per_round < clients and privacy.sampling == "poisson" and privacy.mechanism in ("local", "distributed"):
            raise InputError(
                f"privacy.sampling: with mechanism {privacy.mechanism!r} the noise is in the clients' hands, and a "
                "round with fewer of them would have less; set privacy.sampling=fixed-size, or let all take part"
            )
        user_ledger(config, clients)
        delta_remarks(privacy.delta or default_delta(clients), clients, privacy.force)
