"""Bytes of a round against the types that TensorFlow Federated really sends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tff_affect.errors import InputError
from tff_affect.learning.message_sizes import scoring_messages, training_messages

PARTS = ((3, 8), (8,), (5,))
SIZE = sum(int(np.prod(part)) for part in PARTS)


def bytes_of(tensor_type: object) -> int:
    """Of a TFF type without placement."""
    import tensorflow_federated as tff

    if isinstance(tensor_type, tff.TensorType):
        return int(np.prod(tensor_type.shape or [1])) * np.dtype(tensor_type.dtype).itemsize
    return sum(bytes_of(element) for _, element in tff.structure.to_elements(tensor_type))


@pytest.mark.slow
@pytest.mark.parametrize("windows", [False, True])
def test_a_federated_client_sends_what_is_counted(tmp_path: Path, windows: bool) -> None:
    from staged_clients import staged_clients

    from tff_affect.config import ModelConfig, OptimizerConfig, TrainingConfig
    from tff_affect.learning.algorithms import client_update
    from tff_affect.privacy_config import PrivacyConfig

    staged, model = staged_clients(tmp_path, {"P1": 1}), ModelConfig("lstm", units=5)
    training = TrainingConfig(batch_size=8, loss="mse", client_optimizer=OptimizerConfig("sgd", 0.1))
    privacy = PrivacyConfig(noise_multiplier=1.0, level="window") if windows else None
    found = client_update(staged, model, training, privacy).type_signature
    down = bytes_of(found.parameter[0])
    sizes = training_messages(down // 4, "window" if windows else "")
    assert (sizes.down, sizes.up) == (down, bytes_of(found.result))


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", ["fixed", "adaptive", "local", "tree"])
def test_a_protected_client_sends_what_is_counted(mechanism: str) -> None:
    import tensorflow as tf

    from tff_affect.privacy import queries

    record = [tf.ones(part) for part in PARTS]
    specs = [tf.TensorSpec(part) for part in PARTS]
    query = {
        "fixed": lambda: queries.ClippedGaussianSumQuery(1.0, 1.0, 0),
        "adaptive": lambda: queries.AdaptiveClipSumQuery(1.0, 1.0, 1.0, 4.0, 0.5, 0.2, 0),
        "local": lambda: queries.LocalGaussianSumQuery(1.0, 1.0, 0),
        "tree": lambda: queries.ClippedTreeSumQuery(1.0, 1.0, specs, 0),
    }[mechanism]()
    parameters = query.derive_sample_params(query.initial_global_state())
    sent = tf.nest.flatten(query.preprocess_record(parameters, record))
    expected = sum(part.dtype.size * int(np.prod(part.shape)) for part in sent)
    assert training_messages(SIZE, "user", mechanism).up == expected


def test_a_distributed_client_sends_whole_numbers_on_a_grid_of_even_length() -> None:
    assert [training_messages(size, "user", "distributed").up for size in (6, 7)] == [4 * 6, 4 * 8]


@pytest.mark.slow
def test_a_scored_client_sends_its_statistics() -> None:
    import tensorflow as tf

    from tff_affect.metrics import statistics_in_graph

    found = statistics_in_graph(tf.zeros([7, 3]), tf.zeros([7, 3]))
    assert scoring_messages(SIZE, 3).up == found.dtype.size * int(np.prod(found.shape))
    assert scoring_messages(SIZE, 3).down == 4 * SIZE


@pytest.mark.parametrize(("level", "mechanism"), [("user", "none"), ("subject", "fixed")])
def test_what_does_not_exist_is_refused(level: str, mechanism: str) -> None:
    with pytest.raises(InputError, match=level):
        training_messages(SIZE, level, mechanism)
