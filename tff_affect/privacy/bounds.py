"""Upper bounds of epsilon for noise that was added, from `dp_accounting` and from a closed form.

Each of them is valid by itself; the smallest one is reported. Noise multipliers here are relative to what neighbouring
data sets can change. `dp_accounting` 0.4.3 leaves that to its caller, too: under REPLACE_ONE it does not know that two
records of norm C can be 2 C apart, so that the multiplier it is given has to be halved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from dp_accounting import NeighboringRelation, UnsupportedEventError, dp_event, pld, rdp
from scipy.optimize import brentq
from scipy.special import log_ndtr

from tff_affect.errors import InputError

FINE = 1e-4
"""Steps of epsilon in which privacy losses are counted; coarser steps are quicker and never too small a bound."""
_MOST_POINTS, _MOST_COARSE_POINTS = 4e6, 2e5
_LARGEST_EXPONENT = 500
_FEW_ORDERS = (1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)


class Bound(NamedTuple):
    """An upper bound of epsilon, and how it was found."""

    epsilon: float
    accountant: str


@dataclass(frozen=True)
class Released:
    """What was released of one record.

    Attributes:
        scheme: How the record came in: ``poisson``, ``fixed-size`` (in each of ``count`` queries), or ``always``.
        share: Probability of coming into a query.
        count: Number of queries.
        multiplier: Noise of a query over what neighbouring data sets can change.
        total: Noise of all queries together, had the record been in every one: of one Gaussian mechanism.
        replaced: Whether a record is replaced, not added, removed or zeroed out.
        others: What else was released.
    """

    scheme: str
    share: float
    count: int
    multiplier: float
    total: float
    replaced: bool = False
    others: tuple[dp_event.DpEvent, ...] = ()

    def epsilon(self, delta: float, step: float = FINE) -> Bound:
        """The smallest bound of epsilon.

        Args:
            delta: Between 0 and 1.
            step: Of privacy losses; above ``FINE`` the bound is found sooner and is a little larger.

        Raises:
            InputError: For an event among the others that `dp_accounting` has no bound for.
        """
        if not self.count and not self.others:
            return Bound(0.0, "nothing was released")
        if self.count and not self.multiplier:
            return Bound(math.inf, "no noise")
        return min(self._bounds(delta, step))

    def _bounds(self, delta: float, step: float) -> Iterator[Bound]:
        run = [dp_event.GaussianDpEvent(self.total)] if self.count else []
        multipliers = gaussian_multipliers(dp_event.ComposedDpEvent([*run, *self.others]))
        if multipliers is None:
            yield pld_bound([*run, *self.others], delta, step)
        else:
            yield gaussian_bound(composed_multiplier(multipliers), delta)
        if self.count and self.share < 1:
            yield from self._amplified(delta, step)

    def _amplified(self, delta: float, step: float) -> Iterator[Bound]:
        if self.scheme == "fixed-size" and self.replaced:
            yield fixed_size_bound(self.multiplier, self.share, self.count, self.others, delta, step)
        if self.scheme == "poisson" and not self.replaced:
            # A record that is zeroed out adds nothing to a sum, as one that is not there.
            yield pld_bound([poisson_event(self.share, self.multiplier, self.count), *self.others], delta, step)
        if self.scheme == "poisson" and self.replaced and not self.others:
            # Taken out or put in, a record changes half of what it changes where it is replaced.
            yield two_step_bound([poisson_event(self.share, 2 * self.multiplier, self.count)], delta, step)


def poisson_event(share: float, multiplier: float, count: int) -> dp_event.DpEvent:
    """``count`` Gaussian mechanisms, into each of which a record comes with a probability."""
    event = dp_event.PoissonSampledDpEvent(share, dp_event.GaussianDpEvent(multiplier))
    return dp_event.SelfComposedDpEvent(event, count)


def composed_multiplier(multipliers: Sequence[float]) -> float:
    """The Gaussian mechanism that tells as much as several ones together: ``(sum z^-2)^-1/2``; 0 if any has no noise.

    Equation 1 of McMahan et al. 2018 ("A General Approach to Adding Differential Privacy to Iterative Training
    Procedures"); exact, also where a later query depends on the results of earlier ones.
    """
    if 0 in multipliers:
        return 0.0
    precision = sum(z**-2 for z in multipliers)
    return precision**-0.5 if precision else math.inf


def gaussian_epsilon(multiplier: float, delta: float) -> float:
    """Epsilon of one Gaussian mechanism, exactly: Balle and Wang 2018, theorem 8.

    Args:
        multiplier: Standard deviation of the noise over the sensitivity; 0 gives inf, inf gives 0.
        delta: Between 0 and 1.
    """
    if multiplier == 0:
        return math.inf
    mu = 1 / multiplier
    if math.erf(mu / math.sqrt(8)) <= delta:
        return 0.0
    most = mu**2 / 2 + mu * math.sqrt(-2 * math.log(delta))
    return float(brentq(lambda e: _log_gaussian_delta(mu, e) - math.log(delta), 0, most, xtol=1e-13, rtol=1e-13))


def _log_gaussian_delta(mu: float, epsilon: float) -> float:
    larger = log_ndtr(mu / 2 - epsilon / mu)
    ratio = epsilon + log_ndtr(-mu / 2 - epsilon / mu) - larger
    return float(larger + math.log(-math.expm1(ratio))) if ratio < 0 else -math.inf


def gaussian_bound(multiplier: float, delta: float) -> Bound:
    """`gaussian_epsilon` with its name."""
    return Bound(gaussian_epsilon(multiplier, delta), "analytic Gaussian (Balle and Wang 2018)")


def pld_bound(events: Sequence[dp_event.DpEvent], delta: float, step: float = FINE) -> Bound:
    """Epsilon by privacy loss distributions, under add-remove where events are sampled.

    Args:
        events: What was released; Poisson-sampled Gaussian events among others.
        delta: Between 0 and 1.
        step: Of the privacy losses.

    Raises:
        InputError: For an event that `dp_accounting` has no privacy loss distribution for.
    """
    return Bound(float(_pld(events, step).get_epsilon(delta)), "privacy loss distributions (dp_accounting)")


def two_step_bound(events: Sequence[dp_event.DpEvent], delta: float, step: float = FINE) -> Bound:
    """Epsilon under replace-one of what is accounted under add-remove: one record is taken out, another put in.

    (epsilon, d) under add-remove is (2 epsilon, (1 + e^epsilon) d) under replace-one (Vadhan 2017, lemma 2.2).
    """
    accountant = _pld(events, step)
    before, epsilon = -math.inf, 0.0
    # From below, since the epsilon that is sought grows less than in step with the smaller delta that it asks for.
    while before * (1 + 1e-10) < epsilon < _LARGEST_EXPONENT or before < 0:
        before, epsilon = epsilon, float(accountant.get_epsilon(delta / (1 + math.exp(epsilon))))
    found = 2 * epsilon * (1 + 1e-9) if epsilon < _LARGEST_EXPONENT else math.inf
    return Bound(found, "privacy loss distributions (dp_accounting), one subject out and another in")


def fixed_size_bound(
    multiplier: float, share: float, rounds: int, others: Sequence[dp_event.DpEvent], delta: float, step: float = FINE
) -> Bound:
    """Epsilon under replace-one by Renyi divergences, for samples of one size without replacement.

    Theorem 27 of Wang, Balle and Kasiviswanathan 2019. It may be above the bound that ignores sampling.

    Args:
        multiplier: Of a round, relative to twice the clipping norm.
        share: Clients of a round over all clients.
        rounds: Number of rounds.
        others: What else was released.
        delta: Between 0 and 1.
        step: Above ``FINE`` fewer orders are tried.
    """
    orders = tuple(rdp.rdp_privacy_accountant.DEFAULT_RDP_ORDERS) if step <= FINE else _FEW_ORDERS
    accountant = rdp.RdpAccountant(orders, NeighboringRelation.REPLACE_ONE)
    _compose(accountant, others)
    total = accountant.rdp + rounds * np.array(_fixed_size_rdp(multiplier, share, orders))
    epsilon = rdp.compute_epsilon(orders, total, delta)[0]
    return Bound(float(epsilon), "Renyi divergences, sampling without replacement (Wang et al. 2019)")


@lru_cache(maxsize=64)
def _fixed_size_rdp(multiplier: float, share: float, orders: tuple[float, ...]) -> tuple[float, ...]:
    accountant = rdp.RdpAccountant(orders, NeighboringRelation.REPLACE_ONE)
    event = dp_event.SampledWithoutReplacementDpEvent(1, share, dp_event.GaussianDpEvent(multiplier))
    return tuple(accountant.compose(event).rdp)


def _pld(events: Sequence[dp_event.DpEvent], step: float) -> pld.PLDAccountant:
    # A privacy loss distribution over all of a run with little noise would take more memory than there is.
    step = max(step, _reach(events) / (_MOST_POINTS if step <= FINE else _MOST_COARSE_POINTS))
    if len(events) == 1 and isinstance(events[0], dp_event.SelfComposedDpEvent):
        return _kept_pld(events[0], step)
    accountant = pld.PLDAccountant(value_discretization_interval=step)
    _compose(accountant, events)
    return accountant


@lru_cache(maxsize=8)
def _kept_pld(event: dp_event.DpEvent, step: float) -> pld.PLDAccountant:
    """The same run is asked for epsilon at several deltas, and at one delta again."""
    accountant = pld.PLDAccountant(value_discretization_interval=step)
    _compose(accountant, [event])
    return accountant


def _reach(events: Sequence[dp_event.DpEvent]) -> float:
    """About how large a privacy loss gets, were nothing sampled."""
    multiplier = composed_multiplier([z for event in events for z in _multipliers(event)])
    return 1 / (2 * multiplier**2) + 10 / multiplier if multiplier else 0.0


def _multipliers(event: dp_event.DpEvent) -> list[float]:
    match event:
        case dp_event.GaussianDpEvent():
            return [event.noise_multiplier]
        case dp_event.SelfComposedDpEvent():
            return [z / math.sqrt(event.count) for z in _multipliers(event.event)]
        case dp_event.ComposedDpEvent():
            return [z for part in event.events for z in _multipliers(part)]
        case dp_event.PoissonSampledDpEvent():
            return _multipliers(event.event)
    return []


def _compose(accountant: pld.PLDAccountant | rdp.RdpAccountant, events: Sequence[dp_event.DpEvent]) -> None:
    for event in events:
        try:
            accountant.compose(event)
        except UnsupportedEventError as error:
            raise InputError(
                f"ledger: expected releases that {type(accountant).__name__} of dp_accounting knows, found {event}; "
                "release what Gaussian or Laplace noise was added to"
            ) from error


def gaussian_multipliers(event: dp_event.DpEvent) -> list[float] | None:
    """Multipliers of an event that is made of unsampled Gaussian mechanisms alone; None for any other event."""
    match event:
        case dp_event.NoOpDpEvent():
            return []
        case dp_event.GaussianDpEvent():
            return [event.noise_multiplier]
        case dp_event.SelfComposedDpEvent():
            parts = gaussian_multipliers(event.event)
            return None if parts is None else [z / math.sqrt(event.count) for z in parts]
        case dp_event.ComposedDpEvent():
            found = [gaussian_multipliers(part) for part in event.events]
            return None if None in found else [z for part in found if part is not None for z in part]
    return None
