"""The fast layers against Keras's: in float64 for the truth, in float32 for everything around the numbers.

Keras's layer is unrolled where that changes no result: it spares the tests its graph. Backwards, unrolled, Keras puts
the zeros of ``zero_output_for_mask`` where the mask of the other direction has them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tff_affect.models import layers, recurrences
from tff_affect.models.layers import FastGRU, FastLSTM, FastSimpleRNN

UNITS, FEATURES, BATCH, CHUNK = 4, 3, 5, 3
KERAS = {
    FastLSTM: tf.keras.layers.LSTM,
    FastGRU: tf.keras.layers.GRU,
    FastSimpleRNN: tf.keras.layers.SimpleRNN,
}
RECURRENCES = {FastLSTM: "lstm", FastGRU: "gru", FastSimpleRNN: "simple"}
all_layers = pytest.mark.parametrize("fast", KERAS, ids=lambda layer: layer.__name__)


class Results(NamedTuple):
    """Outputs, and gradients of input, initial states and weights; or whatever else is a list of arrays."""

    outputs: list[np.ndarray]
    gradients: list[np.ndarray]


@pytest.fixture(autouse=True)
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Short chunks, so that short sequences go through every branch; and the recurrences that were run."""
    monkeypatch.setattr(recurrences, "CHUNK", CHUNK)
    found: list[str] = []
    for name in RECURRENCES.values():
        original = getattr(recurrences, name)

        def spy(*arguments: object, _name: str = name, _original: object = original, **named: object) -> object:
            found.append(_name)
            return _original(*arguments, **named)  # type: ignore[operator]

        monkeypatch.setattr(layers.recurrences, name, spy)
    return found


def weights_of(fast: type, features: int = FEATURES, seed: int = 0) -> list[np.ndarray]:
    """Weights of a size that leaves no gate at its ends, biases that are not zero; in Keras's order."""
    layer = fast(UNITS)
    layer.build((None, 1, features))
    rng = np.random.default_rng(seed)
    return [rng.normal(scale=0.5, size=w.shape).astype(np.float32) for w in layer.weights]


def states_of(fast: type, batch: int = BATCH) -> list[np.ndarray]:
    count = 2 if fast is FastLSTM else 1
    return list(np.random.default_rng(5).normal(scale=0.5, size=(count, batch, UNITS)).astype(np.float32))


def masks(time: int, batch: int = BATCH) -> dict[str, np.ndarray | None]:
    rng = np.random.default_rng(3)
    random = rng.random((batch, time)) < 0.6
    first, whole = random.copy(), random.copy()
    first[:, : 1 + time // 3] = False
    whole[batch // 2] = False
    counts = np.arange(batch)[:, np.newaxis] * (time - 1) // max(1, batch - 1) + 1
    return {
        "none": None,
        "complete": np.ones((batch, time), bool),
        "random": random,
        "first frames masked": first,
        "a window without a frame": whole,
        "no frame at all": np.zeros((batch, time), bool),
        "a growing number of frames": np.arange(time)[np.newaxis] < counts,
    }


def frames(time: int, mask: np.ndarray | None = None, batch: int = BATCH) -> np.ndarray:
    """``[batch, time, feature]``; what is masked holds large numbers that must not be seen."""
    x = np.random.default_rng(1).normal(size=(batch, time, FEATURES)).astype(np.float32)
    return x if mask is None else np.where(mask[..., np.newaxis], x, np.float32(50))


def evaluated(
    layer: tf.keras.layers.Layer, x: np.ndarray, mask: np.ndarray | None, states: list[np.ndarray] | None
) -> Results:
    """Outputs, and gradients of a random combination of them."""
    dtype = layer.compute_dtype
    x = tf.constant(x, dtype)
    states = None if states is None else [tf.constant(s, dtype) for s in states]
    with tf.GradientTape() as tape:
        watched = [x, *(states or []), *layer.trainable_variables]
        tape.watch(watched)
        outputs = layer(x, mask=None if mask is None else tf.constant(mask), initial_state=states)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        loss = tf.add_n([tf.reduce_sum(o * _direction(o)) for o in outputs])
    gradients = tape.gradient(loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return Results([o.numpy() for o in outputs], [g.numpy() for g in gradients])


def _direction(output: tf.Tensor) -> tf.Tensor:
    number = output.shape.num_elements() or 1
    return tf.reshape(tf.cast(tf.cos(tf.range(number, dtype=tf.float64) * 1.7), output.dtype), output.shape)


def assert_close(found: Results, expected: Results, tolerance: float = 1e-5) -> None:
    """Every tensor within ``tolerance``, relative to its largest entry."""
    assert len(found.outputs) == len(expected.outputs)
    assert len(found.gradients) == len(expected.gradients)
    for a, b in zip([*found.outputs, *found.gradients], [*expected.outputs, *expected.gradients], strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(float(np.abs(b).max(initial=0)), 1e-3))


def made(kind: type, weights: list[np.ndarray], features: int = FEATURES, **options: object) -> tf.keras.layers.Layer:
    layer = kind(UNITS, **options)
    layer.build((None, None, features))
    layer.set_weights(weights)
    return layer


def assert_exact(
    fast: type, x: np.ndarray, mask: np.ndarray | None, states: list[np.ndarray] | None, **options: object
) -> None:
    weights = weights_of(fast)
    # Neither can Keras unroll where the last frame alone is wanted of masked windows.
    unroll = bool(options.get("return_sequences")) and not options.get("zero_output_for_mask")
    truth = made(KERAS[fast], weights, dtype="float64", unroll=unroll, **options)
    assert_close(evaluated(made(fast, weights, **options), x, mask, states), evaluated(truth, x, mask, states))


@all_layers
@pytest.mark.parametrize("mask", list(masks(1)))
def test_masks_give_outputs_states_and_gradients_of_keras_in_float64(fast: type, mask: str, runs: list[str]) -> None:
    time = 2 * CHUNK + 2
    there = masks(time)[mask]
    assert_exact(fast, frames(time, there), there, states_of(fast), return_sequences=True, return_state=True)
    assert runs == [RECURRENCES[fast]]


@all_layers
@pytest.mark.parametrize("time", [1, CHUNK, 2 * CHUNK, 3 * CHUNK + 1])
def test_any_length_with_and_without_a_rest(fast: type, time: int, runs: list[str]) -> None:
    for mask in (None, masks(time)["random"]):
        assert_exact(fast, frames(time, mask), mask, None, return_sequences=True)
    assert runs == 2 * [RECURRENCES[fast]]


@all_layers
def test_a_batch_of_one(fast: type) -> None:
    for name in ("none", "random", "no frame at all"):
        mask = masks(9, batch=1)[name]
        assert_exact(fast, frames(9, mask, batch=1), mask, states_of(fast, batch=1), return_sequences=True)


@all_layers
@pytest.mark.parametrize(
    ("return_sequences", "return_state", "go_backwards", "zero"),
    [
        (False, False, True, False),
        (False, True, False, True),
        (False, True, True, False),
        (True, True, True, False),
        (True, False, False, True),
    ],
)
def test_options_of_what_is_returned(
    fast: type, return_sequences: bool, return_state: bool, go_backwards: bool, zero: bool, runs: list[str]
) -> None:
    mask = masks(9)["a window without a frame"]
    mask[0, -1] = False
    assert_exact(
        fast, frames(9, mask), mask, states_of(fast), go_backwards=go_backwards, return_state=return_state,
        return_sequences=return_sequences, zero_output_for_mask=zero,
    )  # fmt: skip
    assert runs == [RECURRENCES[fast]]


def test_the_real_chunk_and_the_longest_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrences, "CHUNK", 25)
    for fast in KERAS:
        mask = masks(60)["random"]
        assert_exact(fast, frames(60, mask), mask, states_of(fast), return_sequences=True)


@all_layers
def test_a_masked_frame_has_no_gradient(fast: type) -> None:
    mask = masks(9)["random"]
    found = evaluated(made(fast, weights_of(fast), return_sequences=True), frames(9, mask), mask, None)
    assert np.abs(found.gradients[0][~mask]).max() == 0
    assert np.abs(found.gradients[0][mask]).min(axis=-1).max() > 0


@all_layers
def test_equals_keras_in_float32_in_both_directions_with_a_batch_not_known(fast: type, runs: list[str]) -> None:
    time = 2 * CHUNK + 1
    mask = masks(time)["a window without a frame"]
    weights = [*weights_of(fast), *weights_of(fast, seed=1)]
    x, seen = frames(time, mask), tf.constant(mask)
    found = []
    for kind in (fast, KERAS[fast]):
        layer = tf.keras.layers.Bidirectional(kind(UNITS, return_sequences=True))
        layer.build((None, time, FEATURES))
        layer.set_weights(weights)

        @tf.function(
            input_signature=[tf.TensorSpec([None, time, FEATURES]), tf.TensorSpec([None, time], tf.bool)],
            autograph=False,
        )
        def gradients(x: tf.Tensor, mask: tf.Tensor, layer: tf.keras.layers.Layer = layer) -> tuple:
            with tf.GradientTape() as tape:
                tape.watch(x)
                output = layer(x, mask=mask)
                loss = tf.reduce_sum(tf.sin(output))
            return output, tape.gradient(loss, [x, *layer.trainable_variables])

        output, gradient = gradients(x, seen)
        found.append(Results([output.numpy()], [g.numpy() for g in gradient]))
        empty, gradient = gradients(x[:0], seen[:0])
        assert empty.shape == (0, time, 2 * UNITS)
        assert all(np.abs(g).sum() == 0 for g in gradient)
    assert runs == 2 * [RECURRENCES[fast]]
    assert_close(*found)
    assert np.abs(found[0].outputs[0][~mask]).max() == 0


@all_layers
def test_an_initial_state_of_a_known_batch_meets_an_input_of_an_unknown_one(fast: type) -> None:
    layer = made(fast, weights_of(fast))
    x, states = frames(9, batch=1), states_of(fast, batch=1)

    @tf.function(input_signature=[tf.TensorSpec([None, 9, FEATURES])], autograph=False)
    def last(x: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            output = layer(x, initial_state=[tf.constant(s) for s in states])
        return output, tape.gradient(output, layer.trainable_variables)

    output, gradients = last(x)
    np.testing.assert_allclose(output, evaluated(layer, x, None, states).outputs[0], rtol=1e-6)
    assert all(np.isfinite(g).all() for g in gradients)


@all_layers
def test_steps_of_descent_in_a_loop_of_a_graph_equal_steps_outside(fast: type) -> None:
    layer = made(fast, weights_of(fast), return_sequences=True)
    x, mask = tf.constant(frames(9)), tf.constant(masks(9)["random"])

    def stepped(weights: list[tf.Tensor]) -> list[tf.Tensor]:
        for variable, weight in zip(layer.trainable_variables, weights, strict=True):
            variable.assign(weight)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(layer(x, mask=mask) - 0.3))
        gradients = tape.gradient(loss, layer.trainable_variables)
        return [w - 0.01 * g for w, g in zip(weights, gradients, strict=True)]

    @tf.function(autograph=False)
    def three(weights: list[tf.Tensor]) -> list[tf.Tensor]:
        _, weights = tf.while_loop(lambda n, _: n < 3, lambda n, w: (n + 1, stepped(w)), (0, weights))
        return weights

    start = [tf.constant(w) for w in weights_of(fast)]
    expected = stepped(stepped(stepped(start)))
    for _ in range(2):
        for a, b in zip(three(start), expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    ("fast", "options"),
    [
        (FastLSTM, {"stateful": True}),
        (FastLSTM, {"unroll": True}),
        (FastLSTM, {"dropout": 0.3}),
        (FastGRU, {"recurrent_dropout": 0.3}),
        (FastSimpleRNN, {"time_major": True}),
        (FastLSTM, {"use_bias": False}),
        (FastSimpleRNN, {"activation": "relu"}),
        (FastLSTM, {"activation": "softsign"}),
        (FastLSTM, {"recurrent_activation": "hard_sigmoid"}),
        (FastGRU, {"reset_after": False}),
        (FastGRU, {"dtype": "float64"}),
    ],
    ids=str,
)
def test_other_settings_are_the_layer_of_keras(fast: type, options: dict[str, object], runs: list[str]) -> None:
    x = frames(4, batch=4)
    found = []
    for kind in (fast, KERAS[fast]):
        layer = kind(UNITS, return_sequences=True, **options)
        layer.build((4, 4, FEATURES))
        rng = np.random.default_rng(0)
        layer.set_weights([rng.normal(scale=0.5, size=w.shape) for w in layer.weights[:3]])
        tf.keras.utils.set_random_seed(1)
        found.append([layer(tf.cast(x, layer.compute_dtype), training=True).numpy() for _ in range(2)])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6, atol=1e-7)
    assert not runs


def test_an_activation_is_known_by_itself_not_by_its_name(runs: list[str]) -> None:
    def tanh(x: tf.Tensor) -> tf.Tensor:
        return 1.7159 * tf.tanh(2 / 3 * x)

    x = tf.constant(frames(4))
    found = [made(kind, weights_of(FastLSTM), activation=tanh)(x).numpy() for kind in (FastLSTM, tf.keras.layers.LSTM)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    assert not runs
    made(FastLSTM, weights_of(FastLSTM), activation=tf.tanh)(x)
    assert runs == ["lstm"]


def network(kind: type, **options: object) -> tf.keras.Model:
    """A layer in both directions and a head."""
    inputs = tf.keras.Input((9, FEATURES))
    hidden = tf.keras.layers.Bidirectional(kind(UNITS, return_sequences=True, **options), name="both")(inputs)
    return tf.keras.Model(inputs, tf.keras.layers.Dense(2, name="head")(hidden))


@all_layers
def test_weights_move_to_keras_and_back_and_models_are_saved(fast: type, tmp_path: Path) -> None:
    model, plain = network(fast, name="recurrent"), network(KERAS[fast], name="recurrent", unroll=True)
    assert [(w.name, w.shape) for w in model.weights] == [(w.name, w.shape) for w in plain.weights]
    x = frames(9)
    expected = model(x).numpy()
    model.save_weights(tmp_path / "weights.h5")
    plain.load_weights(tmp_path / "weights.h5")
    np.testing.assert_allclose(plain(x).numpy(), expected, atol=1e-6)
    model.set_weights([np.zeros_like(w) for w in plain.get_weights()])
    model.set_weights(plain.get_weights())
    np.testing.assert_array_equal(model(x).numpy(), expected)
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    assert {type(loaded.get_layer("both").forward_layer), type(loaded.get_layer("both").backward_layer)} == {fast}
    np.testing.assert_array_equal(loaded(x).numpy(), expected)


@all_layers
def test_initial_states_may_come_from_another_layer_of_a_model_that_is_saved(
    fast: type, tmp_path: Path, runs: list[str]
) -> None:
    def coupled(kind: type, **options: object) -> tf.keras.Model:
        inputs = tf.keras.Input((9, FEATURES))
        hidden, *states = kind(UNITS, return_sequences=True, return_state=True, **options)(inputs)
        return tf.keras.Model(inputs, kind(UNITS, name="reader", **options)(hidden, initial_state=states))

    model, plain = coupled(fast), coupled(KERAS[fast], unroll=True)
    plain.set_weights(model.get_weights())
    x = frames(9)
    np.testing.assert_allclose(model(x).numpy(), plain(x).numpy(), atol=1e-6)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(tf.keras.models.load_model(tmp_path / "model.keras")(x).numpy(), model(x).numpy())
    runs.clear()
    model(x)
    assert runs == 2 * [RECURRENCES[fast]]


@all_layers
def test_initial_weights_of_a_seed_are_those_of_keras(fast: type) -> None:
    drawn = []
    for kind in (fast, KERAS[fast], fast):
        tf.keras.utils.set_random_seed(4)
        layer = kind(UNITS)
        layer.build((None, 9, FEATURES))
        drawn.append(layer.get_weights())
    for a, b, again in zip(*drawn, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, again)
