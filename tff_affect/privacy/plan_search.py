"""Searches for what gives an epsilon, by trying values in the `Ledger` that also accounts for runs.

Searches count privacy losses in coarse steps, which never makes epsilon too small; what they find is tried again in
finer ones, and is right to about a thousandth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from scipy.optimize import brentq

from tff_affect.errors import InputError
from tff_affect.privacy.accounting import Ledger, UserLedger
from tff_affect.privacy.bounds import FINE
from tff_affect.privacy.guarantee import default_delta
from tff_affect.privacy.sampling import Sampling
from tff_affect.privacy_config import PrivacyConfig

_MOST_ROUNDS, _MOST_CLIENTS = 1_000_000, 10_000_000
_LEAST_NOISE, _MOST_NOISE = 1e-2, 1e7
_CLOSER = 5000


@dataclass(frozen=True)
class Case:
    """A study of which all is known but what a search tries."""

    privacy: PrivacyConfig
    clients: int
    clients_per_round: int
    rounds: int

    def epsilon(self, step: float = FINE) -> float:
        """What the ledger says."""
        return self.ledger().epsilon(self.delta, step).epsilon

    def ledger(self) -> UserLedger:
        """That of a run of this study."""
        ledger = Ledger.user(self.privacy, self.sampling)
        ledger.add_rounds(self.rounds)
        return ledger

    def with_noise(self, noise: float) -> Case:
        """The same with another noise multiplier."""
        return replace(self, privacy=replace(self.privacy, noise_multiplier=noise))

    @property
    def sampling(self) -> Sampling:
        """Who takes part."""
        return Sampling.of(self.privacy, self.clients, self.clients_per_round)

    @property
    def delta(self) -> float:
        """As configured, or 1 / (10 N)."""
        return default_delta(self.clients) if self.privacy.delta is None else self.privacy.delta


def _step(target: float, parts: int = 400) -> float:
    """Steps of privacy losses for a search."""
    return max(FINE, target / parts)


def least_noise(case: Case, target: float, guess: float | None = None, tolerance: float = 5e-4) -> float:
    """The noise multiplier at which the ledger, counting coarsely, says ``target``, to a relative tolerance."""

    def excess(logarithm: float) -> float:
        return math.log(max(case.with_noise(math.exp(logarithm)).epsilon(_step(target)), 1e-12) / target)

    if guess is None:
        whole = replace(case, clients_per_round=0)
        guess = 1.0 if whole == case else least_noise(whole, target) * case.sampling.share**0.75
    # Epsilon falls a little faster than in proportion to the noise.
    start = math.log(guess)
    start += min(max(excess(start) / 1.2, -1.0), 1.0)
    low, high = _bracket(excess, start, target)
    return math.exp(brentq(excess, low, high, xtol=tolerance))


def _bracket(excess: Callable[[float], float], start: float, target: float) -> tuple[float, float]:
    """Logarithms of a noise multiplier that is too small and of one that is not."""
    sign = 1 if excess(start) > 0 else -1
    last, width = start, 0.02
    while excess(near := last + sign * width) * sign > 0:
        _require(math.log(_LEAST_NOISE) < near < math.log(_MOST_NOISE), target)
        last, width = near, 2 * width
    return min(last, near), max(last, near)


def _require(inside: bool, target: float) -> None:
    if not inside:
        raise InputError(
            f"epsilon: expected one that a noise multiplier from {_LEAST_NOISE:g} to {_MOST_NOISE:g} gives, found "
            f"{target:g}; change rounds or delta"
        )


def rounded_up(case: Case, target: float, noise: float) -> float:
    """Four digits of a noise multiplier that was found coarsely, and as much more as the ledger wants."""
    noise *= (case.with_noise(noise).epsilon(_step(target, _CLOSER)) / target) ** 0.8 * (1 + 1e-4)
    while True:
        unit = 10.0 ** (math.floor(math.log10(noise)) - 3)
        noise = round(math.ceil(noise / unit - 1e-6) * unit, 12)
        found = case.with_noise(noise).epsilon()
        if found <= target:
            return noise
        noise = max(noise * found / target, noise + unit / 2)


def most_rounds(case: Case, target: float) -> int:
    """The largest number of rounds whose epsilon is at most ``target``."""

    def allowed(rounds: int, step: float) -> bool:
        return replace(case, rounds=rounds).epsilon(step) <= target

    if not allowed(1, _step(target)) and not allowed(1, FINE):
        raise InputError(
            f"epsilon: expected at least {replace(case, rounds=1).epsilon():.4g}, which one round costs, found "
            f"{target:g}; raise the noise multiplier"
        )
    low, high = 1, 2
    while allowed(high, _step(target)):
        low, high = high, 2 * high
        if low >= _MOST_ROUNDS:
            return _MOST_ROUNDS
    low = _last_true(lambda rounds: allowed(rounds, _step(target)), low, high)
    return _last_true(lambda rounds: allowed(rounds, _step(target, _CLOSER)), low, low + low // 50 + 2)


def least_clients(case: Case, target: float) -> int:
    """The smallest number of clients, of which a round takes the given number, whose epsilon is at most ``target``."""

    def too_few(clients: int, step: float) -> bool:
        return replace(case, clients=clients).epsilon(step) > target

    low = case.clients_per_round
    if not too_few(low, FINE):
        return low
    if too_few(_MOST_CLIENTS, 2 * _step(target)):
        raise InputError(
            f"epsilon: {target:g} is not reached by {_MOST_CLIENTS:,} clients either; raise the noise multiplier "
            "or train for fewer rounds"
        )
    high = 2 * low
    while high < _MOST_CLIENTS and too_few(high, 2 * _step(target)):
        low, high = high, 2 * high
    high = _last_true(lambda clients: too_few(clients, 2 * _step(target)), low, min(high, _MOST_CLIENTS)) + 1
    low = max(low, high - high // 50 - 2)
    return _last_true(lambda clients: too_few(clients, _step(target, _CLOSER)), low, high) + 1


def _last_true(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The largest number for which something holds that does for ``low`` and does not for ``high``."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
