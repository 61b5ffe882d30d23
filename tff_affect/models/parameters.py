"""How many trainable weights a model has, from its configuration alone.

The noise of differential privacy is added to every weight, so that planning needs their number, and should not have to
wait for TensorFlow. Biases count; a layer normalisation has two weights for each channel.
"""

from __future__ import annotations

from dataclasses import dataclass

from tff_affect.config import ModelConfig
from tff_affect.config_checks import at_least
from tff_affect.errors import InputError


@dataclass(frozen=True)
class _Family:
    """What an architecture is made of.

    Attributes:
        gates: Of its recurrent cell; 0 without recurrent layers.
        biases: Of each gate and unit.
        directions: In which a window is read.
        blocks: Residual blocks by default.
        kernel_size: Frames that a convolution sees by default.
    """

    gates: int = 0
    biases: int = 1
    directions: int = 1
    blocks: int = 0
    kernel_size: int = 3


_FAMILIES = {
    "simple_rnn": _Family(gates=1),
    "lstm": _Family(gates=4),
    "gru": _Family(gates=3, biases=2),
    "bilstm": _Family(gates=4, directions=2),
    "bigru": _Family(gates=3, biases=2, directions=2),
    "cnn_bilstm": _Family(gates=4, directions=2, blocks=2),
    "cnn_bigru": _Family(gates=3, biases=2, directions=2, blocks=2),
    "tcn": _Family(blocks=5),
}


def count_parameters(model: ModelConfig, features: int, labels: int) -> int:
    """Number of trainable weights.

    Args:
        model: The network's configuration; what it leaves open is the architecture's own.
        features: Numbers of a frame.
        labels: Dimensions that are predicted.

    Raises:
        InputError: For a model that is not trained by steps, or that does not exist.
    """
    if model.name not in _FAMILIES:
        raise InputError(f"model.name: expected one of {', '.join(_FAMILIES)}, found {model.name!r}")
    at_least("features", features, 1)
    at_least("labels", labels, 1)
    family, units = _FAMILIES[model.name], model.units
    count, width = _convolutions(model, family, features)
    for _ in range(model.layers if family.gates else 0):
        count += family.directions * family.gates * units * (width + units + family.biases)
        width = family.directions * units
    return count + (width + 1) * labels


def _convolutions(model: ModelConfig, family: _Family, width: int) -> tuple[int, int]:
    """Weights of the residual blocks, and channels above them."""
    count, units = 0, model.units
    blocks = family.blocks if model.blocks is None else model.blocks
    kernel = family.kernel_size if model.kernel_size is None else model.kernel_size
    for _ in range(blocks if family.blocks else 0):
        projection = (width + 1) * units if width != units else 0
        count += (kernel * width + 1) * units + (kernel * units + 1) * units + 4 * units + projection
        width = units
    return count, width
