from dataclasses import FrozenInstanceError
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.models.dropout import SeededDropout
from tff_affect.models.registry import MODELS, build_model, check_window_gradients, initial_weights

SHAPE = WindowShape(window=9, features=3, labels=2)
# Fewer convolution blocks than by default: as much is tested, and sooner.
SMALL = {
    name: ModelConfig(name, units=3, blocks=entry.default.blocks and 2, dropout=entry.default.dropout)
    for name, entry in MODELS.items()
}

# One of each way to build; the others differ by the recurrent layer alone.
FAMILIES = ("bigru", "cnn_bigru", "lstm", "ridge", "tcn")


@cache
def small_model(name: str) -> tf.keras.Model:
    return build_model(SMALL[name], SHAPE)


def features(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, 9, 3)).astype(np.float32)


@pytest.mark.parametrize("name", FAMILIES)
def test_padding_of_missing_frames_changes_nothing(name: str) -> None:
    shorter = WindowShape(window=6, features=3, labels=2)
    model, short = small_model(name), build_model(SMALL[name], shorter)
    short.set_weights(model.get_weights())
    padded = features()
    padded[:, 6:] = np.nan
    np.testing.assert_allclose(model(padded).numpy()[:, :6], short(padded[:, :6]).numpy(), atol=1e-6)
    assert np.isfinite(model(padded).numpy()).all()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_what_else_a_missing_frame_holds_changes_nothing(name: str) -> None:
    model = small_model(name)
    one, other = features(), features()
    one[:, 3:5, 1] = other[:, 3:5, 1] = np.nan
    other[:, 3:5, 0] = 1e6
    valid = np.isfinite(one).all(axis=(0, 2))
    np.testing.assert_array_equal(model(one).numpy()[:, valid], model(other).numpy()[:, valid])


@pytest.mark.parametrize("name", sorted(MODELS))
def test_causal_models_do_not_look_ahead_and_others_do(name: str) -> None:
    model = small_model(name)
    changed = features()
    changed[:, 5:] += 3
    before, after = (model(x).numpy()[:, :5] for x in (features(), changed))
    assert (np.abs(before - after).max() == 0) == MODELS[name].causal
    later = np.abs(model(features()).numpy() - model(changed).numpy())[:, 5:]
    assert (later.max(axis=(0, 2)) > 0).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_output_follows_the_target(name: str) -> None:
    window = build_model(SMALL[name], WindowShape(9, 3, 2, "window"))
    for model, targets in ((small_model(name), 9), (window, 1)):
        assert model(features()).shape == (4, targets, 2)
        assert model.layers[-1].name == "affect"
        assert np.isfinite(model(np.full((1, 9, 3), np.nan, np.float32)).numpy()).all()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_saved_and_loaded_models_agree(name: str, tmp_path: object) -> None:
    model = small_model(name)
    model.save(f"{tmp_path}/model.keras")
    np.testing.assert_array_equal(tf.keras.models.load_model(f"{tmp_path}/model.keras")(features()), model(features()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bigru", "lstm", "tcn"])
def test_initial_weights_follow_their_seed(name: str) -> None:
    first, again, other = (initial_weights(SMALL[name], SHAPE, seed) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not all((a == b).all() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_entry_is_documented_and_frozen(name: str) -> None:
    entry = MODELS[name]
    assert entry.summary
    assert entry.source
    assert entry.default.name == name
    assert entry.resolve(ModelConfig(name)) == entry.default
    with pytest.raises(FrozenInstanceError):
        entry.causal = False  # type: ignore[misc]


def rates(config: ModelConfig) -> list[float]:
    return [layer.rate for layer in build_model(config, SHAPE).layers if isinstance(layer, SeededDropout)]


@pytest.mark.slow
def test_dropout_is_the_architectures_own_unless_given() -> None:
    assert rates(ModelConfig("simple_rnn", layers=2)) == []
    assert rates(ModelConfig("simple_rnn", layers=2, dropout=0.3)) == [0.3, 0.3]
    assert rates(ModelConfig("cnn_bigru", blocks=1)) == [0.1] * 2
    assert rates(ModelConfig("cnn_bigru", blocks=1, dropout=0.0)) == []
    assert rates(ModelConfig("tcn", blocks=2)) == []
    assert rates(ModelConfig("tcn", blocks=2, dropout=0.2)) == [0.2] * 4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ModelConfig("transformer"), "model.name: expected one of bigru, .*tcn, found 'transformer'"),
        (ModelConfig("lstm", blocks=2), "model.blocks: lstm has none, found 2"),
        (ModelConfig("gru", kernel_size=3), "model.kernel_size: gru has none"),
        (ModelConfig("ridge", dropout=0.1), r"model.dropout: ridge has none, found 0\.1"),
        (ModelConfig("tcn", layers=2), "model.layers: tcn has no recurrent layers, found 2"),
    ],
)
def test_settings_without_meaning_are_refused(config: ModelConfig, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_model(config, SHAPE)


@pytest.mark.parametrize("setting", [{"units": 0}, {"layers": 0}, {"kernel_size": 0}, {"blocks": 0}, {"dropout": 1.0}])
def test_settings_out_of_range_are_refused(setting: dict) -> None:
    with pytest.raises(InputError, match=f"model.{next(iter(setting))}: expected"):
        ModelConfig(**setting)


def test_models_without_gradients_of_single_windows_are_refused_and_others_named() -> None:
    for name in ("simple_rnn", "lstm", "gru", "bilstm", "bigru"):
        check_window_gradients(ModelConfig(name))
    for name in ("cnn_bilstm", "cnn_bigru", "tcn"):
        with pytest.raises(InputError, match=f"{name} has layers .* one of simple_rnn, lstm, .* found '{name}'; name"):
            check_window_gradients(ModelConfig(name))
    with pytest.raises(InputError, match="ridge is solved, not trained by gradients; expected one of"):
        check_window_gradients(ModelConfig("ridge"))
