from collections.abc import Callable

import pytest
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.models import registry
from tff_affect.models.dropout import SeededDropout
from tff_affect.models.recurrent import build_recurrent
from tff_affect.models.validation import check_model

layers = tf.keras.layers


def network(*inner: tf.keras.layers.Layer) -> tf.keras.Model:
    inputs = tf.keras.Input((6, 3))
    hidden = inputs
    for layer in inner:
        hidden = layer(hidden)
    return tf.keras.Model(inputs, hidden)


def batch_norm() -> tf.keras.layers.Layer:
    return layers.BatchNormalization(name="bad")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda: network(batch_norm()),
        lambda: network(layers.Dense(3), network(layers.Dense(3), batch_norm())),
        lambda: network(layers.TimeDistributed(batch_norm())),
        lambda: network(layers.TimeDistributed(tf.keras.Sequential([layers.Dense(2), batch_norm()]))),
        lambda: tf.keras.Sequential([layers.Input((6, 3)), tf.keras.Sequential([batch_norm()])]),
    ],
    ids=["flat", "nested", "wrapped", "nested in a wrapper", "sequential"],
)
def test_batch_normalisation_is_refused_wherever_it_is(wrap: Callable[[], tf.keras.Model]) -> None:
    with pytest.raises(InputError, match=r"model layer 'bad' \(BatchNormalization\).*use LayerNormalization or Group"):
        check_model(wrap())


def test_batch_normalisation_is_found_in_a_layer_of_ones_own_and_in_a_cell() -> None:
    class Block(tf.keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [layers.Dense(3), batch_norm()]

        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return self.parts[1](self.parts[0](inputs))

    class Cell(layers.GRUCell):
        def __init__(self, units: int) -> None:
            super().__init__(units)
            self.normalization = batch_norm()

    for model in (network(Block()), network(layers.RNN(Cell(2))), network(layers.RNN([Cell(2), Cell(3)]))):
        with pytest.raises(InputError, match="'bad'"):
            check_model(model)


@pytest.mark.parametrize(
    ("make", "fix"),
    [
        (lambda: layers.Normalization(name="bad"), "data.scaling"),
        (lambda: layers.SpectralNormalization(layers.Dense(2), name="bad"), "LayerNormalization"),
        (lambda: layers.LSTM(2, dropout=0.1, name="bad"), "SeededDropout"),
        (lambda: layers.GRU(2, recurrent_dropout=0.1, name="bad"), "SeededDropout"),
        (lambda: layers.Bidirectional(layers.LSTM(2, dropout=0.1, name="bad")), "SeededDropout"),
        (lambda: layers.Dropout(0.1, name="bad"), "SeededDropout"),
        (lambda: layers.SpatialDropout1D(0.1, name="bad"), "SeededDropout"),
        (lambda: layers.GaussianNoise(0.1, name="bad"), "SeededDropout"),
        (lambda: layers.GaussianDropout(0.1, name="bad"), "SeededDropout"),
        (lambda: layers.AlphaDropout(0.1, name="bad"), "SeededDropout"),
        (lambda: layers.Dense(2, trainable=False, name="bad"), "trainable=True"),
    ],
)
def test_what_averaging_would_lose_is_refused_with_its_fix(make: Callable[[], tf.keras.layers.Layer], fix: str) -> None:
    with pytest.raises(InputError, match=f"model layer '[a-z_]*bad'.*{fix}"):
        check_model(network(make()))


def test_a_state_between_batches_is_refused() -> None:
    inputs = tf.keras.Input(batch_shape=(4, 6, 3))
    model = tf.keras.Model(inputs, layers.LSTM(2, stateful=True, name="bad")(inputs))
    with pytest.raises(InputError, match=r"'bad'.*set stateful=False"):
        check_model(model)


def test_own_weights_that_are_not_trained_are_refused() -> None:
    class Counting(tf.keras.layers.Layer):
        def build(self, shape: tf.TensorShape) -> None:
            self.inner = layers.Dense(3)
            self.seen = self.add_weight("seen", (), trainable=False)

        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return self.inner(inputs)

    with pytest.raises(InputError, match=r"'bad' \(Counting\).*not trained"):
        check_model(network(Counting(name="bad")))


def test_what_can_be_averaged_passes() -> None:
    class Kept(tf.keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dropout = SeededDropout(0.1, name="kept")

        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return self.dropout(inputs)

    attention = layers.MultiHeadAttention(2, 3)
    inputs = tf.keras.Input((6, 4))
    hidden = layers.GroupNormalization(2)(layers.LayerNormalization()(attention(inputs, inputs)))
    hidden = Kept()(SeededDropout(0.5, name="drop")(layers.Dropout(0.0)(hidden)))
    check_model(tf.keras.Model(inputs, layers.Bidirectional(layers.GRU(3))(hidden)))


def test_the_registry_checks_what_it_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(hidden: tf.Tensor, config: ModelConfig, shape: WindowShape) -> tf.Tensor:
        return build_recurrent(batch_norm()(hidden), config, shape, layers.LSTM)

    entry = registry.Architecture("a mistake", "nobody", build, ModelConfig("mistake"))
    monkeypatch.setitem(registry.MODELS, "mistake", entry)
    with pytest.raises(InputError, match="'bad'"):
        registry.build_model(ModelConfig("mistake"), WindowShape(9, 3, 2))
