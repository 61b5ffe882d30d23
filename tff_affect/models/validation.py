"""Refuses Keras models that federated averaging would quietly get wrong.

What travels between server and clients are trainable weights. Anything else that a layer keeps (running statistics, a
state carried from batch to batch, a random generator) is lost, or mixed between clients, or makes a resumed run
differ.
"""

from __future__ import annotations

import tensorflow as tf

from tff_affect.errors import InputError

_NOISE = (
    tf.keras.layers.Dropout,
    tf.keras.layers.GaussianNoise,
    tf.keras.layers.GaussianDropout,
    tf.keras.layers.AlphaDropout,
)
_NORMALIZATION = "use LayerNormalization or GroupNormalization, which keep none"
_DROPOUT = "use SeededDropout of tff_affect.models.dropout"
_REFUSED = (
    (
        tf.keras.layers.BatchNormalization,
        f"its running statistics are not averaged over clients; {_NORMALIZATION}",
    ),
    (
        tf.keras.layers.SpectralNormalization,
        f"its estimate of the largest singular value is not averaged over clients; {_NORMALIZATION}",
    ),
    (
        tf.keras.layers.Normalization,
        "its mean and variance are not averaged over clients; let data.scaling standardise the features",
    ),
    (
        _NOISE,
        f"its random generator is no part of a checkpoint, so that a resumed run would differ; {_DROPOUT}",
    ),
)


def check_model(model: tf.keras.Model) -> None:
    """Refuses a model with a layer that cannot be averaged, however deep it is nested or wrapped.

    Args:
        model: Any built Keras model. Of one that is not built yet, the weights cannot be seen.

    Raises:
        InputError: For the first such layer; names it, says why, and what to use instead.
    """
    for layer in (*_inner(model), model):
        problem = _problem(layer)
        if problem is not None:
            raise InputError(f"model layer '{layer.name}' ({type(layer).__name__}): {problem}")


def _problem(layer: tf.keras.layers.Layer) -> str | None:
    """What is wrong with a layer by itself, and the fix; None where nothing is."""
    for kinds, problem in _REFUSED:
        if isinstance(layer, kinds) and (kinds is not _NOISE or _positive(layer, "rate", "stddev")):
            return problem
    if _positive(layer, "dropout", "recurrent_dropout"):
        return f"its own dropout draws from a generator that is no part of a checkpoint; {_DROPOUT} above it instead"
    if getattr(layer, "stateful", False):
        return "stateful=True carries a state from one client's windows to the next; set stateful=False"
    if _own_fixed_weights(layer):
        return (
            "it has weights that are not trained and would not travel between server and clients; set trainable=True, "
            "or compute them before training"
        )
    return None


def _inner(layer: tf.keras.layers.Layer) -> list[tf.keras.layers.Layer]:
    """All layers inside a layer: Keras's own way down; the public ``submodules`` fails at cells with dropout."""
    return list(layer._flatten_layers(recursive=True, include_self=False))


def _positive(layer: tf.keras.layers.Layer, *attributes: str) -> bool:
    """Whether one of the attributes is a number above 0; a model may well keep a layer under such a name."""
    values = [getattr(layer, attribute, 0) for attribute in attributes]
    return any(isinstance(value, int | float) and value > 0 for value in values)


def _own_fixed_weights(layer: tf.keras.layers.Layer) -> bool:
    """Whether a layer has weights that are not trained and belong to none of the layers inside it."""
    if not layer.non_trainable_weights:
        return False
    theirs = {id(weight) for inner in _inner(layer) for weight in inner.weights}
    return any(id(weight) not in theirs for weight in layer.non_trainable_weights)
