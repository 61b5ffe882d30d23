"""The transformation for use elsewhere: as a SavedModel and as TensorFlow Lite, both in float32.

Each has two signatures. ``serving_default`` takes ``images [image, row, column]`` from 0 to 1, as many as there are,
and returns ``transformed`` of the same shape; it draws the noise itself, anew at each call. ``given_noise`` also takes
``noise [image, row of the code, column of the code, channel]``, standard normal, and is there for comparison: whoever
knows the noise could take it away.

What was written is read back and compared with the network before it is left in place. No image, label or name is in
it; heads and adversaries stay behind.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tff_affect.atomic import current_umask, replace_bytes
from tff_affect.errors import InputError, RunError

SAVED_MODEL, LITE = "saved_model", "transformation.tflite"
DRAWN, GIVEN = "serving_default", "given_noise"
"""Signatures: with noise of its own, and with noise that it is given."""
TOLERANCE = 1e-5
"""Largest difference of a grey value, of 0 to 1."""
_COMPARED, _SEED = 5, 7

Run = Callable[..., np.ndarray]
"""A signature with its inputs by name, to ``[image, row, column]``."""


def export_transformation(network: Any, folder: Path) -> None:
    """Writes ``saved_model/`` and ``transformation.tflite``.

    Args:
        network: Keras model of `tff_affect.anonymizer.networks.build_transformation`.
        folder: Where to; it must be there, without an export.

    Raises:
        InputError: If it cannot be written there.
        RunError: If what was written gives other images than the network.
    """
    temporary = _temporary(folder)
    try:
        _save(network, temporary / SAVED_MODEL)
        content = _lite(temporary / SAVED_MODEL)
        _check("SavedModel", open_saved_model(temporary / SAVED_MODEL), network)
        _check("TensorFlow Lite", open_lite(content), network)
        (temporary / SAVED_MODEL).rename(folder / SAVED_MODEL)
        replace_bytes(folder / LITE, content)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def open_saved_model(place: Path) -> Run:
    """A SavedModel's signatures: with ``images`` alone ``serving_default``, with ``noise`` too ``given_noise``."""
    import tensorflow as tf

    signatures = tf.saved_model.load(str(place)).signatures

    def run(**given: np.ndarray) -> np.ndarray:
        inputs = {name: tf.constant(value, tf.float32) for name, value in given.items()}
        return np.asarray(signatures[GIVEN if "noise" in given else DRAWN](**inputs)["transformed"])

    return run


def open_lite(content: bytes) -> Run:
    """A TensorFlow Lite model's signatures, as of `open_saved_model`."""
    import tensorflow as tf

    # The usual delegate announces itself on the terminal.
    quiet = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=quiet)

    def run(**given: np.ndarray) -> np.ndarray:
        signature = interpreter.get_signature_runner(GIVEN if "noise" in given else DRAWN)
        return np.asarray(signature(**{name: value.astype(np.float32) for name, value in given.items()})["transformed"])

    return run


def _save(network: Any, place: Path) -> None:
    import tensorflow as tf

    rows, columns = network.input_shape[0][1:3]
    code = network.input_shape[1][1:]
    images = tf.TensorSpec((None, rows, columns), tf.float32, name="images")
    noise = tf.TensorSpec((None, *code), tf.float32, name="noise")

    @tf.function(input_signature=[images, noise])
    def given_noise(images: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"transformed": network([images[..., tf.newaxis], noise], training=False)[..., 0]}

    @tf.function(input_signature=[images])
    def drawn(images: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = tf.stack([tf.shape(images)[0], *code])
        # Training set a global seed, which tf.random.normal would write into the model: all copies would draw one
        # noise, which could be drawn again and taken away. Seeds of 0 stand for the system's randomness.
        noise = tf.raw_ops.RandomStandardNormal(shape=shape, dtype=tf.float32, seed=0, seed2=0)
        return given_noise(images, tf.reshape(noise, (-1, *code)))

    module = tf.Module()
    # Kept alive, so that its weights are saved with the functions.
    module.network = network
    tf.saved_model.save(module, str(place), signatures={DRAWN: drawn, GIVEN: given_noise})


def _lite(saved_model: Path) -> bytes:
    import tensorflow as tf

    return bytes(tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=[DRAWN, GIVEN]).convert())


def _check(name: str, run: Run, network: Any) -> None:
    rng = np.random.default_rng(_SEED)
    images = rng.random((_COMPARED, *network.input_shape[0][1:3]), np.float32)
    noise = rng.standard_normal((_COMPARED, *network.input_shape[1][1:]), np.float32)
    expected = np.asarray(network([images[..., np.newaxis], noise], training=False))[..., 0]
    found = run(images=images, noise=noise)
    difference = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
    if not difference <= TOLERANCE:
        raise RunError(
            f"export: expected the {name} model to give the network's images to {TOLERANCE:g}, found a difference of "
            f"{difference:g}; nothing was exported"
        )
    first, second = (run(images=images) for _ in range(2))
    needs_noise = not np.array_equal(expected, _without(network, images))
    if first.shape != expected.shape or np.array_equal(first, second) == needs_noise:
        raise RunError(f"export: the {name} model does not draw noise as the network needs it; nothing was exported")


def _without(network: Any, images: np.ndarray) -> np.ndarray:
    """What the network gives without noise."""
    noise = np.zeros((len(images), *network.input_shape[1][1:]), np.float32)
    return np.asarray(network([images[..., np.newaxis], noise], training=False))[..., 0]


def _temporary(folder: Path) -> Path:
    try:
        place = Path(tempfile.mkdtemp(prefix=".export-", dir=folder))
        os.chmod(place, 0o777 & ~current_umask())
    except OSError as error:
        raise InputError(f"cannot write the export here: {error.strerror}", file=folder) from error
    return place
