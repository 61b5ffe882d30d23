"""What a study asks of differential privacy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tff_affect.config_checks import above_zero, at_least, choice
from tff_affect.errors import InputError

LEVELS = ("user", "window")
MECHANISMS = ("fixed", "adaptive", "tree", "local", "distributed")
SAMPLINGS = ("poisson", "fixed-size", "passes")
ADJACENCIES = ("add-remove", "zero-out", "replace-one")
ORIGINS = ("fixed in advance", "public data", "this cohort")


@dataclass(frozen=True)
class PrivacyConfig:
    """Differential privacy of training; none unless a noise multiplier is given.

    Attributes:
        noise_multiplier: Standard deviation of the noise as a multiple of the clipping norm; None trains without
            privacy, 0 clips alone (epsilon is then infinite).
        clipping_norm: Largest L2 norm of what is protected: a client's update over all tensors (level ``user``), or
            the gradient of one window (level ``window``). With ``adaptive`` the norm of the first round. ``inf`` does
            not clip, and goes with no noise alone.
        level: ``user`` (all of one subject's data) or ``window`` (one window; each client adds its own noise).
        mechanism: Of level ``user``: ``fixed`` (Gaussian, fixed clipping norm), ``adaptive`` (the norm follows a
            quantile of the updates' norms), ``tree`` (DP-FTRL: tree aggregation, restarted), ``local`` (each client
            clips and noises its own update) or ``distributed`` (discrete noise under a simulated secure sum).
        sampling: Who takes part in a round, where ``training.clients_per_round`` is not all of them: ``poisson``
            (each client by itself), ``fixed-size`` (without replacement) or ``passes`` (a new order in each pass over
            the clients; for ``tree``).
        adjacency: What neighbouring cohorts differ in: ``add-remove`` (one subject more or less), ``zero-out`` (one
            subject's contribution is nothing) or ``replace-one`` (one subject is another; twice the sensitivity).
        delta: None for 1 / (10 N), N being the training subjects, or the windows of a client.
        restart_every: Rounds of one tree; 0 is a pass over the clients, or 8 rounds where all take part in each.
        target_quantile: Share of updates that adaptive clipping leaves whole.
        clip_learning_rate: Step of adaptive clipping, in the logarithm of the norm.
        reproducible_noise: Noise and sampling follow from the run's seed. For simulations only: who knows the seed
            can take the noise away.
        settings_from: Where clipping norm, learning rates and the like were chosen: ``fixed in advance``, ``public
            data`` or ``this cohort``, which epsilon does not cover.
        force: Accept a delta of 1 / N or more.
    """

    noise_multiplier: float | None = None
    clipping_norm: float = 1.0
    level: str = "user"
    mechanism: str = "fixed"
    sampling: str = "poisson"
    adjacency: str = "add-remove"
    delta: float | None = None
    restart_every: int = 0
    target_quantile: float = 0.5
    clip_learning_rate: float = 0.2
    reproducible_noise: bool = False
    settings_from: str = ORIGINS[0]
    force: bool = False

    def __post_init__(self) -> None:
        choice("privacy.level", self.level, LEVELS)
        choice("privacy.mechanism", self.mechanism, MECHANISMS)
        choice("privacy.sampling", self.sampling, SAMPLINGS)
        choice("privacy.adjacency", self.adjacency, ADJACENCIES)
        choice("privacy.settings_from", self.settings_from, ORIGINS)
        self._check_numbers()
        if self.noise_multiplier is not None:
            self._check_mechanism()

    @property
    def enabled(self) -> bool:
        """Whether training is private."""
        return self.noise_multiplier is not None

    def _check_numbers(self) -> None:
        if self.noise_multiplier is not None:
            at_least("privacy.noise_multiplier", self.noise_multiplier, 0)
        if not self.clipping_norm > 0:
            raise InputError(f"privacy.clipping_norm: expected a number above 0, found {self.clipping_norm:g}")
        if math.isinf(self.clipping_norm) and self.noise_multiplier:
            raise InputError(
                "privacy.clipping_norm: without clipping no amount of noise protects; name a finite norm, or set "
                "privacy.noise_multiplier=0"
            )
        if self.delta is not None and not 0 < self.delta < 1:
            raise InputError(f"privacy.delta: expected a number between 0 and 1, found {self.delta:g}")
        at_least("privacy.restart_every", self.restart_every, 0)
        above_zero("privacy.clip_learning_rate", self.clip_learning_rate)
        if not 0 < self.target_quantile < 1:
            raise InputError(f"privacy.target_quantile: expected a share between 0 and 1, found {self.target_quantile}")

    def _check_mechanism(self) -> None:
        if self.level == "window" and self.mechanism != "fixed":
            raise InputError(f"privacy.mechanism: level window has a fixed clipping norm, found {self.mechanism!r}")
        if (self.sampling == "passes") != (self.mechanism == "tree"):
            raise InputError(
                "privacy.sampling: 'passes' and privacy.mechanism 'tree' go together, since only a tree needs no "
                f"amplification by sampling; found {self.sampling!r} and {self.mechanism!r}"
            )
        if self.reproducible_noise and self.mechanism in ("local", "distributed"):
            raise InputError(
                f"privacy.reproducible_noise: the clients of mechanism {self.mechanism!r} draw noise of their own; "
                "set it to false"
            )
        if self.level == "user":
            self._check_adjacency()

    def _check_adjacency(self) -> None:
        needed = {"local": "replace-one", "tree": "zero-out"}.get(self.mechanism)
        if self.sampling == "fixed-size":
            needed = "replace-one"
        if needed is not None and self.adjacency != needed:
            raise InputError(
                f"privacy.adjacency: mechanism {self.mechanism!r} with sampling {self.sampling!r} is accounted under "
                f"{needed!r}, found {self.adjacency!r}; set privacy.adjacency={needed}"
            )
