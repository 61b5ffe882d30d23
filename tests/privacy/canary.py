"""Updates of hostile clients, and releases that a canary is in."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
import tensorflow_privacy as tfp

from tff_affect.privacy_config import PrivacyConfig

SHAPES = [(4, 3), (5,)]
HOSTILE = {
    "1e6": 1e6,
    "1e20": 1e20,
    "3e38": 3e38,
    "infinite": np.inf,
    "NaN": np.nan,
    "negative": -1e9,
    "denormal": 1e-42,
}


def update_type(shapes: list[tuple[int, ...]] = SHAPES) -> tff.Type:
    """Type of an update."""
    return tff.to_type([(np.float32, shape) for shape in shapes])


def filled(value: float, shapes: list[tuple[int, ...]] = SHAPES) -> list[np.ndarray]:
    return [np.full(shape, value, np.float32) for shape in shapes]


def hostile(name: str) -> list[np.ndarray]:
    """A client's update with the value in each element, or, where that is not finite, in one alone."""
    update = filled(HOSTILE[name] if np.isfinite(HOSTILE[name]) else 1.0)
    update[0][1, 2] = HOSTILE[name]
    return update


def honest(clients: int, seed: int = 0) -> list[list[np.ndarray]]:
    """Updates whose norms are about 0.4 to 40 and whose mean is not zero."""
    generator = np.random.default_rng(seed)
    scales = np.exp(generator.uniform(-2, 2, clients))
    return [[(s * generator.normal(0.5, 1, shape)).astype(np.float32) for shape in SHAPES] for s in scales]


def privacy_of(mechanism: str, **changes: object) -> PrivacyConfig:
    sampling = "passes" if mechanism == "tree" else "poisson"
    adjacency = {"tree": "zero-out", "local": "replace-one"}.get(mechanism, "add-remove")
    given = {"noise_multiplier": 1.5, "clipping_norm": 0.5, "mechanism": mechanism, **changes}
    return PrivacyConfig(sampling=sampling, adjacency=adjacency, **given)


def flat(update: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(part, np.float64).ravel() for part in update])


def release_function(query: tfp.SumAggregationDPQuery) -> Callable[[int, float], np.ndarray]:
    """A function of (releases, canary's size) that gives ``[releases]`` first elements of noised sums.

    Each release is the first round of a query of two clients, of which the second is the canary.
    """
    shape = tf.TensorSpec([2], tf.float32)

    @tf.function
    def one(size: tf.Tensor) -> tf.Tensor:
        state = query.initial_global_state()
        params = query.derive_sample_params(state)
        total = query.initial_sample_state([shape])
        for record in (tf.constant([0.3, -0.2]), tf.stack([size, 0.0])):
            total = query.accumulate_record(params, total, [record])
        result, _, _ = query.get_noised_result(total, state)
        return result[0][0]

    @tf.function
    def many(releases: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(lambda _: one(size), tf.range(releases), fn_output_signature=tf.float64)

    return lambda releases, size: many(tf.constant(releases), tf.constant(size)).numpy()
