"""Codes and what is drawn from them: noise of emotion codes, labels of a swap, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.errors import InputError
from tff_affect.gait import disentangler
from tff_affect.gait.bone_tree import bones_of
from tff_affect.gait.config import GaitConfig
from tff_affect.gait.disentangler import Disentangler
from tff_affect.gait.layers import adapt
from tff_affect.gait.networks import build_biometric_encoder, build_decoder, build_emotion_encoder, build_head
from tff_affect.gait_set import GaitSet

CONFIG = GaitConfig(emotion_code=40, biometric_code=5, emotion_noise=0.3)


@cache
def walkers() -> GaitSet:
    return draw_walkers(SyntheticWalkersConfig(people=4, takes=1, cycles=2), CycleOptions(samples=16, size=False))


@cache
def untrained() -> Disentangler:
    """Its decoder says something of everything that it is told: its weights are not trained, but they are there."""
    tf.keras.utils.set_random_seed(0)
    tree = bones_of(walkers())
    builders = (build_emotion_encoder, build_biometric_encoder, build_decoder)
    networks = [build(tree, 16, CONFIG) for build in builders]
    for network in networks:
        adapt(network, walkers().series)
    return Disentangler(CONFIG, walkers().classes, tree, *networks, build_head(40, 4, "emotion_head"))


def first(count: int) -> GaitSet:
    return walkers().part(np.arange(count))


def last(count: int) -> GaitSet:
    return walkers().part(np.arange(len(walkers()) - count, len(walkers())))


def test_noise_of_emotion_codes_is_as_loud_as_configured_and_new_for_every_number() -> None:
    gaits = walkers()
    silent = replace(untrained(), config=replace(CONFIG, emotion_noise=0.0))
    codes = silent.emotion_codes(gaits)
    np.testing.assert_allclose(codes, untrained().emotion_encoder(gaits.series), atol=1e-6)
    for seed in (None, 7):
        noise = untrained().emotion_codes(gaits, seed) - codes
        assert noise.size > 1000
        # Six standard errors of mean and deviation: without a seed it is chance.
        assert abs(noise.mean()) < 6 * 0.3 / noise.size**0.5
        assert abs(noise.std() - 0.3) < 6 * 0.3 / (2 * noise.size) ** 0.5
        assert len(np.unique(noise)) > 0.99 * noise.size
        between = np.corrcoef(noise)[~np.eye(len(gaits), dtype=bool)]
        assert abs(between.mean()) < 0.05
    assert untrained().emotion_codes(gaits).dtype == np.float32


def test_a_seed_gives_the_same_noise_to_the_same_cycles_alone() -> None:
    codes = untrained().emotion_codes(walkers(), 3)
    np.testing.assert_array_equal(untrained().emotion_codes(walkers(), 3), codes)
    fresh = [untrained().emotion_codes(walkers()) for _ in range(2)]
    for one, other in ((codes, untrained().emotion_codes(walkers(), 4)), (codes, fresh[0]), (fresh[0], fresh[1])):
        assert np.abs(one - other).mean() > 0.2
    a_part = untrained().emotion_codes(walkers().part(np.arange(5)), 3)
    assert np.abs(a_part - codes[:5]).mean() > 0.2
    np.testing.assert_array_equal(untrained().biometric_codes(walkers()), untrained().biometric_codes(walkers()))


def test_a_swap_takes_emotion_from_one_and_the_body_from_the_other() -> None:
    one, other = first(3), last(3)
    swapped = untrained().swap(one, other, 5)
    codes = untrained().emotion_codes(one, 5), untrained().biometric_codes(other)
    np.testing.assert_allclose(swapped.series, untrained().decoder(codes).numpy(), atol=1e-5)

    def lengths(gaits: GaitSet) -> np.ndarray:
        return np.linalg.norm(untrained().tree.vectors(gaits.motions), axis=3)

    np.testing.assert_allclose(lengths(swapped), np.broadcast_to(lengths(swapped)[:, :1], (3, 16, 14)), rtol=1e-3)
    np.testing.assert_allclose(lengths(swapped), lengths(untrained().reconstruct(other)), rtol=1e-3)
    assert np.abs(swapped.motions - untrained().reconstruct(other, 5).motions).max() > 1e-3


def test_a_swap_is_of_the_people_of_one_set_with_the_emotions_of_the_other() -> None:
    one, other = first(3), last(3)
    swapped = untrained().swap(one, other)
    assert set(one.emotions) != set(other.emotions)
    assert (swapped.subjects, swapped.emotions, swapped.takes) == (other.subjects, one.emotions, other.takes)
    np.testing.assert_array_equal(swapped.spans[:, 0], other.spans[:, 0])
    assert (swapped.joints, swapped.bones) == (other.joints, other.bones)
    assert untrained().swap(first(0), last(0)).motions.shape == (0, 16, 15, 3)
    np.testing.assert_array_equal(untrained().swap(one, one, 2).series, untrained().reconstruct(one, 2).series)


@pytest.mark.parametrize("of_emotions", [True, False])
def test_what_is_made_of_made_up_walks_is_made_up(of_emotions: bool) -> None:
    real, made_up = replace(first(3), synthetic=False), last(3)
    pair = (made_up, real) if of_emotions else (real, made_up)
    assert untrained().swap(*pair).synthetic
    assert not untrained().swap(real, real).synthetic


def test_its_head_reads_the_noisy_codes() -> None:
    read = untrained().emotion(walkers(), 1)
    logits = untrained().emotion_head(untrained().emotion_codes(walkers(), 1)).numpy().astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(read, expected, atol=1e-5)
    assert (read != untrained().emotion(walkers())).all()
    assert untrained().emotion(first(0)).shape == (0, 4)


def test_many_cycles_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = untrained().reconstruct(walkers(), 0).series
    monkeypatch.setattr(disentangler, "_AT_ONCE", 5)
    np.testing.assert_allclose(untrained().reconstruct(walkers(), 0).series, whole, atol=1e-5)


def test_gaits_of_another_kind_are_refused() -> None:
    gaits, found = first(3), untrained()
    with pytest.raises(InputError, match="found 3 emotions and 2 identities"):
        found.swap(gaits, last(2))
    with pytest.raises(InputError, match="expected cycles of 16 samples, found 8"):
        found.reconstruct(replace(gaits, motions=gaits.motions[:, ::2]))
    with pytest.raises(InputError, match="Pelvis as the origin"):
        found.reconstruct(replace(gaits, motions=gaits.motions + 1))
    other = (*gaits.joints[1::-1], *gaits.joints[2:])
    with pytest.raises(InputError, match=r"expected the joints Head, Neck, .*, found Neck, Head, "):
        found.reconstruct(replace(gaits, joints=other))
    missing = replace(gaits, motions=gaits.motions.copy())
    missing.motions[1, 3, 2, 0] = np.nan
    for reader in (found.emotion_codes, found.biometric_codes, found.emotion, found.reconstruct):
        with pytest.raises(InputError, match="found NaN or infinity"):
            reader(missing)
