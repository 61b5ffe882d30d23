"""What a method's model, and the rounds that made it, show of people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import tensorflow as tf

from tff_affect.client_data import StagedCohort, average_windows
from tff_affect.learning.sampling import derived_seed
from tff_affect.models.network import Network
from tff_affect.models.registry import Weights
from tff_affect.privacy.audit.exposed import Exposed, gather
from tff_affect.privacy.audit.finding import Shown
from tff_affect.privacy.audit.samples import Samples
from tff_affect.runs.audit.audited import AuditedRun
from tff_affect.runs.audit.client_updates import ClientUpdates, UpdateSettings, Windows
from tff_affect.runs.audit.exposure import FeatureSurfaces, Surface, drawn, sessions_of
from tff_affect.runs.audit.recording_parts import apart, part_of, stage_parts
from tff_affect.staging import staging_folder

Output = Callable[[StagedCohort, str], np.ndarray]
"""From staged sequences and one of their clients to ``[values, channel]``."""
_ENROLLED, _PROBED = 8, 4
_SHARE = 0.7


@dataclass(frozen=True)
class ModelSurfaces:
    """What one method shows.

    Attributes:
        run: The run.
        method: Row of the results table.
        staged: The clients' sequences.
        features: Whose windows, and how long.
        most: People at most whose updates are attacked.
    """

    run: AuditedRun
    method: str
    staged: StagedCohort
    features: FeatureSurfaces
    most: int

    def outputs(self) -> Iterator[Surface]:
        """Hidden states and predictions of the final model."""
        name, span = self.method, self.features.span
        for key, what, build in (
            ("states", "hidden states", self._states),
            ("predictions", "predictions", self._predictions),
        ):
            yield Surface(f"{key}-{name}", Shown(f'{what} of "{name}"', name, "outputs", f"{span} of {what}"), build)

    def updates(self) -> Iterator[Surface]:
        """Updates of single clients in the first round, and from the final model; none where nobody sees them."""
        settings = UpdateSettings(self.run.trained_as(self.method), self.method)
        if not settings.are_seen:
            return
        name, maker = self.method, ClientUpdates(self.staged, settings)
        starts = [("last", "from the final model", self.run.weights(name))]
        # All methods start from the same weights: updates that nothing protects are then those of plain training.
        if name == "federated" or settings.private_level or "federated" not in self.run.methods:
            starts.insert(0, ("first", "in the first round", self.run.first_weights(self.staged)))
        for key, when, start in starts:
            shown = Shown(f'updates {when}, "{name}"', name, "server", f"a client's update {when}")
            yield Surface(f"updates-{key}-{name}", shown, partial(self._exposed_updates, maker, start))

    def _states(self) -> Exposed:
        forward = self._forward(Network.states)

        def states(staged: StagedCohort, client: str) -> np.ndarray:
            features, _, starts = staged.windows(client)
            return np.asarray(average_windows(forward(features), starts, tf.shape(staged.sequence(client))[0]))

        return self._exposed_outputs(states)

    def _predictions(self) -> Exposed:
        forward, data = self._forward(Network.predict), self.staged.data

        def predicted(staged: StagedCohort, client: str) -> np.ndarray:
            features, _, starts = staged.windows(client)
            return np.asarray(staged.to_frames(forward(features), starts, len(staged.gold(client))))

        return self._exposed_outputs(predicted, data.hop if data.target == "window" else 1)

    def _exposed_outputs(self, output: Output, frames_of_a_value: int = 1) -> Exposed:
        """Of whole sessions where people have several, otherwise of first and last parts with nothing in common."""
        subjects = self.features.subjects
        people = sessions_of(self.run.cohort, subjects)
        if any(len(sessions) > 1 for sessions in people.values()):
            return self.features.of_series({s: output(self.staged, s) for s in subjects}, frames_of_a_value)
        with staging_folder() as place:
            staged = stage_parts(self.staged, subjects, place)
            parts = {
                person: (output(staged, part_of(subject, "first")), output(staged, part_of(subject, "last")))
                for person, (subject,) in people.items()
            }
        return self.features.of_parts(parts, frames_of_a_value)

    def _forward(self, what: Callable[[Network, list[tf.Tensor], tf.Tensor], tf.Tensor]) -> Callable:
        network = Network(self.run.config.model, self.staged.shape)
        signature = [network.weight_specs, self.staged.window_spec[0]]
        return partial(
            tf.function(partial(what, network), signature, autograph=False),
            [tf.constant(w, tf.float32) for w in self.run.weights(self.method)],
        )

    def _exposed_updates(self, maker: ClientUpdates, start: Weights) -> Exposed:
        cohort = self.run.cohort
        senders = drawn(cohort, self.run.split.train, self.most, self.run.seed)
        return gather({p: self._of_person(maker, start, p, s) for p, s in sessions_of(cohort, senders).items()})

    def _of_person(
        self, maker: ClientUpdates, start: Weights, person: str, sessions: Sequence[str]
    ) -> tuple[Samples, Samples]:
        """Updates made of draws from the windows of each part: as if the person had sent several."""
        enrolment, probe = self._parts([self.staged.training_windows(session) for session in sessions])
        return (
            self._samples(maker, start, enrolment, _ENROLLED, f"{person} enrolment"),
            self._samples(maker, start, probe, _PROBED, f"{person} probe"),
        )

    def _parts(self, sessions: Sequence[Windows]) -> tuple[Windows, Windows]:
        if len(sessions) > 1:
            features, labels = (tf.concat(parts, axis=0) for parts in zip(*sessions[:-1], strict=True))
            return (features, labels), sessions[-1]
        ((features, labels),) = sessions
        first, last = first_and_last(len(features), self.staged.data.window, self.staged.data.hop)
        scaling = self.staged.data.scaling
        known, unknown = (features[:first], labels[:first]), (features[last:], labels[last:])
        return apart(known, scaling), apart(unknown, scaling)

    def _samples(self, maker: ClientUpdates, start: Weights, windows: Windows, draws: int, purpose: str) -> Samples:
        count = len(windows[0])
        size, found = math.ceil(_SHARE * count), []
        for number in range(draws if count else 0):
            seed = derived_seed(self.run.seed, "audited update", purpose, number)
            rows = np.sort(np.random.default_rng(seed).choice(count, size, replace=False))
            taken = tf.gather(windows[0], rows), tf.gather(windows[1], rows)
            found.append(np.concatenate([u.ravel() for u in maker.update(start, taken, seed)]))
        width = sum(w.size for w in start)
        return Samples(np.array(found, np.float64).reshape(len(found), width))


def first_and_last(windows: int, window: int, hop: int) -> tuple[int, int]:
    """Where the first 60 % of windows end and the last 30 % begin, with no frame in both.

    Args:
        windows: How many there are.
        window: Frames of each.
        hop: Frames from one to the next.
    """
    first = 6 * windows // 10
    apart = first - 1 + -(-window // hop)
    return first, min(windows, max(windows - 3 * windows // 10, apart))
