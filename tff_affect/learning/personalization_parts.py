"""A recording in two: the support part that a client learns from, and the later part that it is scored on.

The cut is chronological. Features at time t stand beside the label of t + delay, so that the support part's last label
lies the annotation delay behind the cut; the later part begins there at the earliest, and no window that is learned
from reaches over the cut. A later frame is predicted as in the study, in the windows of the whole recording: one may
begin before the cut, and what it holds of the support part is features that anybody would have by then.

Features of both parts are scaled as the study scaled them. With ``scaling: subject`` mean and deviation are those of
the whole recording, without labels; before and after personalisation alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tff_affect.client_data import StagedCohort

_LEAST_SCORED = 2


def support_frames(frames: tf.Tensor | int, share: float) -> tf.Tensor:
    """Frames of the support part, int32: ``share`` of all, rounded down."""
    # 0.3 of ten frames is a little less than three in binary.
    return tf.cast(tf.floor(share * tf.cast(frames, tf.float64) + 1e-6), tf.int32)


@dataclass(frozen=True)
class SupportPart(StagedCohort):
    """Sequences that end at the cut.

    Attributes:
        share: Of each recording, 0-1.
    """

    share: float = 0.5

    def stored(self, client: tf.Tensor | str) -> tf.Tensor:
        """The first frames of a sequence."""
        whole = super().stored(client)
        return whole[: support_frames(tf.shape(whole)[0], self.share)]


@dataclass(frozen=True)
class LaterPart(StagedCohort):
    """Whole sequences that have labels after the cut alone; where a window has one target, the windows after the cut.

    Attributes:
        share: Of each recording that is the support part, 0-1.
        gap: Frames after the cut that have no label.
    """

    share: float = 0.5
    gap: int = 0

    def stored(self, client: tf.Tensor | str) -> tf.Tensor:
        """A sequence, NaN for labels before the later part."""
        whole = super().stored(client)
        first = support_frames(tf.shape(whole)[0], self.share) + self.gap
        if self.data.target == "window":
            # Windows keep their places, and know nothing of each other.
            return whole[-(-first // self.data.hop) * self.data.hop :]
        later = tf.range(tf.shape(whole)[0]) >= first
        shown = tf.logical_or(later[:, tf.newaxis], tf.range(tf.shape(whole)[1]) < self.features)
        return tf.where(shown, whole, tf.constant(float("nan"), whole.dtype))


class Parts(NamedTuple):
    """Both parts of all recordings.

    Attributes:
        support: What clients learn from.
        later: What they are scored on.
    """

    support: SupportPart
    later: LaterPart

    @classmethod
    def of(cls, staged: StagedCohort, share: float, gap: int) -> Parts:
        """The parts of staged sequences.

        Args:
            staged: Whole recordings.
            share: Of each that is the support part, 0-1.
            gap: Frames left out after it, beside the annotation delay.
        """
        own = {name: getattr(staged, name) for name in StagedCohort.__dataclass_fields__}
        return cls(SupportPart(**own, share=share), LaterPart(**own, share=share, gap=gap + staged.delay))

    def fault(self, client: str) -> str:
        """Why a client cannot take part, in words; empty for one that can."""
        if not len(self.support.training_windows(client)[0]):
            return "no window of the support part has enough valid frames to learn from"
        scored = np.isfinite(self.later.gold(client)).sum(axis=0)
        if scored.min() < _LEAST_SCORED:
            return f"the later part has {int(scored.min())} labelled frames or windows; a concordance needs two"
        return ""

    def faults(self, clients: Sequence[str]) -> dict[str, str]:
        """Clients that cannot take part -> why."""
        return {client: reason for client in clients if (reason := self.fault(client))}
