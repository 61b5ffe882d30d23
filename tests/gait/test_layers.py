"""Layers for gait cycles: the cycle has no ends, and bones keep their lengths."""

from functools import cache

import numpy as np
import pytest

from data_prep.skeleton import BONES, JOINTS
from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.layers import Body, CircularConv1D, Standardised
from tff_affect.gait_set import GaitSet

TREE = BoneTree.of(JOINTS, BONES)


@cache
def walkers() -> GaitSet:
    return draw_walkers(SyntheticWalkersConfig(people=4, takes=1, cycles=2), CycleOptions(samples=16, size=False))


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


def test_standardised_training_motions_have_no_mean_and_unit_deviation() -> None:
    motions = walkers().motions
    flat = motions.reshape(len(motions), 16, 45)
    layer = Standardised()
    np.testing.assert_array_equal(layer(flat), flat)
    layer.adapt(motions)
    found = layer(flat).numpy()
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    moving = np.std(flat - flat.mean(axis=0), axis=(0, 1)) > 2e-3
    assert moving.sum() > 30
    np.testing.assert_allclose(np.sqrt((found**2).mean(axis=(0, 1)))[moving], 1, atol=1e-3)
    assert not found[:, :, 3 * TREE.root : 3 * TREE.root + 3].any()


def test_a_body_keeps_its_bones_whatever_it_is_told() -> None:
    motions = walkers().motions
    body = Body(TREE, 16)
    body.adapt(motions)
    rng = np.random.default_rng(0)
    turned, stretched = rng.normal(size=(6, 16, 42)).astype(np.float32), rng.normal(size=(6, 14)).astype(np.float32)
    made = body((turned, stretched)).numpy().reshape(6, 16, 15, 3)
    lengths = np.linalg.norm(TREE.vectors(made), axis=3)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[:, :1], lengths.shape), rtol=1e-4)
    own = np.log(np.linalg.norm(TREE.vectors(motions), axis=3).mean(axis=1))
    expected = np.exp(own.mean(axis=0) + np.maximum(own.std(axis=0), 1e-3) * stretched)
    np.testing.assert_allclose(lengths[:, 0], expected, rtol=1e-4)
    assert np.abs(made[:, :, TREE.root]).max() == 0
    mean = body((0 * turned[:1], 0 * stretched[:1])).numpy().reshape(16, 15, 3)
    assert np.abs(mean - motions.mean(axis=0)).max() < 0.03
