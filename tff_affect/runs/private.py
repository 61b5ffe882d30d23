"""Training with differential privacy: who takes part, what is counted, and the guarantee of what really ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tff_affect.client_data import StagedCohort
from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED, StudyConfig
from tff_affect.learning.sampling import ClientSampling, derived_seed
from tff_affect.models.registry import Weights
from tff_affect.privacy.accounting import Ledger, rounds_per_tree
from tff_affect.privacy.guarantee import Guarantee
from tff_affect.privacy.sampling import Sampling
from tff_affect.run_folder import PRIVACY, read_json, write_json
from tff_affect.runs.fitting import FederatedWay, Fitting
from tff_affect.runs.spending import Spending

_POOLED = "pooled"
_TRUSTED_TRAINER = "trusted trainer, which holds the windows of all training clients; idealised Gaussian noise"


def user_ledger(config: StudyConfig, clients: int) -> Ledger:
    """An empty ledger of a study that protects subjects, with so many training clients.

    Raises:
        InputError: If mechanism, sampling and number of clients do not go together.
    """
    return Ledger.user(config.privacy, Sampling.of(config.privacy, clients, config.training.clients_per_round))


def windows_of(staged: StagedCohort, clients: Sequence[str]) -> int:
    """How many training windows some clients have together."""
    return sum(staged.count_windows(clients).values())


@dataclass(frozen=True)
class PrivateTraining:
    """The private trainings of one run.

    Attributes:
        run: What trains, on whom, and where it goes.
    """

    run: Fitting

    def federated_way(self) -> FederatedWay:
        """Federated training under the privacy of the configuration."""
        run, privacy = self.run, self.run.config.privacy
        seed = self._noise_seed if privacy.reproducible_noise else None
        sampling, folder = self._sampling, run.folder.part(PRIVATE_FEDERATED)
        folder.mkdir(parents=True, exist_ok=True)
        return FederatedWay(
            PRIVATE_FEDERATED,
            folder,
            sampling,
            lambda rate: run.learners.private_process(rate, sampling, seed),
            lambda folder: Spending(folder).begin,
        )

    @property
    def _noise_seed(self) -> int:
        """Of reproducible noise: its own for each split, or the noise of one fold could be taken from another."""
        return derived_seed(self.run.seed, "noise", *self.run.split.train)

    @property
    def _sampling(self) -> ClientSampling:
        """Hidden where it amplifies: not where each client protects itself, or a tree needs no amplification."""
        run, privacy = self.run, self.run.config.privacy
        size = run.config.training.clients_per_round
        if privacy.level == "window":
            # Clients draw their noise from their keys.
            return ClientSampling(run.split.train, size, self._noise_seed if privacy.reproducible_noise else run.seed)
        open_draw = privacy.mechanism in ("local", "tree") or privacy.reproducible_noise
        return ClientSampling(run.split.train, size, run.seed, privacy.sampling, secret=not open_draw)

    def federated_guarantee(self) -> Guarantee:
        """What the federated training of this run guarantees, from the rounds that it computed."""
        run, config = self.run, self.run.config
        rates = config.tuning.client_learning_rates
        folders = [run.folder.candidate(PRIVATE_FEDERATED, rate) for rate in rates]
        spent = [Spending(folder) for folder in folders or [run.folder.part(PRIVATE_FEDERATED)]]
        if config.privacy.level == "window":
            return self._windows_guarantee([n for s in spent for n in s.rounds(config.privacy.reproducible_noise)])
        ledger = user_ledger(config, len(run.split.train))
        for spending in spent:
            ledger.add_rounds(self._rounds_of(spending))
        return ledger.guarantee()

    def _rounds_of(self, spending: Spending) -> int:
        """Rounds that a training counts for."""
        privacy = self.run.config.privacy
        numbers = spending.rounds(privacy.reproducible_noise)
        if privacy.mechanism != "tree":
            return len(numbers)
        # Each attempt makes trees of its own from where it began; those of one that was cut off count as whole ones.
        length = max(self._sampling.rounds_of_a_pass, rounds_per_tree(privacy, self._sampling.rounds_of_a_pass))
        counts = [numbers[-1] - (numbers[0] - 1) // length * length for numbers in _attempts(numbers)]
        return sum(-(-count // length) * length for count in counts[:-1]) + sum(counts[-1:])

    def _windows_guarantee(self, numbers: Sequence[int]) -> Guarantee:
        run, training = self.run, self.run.config.training
        windows = run.learners.staged.count_windows(run.split.train)
        ledger = Ledger.window(run.config.privacy, windows, training.batch_size, training.local_epochs)
        for cohort, count in Counter(self._sampling.cohort(number) for number in numbers).items():
            ledger.add_rounds(count, cohort)
        return ledger.guarantee()

    def centralised(self, on_pass: Callable[[], None]) -> tuple[Weights, Guarantee]:
        """Weights of centralised training that protects each window of the pooled training clients.

        An attempt that was cut off has released nothing, and does not count.
        """
        run, passes = self.run, 0

        def counted() -> None:
            nonlocal passes
            passes += 1
            on_pass()

        weights = run.baseline(PRIVATE_CENTRALISED, "", run.split.train, counted)
        pooled = {_POOLED: windows_of(run.learners.staged, run.split.train)}
        ledger = Ledger.window(run.config.privacy, pooled, run.config.training.batch_size, 1)
        ledger.add_rounds(passes)
        return weights, replace(ledger.guarantee(), trust=_TRUSTED_TRAINER)

    def write_guarantee(self, method: str, guarantee: Guarantee) -> None:
        """Adds a method's guarantee to ``privacy.json`` of the run."""
        file = self.run.folder.path / PRIVACY
        found = read_json(file) if file.is_file() else {}
        write_json(file, {**found, method: guarantee.to_json()})


def _attempts(numbers: Sequence[int]) -> list[list[int]]:
    """Rounds as they were computed, cut where a later attempt goes back."""
    found: list[list[int]] = []
    for number in numbers:
        if not found or number <= found[-1][-1]:
            found.append([])
        found[-1].append(number)
    return found
