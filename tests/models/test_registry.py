import numpy as np
import numpy_lstm
import pytest
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.models.registry import MODELS, build_model, initial_weights


def features(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, 9, 3)).astype(np.float32)


def test_lstm_equals_numpy_in_float64() -> None:
    model = build_model(ModelConfig("lstm", units=5), WindowShape(window=9, features=3, labels=2))
    expected, _ = numpy_lstm.forward([w.astype(np.float64) for w in model.get_weights()], features())
    np.testing.assert_allclose(model(features()).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_missing_frames_are_skipped_not_read_as_zero(name: str) -> None:
    model = build_model(ModelConfig(name, units=5, layers=2), WindowShape(window=9, features=3, labels=2))
    with_gap = features()
    with_gap[:, 3:5, 1] = np.nan
    found = model(with_gap).numpy()
    assert np.isfinite(found).all()
    without_gap = np.concatenate([with_gap[:, :3], with_gap[:, 5:], np.full((4, 2, 3), np.nan, np.float32)], axis=1)
    np.testing.assert_allclose(found[:, 5:], model(without_gap).numpy()[:, 3:7], atol=1e-6)
    zeros = model(np.nan_to_num(with_gap)).numpy()
    assert np.abs(found[:, 5:] - zeros[:, 5:]).max() > 1e-3


@pytest.mark.parametrize("name", sorted(MODELS))
def test_saved_and_loaded_models_agree(name: str, tmp_path: object) -> None:
    model = build_model(ModelConfig(name, units=3), WindowShape(window=9, features=3, labels=1))
    model.save(f"{tmp_path}/model.keras")
    np.testing.assert_array_equal(tf.keras.models.load_model(f"{tmp_path}/model.keras")(features()), model(features()))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_initial_weights_follow_their_seed(name: str) -> None:
    config = ModelConfig(name, units=3)
    first, again, other = (initial_weights(config, WindowShape(9, 3, 2), seed) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not all((a == b).all() for a, b in zip(first, other, strict=True))


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of gru, lstm, found 'transformer'"):
        build_model(ModelConfig("transformer"), WindowShape(9, 3, 2))
