import numpy as np
import pytest
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.models.convolutional import MaskedConv1D
from tff_affect.models.registry import build_model


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, dilation: int, before: int) -> np.ndarray:
    """``[time, channel]`` by definition; ``before`` frames of the kernel lie before the frame."""
    found = np.tile(bias, (len(x), 1))
    for t in range(len(x)):
        for tap, weights in enumerate(kernel):
            read = t + (tap - before) * dilation
            if 0 <= read < len(x):
                found[t] += x[read] @ weights
    return found


def normalise(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-3) * scale + shift


def tcn(weights: dict[str, list[np.ndarray]], x: np.ndarray, valid: np.ndarray, blocks: int) -> np.ndarray:
    """The network of Bai et al. 2018, with layer normalisation, in float64 for one window ``[time, feature]``."""
    there = valid[:, np.newaxis]
    x = np.where(there, x, 0)
    for block in range(blocks):
        inner = x
        for number in (0, 1):
            kernel, bias = weights[f"block_{block}_convolution_{number}"]
            inner = convolve(np.where(there, inner, 0), kernel, bias, 2**block, len(kernel) - 1)
            inner = np.maximum(normalise(inner, *weights[f"block_{block}_normalization_{number}"]), 0)
        projection = weights.get(f"block_{block}_projection")
        skip = x if projection is None else convolve(np.where(there, x, 0), *projection, 1, 0)
        x = np.maximum(inner + skip, 0)
    kernel, bias = weights["affect"]
    return x @ kernel + bias


def float64_weights(model: tf.keras.Model) -> dict[str, list[np.ndarray]]:
    return {layer.name: [w.astype(np.float64) for w in layer.get_weights()] for layer in model.layers if layer.weights}


def with_seeded_weights(model: tf.keras.Model) -> tf.keras.Model:
    """Normalisation starts at scale 1 and shift 0, which would hide an error there."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape) / 2 for w in model.get_weights()])
    return model


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_tcn_equals_numpy_in_float64(kernel_size: int, missing: bool) -> None:
    config = ModelConfig("tcn", units=4, kernel_size=kernel_size, blocks=3)
    model = with_seeded_weights(build_model(config, WindowShape(25, 3, 2)))
    features = np.random.default_rng(0).normal(size=(2, 25, 3)).astype(np.float32)
    if missing:
        features[0, 7:10], features[1, 0], features[1, 20:] = np.nan, np.nan, np.nan
    found = model(features).numpy()
    for window, predicted in zip(features.astype(np.float64), found, strict=True):
        valid = np.isfinite(window).all(axis=-1)
        expected = tcn(float64_weights(model), window, valid, 3)
        np.testing.assert_allclose(predicted[valid], expected[valid], atol=2e-5)


@pytest.mark.parametrize(("kernel_size", "blocks"), [(2, 3), (3, 2)])
def test_tcn_sees_as_far_back_as_it_says(kernel_size: int, blocks: int) -> None:
    field = 1 + 2 * (kernel_size - 1) * (2**blocks - 1)
    model = build_model(
        ModelConfig("tcn", units=8, kernel_size=kernel_size, blocks=blocks), WindowShape(field + 4, 3, 1)
    )
    features = tf.Variable(np.random.default_rng(0).normal(size=(1, field + 4, 3)).astype(np.float32))
    with tf.GradientTape() as tape:
        last = model(features)[0, -1, 0]
    reached = np.flatnonzero(np.abs(tape.gradient(last, features)[0]).max(axis=-1) > 0)
    assert reached.min() == 4
    assert reached.max() == field + 3


def test_residual_block_below_a_bidirectional_layer_equals_numpy() -> None:
    model = with_seeded_weights(build_model(ModelConfig("cnn_bigru", units=4, blocks=1), WindowShape(11, 3, 2)))
    features = np.random.default_rng(0).normal(size=(1, 11, 3)).astype(np.float32)
    features[0, 4:6] = np.nan
    valid = np.isfinite(features[0]).all(axis=-1)
    weights, x = float64_weights(model), np.nan_to_num(features[0].astype(np.float64))
    inner = normalise(convolve(x, *weights["block_0_convolution_0"], 1, 1), *weights["block_0_normalization_0"])
    inner = np.where(valid[:, np.newaxis], np.maximum(inner, 0), 0)
    inner = normalise(convolve(inner, *weights["block_0_convolution_1"], 1, 1), *weights["block_0_normalization_1"])
    expected = np.maximum(inner + convolve(x, *weights["block_0_projection"], 1, 0), 0)
    below = tf.keras.Model(model.input, model.get_layer("recurrent_0").input)
    np.testing.assert_allclose(below(features).numpy()[0, valid], expected[valid], atol=1e-5)


def test_a_mask_reaches_the_layer_above() -> None:
    model = build_model(ModelConfig("cnn_bilstm", units=4), WindowShape(9, 3, 2))
    features = np.random.default_rng(0).normal(size=(1, 9, 3)).astype(np.float32)
    features[0, 4:6] = np.nan
    states = tf.keras.Model(model.input, model.get_layer("recurrent_0").output)(features).numpy()
    assert (states[0, 4:6] == 0).all()
    assert (np.abs(states[0, [3, 6]]) > 0).all()


def test_convolutions_that_lose_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="expected padding 'same' or 'causal', found 'valid'"):
        MaskedConv1D(2, 3, padding="valid")
