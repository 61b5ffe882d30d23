"""The network said once more in plain arithmetic: the trained one is the oracle, and for one layer numpy."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sample_export import drawn_weights, spread

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig, StudyConfig
from tff_affect.export.description import ModelDescription
from tff_affect.export.formats import in_steps, open_model, open_step, write_model
from tff_affect.export.network import PortableNetwork, trained_model
from tff_affect.models.registry import MODELS, build_model

FRAMES, FEATURES, LABELS, UNITS = 9, 3, 2, 4
STREAMED = ("simple_rnn", "lstm", "gru", "tcn", "ridge")


def windows() -> np.ndarray:
    """Whole, with a gap, with missing ends, with one number missing, with an infinite one, and empty."""
    found = np.random.default_rng(1).normal(size=(7, FRAMES, FEATURES)).astype(np.float32)
    found[1, 3:6] = np.nan
    found[2, :2] = np.nan
    found[3, -3:] = np.nan
    found[4, ::2, 1] = np.nan
    found[5, 4, 0] = np.inf
    found[6] = np.nan
    return found


@cache
def built(
    name: str, target: str = "frame", units: int = UNITS, parts: int = 2
) -> tuple[tf.keras.Model, PortableNetwork, WindowShape]:
    """Several layers or blocks, so that masks and states go through more than one. Read only."""
    layers = parts if MODELS[name].recurrent else 1
    blocks = parts if MODELS[name].default.blocks else None
    config = StudyConfig(model=ModelConfig(name, units, layers, blocks=blocks))
    shape = WindowShape(FRAMES, FEATURES, LABELS, target)
    trained = build_model(config.model, shape)
    trained.set_weights(spread(trained.get_weights()))
    return trained, PortableNetwork(trained, config.model, shape), shape


@pytest.mark.parametrize(
    ("name", "target"),
    [*((name, "frame") for name in MODELS), *((name, "window") for name in ("lstm", "tcn", "ridge"))],
)
def test_every_model_of_the_zoo_predicts_what_was_trained(name: str, target: str) -> None:
    trained, network, _ = built(name, target)
    found = network.whole(tf.constant(windows())).numpy()
    np.testing.assert_allclose(found, trained(windows(), training=False), atol=1e-5)
    assert np.ptp(found) > 0.1


def test_a_shortcut_without_projection_keeps_what_is_there_of_a_masked_frame() -> None:
    trained, network, _ = built("tcn", units=FEATURES)
    assert not any("projection" in layer.name for layer in trained.layers)
    np.testing.assert_allclose(network.whole(tf.constant(windows())), trained(windows(), training=False), atol=1e-5)


@pytest.mark.parametrize("name", STREAMED)
def test_frame_by_frame_is_the_whole_window(name: str) -> None:
    trained, network, _ = built(name)
    state = [tf.zeros([len(windows()), *size]) for size in network.state_sizes]
    found = []
    for frame in range(FRAMES):
        predicted, state = network.step(tf.constant(windows()[:, frame]), state)
        found.append(predicted.numpy())
    np.testing.assert_allclose(np.stack(found, axis=1), trained(windows(), training=False), atol=1e-5)


def test_an_lstm_by_hand() -> None:
    """Float64, a loop, and a state that a masked frame leaves alone."""
    config = StudyConfig(model=ModelConfig("lstm", UNITS))
    shape = WindowShape(FRAMES, FEATURES, LABELS)
    kernel, recurrent, bias, head, head_bias = weights = drawn_weights(config, shape)
    trained = trained_model(config.model, shape, weights)
    found = PortableNetwork(trained, config.model, shape).whole(tf.constant(windows())).numpy()
    for window, predicted in zip(windows().astype(np.float64), found, strict=True):
        h, c = np.zeros(UNITS), np.zeros(UNITS)
        for frame, at_frame in zip(window, predicted, strict=True):
            if np.isfinite(frame).all():
                i, f, g, o = np.split(frame @ kernel + h @ recurrent + bias, 4)
                i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
                c = f * c + i * np.tanh(g)
                h = o * np.tanh(c)
            np.testing.assert_allclose(at_frame, h @ head + head_bias, atol=1e-5)


def test_weights_of_another_network_are_refused() -> None:
    config = StudyConfig(model=ModelConfig("lstm", UNITS))
    weights = drawn_weights(config, WindowShape(FRAMES, FEATURES, LABELS))
    with pytest.raises(ValueError, match="shape"):
        trained_model(ModelConfig("lstm", UNITS + 1), WindowShape(FRAMES, FEATURES, LABELS), weights)


def described(kind: str) -> ModelDescription:
    names = tuple(f"AU{i:02d}" for i in range(FEATURES))
    return ModelDescription(
        kind, False, {}, {}, names, "0-5", ("arousal", "valence"), 25.0, "second", FRAMES, FRAMES, "frame", "none", 0,
        "SYNTHETIC", True, "federated",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [("lstm", "tflite"), ("bigru", "onnx"), ("tcn", "onnx"), ("ridge", "onnx"), ("gru", "savedmodel")],
)
def test_what_is_written_predicts_what_was_trained(name: str, kind: str, tmp_path: Path) -> None:
    trained, network, shape = built(name, parts=1)
    write_model(network, shape, kind, False, tmp_path)
    apply = open_model(tmp_path, described(kind))
    np.testing.assert_allclose(apply(windows()), trained(windows(), training=False), atol=1e-5)
    if kind != "tflite":
        several = np.concatenate([windows()[:1], windows()[1:2]], axis=1)
        assert apply(several).shape == (1, 2 * FRAMES, LABELS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lstm", "tcn"])
def test_a_written_model_of_one_frame_fed_frame_by_frame_is_the_batch(name: str, tmp_path: Path) -> None:
    trained, network, shape = built(name)
    write_model(network, shape, "tflite", True, tmp_path)
    step = open_step((tmp_path / "model.tflite").read_bytes())
    apply = in_steps(step, network.state_sizes, LABELS)
    np.testing.assert_allclose(apply(windows()), trained(windows(), training=False), atol=1e-5)
    zero = {f"state_{i}": np.zeros([1, *size], np.float32) for i, size in enumerate(network.state_sizes)}
    first = step(features=windows()[0, :1], **zero)
    assert set(first) == {"prediction", *(f"next_{state}" for state in zero)}
