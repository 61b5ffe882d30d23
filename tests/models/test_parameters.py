"""Numbers of weights beside those of the Keras models."""

from __future__ import annotations

import pytest

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.models.network import Network
from tff_affect.models.parameters import count_parameters
from tff_affect.models.registry import MODELS

TRAINED = sorted(set(MODELS) - {"ridge"})
CONFIGS = [
    *(ModelConfig(name, units=5) for name in TRAINED),
    ModelConfig("lstm", units=3, layers=2),
    ModelConfig("bigru", units=4, layers=3),
    ModelConfig("cnn_bilstm", units=4, layers=2, blocks=1, kernel_size=5),
    ModelConfig("tcn", units=3, blocks=2, kernel_size=2),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.name}-{c.units}-{c.layers}-{c.blocks}")
def test_it_counts_what_keras_makes(config: ModelConfig) -> None:
    specs = Network(config, WindowShape(window=6, features=7, labels=2)).weight_specs
    assert count_parameters(config, features=7, labels=2) == sum(spec.shape.num_elements() for spec in specs)


def test_an_lstm_by_hand() -> None:
    assert count_parameters(ModelConfig("lstm", units=32), 17, 2) == 4 * 32 * (17 + 32 + 1) + 2 * 33


@pytest.mark.parametrize("name", ["ridge", "transformer"])
def test_what_has_no_steps_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"model.name: expected one of .*lstm.*, found '{name}'"):
        count_parameters(ModelConfig(name), 17, 2)


@pytest.mark.parametrize(("features", "labels", "what"), [(0, 2, "features"), (3, 0, "labels")])
def test_nothing_to_read_or_to_predict_is_refused(features: int, labels: int, what: str) -> None:
    with pytest.raises(InputError, match=f"{what}: expected at least 1, found 0"):
        count_parameters(ModelConfig("lstm"), features, labels)
