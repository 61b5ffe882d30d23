"""Trained networks explained, together with what tells whether to believe the explanation.

Guided Grad-CAM over gait cycles is held against occlusion, and against the same of networks with random weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tff_affect.gait.disentangler import Disentangler
from tff_affect.gait.explanation import Agreement, HeatMaps, agreement, heat_maps, rank_correlation
from tff_affect.gait.grad_cam import guided_grad_cam
from tff_affect.gait.occlusion import WINDOWS, occlusion, randomised
from tff_affect.gait_set import GaitSet
from tff_affect.streams import stream

RANDOM_NETWORKS = 3


@dataclass(frozen=True, eq=False)
class Explained:
    """What speaks for each emotion, and whether it is so.

    Attributes:
        maps: Guided Grad-CAM.
        mapped: Share of cycles that have a map.
        occlusion: Agreement with occlusion, over joints and phases in eighths of the cycle, and over joints.
        random: Mean agreement with Guided Grad-CAM of networks with random weights.
        random_importance: ``[network, joint]`` of these.
    """

    maps: HeatMaps
    mapped: float
    occlusion: Agreement
    random: Agreement
    random_importance: np.ndarray

    def row(self, planted: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Flat, one row of a table.

        Args:
            planted: Names of measures of what was planted -> ``[joint]``, the one last by which random weights are
                judged too; joints without any are left out, since that what never moves is last in both is nobody's
                merit.
        """
        found = {
            f"planted_{name}": _ranked(self.maps.joint_importance, importance) for name, importance in planted.items()
        }
        random = [
            _ranked(each, importance) for importance in [*planted.values()][-1:] for each in self.random_importance
        ]
        return {
            **found,
            "occlusion_joints": self.occlusion.joints,
            "occlusion_phases": self.occlusion.phases,
            "random_joints": self.random.joints,
            "random_phases": self.random.phases,
            "random_planted": float(np.mean(random)) if random else float("nan"),
            "mapped": self.mapped,
        }


def _ranked(importance: np.ndarray, planted: np.ndarray) -> float:
    moves = planted > 0
    return rank_correlation(importance[moves], planted[moves])


def classifier_of(networks: Disentangler) -> tf.keras.Model:
    """``[batch, time, joint x 3 + 1]`` as `GaitSet.series` to logits of emotions, without the noise of the code."""
    encoder = networks.emotion_encoder
    return tf.keras.Model(encoder.input, networks.emotion_head(encoder.output))


def guided_maps(networks: Disentangler, gaits: GaitSet) -> HeatMaps:
    """What speaks for the emotion that is stated of each cycle, by Guided Grad-CAM.

    Args:
        networks: Trained.
        gaits: Cycles, with emotions of the networks.

    Raises:
        InputError: As of `Disentangler.emotion_codes`, or if an emotion is none of the networks'.
    """
    networks.check(gaits)
    return _guided(classifier_of(networks), gaits, gaits.emotion(networks.classes))


def explain(networks: Disentangler, gaits: GaitSet, seed: int) -> Explained:
    """Explains the emotion that is stated of each cycle.

    What is explained is the code without its noise.

    Args:
        networks: Trained.
        gaits: Cycles, best of people whom the networks never saw.
        seed: Of random weights.

    Raises:
        InputError: As of `guided_maps`.
    """
    networks.check(gaits)
    classes, classifier = gaits.emotion(networks.classes), classifier_of(networks)
    maps = _guided(classifier, gaits, classes)
    occluded = heat_maps(occlusion(classifier, gaits, classes), gaits)
    without = [
        _guided(randomised(classifier, int(each.integers(2**31))), gaits, classes)
        for each in (stream(seed, "random networks", number) for number in range(RANDOM_NETWORKS))
    ]
    return Explained(
        maps=maps,
        mapped=sum(maps.cycles) / len(gaits),
        occlusion=_agreement(maps.coarser(WINDOWS), occluded),
        random=Agreement(*np.mean([_agreement(maps, each) for each in without], axis=0)),
        random_importance=np.array([each.joint_importance for each in without]),
    )


def _guided(classifier: tf.keras.Model, gaits: GaitSet, classes: np.ndarray) -> HeatMaps:
    return heat_maps(guided_grad_cam(classifier, gaits, classes), gaits)


def _agreement(one: HeatMaps, other: HeatMaps) -> Agreement:
    """NaN where no emotion has a map in both, which no study should end for."""
    if not any(min(counts) for counts in zip(one.cycles, other.cycles, strict=True)):
        return Agreement(float("nan"), float("nan"))
    return agreement(one, other)
