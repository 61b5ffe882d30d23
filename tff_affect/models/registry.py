"""Models by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.models.convolutional import build_convolutional_recurrent, build_tcn
from tff_affect.models.layers import FastGRU, FastLSTM, FastSimpleRNN
from tff_affect.models.masking import MissingFrames
from tff_affect.models.recurrent import build_recurrent
from tff_affect.models.statistics import build_ridge
from tff_affect.models.validation import check_model

Weights = Sequence[np.ndarray]
"""Trainable weights of a model, in Keras order."""
Builder = Callable[[tf.Tensor, ModelConfig, WindowShape], tf.Tensor]
"""From masked frames ``[batch, time, feature]``, a resolved configuration and the shape to predictions."""
_OPTIONAL = ("dropout", "kernel_size", "blocks")


@dataclass(frozen=True)
class Architecture:
    """An entry of the registry.

    Attributes:
        summary: What it is, in a line.
        source: The paper it comes from.
        build: Makes its layers.
        default: What it is built with where a configuration says None; None here too where it has no such thing.
        causal: Whether a frame's prediction depends on no later frame.
        recurrent: Whether ``model.layers`` counts.
        window_gradients: Whether ``Network.window_gradients`` knows its layers.
    """

    summary: str
    source: str
    build: Builder
    default: ModelConfig
    causal: bool = True
    recurrent: bool = True
    window_gradients: bool = False

    def resolve(self, config: ModelConfig) -> ModelConfig:
        """The configuration with this architecture's own settings in place of None.

        Raises:
            InputError: For a setting that means nothing to this architecture.
        """
        name = config.name
        for setting in _OPTIONAL:
            if getattr(config, setting) is not None and getattr(self.default, setting) is None:
                raise InputError(f"model.{setting}: {name} has none, found {getattr(config, setting):g}; leave it out")
        if config.layers != 1 and not self.recurrent:
            raise InputError(f"model.layers: {name} has no recurrent layers, found {config.layers}; leave it out")
        own = {setting: getattr(self.default, setting) for setting in _OPTIONAL if getattr(config, setting) is None}
        return replace(config, **own)


def _recurrent(name: str, summary: str, source: str, layer: type, bidirectional: bool = False) -> Architecture:
    build = partial(build_recurrent, layer=layer, bidirectional=bidirectional)
    default = ModelConfig(name, dropout=0.0)
    return Architecture(summary, source, build, default, causal=not bidirectional, window_gradients=True)


def _residual(name: str, summary: str, layer: type) -> Architecture:
    build = partial(build_convolutional_recurrent, layer=layer)
    default = ModelConfig(name, dropout=0.1, kernel_size=3, blocks=2)
    return Architecture(summary, "Mase et al. 2021", build, default, causal=False)


MODELS: dict[str, Architecture] = {
    "simple_rnn": _recurrent("simple_rnn", "simple recurrent network, tanh", "Elman 1990", FastSimpleRNN),
    "lstm": _recurrent("lstm", "long short-term memory", "Hochreiter and Schmidhuber 1997", FastLSTM),
    "gru": _recurrent("gru", "gated recurrent units", "Cho et al. 2014", FastGRU),
    "bilstm": _recurrent("bilstm", "LSTM in both directions", "Graves and Schmidhuber 2005", FastLSTM, True),
    "bigru": _recurrent("bigru", "GRU in both directions", "Schuster and Paliwal 1997; Cho et al. 2014", FastGRU, True),
    "cnn_bilstm": _residual("cnn_bilstm", "residual convolutions below a bidirectional LSTM", FastLSTM),
    "cnn_bigru": _residual("cnn_bigru", "residual convolutions below a bidirectional GRU", FastGRU),
    "tcn": Architecture(
        "causal temporal convolutional network, dilations 1, 2, 4, ...",
        "Bai, Kolter and Koltun 2018",
        build_tcn,
        ModelConfig("tcn", dropout=0.0, kernel_size=3, blocks=5),
        recurrent=False,
    ),
    "ridge": Architecture(
        "linear regression on means and deviations; solved, not trained",
        "Hoerl and Kennard 1970",
        build_ridge,
        ModelConfig("ridge"),
        recurrent=False,
    ),
}


def architecture(config: ModelConfig) -> Architecture:
    """The registry's entry for a configuration.

    Raises:
        InputError: If the registry has no model of that name.
    """
    if config.name not in MODELS:
        raise InputError(f"model.name: expected one of {', '.join(sorted(MODELS))}, found {config.name!r}")
    return MODELS[config.name]


def check_window_gradients(config: ModelConfig) -> None:
    """Refuses a model that cannot be trained with differential privacy of single windows.

    Raises:
        InputError: If there is no gradient of each window by itself, or no gradient at all; names the models to use.
    """
    if architecture(config).window_gradients:
        return
    able = ", ".join(name for name, entry in MODELS.items() if entry.window_gradients)
    reason = (
        "ridge is solved, not trained by gradients"
        if config.name == "ridge"
        else f"{config.name} has layers whose gradient for each single window is not at hand"
    )
    raise InputError(
        f"model.name: privacy.level=window clips the gradient of each window, and {reason}; expected one of {able}, "
        f"found {config.name!r}; name one of these, or set privacy.level=user"
    )


def build_model(config: ModelConfig, shape: WindowShape) -> tf.keras.Model:
    """Builds a model from ``[batch, window, features]`` (NaN = missing) to ``[batch, targets, labels]``.

    Raises:
        InputError: If the registry has no model of that name, or a setting means nothing to it.
    """
    entry = architecture(config)
    inputs = tf.keras.Input((shape.window, shape.features), name="features")
    hidden = MissingFrames(name="missing_frames")(inputs)
    model = tf.keras.Model(inputs, entry.build(hidden, entry.resolve(config), shape), name=config.name)
    check_model(model)
    return model


def initial_weights(config: ModelConfig, shape: WindowShape, seed: int) -> list[np.ndarray]:
    """Seeded initial weights, in Keras order; the same for every way of training that starts from this seed."""
    tf.keras.utils.set_random_seed(seed)
    return list(build_model(config, shape).get_weights())
