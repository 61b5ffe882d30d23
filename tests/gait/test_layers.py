"""Layers for gait cycles: the cycle has no ends, and bones keep their lengths."""

from functools import cache

import numpy as np
import pytest

from data_prep.skeleton import BONES, JOINTS
from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.layers import Body, CircularConv1D, Directions, Standardised
from tff_affect.gait_set import GaitSet

TREE = BoneTree.of(JOINTS, BONES)


@cache
def walkers() -> GaitSet:
    return draw_walkers(SyntheticWalkersConfig(people=4, takes=1, cycles=2), CycleOptions(samples=16, size=False))


def bodies(count: int, samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions ``[cycle, time, bone, 3]``, lengths ``[cycle, bone]`` and durations ``[cycle]``, all at random."""
    rng = np.random.default_rng(seed)
    loose = rng.normal(size=(1, samples, len(TREE.bones), 3)) + 0.3 * rng.normal(size=(count, samples, 14, 3))
    lengths, durations = rng.uniform(0.1, 0.5, (count, len(TREE.bones))), rng.uniform(0.8, 1.4, count)
    return loose / np.linalg.norm(loose, axis=3, keepdims=True), lengths, durations


def series_of(directions: np.ndarray, lengths: np.ndarray, durations: np.ndarray) -> np.ndarray:
    """Joints put at the ends of bones one by one, and the duration behind them."""
    count, samples = directions.shape[:2]
    places = np.zeros((count, samples, len(JOINTS), 3))
    for number, (near, far) in enumerate(TREE.bones):
        places[:, :, far] = places[:, :, near] + directions[:, :, number] * lengths[:, np.newaxis, number, np.newaxis]
    repeated = np.repeat(durations[:, np.newaxis, np.newaxis], samples, axis=1)
    return np.concatenate([places.reshape(count, samples, -1), repeated], axis=2).astype(np.float32)


def test_a_circular_convolution_agrees_with_one_written_out() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 8, 3)).astype(np.float32)
    for stride in (1, 2):
        layer = CircularConv1D(4, 5, strides=stride, bias_initializer="normal")
        found = layer(x).numpy()
        kernel, bias = (weights.numpy() for weights in layer.weights)
        expected = [
            sum(x[:, (at + offset) % 8] @ kernel[offset + 2] for offset in range(-2, 3)) + bias
            for at in range(0, 8, stride)
        ]
        np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-5)
    turned = layer(np.roll(x, 2, axis=1)).numpy()
    np.testing.assert_allclose(turned, np.roll(found, 1, axis=1), atol=1e-5)
    again = CircularConv1D.from_config(layer.get_config())
    assert (again.kernel_size, again.strides, again.filters) == ((5,), (2,), 4)
    with pytest.raises(ValueError, match="odd kernel"):
        CircularConv1D(4, 2)


def test_directions_agree_with_those_written_out() -> None:
    motions, durations = walkers().motions.astype(np.float64), walkers().durations
    found = Directions(TREE)(walkers().series).numpy()
    assert found.shape == (len(motions), 16, 6 * 14 + 1)
    for number, (near, far) in enumerate(TREE.bones):
        bone = motions[:, :, far] - motions[:, :, near]
        unit = bone / np.sqrt((bone**2).sum(axis=2, keepdims=True))
        np.testing.assert_allclose(found[:, :, 3 * number : 3 * number + 3], unit, atol=1e-5)
        for at in range(16):
            between = unit[:, (at + 1) % 16] - unit[:, at - 1]
            rate = between / (2 * durations[:, np.newaxis] / 16)
            np.testing.assert_allclose(found[:, at, 42 + 3 * number : 45 + 3 * number], rate, atol=2e-4)
    np.testing.assert_allclose(found[:, :, -1], np.tile(np.log(durations)[:, np.newaxis], 16), atol=1e-6)


def test_a_bone_that_turns_around_once_a_cycle_turns_by_two_pi_in_its_duration() -> None:
    tree, angle = BoneTree.of(("Pelvis", "Knee"), ((0, 1),)), 2 * np.pi * np.arange(64) / 64
    knee = 0.4 * np.stack([np.cos(angle), np.zeros(64), np.sin(angle)], axis=1)
    series = np.column_stack([np.zeros((64, 3)), knee, np.full(64, 1.25)])[np.newaxis].astype(np.float32)
    rates = Directions(tree)(series).numpy()[0, :, 3:6]
    np.testing.assert_allclose(np.linalg.norm(rates, axis=1), 2 * np.pi / 1.25, rtol=2e-3)
    np.testing.assert_allclose((rates * knee).sum(axis=1), 0, atol=1e-5)


def test_rates_are_per_second_and_lengths_of_bones_are_nothing() -> None:
    directions, lengths, durations = bodies(3, 8)
    layer = Directions(TREE)
    usual = layer(series_of(directions, lengths, durations)).numpy()
    slow = layer(series_of(directions, lengths, 2 * durations)).numpy()
    np.testing.assert_allclose(slow[:, :, :42], usual[:, :, :42], atol=1e-6)
    np.testing.assert_allclose(slow[:, :, 42:-1], usual[:, :, 42:-1] / 2, atol=1e-5)
    np.testing.assert_allclose(slow[:, :, -1] - usual[:, :, -1], np.log(2), atol=1e-6)
    factors = np.random.default_rng(1).uniform(0.5, 2, lengths.shape)
    other = layer(series_of(directions, factors * lengths, durations)).numpy()
    np.testing.assert_allclose(other, usual, atol=1e-4)
    assert np.abs(usual[:, :, 42:-1]).max() > 1


def test_standardised_training_cycles_have_no_mean_and_unit_deviation() -> None:
    series = walkers().series
    layer = Standardised()
    np.testing.assert_array_equal(layer(series), series)
    layer.adapt(series)
    found = layer(series).numpy()
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    moving = np.std(series - series.mean(axis=0), axis=(0, 1)) > 2e-3
    assert moving.sum() > 30
    assert moving[-1]
    np.testing.assert_allclose(np.sqrt((found**2).mean(axis=(0, 1)))[moving], 1, atol=1e-3)
    assert not found[:, :, 3 * TREE.root : 3 * TREE.root + 3].any()


def test_a_body_keeps_its_bones_whatever_it_is_told() -> None:
    gaits, body = walkers(), Body(TREE, 16)
    body.adapt(gaits.series)
    rng = np.random.default_rng(0)
    turned, stretched, slowed = (rng.normal(size=(6, *shape)).astype(np.float32) for shape in ((16, 42), (14,), (1,)))
    made = body((turned, stretched, 3 * slowed)).numpy()
    places, durations = made[:, :, :-1].reshape(6, 16, 15, 3), made[:, :, -1]
    lengths = np.linalg.norm(TREE.vectors(places), axis=3)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[:, :1], lengths.shape), rtol=1e-4)
    own = np.log(np.linalg.norm(TREE.vectors(gaits.motions), axis=3).mean(axis=1))
    expected = np.exp(own.mean(axis=0) + np.maximum(own.std(axis=0), 1e-3) * stretched)
    np.testing.assert_allclose(lengths[:, 0], expected, rtol=1e-4)
    assert np.abs(places[:, :, TREE.root]).max() == 0
    pace = np.log(gaits.durations)
    np.testing.assert_allclose(durations, np.tile(np.exp(pace.mean() + 3 * pace.std() * slowed), 16), rtol=1e-5)
    mean = body((0 * turned[:1], 0 * stretched[:1], 0 * slowed[:1])).numpy()[0]
    assert np.abs(mean[:, :-1].reshape(16, 15, 3) - gaits.motions.mean(axis=0)).max() < 0.03
    np.testing.assert_allclose(mean[:, -1], np.exp(pace.mean()), rtol=1e-5)


def test_a_body_told_all_of_a_gait_makes_that_gait() -> None:
    directions, lengths, durations = bodies(5, 8)
    series, body = series_of(directions, lengths, durations), Body(TREE, 8)
    body.adapt(series)
    mean = directions.mean(axis=0)
    turned = (directions - mean) / np.sqrt(((directions - mean) ** 2).mean(axis=(0, 1)))
    stretched, slowed = (
        (np.log(sizes) - np.log(sizes).mean(axis=0)) / np.log(sizes).std(axis=0)
        for sizes in (lengths, durations[:, np.newaxis])
    )
    told = (turned.reshape(5, 8, 42), stretched, slowed)
    made = body(tuple(number.astype(np.float32) for number in told)).numpy()
    np.testing.assert_allclose(made, series, atol=2e-5)
    assert body(tuple(number[:0].astype(np.float32) for number in told)).shape == (0, 8, 46)
