"""Random numbers of different purposes are different numbers."""

from __future__ import annotations

import numpy as np

from tff_affect.streams import keras_seed, stream, stream_of


def test_each_seed_purpose_and_number_has_numbers_of_its_own() -> None:
    """Trailing zeros too, which numpy's own sequences of seeds do not tell apart."""
    several = [
        (0, "weights"),
        (0, "batches"),
        (1, "weights"),
        (0, "weights", 0),
        (0, "weights", 0, 0),
        (0, "weights", 1),
    ]
    drawn = {tuple(stream(*which).integers(2**62, size=4).tolist()) for which in several}
    assert len(drawn) == len(several)
    np.testing.assert_array_equal(stream(3, "weights", 2).random(4), stream(3, "weights", 2).random(4))


def test_a_seed_for_tensorflow_fits_it_and_belongs_to_its_purpose() -> None:
    seeds = {keras_seed(seed, purpose) for seed in range(20) for purpose in ("weights", "batches")}
    assert len(seeds) == 40
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_samples_have_the_same_numbers_again_and_others_have_others() -> None:
    samples = np.arange(8.0).reshape(2, 2, 2)
    first = stream_of(0, "noise", samples).random(3)
    np.testing.assert_array_equal(first, stream_of(0, "noise", samples[:, ::-1][:, ::-1]).random(3))
    for other in (samples[:1], samples[::-1], samples + 1):
        assert not np.allclose(first, stream_of(0, "noise", other).random(3))
    for seed, purpose in ((1, "noise"), (0, "weights")):
        assert not np.allclose(first, stream_of(seed, purpose, samples).random(3))
