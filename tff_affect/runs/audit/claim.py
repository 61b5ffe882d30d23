"""What a run claims of its privacy, and what its folder says that it did.

What is read is ``privacy.json`` (the claim), ``split.json``, the shapes of the weights and ``spent.csv`` (the rounds
that really ran). From the last the run's own ledger is filled again, so that a guarantee that was altered or miscounted
is seen without any statistics. `tff_affect.runs.audit.epsilon` then measures what the configuration only says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tff_affect.client_data import StagedCohort
from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED, StudyConfig
from tff_affect.errors import InputError
from tff_affect.learning.sampling import ClientSampling
from tff_affect.privacy.accounting import Ledger
from tff_affect.privacy.audit.epsilon_bound import Stated
from tff_affect.privacy.bounds import Released
from tff_affect.privacy.guarantee import Guarantee, guarantees_from_json
from tff_affect.privacy.sampling import Sampling
from tff_affect.run_folder import PRIVACY, SPLIT, RunFolder, file_name, read_json, read_weights
from tff_affect.runs.fitting import Fitting
from tff_affect.runs.private import PrivateTraining, windows_of
from tff_affect.runs.spending import SPENT, Spending
from tff_affect.splits import Split

if TYPE_CHECKING:
    from tff_affect.runs.learners import Learners

_FINE_SHARE = 10**6
_STATED = ("unit", "adjacency", "noise_multiplier", "clipping_norm")
_AGAIN = "the run is not finished, or was altered; train into a new folder"


@dataclass(frozen=True)
class _Windows:
    """What accounting asks the learners for."""

    staged: StagedCohort | None


@dataclass(frozen=True)
class Claim:
    """What federated training of one run claims, and what its records amount to.

    Attributes:
        guarantee: As the run wrote it.
        recounted: As its configuration and the rounds that were spent have it.
        config: The study's configuration.
        split: Who trained.
        sampling: How the run drew its clients; hidden draws follow from a seed here.
        shapes: Of the update's tensors.
        windows: Level ``window``: training windows of the least protected client.
        steps: Level ``window``: its steps of all rounds.
    """

    guarantee: Guarantee
    recounted: Guarantee
    config: StudyConfig
    split: Split
    sampling: ClientSampling
    shapes: tuple[tuple[int, ...], ...]
    windows: int = 0
    steps: int = 0

    @property
    def stated(self) -> Stated:
        """The claim and the recount, for a finding."""
        claimed = self.guarantee
        return Stated(
            claimed.epsilon, claimed.delta, claimed.unit, self._accounted, self.recounted.rounds, self._contradictions
        )

    @property
    def public_sampling(self) -> Sampling:
        """As the accountant takes it."""
        return Sampling.of(self.config.privacy, len(self.split.train), self.config.training.clients_per_round)

    def epsilon_of(self, mu: float, share: float) -> float:
        """Epsilon of the rounds that were spent, at the delta of the claim, from what was measured.

        Args:
            mu: What a record moves over the noise.
            share: Probability with which it comes into a round or step.
        """
        if mu == 0 or share == 0:
            return 0.0
        privacy, delta = self.config.privacy, self.guarantee.delta
        if privacy.level == "window":
            one = 1 / mu / (2 if privacy.adjacency == "replace-one" else 1)
            total = one / math.sqrt(self.steps) if self.steps else math.inf
            replaced = privacy.adjacency == "replace-one"
            return Released("poisson", share, self.steps, one, total, replaced).epsilon(delta).epsilon
        # Of adaptive clipping mu counts both parts, of which the ledger would make two again.
        mechanism = "fixed" if privacy.mechanism == "adaptive" else privacy.mechanism
        ledger = Ledger.user(replace(privacy, noise_multiplier=1 / mu, mechanism=mechanism), self._sampled(share))
        ledger.add_rounds(self.recounted.rounds)
        return ledger.epsilon(delta).epsilon

    def _sampled(self, share: float) -> Sampling:
        """The accountant's sampling with a probability that was measured, rounded down."""
        if self.public_sampling.scheme not in ("poisson", "fixed-size"):
            return self.public_sampling
        return replace(
            self.public_sampling, clients=_FINE_SHARE, clients_per_round=max(1, math.floor(share * _FINE_SHARE))
        )

    @property
    def _accounted(self) -> float:
        if self.config.privacy.level == "window":
            return self.recounted.epsilon
        ledger = Ledger.user(self.config.privacy, self.public_sampling)
        ledger.add_rounds(self.recounted.rounds)
        return ledger.epsilon(self.guarantee.delta).epsilon

    @property
    def _contradictions(self) -> tuple[str, ...]:
        names = (*_STATED, "delta") if self.config.privacy.level == "window" else _STATED
        pairs = {name: (getattr(self.guarantee, name), getattr(self.recounted, name)) for name in names}
        return tuple(
            f"it states {name} {claimed}, the run's configuration says {found}"
            for name, (claimed, found) in pairs.items()
            if not _same(claimed, found)
        )


def _same(one: str | float, other: str | float) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return math.isclose(one, other, rel_tol=1e-9)


def read_claim(folder: Path, config: StudyConfig, seed: int, staged: StagedCohort | None = None) -> Claim:
    """Reads a run's claim for federated training with differential privacy; nothing is written.

    Args:
        folder: The run's folder.
        config: The study's configuration.
        seed: The run's.
        staged: The run's sequences; needed at level ``window`` alone, whose account counts windows.

    Raises:
        InputError: If a file is missing or was altered, or the run has no such training.
    """
    file = folder / PRIVACY
    stated = guarantees_from_json(read_json(file), (PRIVATE_CENTRALISED, PRIVATE_FEDERATED), file)
    if PRIVATE_FEDERATED not in stated:
        raise InputError(f"expected a guarantee of {PRIVATE_FEDERATED!r}, found none; {_AGAIN}", file=file)
    if config.privacy.level == "window" and staged is None:
        raise InputError("privacy.level window: expected the staged windows, which the account counts; found none")
    split = Split.read(folder / SPLIT)
    run = Fitting(config, seed, split, cast("Learners", _Windows(staged)), RunFolder(folder, ()))
    numbers = _spent(run)
    training = PrivateTraining(run)
    sampling = replace(training.federated_way().sampling, secret=False)
    recounted = training.federated_guarantee()
    shapes = tuple(weight.shape for weight in read_weights(folder, PRIVATE_FEDERATED))
    claim = Claim(stated[PRIVATE_FEDERATED], recounted, config, split, sampling, shapes)
    return claim if staged is None or config.privacy.level == "user" else _of_windows(claim, staged, numbers)


def _spent(run: Fitting) -> list[int]:
    """Numbers of the rounds of all candidates."""
    rates = run.config.tuning.client_learning_rates
    parts = [run.folder.path / "tuning" / f"{file_name(PRIVATE_FEDERATED)}-{rate!r}" for rate in rates]
    folders = parts or [run.folder.part(PRIVATE_FEDERATED)]
    for folder in folders:
        if not (folder / SPENT).is_file():
            raise InputError(f"the file is missing; {_AGAIN}", file=folder / SPENT)
    return [number for folder in folders for number in Spending(folder).rounds(run.config.privacy.reproducible_noise)]


def _of_windows(claim: Claim, staged: StagedCohort, numbers: Sequence[int]) -> Claim:
    """With the windows and steps of the client whose epsilon is the largest."""
    client = max(claim.recounted.per_client, key=claim.recounted.per_client.__getitem__)
    rounds = sum(client in claim.sampling.cohort(number) for number in numbers)
    count, training = windows_of(staged, [client]), claim.config.training
    steps = rounds * training.local_epochs * math.ceil(count / training.batch_size)
    return replace(claim, windows=count, steps=steps)
