"""Turning transformed faces back: between what is not changed and what is not there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from data_prep.synthetic_faces import SyntheticFacesConfig, draw_faces
from tff_affect.anonymizer.baselines import Constant
from tff_affect.anonymizer.reconstruction import Pairs, Reconstruction, reconstruct

FACES = draw_faces(SyntheticFacesConfig(people=20, images=1, size=28))
PARTS = [FACES.of(FACES.people[first:last]) for first, last in ((0, 13), (13, 16), (16, 20))]
"""A side that three halvings do not divide."""


def turned_back(transformation: Callable[[np.ndarray], np.ndarray], epochs: int = 8, seed: int = 0) -> Reconstruction:
    pairs = [Pairs(part, part.with_images(transformation(part.images))) for part in PARTS]
    return reconstruct(*pairs, seed=seed, epochs=epochs)


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Wang et al. 2004, in float64: a Gaussian window of 11 pixels, where it fits."""

    def mean(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, 1.5, truncate=5 / 1.5)[5:-5, 5:-5]

    a, b = mean(one), mean(other)
    spread = mean(one * one) - a * a + mean(other * other) - b * b
    together = mean(one * other) - a * b
    first, second = 0.01**2, 0.03**2
    ratio = (2 * a * b + first) * (2 * together + second) / ((a * a + b * b + first) * (spread + second))
    return float(ratio.mean())


def test_a_negative_is_turned_back_in_people_whom_the_attacker_never_saw() -> None:
    found = turned_back(lambda images: 1 - images)
    truth = PARTS[2].images.astype(np.float64)
    images = np.asarray(found.images)
    assert (images.shape, images.dtype) == (truth.shape, np.float32)
    assert ((images >= 0) & (images <= 1)).all()
    assert found.error < 0.4 * found.floor
    assert found.error == pytest.approx(np.mean((images - truth) ** 2))
    nearest = ((images[:, np.newaxis] - truth) ** 2).sum(axis=(2, 3)).argmin(axis=1)
    assert np.mean(nearest == np.arange(len(truth))) > 0.8
    assert found.similarity > found.similarity_floor + 0.1
    expected = np.mean([similarity(*both) for both in zip(images.astype(float), truth, strict=True)])
    assert found.similarity == pytest.approx(expected, abs=1e-3)


def test_from_nothing_the_mean_face_is_rebuilt() -> None:
    found = turned_back(Constant(), epochs=3)
    mean = PARTS[0].images.astype(np.float64).mean(axis=0)
    truth = PARTS[2].images
    assert found.floor == pytest.approx(np.mean((mean - truth) ** 2), rel=1e-5)
    assert found.error == pytest.approx(found.floor, rel=0.1)
    assert found.similarity_floor == pytest.approx(np.mean([similarity(mean, face) for face in truth]), abs=1e-3)
    assert np.ptp(np.asarray(found.images), axis=0).max() < 1e-6


def test_faces_of_test_people_are_not_learned_from() -> None:
    """Each face is hidden behind its own row of noise: it can be learned by heart, and not for anybody else."""

    def hidden(images: np.ndarray) -> np.ndarray:
        return np.random.default_rng(len(images)).random(images.shape).astype(np.float32)

    found = turned_back(hidden, epochs=2)
    assert found.error > 0.8 * found.floor


def test_a_seed_fixes_what_is_rebuilt() -> None:
    first, again, other = (turned_back(lambda images: images, 1, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(np.asarray(first.images), np.asarray(again.images))
    assert first == again
    assert first != other
