"""Inversion: windows of training subjects rebuilt from what they would have sent.

Two attacks for each federated method. The first is the worst case that a protocol allows: one step of SGD on one
window, as federated SGD sends it, seen as the method lets it be seen. The second is what the run's clients really send.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial

import numpy as np
import tensorflow as tf

from tff_affect.client_data import StagedCohort
from tff_affect.config import PRIVATE_FEDERATED, OptimizerConfig
from tff_affect.errors import InputError
from tff_affect.learning.sampling import derived_seed
from tff_affect.models.registry import Weights
from tff_affect.privacy.audit.exposed import LEAST_ENROLMENT
from tff_affect.privacy.audit.finding import Finding
from tff_affect.privacy.audit.inversion import Attempt, inversion_finding, score_inversion
from tff_affect.privacy.audit.observed_update import Protection, observe
from tff_affect.privacy.audit.rebuilt_identity import RebuiltIdentity, name_rebuilt
from tff_affect.privacy.audit.update_matching import LocalWork, MatchingConfig, rebuild_windows, update_of
from tff_affect.privacy.identity_windows import Session
from tff_affect.run_folder import file_name
from tff_affect.runs.audit.audited import AuditedRun
from tff_affect.runs.audit.client_updates import ClientUpdates, UpdateSettings
from tff_affect.runs.audit.steps import Step

_RATE = 0.1
_WORST_CASE = MatchingConfig(restarts=8, iterations=600)
_REAL = MatchingConfig(restarts=1, iterations=150)


@dataclass(frozen=True)
class Victims:
    """Whose windows are sought, and windows of others to compare with.

    Attributes:
        run: The run.
        staged: The clients' sequences.
        count: Victims at most: training subjects, drawn by the seed.
        frames: Frames of the windows that the worst case is about.
        seed: Of the draw, the attacks and the noise.
    """

    run: AuditedRun
    staged: StagedCohort
    count: int
    frames: int
    seed: int

    @cached_property
    def names(self) -> list[str]:
        """The victims: those with a complete stretch."""
        train = self.run.split.train
        order = np.random.default_rng(derived_seed(self.seed, "victims")).permutation(len(train))
        found = [train[i] for i in order if self.stretch(train[i]) is not None][: self.count]
        if not found:
            raise InputError(f"inversion: expected a training subject with {self.frames} frames in a row, found none")
        return found

    @cached_property
    def first_weights(self) -> Weights:
        """What the first round starts from."""
        return self.run.first_weights(self.staged)

    def stretches(self, subjects: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The first complete stretch of each subject that has one: features and labels ``[subjects, 1, time, ...]``."""
        found = [stretch for subject in subjects if (stretch := self.stretch(subject)) is not None]
        cut = np.stack(found)[:, np.newaxis]
        return cut[..., : self.staged.features], cut[..., self.staged.features :]

    def stretch(self, subject: str) -> np.ndarray | None:
        """``[time, feature + label]`` without a gap, from the last part of the recording, or the latest before it."""
        sequence = self.staged.sequence(subject).numpy()
        whole = np.isfinite(sequence).all(axis=1)
        runs = np.convolve(whole, np.ones(self.frames, int), "valid") if len(whole) >= self.frames else np.empty(0)
        starts = np.flatnonzero(runs == self.frames)
        if not len(starts):
            return None
        late = starts[starts >= len(sequence) * 7 // 10]
        first = int(late[0] if len(late) else starts[-1])
        return np.asarray(sequence[first : first + self.frames])

    @property
    def companions(self) -> list[str]:
        """Training subjects beside a victim in a round; where too few have a complete stretch, some stand for two."""
        train = self.run.split.train
        whole = [name for name in train if name not in self.names and self.stretch(name) is not None] or self.names
        return [whole[number % len(whole)] for number in range(len(train) - 1)]

    @property
    def decoys(self) -> list[str]:
        """Subjects who are no victims."""
        return [subject for subject in self.staged.clients if subject not in self.names]


def inversion_steps(run: AuditedRun, method: str, staged: StagedCohort, victims: int, seed: int) -> Iterator[Step]:
    """The two attacks on a method; the first only where what is seen differs from plain training.

    Args:
        run: The run.
        method: ``federated``, with or without privacy.
        staged: The clients' sequences.
        victims: How many people at most.
        seed: Of the attacks.
    """
    frames = min(staged.data.window, max(2, round(_seconds(run) * run.cohort.manifest.frame_rate)))
    sought = Victims(run, staged, victims, frames, seed)
    depends = {"victims": victims}
    name = file_name(method)
    yield Step(
        f"inversion-step_{name}", f'inversion of one step, "{method}"', partial(_worst_case, sought, method), depends
    )
    settings = UpdateSettings(run.trained_as(method), method)
    if settings.are_seen and (method == "federated" or settings.private_level):
        work = partial(_real_updates, sought, settings)
        yield Step(f"inversion-update_{name}", f'inversion of updates, "{method}"', work, depends)


def _seconds(run: AuditedRun) -> float:
    return 10.0 if run.cohort.manifest.time_unit == "second" else 10.0 / run.cohort.manifest.frame_rate


def _worst_case(sought: Victims, method: str) -> list[Finding]:
    """One step of SGD on one window, seen through the method's protection, and in details through others."""
    run, staged = sought.run, sought.staged
    shape = replace(staged.shape, window=sought.frames)
    work = LocalWork(run.config.model, shape, run.config.training.loss, OptimizerConfig("sgd", _RATE))
    features, labels = sought.stretches(sought.names)
    updates, others = (
        [u.numpy() for u in _sent(sought.first_weights, *sought.stretches(names), work)]
        for names in (sought.names, sought.companions)
    )
    ways = _protections(run, method, len(run.split.train))
    seen = [observe(updates, way, derived_seed(sought.seed, "inverted", name), others) for name, way in ways.items()]
    stacked = [np.concatenate(parts) for parts in zip(*seen, strict=True)]
    if all(sought.stretch(name) is None for name in sought.decoys):
        raise InputError(f"inversion: expected a subject with {sought.frames} frames in a row beside the victims")
    decoys = sought.stretches(sought.decoys)[0]
    found: list[Finding] = []
    known = np.tile(labels, (len(ways), 1, 1, 1))
    attempts = {
        f"{matching}, labels {'known' if given is not None else 'sought'}": rebuild_windows(
            sought.first_weights, stacked, work, given, replace(_WORST_CASE, matching=matching)
        ).features
        for matching, given in (("cosine", known), ("cosine", None), ("squared distance", known))
    }
    for place, name in enumerate(ways):
        own = slice(place * len(features), (place + 1) * len(features))
        tried = [Attempt(who, score_inversion(rebuilt[own], features, decoys)) for who, rebuilt in attempts.items()]
        target = f"one step of SGD on one window, {name}"
        observer = "model" if ways[name].clients > 1 else "server"
        finding = inversion_finding(tried, method, target, _duration(run, sought.frames), sought.seed, observer)
        best = attempts[finding.attacker][own]
        found.append(replace(finding, details={**finding.details, "named": asdict(_named(sought, features, best))}))
    return found


def _named(sought: Victims, truth: np.ndarray, rebuilt: np.ndarray) -> RebuiltIdentity:
    """Who is recognised in reconstructions by windows from the first part of each training subject's recording."""
    staged = sought.staged
    known = {}
    for name in sought.run.split.train:
        sequence = staged.sequence(name).numpy()[:, : staged.features]
        known[name] = Session.of_array(sequence, sought.frames).first_and_last()[0]
    known = {name: samples for name, samples in known.items() if len(samples) >= LEAST_ENROLMENT}
    true, found = (
        {name: Session.of_array(w[0], sought.frames).samples() for name, w in zip(sought.names, of, strict=True)}
        for of in (truth, rebuilt)
    )
    return name_rebuilt(known, true, found, sought.seed)


def _sent(weights: Weights, features: np.ndarray, labels: np.ndarray, work: LocalWork) -> list[tf.Tensor]:
    each = [tf.repeat(tf.constant(w, tf.float64)[tf.newaxis], len(features), axis=0) for w in weights]
    return update_of(each, tf.constant(features, tf.float64), tf.constant(labels, tf.float64), work)


def _protections(run: AuditedRun, method: str, clients: int) -> dict[str, Protection]:
    """How an update can be seen: without privacy in all of three ways, otherwise in the method's own."""
    privacy = run.config.privacy
    if method != PRIVATE_FEDERATED:
        return {
            "as it is": Protection(),
            "clipped to norm 0.1": Protection(0.1),
            "clipped to norm 0.1, noise 0.01 in each number": Protection(0.1, 0.1),
        }
    noise, norm = privacy.noise_multiplier or 0.0, privacy.clipping_norm
    alone = privacy.level == "window" or privacy.mechanism == "local"
    words = f"clipped to norm {norm:g}, noise {noise:g} times that"
    if alone:
        return {f"{words}, by the client": Protection(norm, noise)}
    return {f"{words}, only in the mean of {clients}": Protection(norm, noise, clients)}


def _real_updates(sought: Victims, settings: UpdateSettings) -> list[Finding]:
    """What clients send in the first round, of all their windows; the attacker knows how many these are."""
    run, staged, training = sought.run, sought.staged, settings.config.training
    makers = ClientUpdates(staged, settings)
    windows = {name: staged.training_windows(name) for name in staged.clients}
    lengths = Counter(len(windows[name][0]) for name in sought.names)
    count = lengths.most_common(1)[0][0]
    alike = [name for name, (features, _) in windows.items() if len(features) == count]
    victims = [name for name in sought.names if name in alike]
    if len(alike) == len(victims):
        raise InputError(f"inversion: expected a subject with {count} windows beside the victims, found none")
    sent = [
        makers.update(sought.first_weights, windows[name], derived_seed(sought.seed, "sent", name)) for name in victims
    ]
    updates = [np.stack(parts).astype(np.float64) for parts in zip(*sent, strict=True)]
    work = LocalWork(
        run.config.model, staged.shape, training.loss, training.client_optimizer, count, training.local_epochs,
        training.batch_size,
    )  # fmt: skip
    features, labels = (np.stack([windows[name][part].numpy() for name in victims]) for part in (0, 1))
    decoys = np.stack([windows[name][0].numpy() for name in alike if name not in victims])
    rebuilt = rebuild_windows(sought.first_weights, updates, work, labels, _REAL).features
    attempt = Attempt("cosine, labels known", score_inversion(rebuilt, features, decoys))
    target = f'updates in the first round, "{settings.method}"'
    duration = f"{count} windows of {_duration(run, staged.data.window)}"
    return [inversion_finding([attempt], settings.method, target, duration, sought.seed)]


def _duration(run: AuditedRun, frames: int) -> str:
    manifest = run.cohort.manifest
    return f"{frames} steps" if manifest.time_unit == "step" else f"{frames / manifest.frame_rate:.3g} seconds"
