"""Shadow runs: the audited training again and again, each time on another half of the subjects.

What an attacker who knows the settings can do to learn how a model treats those it was trained on (Shokri et al. 2017;
Carlini et al. 2022). The pool are the audited run's training and test subjects; its development subjects stay what
they are, since they choose the round here too. Each subject of the pool trains in one run of each pair. A shadow run
has fewer training subjects than most audited runs, and a model of fewer subjects leaks rather more.

All shadow runs start from the same weights, as the clients of a federated run do, who are sent them. Learning rates are
not tuned and predictions not post-processed. Noise follows from seed and split, so that it differs from run to run and
an audit can be repeated, except with mechanisms whose clients draw noise of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from tff_affect.client_data import StagedCohort
from tff_affect.cohort import Cohort
from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED, SplitConfig, StudyConfig, TuningConfig
from tff_affect.errors import InputError
from tff_affect.learning.runtime import local_runtime
from tff_affect.learning.sampling import derived_seed
from tff_affect.losses import build_loss
from tff_affect.models.network import Network
from tff_affect.models.registry import Weights
from tff_affect.privacy_config import PrivacyConfig
from tff_affect.progress import Progress
from tff_affect.run_folder import read_weights
from tff_affect.runs.audit.settings import LEAST_SHADOWS
from tff_affect.runs.planned import PlannedRun, StagingRooms, plan_runs
from tff_affect.runs.study import run_study, study_facts
from tff_affect.splits import Split
from tff_affect.staging import staging_folder

ATTACKED = ("centralised", "federated", PRIVATE_CENTRALISED, PRIVATE_FEDERATED)
"""Ways of training that give one model from many subjects."""
_NEARLY_ONE = 1 - 1e-6
_LEAST_ERROR = 1e-12


@dataclass(frozen=True)
class ShadowPlan:
    """Shadow runs to carry out, or that were.

    Attributes:
        folder: Of their study; named by all that they depend on, so that it holds these runs and no others.
        config: Of their study.
        splits: Of each run: halves of the pool train and test.
        subjects: The pool, in the cohort's order.
    """

    folder: Path
    config: StudyConfig
    splits: tuple[Split, ...]
    subjects: tuple[str, ...]

    @property
    def members(self) -> np.ndarray:
        """``[runs, subjects]``: whether a subject trains in a run."""
        return np.array([[subject in set(split.train) for subject in self.subjects] for split in self.splits])

    @property
    def runs(self) -> list[PlannedRun]:
        """The runs, in the order of ``splits``."""
        return plan_runs(self.config, self.splits)

    @property
    def methods(self) -> tuple[str, ...]:
        """The ways of training of each run."""
        return tuple(self.config.rows)


@dataclass(frozen=True)
class SubjectSignals:
    """How models treat subjects.

    Attributes:
        names: What each signal is; the first is the loss that was trained with. All are lower where a model fits
            better, and on a scale on which they vary by about as much everywhere.
        subjects: Whose.
        values: ``[models, subjects, signals]``, float64.
    """

    names: tuple[str, ...]
    subjects: tuple[str, ...]
    values: np.ndarray


def plan_shadows(
    folder: Path,
    config: StudyConfig,
    cohort: Cohort,
    split: Split,
    shadows: int,
    seed: int,
    methods: Sequence[str] | None = None,
) -> ShadowPlan:
    """Shadow runs for one run of a study. Nothing is written.

    Args:
        folder: Where folders of shadow runs are; that of these becomes one in it.
        config: The audited run's configuration, with the learning rates and the delay that it used in their places.
        cohort: Its cohort.
        split: Its split.
        shadows: Shadow runs. With more of them, those of a smaller number are the first.
        seed: The audited run's: of initial weights and the order of windows, and of the halves.
        methods: Those to attack, of ``ATTACKED``; all that the configuration has by default. With
            ``privacy.level`` window, privacy brings its own methods along.

    Raises:
        InputError: For an odd or too small number, or methods that the configuration does not have.
    """
    if shadows < LEAST_SHADOWS or shadows % 2:
        raise InputError(f"shadow runs: expected an even number of at least {LEAST_SHADOWS}, found {shadows}")
    study = shadow_config(config, seed, methods)
    splits, pool = shadow_splits(cohort.subjects, split, shadows, seed), _pool(cohort.subjects, split)
    # Not the splits themselves: what they follow from is the same for any number of them.
    facts = {**study_facts(study, cohort), "pool": pool, "development": split.development, "halves": seed}
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    return ShadowPlan(Path(folder) / name, study, splits, pool)


def shadow_config(config: StudyConfig, seed: int, methods: Sequence[str] | None = None) -> StudyConfig:
    """The configuration of shadow runs; arguments as of `plan_shadows`."""
    offered = [method for method in config.rows if method in ATTACKED]
    asked = offered if methods is None else list(methods)
    for method in asked:
        if method not in offered:
            raise InputError(f"shadow runs: expected methods of {', '.join(offered)}, found {method!r}")
    private = PRIVATE_CENTRALISED in asked or PRIVATE_FEDERATED in asked
    return replace(
        config,
        split=SplitConfig(),
        methods=asked,
        seeds=[seed],
        tuning=TuningConfig(),
        postprocess=[],
        privacy=_repeatable(config.privacy) if private else PrivacyConfig(),
    )


def _repeatable(privacy: PrivacyConfig) -> PrivacyConfig:
    """With noise that an audit can repeat, where clients do not draw their own."""
    return replace(privacy, reproducible_noise=privacy.mechanism not in ("local", "distributed"))


def shadow_splits(subjects: Sequence[str], split: Split, shadows: int, seed: int) -> tuple[Split, ...]:
    """Pairs of splits, in each of which a half of the pool trains and the other tests, and then the other way round.

    Args:
        subjects: The cohort's, in its order.
        split: Training and test subjects are the pool, development subjects stay.
        shadows: Splits, an even number; those of a smaller number are the first of a larger.
        seed: Of the halves.
    """
    pool, found = _pool(subjects, split), []
    for pair in range(shadows // 2):
        order = np.random.default_rng(derived_seed(seed, "shadow", pair)).permutation(len(pool))
        first = {pool[i] for i in order[: len(pool) // 2]}
        halves = tuple(s for s in pool if s in first), tuple(s for s in pool if s not in first)
        found += [Split(halves[0], split.development, halves[1]), Split(halves[1], split.development, halves[0])]
    return tuple(found)


def _pool(subjects: Sequence[str], split: Split) -> tuple[str, ...]:
    taken = {*split.train, *split.test}
    return tuple(subject for subject in subjects if subject in taken)


def train_shadows(plan: ShadowPlan, cohort: Cohort, processes: int = 1, progress: Progress | None = None) -> list[Path]:
    """Carries out the shadow runs that are not there yet.

    Returns:
        Their folders.

    Raises:
        InputError: For anything wrong with the windows or the folder.
    """
    return run_study(plan.config, cohort, plan.splits, plan.folder, True, progress, processes=processes)


def shadow_signals(plan: ShadowPlan, cohort: Cohort) -> dict[str, SubjectSignals]:
    """How each shadow model treats each subject of the pool, by method.

    Each model gets the features as it was trained on them: with ``federated`` scaling by its own training subjects'
    mean and deviation, which are part of what is released.

    Raises:
        InputError: If weights are missing or damaged.
    """
    values: dict[str, list[np.ndarray]] = {method: [] for method in plan.methods}
    with ExitStack() as stack:
        if plan.config.data.scaling == "federated":
            stack.enter_context(local_runtime())
        rooms = StagingRooms(cohort, plan.config.data, stack.enter_context(staging_folder()), plan.subjects)
        readers: dict[Path, SignalReader] = {}
        for run in plan.runs:
            staged = rooms.staged(run)
            if staged.folder not in readers:
                readers[staged.folder] = SignalReader(staged, plan.config)
            reader = readers[staged.folder]
            for method in plan.methods:
                weights = read_weights(plan.folder / run.name, method)
                values[method].append(reader.signals(weights, plan.subjects))
    return {m: SubjectSignals(reader.names, plan.subjects, np.stack(found)) for m, found in values.items()}


class SignalReader:
    """Tells how a model, given by its weights, treats subjects, on the windows that they train with.

    Args:
        staged: The subjects' sequences, scaled as the model was trained on them.
        config: Model and loss.
    """

    def __init__(self, staged: StagedCohort, config: StudyConfig) -> None:
        self._staged, self._loss = staged, config.training.loss
        network = Network(config.model, staged.shape)
        concordance, squared = build_loss("ccc"), build_loss("mse")

        def losses(weights: list[tf.Tensor], features: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            predicted = network.predict(weights, features)
            each = range(len(staged.labels))
            parts = [concordance(labels[..., d : d + 1], predicted[..., d : d + 1]) for d in each]
            return tf.stack([squared(labels, predicted), concordance(labels, predicted), *parts])

        self._losses = tf.function(losses, [network.weight_specs, *staged.window_spec], autograph=False)
        self._windows: dict[str, tuple[tf.Tensor, tf.Tensor]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """What each signal is, the training loss first."""
        each = [f"concordance loss of {label}" for label in self._staged.labels]
        return tuple(np.array(["squared error", "concordance loss", *each])[self._order])

    @property
    def _order(self) -> list[int]:
        """The training loss first; a single dimension's is the one of all dimensions."""
        dimensions = len(self._staged.labels)
        each = range(2, 2 + dimensions) if dimensions > 1 else ()
        return [1, 0, *each] if self._loss == "ccc" else [0, 1, *each]

    def signals(self, weights: Weights, subjects: Sequence[str]) -> np.ndarray:
        """``[subjects, signals]`` of a model.

        Each is of all training windows of a subject together, on a scale on which noise adds: the logarithm of a mean
        squared error, and of a concordance correlation Fisher's z, negative.

        Args:
            weights: In Keras order.
            subjects: Whose windows it is tried on.
        """
        current = [tf.constant(w, tf.float32) for w in weights]
        losses = np.array([self._losses(current, *self._of(subject)).numpy() for subject in subjects], np.float64)
        squared = np.log(np.maximum(losses[:, :1], _LEAST_ERROR))
        concordance = -np.arctanh(np.clip(1 - losses[:, 1:], -_NEARLY_ONE, _NEARLY_ONE))
        return np.concatenate([squared, concordance], axis=1)[:, self._order]

    def _of(self, subject: str) -> tuple[tf.Tensor, tf.Tensor]:
        if subject not in self._windows:
            self._windows[subject] = self._staged.training_windows(subject)
        return self._windows[subject]
