"""Judges of gaits that were taken apart: perfect, useless and cheating networks get what they deserve."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pytest

from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.errors import InputError
from tff_affect.gait.bone_tree import BoneTree, bones_of
from tff_affect.gait.evaluation import Judgement, _draws, _held_out, _taken_for, judge, leak
from tff_affect.gait.identity import exposed_gaits
from tff_affect.gait.shallow import raw_joints
from tff_affect.gait_set import GaitSet

GAITS = draw_walkers(SyntheticWalkersConfig(people=7, takes=2, cycles=2, strength=(1, 1)), CycleOptions(samples=16))
KNOWN, UNSEEN = GAITS.of(GAITS.people[:4]), GAITS.of(GAITS.people[4:])


@dataclass(frozen=True)
class Oracle:
    """Networks that know the truth: codes are the labels, and a swap is somebody's real gait with that emotion.

    Attributes:
        gaits: Everybody's real gaits.
        honest: Whether a swap shows what it is given; otherwise what there was.
    """

    gaits: GaitSet
    honest: bool = True

    @property
    def classes(self) -> tuple[str, ...]:
        return self.gaits.classes

    @property
    def tree(self) -> BoneTree:
        return bones_of(self.gaits)

    def emotion_codes(self, gaits: GaitSet, seed: int) -> np.ndarray:
        return np.eye(len(self.classes))[gaits.emotion(self.classes)]

    def read_codes(self, codes: np.ndarray) -> np.ndarray:
        return codes

    def biometric_codes(self, gaits: GaitSet) -> np.ndarray:
        return np.eye(len(self.gaits.people))[np.searchsorted(self.gaits.people, gaits.subjects)]

    def reconstruct(self, gaits: GaitSet, seed: int) -> GaitSet:
        return gaits

    def swap(self, emotions: GaitSet, identities: GaitSet, seed: int) -> GaitSet:
        if not self.honest:
            return replace(identities, emotions=emotions.emotions)
        subjects, shown = np.array(self.gaits.subjects), np.array(self.gaits.emotions)
        rows = [
            np.flatnonzero((subjects == who) & (shown == emotion))[0]
            for who, emotion in zip(identities.subjects, emotions.emotions, strict=True)
        ]
        return replace(identities.with_series(self.gaits.series[rows]), emotions=emotions.emotions)


def found(networks: Any) -> Judgement:
    return judge(networks, KNOWN, UNSEEN, 0)


def test_networks_that_know_the_truth() -> None:
    perfect = found(Oracle(GAITS))
    assert (perfect.accuracy, perfect.uar, perfect.reconstruction_cm) == (1, 1, 0)
    assert perfect.biometric_code.top1 == 1
    # Labels of emotion say nothing of who shows them all.
    assert perfect.emotion_code.top1 == pytest.approx(1 / 3, abs=0.15)
    assert perfect.biometric_emotion < 0.5
    assert perfect.swap_emotion > 0.6
    assert perfect.swap_identity > 0.9
    assert perfect.drawn_identity > 0.9
    assert perfect.mean_gait_cm > 2
    assert perfect.bone_variation < 1e-4
    assert (perfect.people, perfect.cycles) == (3, len(UNSEEN))
    assert Judgement.from_json(asdict(perfect)) == perfect
    row = perfect.row()
    assert row["emotion_code_chance"] == pytest.approx(1 / 3)
    assert not any(isinstance(value, dict) for value in row.values())


def test_swaps_that_change_nothing_do_not_show_the_emotion() -> None:
    lazy = found(Oracle(GAITS, honest=False))
    assert lazy.swap_emotion < 0.3
    assert lazy.real_emotion > 0.6


class Breathing(Oracle):
    """Bones that grow and shrink by a tenth over the cycle."""

    def reconstruct(self, gaits: GaitSet, seed: int) -> GaitSet:
        grown = 1 + 0.1 * np.sin(2 * np.pi * np.arange(16) / 16)
        motions = gaits.motions * grown[np.newaxis, :, np.newaxis, np.newaxis]
        return replace(gaits, motions=motions.astype(np.float32))


def test_bones_that_change_their_length_are_seen() -> None:
    assert found(Breathing(GAITS)).bone_variation == pytest.approx(0.1 / np.sqrt(2), rel=1e-3)


def test_raw_joints_name_everybody_and_noise_nobody() -> None:
    assert leak(UNSEEN, raw_joints(UNSEEN), 0).top1 == 1
    noise = leak(UNSEEN, np.random.default_rng(0).normal(size=(len(UNSEEN), 4)), 0)
    assert noise.top1 <= noise.luck
    assert (noise.people, noise.chance) == (3, pytest.approx(1 / 3))


def test_half_of_the_recordings_are_held_out_and_never_a_part_of_one() -> None:
    held_out = _held_out(GAITS, 0)
    for person in range(len(GAITS.people)):
        takes = [set(GAITS.take[(GAITS.person == person) & (held_out == kind)]) for kind in (True, False)]
        assert not takes[0] & takes[1]
        assert [len(each) for each in takes] == [4, 4]


def test_people_of_the_training_are_no_judges() -> None:
    networks: Any = Oracle(GAITS)
    with pytest.raises(InputError, match=f"found {UNSEEN.people[0]} among both"):
        judge(networks, GAITS, UNSEEN, 0)


def takes_of(gaits: GaitSet) -> tuple[set[int], set[int]]:
    """Recordings by which people are known, and those in which they are to be found."""
    exposed = exposed_gaits(gaits, gaits.take[:, np.newaxis], 0)
    known, unknown = exposed.known.samples.vectors, exposed.unknown.samples.vectors
    return set(known[:, 0].astype(int)), set(unknown[:, 0].astype(int))


def test_made_gaits_are_judged_in_recordings_by_which_nobody_is_known() -> None:
    enrolled, _ = takes_of(UNSEEN)
    strange = UNSEEN.motions.copy()
    rows = np.isin(UNSEEN.take, sorted(enrolled))
    strange[rows] = np.roll(strange[rows], 7, axis=0)
    rng = np.random.default_rng(0)
    given = tuple(rng.permutation(UNSEEN.emotions))
    made = replace(UNSEEN, motions=strange, emotions=given)
    assert takes_of(made)[0] != enrolled
    assert _taken_for(UNSEEN, made, 0) == 1
    strange = np.roll(UNSEEN.motions, len(UNSEEN) // 3, axis=0)
    assert _taken_for(UNSEEN, replace(UNSEEN, motions=strange), 0) < 0.5


class Noisy(Oracle):
    """Codes that name people, under noise that averages out over many draws."""

    def emotion_codes(self, gaits: GaitSet, seed: int) -> np.ndarray:
        place = np.searchsorted(self.gaits.people, gaits.subjects)
        noise = np.random.default_rng([seed, len(gaits)]).normal(size=(len(gaits), 8))
        return np.column_stack([place - 5 + 0.3 * noise[:, 0], noise[:, 1:]])

    def read_codes(self, codes: np.ndarray) -> np.ndarray:
        return codes[:, :4]


def test_attackers_draw_noise_of_known_codes_as_often_as_they_like() -> None:
    networks: Any = Noisy(GAITS)
    codes, draws = networks.emotion_codes(UNSEEN, 0), _draws(networks.emotion_codes, UNSEEN, 0)
    assert draws.shape == (4, *codes.shape)
    assert not any((draw == codes).any() for draw in draws)
    once, often = exposed_gaits(UNSEEN, codes, 0), exposed_gaits(UNSEEN, codes, 0, draws=draws)
    np.testing.assert_array_equal(often.unknown.samples.vectors, once.unknown.samples.vectors)
    assert len(often.known.samples) == 4 * len(once.known.samples)
    # Draws of one cycle stand side by side.
    first = once.enrolment[0].vectors[0]
    row = np.flatnonzero((codes == first).all(axis=1))[0]
    np.testing.assert_array_equal(often.enrolment[0].vectors[:4], draws[:, row])
    with pytest.raises(InputError, match="expected draws of"):
        exposed_gaits(UNSEEN, codes, 0, draws=draws[:, 1:])
    assert leak(UNSEEN, codes, 0, draws).top1 >= leak(UNSEEN, codes, 0).top1 - 0.1
