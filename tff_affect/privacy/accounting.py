"""From what a run released to epsilon.

A `Ledger` is told of every round that ran and of every further number that was released, and nothing else: what was
planned does not count. All of it is a series of events of `dp_accounting`; their noise multipliers are relative to what
neighbouring data sets can change. That is the clipping norm C where a subject is added, removed or zeroed out, and 2 C
where one is replaced: the multiplier is then halved, here and nowhere else.

Sampling amplifies where the scheme has a proof for it. A bound that ignores sampling holds beside it, and the smaller
of both is reported. Abadi et al. 2016 (DP-SGD), McMahan et al. 2018 (subjects), Andrew et al. 2021 (adaptive clipping),
Kairouz et al. 2021 (trees).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dp_accounting import dp_event

from tff_affect.config_checks import at_least
from tff_affect.errors import InputError
from tff_affect.privacy.bounds import (
    FINE,
    Bound,
    Released,
    composed_multiplier,
)
from tff_affect.privacy.guarantee import (
    Guarantee,
    default_delta,
    delta_remarks,
    mechanism_of,
    named_remark,
    noise_remarks,
    outside_of,
    trust_of,
)
from tff_affect.privacy.sampling import Sampling
from tff_affect.privacy_config import PrivacyConfig

_COUNT_SHARE = 0.05
_FULL_TREE = 8
_COARSE = 1e-3


def count_deviation(expected_clients: float) -> float:
    """Deviation of the noise on the count of clipped updates, a twentieth of a cohort: Andrew et al. 2021, 3.1."""
    return _COUNT_SHARE * expected_clients


def value_noise_multiplier(noise_multiplier: float, expected_clients: float) -> float:
    """Noise multiplier of the updates when the count has its share: Andrew et al. 2021, theorem 1.

    A client moves the count by 0.5 at most, so that updates and count together are one Gaussian mechanism of
    ``noise_multiplier``.

    Args:
        noise_multiplier: Of both together.
        expected_clients: Of a round.

    Raises:
        InputError: If the count's noise is too small for that, as in a small cohort.
    """
    count = 2 * count_deviation(expected_clients)
    if noise_multiplier >= count:
        raise InputError(
            f"privacy.noise_multiplier: adaptive clipping of {expected_clients:g} clients a round has to be below "
            f"{count:g}, a tenth of them, since the count of clipped updates is released with that much noise; found "
            f"{noise_multiplier:g}; set privacy.mechanism=fixed"
        )
    return (noise_multiplier**-2 - count**-2) ** -0.5 if noise_multiplier else 0.0


def rounds_per_tree(privacy: PrivacyConfig, rounds_per_pass: int = 1) -> int:
    """Rounds after which a tree is restarted: as configured, else a pass over the clients, or 8 where that is one.

    Raises:
        InputError: If trees do not fit into the passes. A tree across two of them could hold a client twice.
    """
    rounds = privacy.restart_every or (rounds_per_pass if rounds_per_pass > 1 else _FULL_TREE)
    if rounds_per_pass > 1 and rounds_per_pass % rounds:
        raise InputError(
            f"privacy.restart_every: expected a divisor of the {rounds_per_pass} rounds of a pass over the clients, so "
            f"that no tree holds a client twice, found {rounds}; leave it out for trees of a pass each"
        )
    return rounds


def single_tree_loss(rounds: int) -> int:
    """Squared sensitivity, in clipping norms, of a tree in which a client is in one round: the tree's depth."""
    return rounds.bit_length()


def repeated_tree_loss(rounds: int) -> int:
    """The same where a client is in each round: the squared leaves of each complete node, added up.

    Kairouz et al. 2021, appendix D.2; `tensorflow_privacy` counts this by going through all possibilities.
    """
    powers = [bit for bit in range(rounds.bit_length()) if rounds >> bit & 1]
    return sum(2**bit * (2 ** (bit + 1) - 1) for bit in powers)


class Ledger(ABC):
    """What was released, and what it amounts to. `Ledger.user` protects subjects, `Ledger.window` windows."""

    def __init__(self, privacy: PrivacyConfig) -> None:
        if privacy.noise_multiplier is None:
            raise InputError("privacy.noise_multiplier: expected a number, found none; there is nothing to account for")
        self._privacy, self._noise = privacy, privacy.noise_multiplier
        self._releases: dict[str, dp_event.DpEvent] = {}

    @staticmethod
    def user(privacy: PrivacyConfig, sampling: Sampling) -> UserLedger:
        """Accounts for all of a subject's data.

        Raises:
            InputError: If mechanism and sampling do not go together.
        """
        return UserLedger(privacy, sampling)

    @staticmethod
    def window(privacy: PrivacyConfig, windows: Mapping[str, int], batch_size: int, local_epochs: int) -> WindowLedger:
        """Accounts for one window, for each client by itself.

        Args:
            privacy: Of level ``window``.
            windows: Each client's training windows.
            batch_size: Expected windows of a step; batches are Poisson samples.
            local_epochs: Passes over a client's windows in a round.
        """
        return WindowLedger(privacy, windows, batch_size, local_epochs)

    def add_release(self, name: str, event: dp_event.DpEvent) -> None:
        """Adds something else that was released, such as a noised metric.

        Args:
            name: In words.
            event: With multipliers relative to what neighbouring data sets can change: under replace-one that is twice
                the largest norm of what a record adds.
        """
        if name in self._releases:
            raise InputError(f"ledger: expected each release once, found {name!r} again; add it under another name")
        self._releases[name] = event

    @abstractmethod
    def add_rounds(self, count: int = 1, clients: Sequence[str] | None = None) -> None:
        """Adds rounds that ran; ``clients`` are those who took part, None for all. Only windows need them."""

    @abstractmethod
    def guarantee(self, delta: float | None = None) -> Guarantee:
        """What all of it amounts to.

        Args:
            delta: None for the configured one, or 1 / (10 N).

        Raises:
            InputError: For a delta of 1 / N or more, unless the configuration forces it.
        """

    @property
    def _sensitivity(self) -> int:
        """In clipping norms."""
        return 2 if self._privacy.adjacency == "replace-one" else 1

    def _described(
        self, bound: Bound, delta: float, unit: str, sampling: str, rounds: int, remarks: Sequence[str]
    ) -> Guarantee:
        privacy = self._privacy
        names = [f"also released, and counted in: {name}" for name in self._releases]
        return Guarantee(
            bound.epsilon, delta, unit, privacy.adjacency, sampling, mechanism_of(privacy), self._noise,
            privacy.clipping_norm, rounds, bound.accountant, trust_of(privacy), outside_of(privacy),
            (*noise_remarks(privacy), *names, *remarks),
        )  # fmt: skip


class UserLedger(Ledger):
    """What was released of subjects."""

    def __init__(self, privacy: PrivacyConfig, sampling: Sampling) -> None:
        super().__init__(privacy)
        tree = privacy.mechanism == "tree"
        if ((sampling.scheme == "passes") and not tree) or (tree and sampling.scheme not in ("passes", "full")):
            raise InputError(
                f"sampling: expected 'passes' or all clients for a tree and for nothing else, found "
                f"{sampling.scheme!r} with mechanism {privacy.mechanism!r}"
            )
        if sampling.scheme == "fixed-size" and privacy.adjacency != "replace-one":
            raise InputError(
                "privacy.adjacency: sampling 'fixed-size' keeps the number of subjects, and is accounted under "
                f"'replace-one'; found {privacy.adjacency!r}"
            )
        self.sampling, self.rounds = sampling, 0
        if tree:
            rounds_per_tree(privacy, sampling.rounds_per_pass)
        self._of_one_round()  # refuses a cohort too small for adaptive clipping

    def _of_one_round(self) -> float:
        """Noise over the clipping norm of all that a round releases."""
        if self._privacy.mechanism != "adaptive":
            return self._noise
        expected = self.sampling.clients_per_round
        value = value_noise_multiplier(self._noise, expected)
        return composed_multiplier([value, 2 * count_deviation(expected)])

    def add_rounds(self, count: int = 1, clients: Sequence[str] | None = None) -> None:
        """Adds rounds that ran."""
        at_least("rounds", count, 0)
        self.rounds += count

    def epsilon(self, delta: float, step: float = FINE) -> Bound:
        """Epsilon for any delta between 0 and 1; a step above ``FINE`` is quicker and a little above."""
        return self._released().epsilon(delta, step)

    def guarantee(self, delta: float | None = None) -> Guarantee:
        """What all of it amounts to for one subject."""
        clients = self.sampling.clients
        delta = self._privacy.delta if delta is None else delta
        delta = default_delta(clients) if delta is None else delta
        remarks = delta_remarks(delta, clients, self._privacy.force)
        if self._privacy.mechanism == "local":
            remarks.append("a client that was in fewer rounds has a smaller epsilon; this is one that was in all")
        return self._described(self.epsilon(delta), delta, "subject", self.sampling.text(), self.rounds, remarks)

    def _released(self) -> Released:
        one = self._of_one_round() / self._sensitivity
        total = one / math.sqrt(self._loss()) if self.rounds else math.inf
        # What a client reports by itself is seen whether or not the others were chosen.
        scheme = "always" if self._privacy.mechanism == "local" else self.sampling.scheme
        return Released(
            scheme, self.sampling.share, self.rounds, one, total, self._sensitivity == 2, tuple(self._releases.values())
        )

    def _loss(self) -> int:
        """Squared sensitivity of the whole run, in clipping norms, for a client who is in each round or pass."""
        if self._privacy.mechanism != "tree":
            return self.rounds
        pass_rounds = self.sampling.rounds_per_pass
        length = rounds_per_tree(self._privacy, pass_rounds)
        if pass_rounds == 1:
            trees, rest = divmod(self.rounds, length)
            return trees * repeated_tree_loss(length) + repeated_tree_loss(rest)
        # In one pass a client is in one tree alone, and the longest is the worst to be in.
        passes, rest = divmod(self.rounds, pass_rounds)
        return passes * single_tree_loss(length) + single_tree_loss(min(rest, length))


class WindowLedger(Ledger):
    """What was released of windows. Clients share no window, so that each has an epsilon of its own.

    Nothing is gained by a client's being chosen at random: the server knows who takes part.
    """

    def __init__(self, privacy: PrivacyConfig, windows: Mapping[str, int], batch_size: int, local_epochs: int) -> None:
        super().__init__(privacy)
        if privacy.level != "window":
            raise InputError(f"privacy.level: expected 'window', found {privacy.level!r}")
        if not windows:
            raise InputError("ledger: expected the windows of at least one client, found none")
        for name, value in (("windows of a client", min(windows.values())), ("batch size", batch_size)):
            at_least(name, value, 1)
        at_least("local epochs", local_epochs, 1)
        self._windows, self._batch, self._epochs = dict(windows), batch_size, local_epochs
        self._rounds: Counter[str] = Counter()
        self.rounds = 0

    def add_rounds(self, count: int = 1, clients: Sequence[str] | None = None) -> None:
        """Adds rounds in which these clients took part; None for all."""
        at_least("rounds", count, 0)
        for client in self._windows if clients is None else clients:
            if client not in self._windows:
                raise InputError(f"ledger: expected a client whose windows are known, found {client!r}")
            self._rounds[client] += count
        self.rounds += count

    def guarantee(self, delta: float | None = None) -> Guarantee:
        """What all of it amounts to for one window, for each client and for the least protected one."""
        delta = self._privacy.delta if delta is None else delta
        remarks = [] if delta is None else delta_remarks(delta, max(self._windows.values()), self._privacy.force)
        deltas = {client: default_delta(n) if delta is None else delta for client, n in self._windows.items()}
        cases = {client: (self._windows[client], self._rounds[client], deltas[client]) for client in self._windows}
        found = {case: self._epsilon(*case, _COARSE) for case in set(cases.values())}
        worst = max(found, key=lambda case: found[case].epsilon)
        found[worst] = self._epsilon(*worst, FINE)
        per_client = {client: found[case].epsilon for client, case in cases.items()}
        client = max(per_client, key=per_client.__getitem__)
        if delta is None:
            remarks.append(named_remark(client))
        described = self._described(
            found[cases[client]], deltas[client], "window", self._sampling_text(), self.rounds, remarks
        )
        return replace(described, per_client=per_client)

    def _epsilon(self, windows: int, rounds: int, delta: float, step: float) -> Bound:
        one, steps = self._noise / self._sensitivity, rounds * self._epochs * math.ceil(windows / self._batch)
        total = one / math.sqrt(steps) if steps else math.inf
        share = min(1.0, self._batch / windows)
        replaced = self._sensitivity == 2
        return Released("poisson", share, steps, one, total, replaced, tuple(self._releases.values())).epsilon(
            delta, step
        )

    def _sampling_text(self) -> str:
        return f"Poisson batches of {self._batch} expected windows; passes over a client in a round: {self._epochs}"
