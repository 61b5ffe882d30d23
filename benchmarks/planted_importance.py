"""What readers of emotion use of a gait, beside where emotion was planted: the better reader uses other joints.

SYNTHETIC walkers, linear readers (multinomial logistic regression) with weaker and weaker weights, from directions of
bones as means and two harmonics, and the cycle's duration. What a linear reader uses is known without any explanation:
each number times its weight. Planted is `data_prep.synthetic_walkers.effect_size`, of each joint by itself.

    python -m benchmarks.planted_importance --people 400 --seeds 3
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from data_prep.skeleton import JOINTS
from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers, effect_size
from data_prep.walk_file import CycleOptions
from tff_affect.gait.bone_tree import bones_of
from tff_affect.gait.explanation import rank_correlation
from tff_affect.gait_set import GaitSet

OPTIONS = CycleOptions(samples=32)
INVERSE_STRENGTHS = (1.0, 1e-2, 1e-3, 3e-4, 1e-4)
HARMONICS = 2
TESTED = 0.25
_STILL = 1e-6


@dataclass(frozen=True, eq=False)
class Numbers:
    """What readers see of gaits.

    Attributes:
        values: ``[cycle, number]``.
        joints: ``[number]`` the joint at the far end of the bone that a number is of; -1 for the duration.
    """

    values: np.ndarray
    joints: np.ndarray

    @classmethod
    def of(cls, gaits: GaitSet) -> Numbers:
        """Means and harmonics of the directions of bones, and the logarithm of the duration."""
        tree = bones_of(gaits)
        vectors = tree.vectors(gaits.motions).astype(np.float64)
        directions = vectors / np.linalg.norm(vectors, axis=3, keepdims=True)
        waves = np.fft.rfft(directions, axis=1)[:, : HARMONICS + 1] / directions.shape[1]
        parts = np.concatenate([waves.real, waves.imag[:, 1:]], axis=1)
        far = np.repeat([joint for _, joint in tree.bones], 3)
        values = np.column_stack([parts.reshape(len(parts), -1), np.log(gaits.durations)])
        return cls(values, np.concatenate([np.tile(far, parts.shape[1]), [-1]]))


@dataclass(frozen=True)
class Found:
    """A reader.

    Attributes:
        accuracy: On people whom it never saw.
        planted: Rank correlation over joints of what it uses with what was planted.
    """

    accuracy: float
    planted: float


def readers(people: int, seed: int, inverse_strengths: Sequence[float] = INVERSE_STRENGTHS) -> list[Found]:
    """Readers of walkers of one seed, one for each strength of the penalty.

    Args:
        people: Walkers; a quarter is tested.
        seed: Of the walkers.
        inverse_strengths: Of the penalty on squared weights.
    """
    config = SyntheticWalkersConfig(people=people, takes=1, cycles=2, seed=seed)
    gaits = draw_walkers(config, OPTIONS)
    seen, emotion = Numbers.of(gaits), gaits.emotion(gaits.classes)
    tested = gaits.person >= round((1 - TESTED) * len(gaits.people))
    moves = seen.values[~tested].std(axis=0) > _STILL
    values, joints = seen.values[:, moves], seen.joints[moves]
    values = (values - values[~tested].mean(axis=0)) / values[~tested].std(axis=0)
    planted = np.array([effect_size(joint, config, OPTIONS, directions=True) for joint in JOINTS])
    found = []
    for inverse in inverse_strengths:
        reader = LogisticRegression(C=inverse, max_iter=3000).fit(values[~tested], emotion[~tested])
        used = _used(reader, values[tested], emotion[tested], joints)
        accuracy = float(reader.score(values[tested], emotion[tested]))
        found.append(Found(accuracy, rank_correlation(used[planted > 0], planted[planted > 0])))
    return found


def _used(reader: LogisticRegression, values: np.ndarray, emotion: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """``[joint]`` mean share of what each adds to the odds of the emotion shown, where it adds to them."""
    others = reader.predict_proba(values)
    others[np.arange(len(others)), emotion] = 0
    gradient = reader.coef_[emotion] - others / others.sum(axis=1, keepdims=True) @ reader.coef_
    added = np.stack([(gradient * values)[:, joints == joint].sum(axis=1) for joint in range(len(JOINTS))], axis=1)
    speaks = np.maximum(added, 0)
    return np.asarray((speaks / np.maximum(speaks.sum(axis=1, keepdims=True), 1e-12)).mean(axis=0))


def main() -> None:
    """Prints a line for each strength of the penalty: means over seeds, and from to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    by_seed = [readers(chosen.people, seed) for seed in range(100, 100 + chosen.seeds)]
    print(f"SYNTHETIC walkers, {chosen.people} people, {chosen.seeds} seeds")
    for inverse, found in zip(INVERSE_STRENGTHS, zip(*by_seed, strict=True), strict=True):
        accuracy, planted = ([getattr(each, name) for each in found] for name in ("accuracy", "planted"))
        print(
            f"C {inverse:g}: accuracy {np.mean(accuracy):.3f} ({min(accuracy):.3f} to {max(accuracy):.3f}), "
            f"what it uses against what was planted {np.mean(planted):.2f} ({min(planted):.2f} to {max(planted):.2f})"
        )


if __name__ == "__main__":
    main()
