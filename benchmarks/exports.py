"""How far exported networks are from Keras, how large they are, and what a window takes: every model, every format.

Weights are drawn, windows have missing frames as recordings do. A line for each is printed as JSON as soon as it is
there; what cannot be exported is refused by name.

    python -m benchmarks.exports --models lstm gru
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.export.checks import largest_difference, measured_latency, probe_windows
from tff_affect.export.description import FILES, ModelDescription, model_files
from tff_affect.export.exporting import check_streaming
from tff_affect.export.formats import open_model, write_model
from tff_affect.export.network import PortableNetwork, trained_model
from tff_affect.models.registry import MODELS, build_model

SHAPE = WindowShape(window=75, features=17, labels=2)
FRAME_RATE = 2.5
SCALE = "0-5"
WAYS = (("tflite", False), ("tflite", True), ("onnx", False), ("savedmodel", False))


def measured(model: ModelConfig, shape: WindowShape = SHAPE) -> Iterator[dict[str, Any]]:
    """One record per format: largest difference from Keras, bytes, milliseconds of a window; or why it is refused.

    Args:
        model: The network.
        shape: Of one window.
    """
    rng = np.random.default_rng(3)
    drawn = build_model(model, shape).get_weights()
    weights = [(weight + rng.normal(scale=0.1, size=weight.shape)).astype(np.float32) for weight in drawn]
    trained = trained_model(model, shape, weights)
    network, windows = PortableNetwork(trained, model, shape), probe_windows(shape, SCALE, standardised=True)
    for kind, streaming in WAYS:
        place = {"model": model.name, "format": kind, "streaming": streaming}
        try:
            if streaming:
                check_streaming(model, "frame", kind)
        except InputError as error:
            yield place | {"refused": str(error)}
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_model(network, shape, kind, streaming, folder)
            files = model_files(folder, FILES[kind])
            apply = open_model(folder, _described(network, shape, kind, streaming, files))
            found = largest_difference(apply, trained, windows, kind)
            latency = measured_latency(apply, windows, FRAME_RATE, "second")
            size = sum((folder / file).stat().st_size for file in files)
        yield place | {
            "largest_difference": found["largest_difference"], "allowed": found["allowed"], "bytes": size,
            "milliseconds_per_window": latency["milliseconds_per_window"],
        }  # fmt: skip


def _described(
    network: PortableNetwork, shape: WindowShape, kind: str, streaming: bool, files: dict[str, str]
) -> ModelDescription:
    """What opening a model needs of its description."""
    return ModelDescription(
        format=kind, streaming=streaming, files=files, architecture={},
        features=tuple(f"feature_{number}" for number in range(shape.features)), feature_scale=SCALE,
        labels=tuple(f"label_{number}" for number in range(shape.labels)), frame_rate=FRAME_RATE, time_unit="second",
        window=shape.window, hop=shape.window, target="frame", scaling="none", delay=0, cohort="drawn", synthetic=True,
        method="federated", states=tuple(network.state_sizes) if streaming else (),
    )  # fmt: skip


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--units", type=int, default=24)
    chosen = parser.parse_args()
    for name in chosen.models:
        for record in measured(ModelConfig(name, chosen.units)):
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
