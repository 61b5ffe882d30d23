"""Blur, cells and noise against other ways to make them, and the two ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from tff_affect.anonymizer.baselines import Blur, Constant, GaussianNoise, Pixelate, Unchanged
from tff_affect.errors import InputError

ALL = (Unchanged(), Constant(), Blur(2.0), Pixelate(5), GaussianNoise(0.3, seed=4))


def images(count: int, rows: int = 24, columns: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, rows, columns)).astype(np.float32)


@given(transformation=st.sampled_from(ALL), count=st.integers(0, 3), rows=st.integers(16, 40), seed=st.integers(0, 99))
def test_images_keep_shape_type_and_range(transformation: Blur, count: int, rows: int, seed: int) -> None:
    before = images(count, rows, 20, seed)
    kept = before.copy()
    after = transformation(before)
    assert (after.shape, after.dtype) == (before.shape, np.float32)
    assert ((after >= 0) & (after <= 1)).all()
    np.testing.assert_array_equal(before, kept)


@pytest.mark.parametrize("transformation", ALL[:-1], ids=lambda one: one.name)
def test_an_image_comes_out_the_same_in_any_company(transformation: Blur) -> None:
    every = images(6)
    order = [4, 1, 5]
    np.testing.assert_array_equal(transformation(every)[order], transformation(every[order]))


def test_names_and_strengths_tell_them_apart() -> None:
    assert [(one.name, one.strength) for one in ALL] == [
        ("unchanged", 0.0), ("constant", 0.0), ("blur", 2.0), ("pixelate", 5.0), ("noise", 0.3),
    ]  # fmt: skip


def test_the_ends_leave_everything_and_nothing() -> None:
    before = images(3)
    np.testing.assert_array_equal(Unchanged()(before), before)
    assert (Constant()(before) == 0.5).all()


@pytest.mark.parametrize("sigma", [0.8, 2.0, 4.0])
def test_blur_is_gaussian_in_pixels(sigma: float) -> None:
    before = images(2, 48, 48)
    expected = [gaussian_filter(image.astype(float), sigma, mode="mirror", truncate=6.0) for image in before]
    np.testing.assert_allclose(Blur(sigma)(before), expected, atol=2e-3)


def test_a_cell_is_the_mean_of_its_pixels() -> None:
    before = images(2, 48, 48)
    cells = before.reshape(2, 8, 6, 8, 6).mean(axis=(2, 4))
    np.testing.assert_allclose(Pixelate(8)(before), cells.repeat(6, axis=1).repeat(6, axis=2), atol=1e-6)


def test_as_many_cells_as_pixels_change_nothing_and_cells_need_not_fit() -> None:
    before = images(2)
    np.testing.assert_allclose(Pixelate(24)(before), before, atol=1e-6)
    assert len(np.unique(Pixelate(5)(before)[0])) == 25


def test_noise_is_as_strong_as_said_and_each_images_own() -> None:
    grey = np.linspace(0.45, 0.55, 40, dtype=np.float32)[:, np.newaxis, np.newaxis] * np.ones((1, 24, 24), np.float32)
    noise = GaussianNoise(0.05)(grey) - grey
    assert noise.std() == pytest.approx(0.05, rel=0.03)
    assert abs(noise.mean()) < 0.002
    alike = np.corrcoef(noise.reshape(40, -1)) - np.eye(40)
    assert np.abs(alike).max() < 0.2


def test_noise_follows_from_its_seed() -> None:
    before = images(2)
    np.testing.assert_array_equal(GaussianNoise(0.2, seed=1)(before), GaussianNoise(0.2, seed=1)(before))
    assert not np.allclose(GaussianNoise(0.2, seed=1)(before), GaussianNoise(0.2, seed=2)(before))
    np.testing.assert_array_equal(GaussianNoise(0.0)(before), before)


def test_noise_is_drawn_anew_for_the_same_image_shown_again() -> None:
    """Whoever has the means can draw it as often as they like; and images shown together or alone share none."""
    before = np.repeat(images(1), 2, axis=0)
    noise = GaussianNoise(0.05)(before) - before
    assert abs(np.corrcoef(noise.reshape(2, -1))[0, 1]) < 0.2
    alone = GaussianNoise(0.05)(before[:1]) - before[:1]
    assert abs(np.corrcoef(noise[0].ravel(), alone.ravel())[0, 1]) < 0.2


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Blur(0), "blur: expected a standard deviation in pixels of at least 0.1, found 0"),
        (lambda: Blur(float("nan")), "found nan"),
        (lambda: Pixelate(0), "pixelate: expected cells a side of at least 1, found 0"),
        (lambda: GaussianNoise(-1.0), "noise: expected a standard deviation of at least 0, found -1"),
        (lambda: GaussianNoise(float("inf")), "found inf"),
        (lambda: Pixelate(30)(images(1)), "pixelate: expected at most 24 cells a side, found 30"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(InputError, match=said):
        make()
