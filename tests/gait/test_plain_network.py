"""Plain networks: what is learned, that a reversed gradient works against names, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.errors import InputError
from tff_affect.gait.plain_network import PlainConfig, train_plain
from tff_affect.gait_set import GaitSet

GAITS = draw_walkers(SyntheticWalkersConfig(people=6, takes=1, cycles=2, strength=(0.9, 1.1)), CycleOptions(samples=16))
QUICK = PlainConfig(code=8, steps=80, batch=24, learning_rate=3e-3)


def test_emotion_is_learned_and_equal_seeds_give_equal_networks() -> None:
    one, again = (train_plain(GAITS, QUICK, 1) for _ in range(2))
    read = one.emotion(GAITS)
    np.testing.assert_allclose(read.sum(axis=1), 1, atol=1e-5)
    assert (read.argmax(axis=1) == GAITS.emotion(one.classes)).mean() > 0.6
    np.testing.assert_array_equal(read, again.emotion(GAITS))
    assert one.codes(GAITS).shape == (len(GAITS), 8)


def test_a_reversed_gradient_counts_after_the_head_start_alone() -> None:
    plain, early = (train_plain(GAITS, replace(QUICK, steps=1, reversal=weight), 0) for weight in (0.0, 5.0))
    np.testing.assert_array_equal(plain.codes(GAITS), early.codes(GAITS))
    plain, late = (train_plain(GAITS, replace(QUICK, steps=60, reversal=weight), 0) for weight in (0.0, 5.0))
    assert np.abs(plain.codes(GAITS) - late.codes(GAITS)).max() > 1e-3


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"reversal": -1.0}, "plain.reversal"), ({"steps": 0}, "plain.steps"), ({"learning_rate": 0.0}, "learning_rate")],
)
def test_settings_out_of_range_are_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        PlainConfig(**changed)


@pytest.mark.parametrize(
    ("gaits", "found"),
    [(GAITS.of(GAITS.people[:1]), "found 1 and 4"), (GAITS.part(np.array(GAITS.emotions) == "sad"), "found 6 and 1")],
)
def test_one_person_or_one_emotion_teaches_nothing(gaits: GaitSet, found: str) -> None:
    with pytest.raises(InputError, match=found):
        train_plain(gaits, QUICK, 0)
