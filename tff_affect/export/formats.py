"""Writes a network as SavedModel, TensorFlow Lite or ONNX, and opens what was written; all in float32.

A whole-window model takes ``features`` and gives ``prediction``. SavedModel and ONNX take as many windows, of as many
frames, as they are given: ``[batch, time, feature]``. TensorFlow Lite takes one window of the trained length,
``[1, window, feature]``, and needs nothing but its built-in operations. A streaming model, TensorFlow Lite alone, takes
one frame ``features [1, feature]`` and the states ``state_0``, ``state_1`` ..., zeros before the first frame, and gives
``prediction [1, label]`` and ``next_state_0`` ...
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tff_affect.client_data import WindowShape
from tff_affect.errors import InputError
from tff_affect.export.description import FILES, ModelDescription

if TYPE_CHECKING:
    from tff_affect.export.network import PortableNetwork

OPSET = 17
"""Of ONNX."""
SIGNATURE = "serving_default"
_FEATURES, _PREDICTION = "features", "prediction"
_NO_ONNX = "ONNX needs packages that are not here; install tff-affect[onnx], or choose another format"

Apply = Callable[[np.ndarray], np.ndarray]
"""From windows ``[n, window, feature]``, NaN = missing, to ``[n, targets, label]``."""


def write_model(network: PortableNetwork, shape: WindowShape, kind: str, streaming: bool, folder: Path) -> None:
    """Writes a network into a folder that is there, under the format's name in ``FILES``.

    Args:
        network: To write.
        shape: Of one window.
        kind: One of ``description.FORMATS``.
        streaming: Whether as a model of one frame; TensorFlow Lite alone.
        folder: Where to.

    Raises:
        InputError: If packages for ONNX are missing.
    """
    place = folder / FILES[kind]
    if kind == "savedmodel":
        _save(_whole(network, shape, None, None), place)
    elif kind == "onnx":
        place.write_bytes(_onnx(network, shape))
    else:
        function = _step(network, shape) if streaming else _whole(network, shape, 1, shape.window)
        place.write_bytes(_lite(function))


def _whole(network: PortableNetwork, shape: WindowShape, batch: int | None, time: int | None) -> Any:
    import tensorflow as tf

    def whole(features: tf.Tensor) -> dict[str, tf.Tensor]:
        return {_PREDICTION: network.whole(features)}

    spec = tf.TensorSpec([batch, time, shape.features], tf.float32, name=_FEATURES)
    return tf.function(whole, input_signature=[spec], autograph=False)


def _step(network: PortableNetwork, shape: WindowShape) -> Any:
    import tensorflow as tf

    def step(features: tf.Tensor, *states: tf.Tensor) -> dict[str, tf.Tensor]:
        predicted, after = network.step(features, list(states))
        return {_PREDICTION: predicted, **{f"next_state_{i}": state for i, state in enumerate(after)}}

    specs = [tf.TensorSpec([1, shape.features], tf.float32, name=_FEATURES)]
    specs += [tf.TensorSpec([1, *size], tf.float32, name=f"state_{i}") for i, size in enumerate(network.state_sizes)]
    return tf.function(step, input_signature=specs, autograph=False)


def _save(function: Any, place: Path) -> None:
    import tensorflow as tf

    tf.saved_model.save(tf.Module(), str(place), signatures={SIGNATURE: function.get_concrete_function()})


def _lite(function: Any) -> bytes:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as place:
        _save(function, Path(place))
        converter = tf.lite.TFLiteConverter.from_saved_model(place, signature_keys=[SIGNATURE])
        # Without it, every frame of a loop copies all frames.
        converter._experimental_enable_dynamic_update_slice = True
        return bytes(converter.convert())


def _onnx(network: PortableNetwork, shape: WindowShape) -> bytes:
    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        raise InputError(_NO_ONNX) from error
    import tensorflow as tf

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)

    def whole(features: tf.Tensor) -> tf.Tensor:
        return network.whole(features)

    spec = tf.TensorSpec([None, None, shape.features], tf.float32, name=_FEATURES)
    function = tf.function(whole, input_signature=[spec], autograph=False)
    model, _ = tf2onnx.convert.from_function(function, input_signature=[spec], opset=OPSET)
    graph = model.graph
    graph.node.append(onnx.helper.make_node("Identity", [graph.output[0].name], [_PREDICTION]))
    graph.output[0].name = _PREDICTION
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def open_model(folder: Path, description: ModelDescription) -> Apply:
    """Opens an exported model; its files were verified when the description was read.

    Args:
        folder: The export's.
        description: What it holds.

    Returns:
        What applies it; raises `InputError` where the model does not take the windows that the description names.

    Raises:
        InputError: If the file is none of its format, or ONNX Runtime is missing.
    """
    place = folder / FILES[description.format]
    with _readable(place):
        if description.streaming:
            states = [tuple(size) for size in description.states]
            apply = in_steps(open_step(place.read_bytes()), states, len(description.labels))
        else:
            apply = {"savedmodel": _open_saved, "onnx": _open_onnx, "tflite": _open_lite}[description.format](place)

    def checked(windows: np.ndarray) -> np.ndarray:
        with _readable(place):
            found = apply(windows)
            targets = 1 if description.target == "window" else windows.shape[1]
            if found.shape != (len(windows), targets, len(description.labels)):
                raise ValueError(f"predictions of shape {found.shape}")
            return found

    return checked


@contextmanager
def _readable(place: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    # Each format's runtime raises exceptions of its own, some of no base but this.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"expected a model as 'export' writes it, found {reason[:200]}; export the run again", file=place
        ) from error


def _open_saved(place: Path) -> Apply:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(place))

    def apply(windows: np.ndarray) -> np.ndarray:
        # Asked of what was loaded at each call: the signature alone does not keep alive what it uses.
        return np.asarray(loaded.signatures[SIGNATURE](features=tf.constant(windows, tf.float32))[_PREDICTION])

    return apply


def _open_onnx(place: Path) -> Apply:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(_NO_ONNX) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(place), options, providers=["CPUExecutionProvider"])

    def apply(windows: np.ndarray) -> np.ndarray:
        return np.asarray(session.run([_PREDICTION], {_FEATURES: windows.astype(np.float32)})[0])

    return apply


def _open_lite(place: Path) -> Apply:
    run = open_step(place.read_bytes())

    def apply(windows: np.ndarray) -> np.ndarray:
        # Copied: what the interpreter returns is its own memory, which the next window overwrites.
        found = [np.array(run(features=window[np.newaxis])[_PREDICTION]) for window in windows.astype(np.float32)]
        return np.concatenate(found)

    return apply


def open_step(content: bytes) -> Callable[..., Mapping[str, np.ndarray]]:
    """A TensorFlow Lite model's one signature: inputs by name to outputs by name."""
    import tensorflow as tf

    # The usual delegate announces itself on the terminal.
    quiet = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=quiet)
    return interpreter.get_signature_runner(SIGNATURE)


def in_steps(step: Callable[..., Mapping[str, np.ndarray]], sizes: list[tuple[int, ...]], labels: int) -> Apply:
    """Windows fed to a streaming model frame by frame, each from a state of zeros."""

    def one(window: np.ndarray) -> np.ndarray:
        states = {f"state_{i}": np.zeros([1, *size], np.float32) for i, size in enumerate(sizes)}
        predicted = np.empty([len(window), labels], np.float32)
        for number, frame in enumerate(window.astype(np.float32)):
            found = step(features=frame[np.newaxis], **states)
            predicted[number] = found[_PREDICTION][0]
            states = {name: np.array(found[f"next_{name}"]) for name in states}
        return predicted

    return lambda windows: np.stack([one(window) for window in windows])
