"""Membership inference on a run: its own models, and its way of training on other halves of the subjects.

The run has one model for each method and few subjects, so that an attack on it alone says little. Its shadow runs are
therefore attacked too, each with all the others for shadows: that measures what this way of training gives away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from tff_affect.client_data import StagedCohort
from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED, StudyConfig
from tff_affect.errors import InputError
from tff_affect.privacy.audit.finding import Finding
from tff_affect.privacy.audit.membership import MembershipResult, Targets, infer_membership, membership_finding
from tff_affect.privacy.audit.membership_epsilon import attack_epsilon
from tff_affect.privacy.guarantee import guarantees_from_json
from tff_affect.progress import Progress
from tff_affect.run_folder import PRIVACY, file_name, read_json
from tff_affect.runs.audit.audited import AuditedRun
from tff_affect.runs.audit.shadows import (
    ATTACKED,
    ShadowPlan,
    SignalReader,
    SubjectSignals,
    plan_shadows,
    shadow_signals,
    train_shadows,
)
from tff_affect.runs.audit.steps import Step
from tff_affect.runs.learners import SOLVED

SHADOWS = "shadows"
_PRIVATE = (PRIVATE_CENTRALISED, PRIVATE_FEDERATED)


@dataclass(frozen=True)
class MembershipAttack:
    """Membership inference on one run.

    Attributes:
        run: The run.
        staged: The clients' sequences as the run's training read them.
        folder: Where shadow runs go.
        shadows: How many.
        seed: Of permutations and intervals.
    """

    run: AuditedRun
    staged: StagedCohort
    folder: Path
    shadows: int
    seed: int

    @property
    def methods(self) -> list[str]:
        """Methods of which there are models of many subjects."""
        solved = self.run.config.model.name in SOLVED
        return [method for method in self.run.methods if method in ATTACKED and not solved]

    @cached_property
    def _config(self) -> StudyConfig:
        federated = [method for method in ("federated", PRIVATE_FEDERATED) if method in self.methods]
        return self.run.trained_as(federated[0])

    @cached_property
    def _plan(self) -> ShadowPlan:
        run = self.run
        return plan_shadows(self.folder, self._config, run.cohort, run.split, self.shadows, run.seed, self.methods)

    @cached_property
    def _signals(self) -> dict[str, SubjectSignals]:
        return shadow_signals(self._plan, self.run.cohort)

    @cached_property
    def _reader(self) -> SignalReader:
        return SignalReader(self.staged, self._config)

    def train(self, processes: int, progress: Progress) -> None:
        """Carries out the shadow runs that are not there yet."""
        if self.methods:
            train_shadows(self._plan, self.run.cohort, processes, progress)

    def steps(self) -> Iterator[Step]:
        """For each method the shadow models, and the run's own."""
        depends = {"shadows": self.shadows}
        for method in self.methods:
            label = f'membership, "{method}"'
            if self.run.trained_as(method).training != self._config.training and method == PRIVATE_FEDERATED:
                yield Step(_key("way", method), label, _tuned_otherwise)
                continue
            yield Step(_key("way", method), f"{label}: way of training", partial(self._way, method), depends)
            yield Step(_key("model", method), f"{label}: the run's model", partial(self._own, method), depends)

    def _way(self, method: str) -> Sequence[Finding]:
        found = infer_membership(self._signals[method].values, self._plan.members, seed=self.seed)
        bound = self._epsilon(method, found)
        return [membership_finding(found, method, f'training of "{method}"', epsilon=bound)]

    def _own(self, method: str) -> Sequence[Finding]:
        pool, plan = self._plan.subjects, self._plan
        signals = self._reader.signals(self.run.weights(method), pool)[np.newaxis]
        members = np.isin(pool, self.run.split.train)[np.newaxis]
        found = infer_membership(self._signals[method].values, plan.members, Targets(signals, members), self.seed)
        return [membership_finding(found, method, f'the run\'s model of "{method}"')]

    def _epsilon(self, method: str, found: MembershipResult) -> dict[str, Any] | None:
        """What the decisions tell of epsilon, at the delta of the claim; None where the unit is not a subject."""
        file = self.run.folder / PRIVACY
        claims = guarantees_from_json(read_json(file), _PRIVATE, file) if file.is_file() else {}
        if method not in claims or claims[method].unit != "subject":
            return None
        return asdict(attack_epsilon(found, claims[method].delta))


def _tuned_otherwise() -> Sequence[Finding]:
    raise InputError("tuning chose another learning rate for it than for 'federated', by which shadow runs are trained")


def _key(what: str, method: str) -> str:
    return f"membership-{what}_{file_name(method)}"
