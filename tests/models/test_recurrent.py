import numpy as np
import numpy_lstm
import pytest

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.models.registry import build_model

SHAPE = WindowShape(window=9, features=3, labels=2)
FORWARD = ("gru", "lstm", "simple_rnn")
RECURRENT = (*FORWARD, "bigru", "bilstm")


def features(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, 9, 3)).astype(np.float32)


def as_float64(arrays: list[np.ndarray]) -> list[np.ndarray]:
    return [array.astype(np.float64) for array in arrays]


def test_lstm_equals_numpy_in_float64() -> None:
    model = build_model(ModelConfig("lstm", units=5), SHAPE)
    expected, _ = numpy_lstm.forward(as_float64(model.get_weights()), features())
    np.testing.assert_allclose(model(features()).numpy(), expected, atol=1e-6)


def test_layers_and_weights_keep_the_order_of_earlier_versions() -> None:
    model = build_model(ModelConfig("lstm", units=5, layers=2), SHAPE)
    names = ["features", "missing_frames", "recurrent_0", "recurrent_1", "affect"]
    assert [layer.name for layer in model.layers] == names
    shapes = [(3, 20), (5, 20), (20,), (5, 20), (5, 20), (20,), (5, 2), (2,)]
    assert [weight.shape for weight in model.get_weights()] == shapes


def test_bilstm_is_two_lstms_one_of_them_over_the_reversed_window() -> None:
    model = build_model(ModelConfig("bilstm", units=5), SHAPE)
    *lstms, kernel, bias = as_float64(model.get_weights())
    identity = [np.eye(5), np.zeros(5)]
    forward, _ = numpy_lstm.forward([*lstms[:3], *identity], features())
    backward, _ = numpy_lstm.forward([*lstms[3:], *identity], features()[:, ::-1])
    hidden = np.concatenate([forward, backward[:, ::-1]], axis=-1)
    np.testing.assert_allclose(model(features()).numpy(), hidden @ kernel + bias, atol=1e-6)
    assert np.abs(lstms[0] - lstms[3]).max() > 0.01


@pytest.mark.parametrize("name", RECURRENT)
def test_missing_frames_are_skipped_not_read_as_zero(name: str) -> None:
    model = build_model(ModelConfig(name, units=5, layers=2), SHAPE)
    with_gap = features()
    with_gap[:, 3:5, 1] = np.nan
    found = model(with_gap).numpy()
    assert np.isfinite(found).all()
    without_gap = np.concatenate([with_gap[:, :3], with_gap[:, 5:], np.full((4, 2, 3), np.nan, np.float32)], axis=1)
    np.testing.assert_allclose(found[:, 5:], model(without_gap).numpy()[:, 3:7], atol=1e-6)
    zeros = model(np.nan_to_num(with_gap)).numpy()
    assert np.abs(found[:, 5:] - zeros[:, 5:]).max() > 1e-3


@pytest.mark.parametrize("name", RECURRENT)
def test_layers_stack(name: str) -> None:
    model = build_model(ModelConfig(name, units=2, layers=2), SHAPE)
    per_layer, width = (3, 2) if name in FORWARD else (6, 4)
    assert len(model.get_weights()) == 2 * per_layer + 2
    assert model.get_layer("recurrent_1").output.shape[-1] == width
