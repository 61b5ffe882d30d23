"""``model.json``: all that has to be known to apply an exported model, with the hashes of its files.

Nothing of a subject is in it: no name, no path, no number of a single recording.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tff_affect.cohort import FEATURE_SCALES, TIME_UNITS, file_sha256
from tff_affect.config import SCALINGS, TARGETS, DataConfig
from tff_affect.errors import InputError
from tff_affect.run_folder import read_json, write_json

DESCRIPTION = "model.json"
SCHEMA = 1
FORMATS = ("tflite", "onnx", "savedmodel")
FILES = {"tflite": "model.tflite", "onnx": "model.onnx", "savedmodel": "saved_model"}
MISSING = (
    "a missing number is NaN, never zero; the model masks a frame with any number missing, and carries what it knows "
    "over it"
)
APPLIED = {
    "subject": "each recording by its own mean and deviation over its frames without a missing number (transductive: "
    "the whole recording has to be there); a feature without deviation is centred alone",
    "federated": "every recording by the mean and deviation given here, those of the training clients",
    "none": "features are taken as they are",
}
"""Scaling -> how features are made ready for the model."""
BEGIN = "zeros before the first frame; in training every window began with zeros, so begin anew after as many frames"
_AGAIN = "export the run again"


def require_format(kind: str) -> None:
    """Raises `InputError` unless it is one of ``FORMATS``."""
    if kind not in FORMATS:
        raise InputError(f"--to: expected one of {', '.join(FORMATS)}, found {kind!r}")


@dataclass(frozen=True)
class ModelDescription:
    """What ``model.json`` says.

    Attributes:
        format: One of ``FORMATS``.
        streaming: Whether the model takes one frame at a time, with its state.
        files: Files of the model, relative to the folder -> SHA-256.
        architecture: The network's settings, by name.
        features: Names of the features, in the order of the model's last axis.
        feature_scale: Key of ``FEATURE_SCALES``: what the numbers are before scaling.
        labels: Names of the dimensions, in the order of the predictions' last axis.
        frame_rate: Frames per time unit.
        time_unit: ``second`` or ``step``.
        window: Frames per window.
        hop: Frames from one window to the next; overlaps are averaged.
        target: ``frame`` or ``window``: what one prediction is of.
        scaling: One of ``APPLIED``.
        delay: Frames by which the labels lag the features: what is predicted from frame t is of frame t + delay.
        cohort: Name of the cohort that it was trained on.
        synthetic: Whether that was generated.
        method: How it was trained: a row of the study's table.
        mean: Of each feature, where scaling is ``federated``; else empty.
        deviation: Likewise.
        post_processing: The fitted chain of each dimension; empty where there is none.
        states: Shapes of the states of a model that takes one frame at a time.
        seed: Training seed.
        fold: Number of the split.
        parity: Largest difference from the trained network, and over what.
        size_bytes: Of all files.
        latency: What a window, and a second of signal, takes.
        opset: Of ONNX; None for other formats.
        version: Of the package that exported it.
    """

    format: str
    streaming: bool
    files: Mapping[str, str]
    architecture: Mapping[str, Any]
    features: tuple[str, ...]
    feature_scale: str
    labels: tuple[str, ...]
    frame_rate: float
    time_unit: str
    window: int
    hop: int
    target: str
    scaling: str
    delay: int
    cohort: str
    synthetic: bool
    method: str
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    post_processing: Mapping[str, Any] = field(default_factory=dict)
    states: tuple[tuple[int, ...], ...] = ()
    seed: int = 0
    fold: int = 0
    parity: Mapping[str, Any] = field(default_factory=dict)
    size_bytes: int = 0
    latency: Mapping[str, Any] = field(default_factory=dict)
    opset: int | None = None
    version: str = ""

    @property
    def data(self) -> DataConfig:
        """Windows as the model was trained with them; the cohort is not named."""
        return DataConfig("", self.window, self.hop, self.target, self.scaling, self.delay / self.frame_rate)

    def write(self, folder: Path) -> None:
        """Writes ``model.json``, with what a reader without this package needs in words."""
        words = {"missing": MISSING, "scaling_applied": APPLIED[self.scaling]}
        words |= {"states_begin": f"{BEGIN} ({self.window})"} if self.streaming else {}
        write_json(folder / DESCRIPTION, {"schema": SCHEMA, **words, **asdict(self)})

    @classmethod
    def read(cls, folder: Path) -> ModelDescription:
        """Reads and checks ``model.json``, and the hashes of the files that it names.

        Raises:
            InputError: If there is none, it is of another version or was edited, or a file is missing or altered.
        """
        file = folder / DESCRIPTION
        if not file.is_file():
            raise InputError(f"there is no {DESCRIPTION} here; name a folder that 'export' wrote", file=folder)
        content = read_json(file)
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise InputError(f"expected what 'export' writes, of schema {SCHEMA}; {_AGAIN}", file=file)
        known = {item.name for item in fields(cls)}
        try:
            found = cls(**{name: _frozen(value) for name, value in content.items() if name in known})
            found._check()
        except (TypeError, ValueError, AttributeError, KeyError, InputError) as error:
            raise InputError(f"expected what 'export' wrote: {error}; {_AGAIN}", file=file) from error
        _verify(folder, found)
        return found

    def _check(self) -> None:
        _require(self.format in FORMATS, f"format {self.format!r}")
        _require(self.feature_scale in FEATURE_SCALES, f"feature_scale {self.feature_scale!r}")
        _require(self.time_unit in TIME_UNITS, f"time_unit {self.time_unit!r}")
        _require(self.target in TARGETS and self.scaling in SCALINGS, f"target {self.target!r}, {self.scaling!r}")
        for names in (self.features, self.labels):
            listed = isinstance(names, tuple) and bool(names)
            _require(listed and all(isinstance(name, str) for name in names), "features or labels")
        _require(type(self.delay) is int and self.delay >= 0, f"delay {self.delay!r}")
        _require(0 < float(self.frame_rate) < math.inf, f"frame_rate {self.frame_rate!r}")
        count = len(self.features) if self.scaling == "federated" else 0
        _require(len(self.mean) == len(self.deviation) == count, f"{len(self.mean)} means for {count} features")
        numbers = all(
            isinstance(value, int | float) and math.isfinite(value) for value in (*self.mean, *self.deviation)
        )
        _require(numbers and all(value > 0 for value in self.deviation), "means or deviations")
        whole = all(type(value) is int for value in (self.window, self.hop))
        _require(whole and self.data.window >= self.data.hop, "window or hop")
        hashed = isinstance(self.files, dict) and all(isinstance(digest, str) for digest in self.files.values())
        _require(hashed and bool(self.files), "no file")
        _require(isinstance(self.streaming, bool) and isinstance(self.synthetic, bool), "streaming or synthetic")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"found {what}")


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def model_files(folder: Path, place: str) -> dict[str, str]:
    """SHA-256 of each file of a model, by its name relative to ``folder``.

    Args:
        folder: The export's.
        place: The model's file or folder in it.
    """
    root = folder / place
    found = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in found}


def _verify(folder: Path, description: ModelDescription) -> None:
    """No file is opened before it is known to be the one that was exported."""
    place = FILES[description.format]
    for name in description.files:
        inside = name == place or name.startswith(f"{place}/")
        if not inside or ".." in Path(name).parts or (folder / name).is_symlink():
            raise InputError(f"{DESCRIPTION} names a file outside the model: {name!r}; {_AGAIN}", file=folder)
    try:
        found = model_files(folder, place)
    except OSError as error:
        raise InputError(f"the model cannot be read: {error.strerror}; copy the whole folder", file=folder) from error
    missing = [name for name in description.files if name not in found]
    if missing:
        raise InputError(f"the model's file {missing[0]!r} is missing; copy the whole folder again", file=folder)
    for name, digest in found.items():
        if description.files.get(name) != digest:
            raise InputError(f"the file is not the one that was exported; {_AGAIN}", file=folder / name)
