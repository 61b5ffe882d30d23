"""An exported model on recordings that it has not seen, as training applied it to test clients.

Windows, scaling, averaging of overlaps and the shift by the annotation delay are those of training: the same functions
cut and join them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tff_affect.client_data import StagedCohort, check_length
from tff_affect.cohort_types import CohortManifest, SubjectTable
from tff_affect.errors import InputError
from tff_affect.evaluation.postprocess import PostProcessing
from tff_affect.export.description import ModelDescription
from tff_affect.export.formats import open_model
from tff_affect.scaling import Scaling
from tff_affect.staging import staging_folder

_WINDOWS_AT_ONCE = 64
_SAME_RATE = 0.01
_NAME = "recording"


@dataclass(frozen=True)
class Predicted:
    """Predictions of one recording, on the clock of what was rated.

    Attributes:
        time: ``[n]``, in the model's time unit; of a window its middle.
        values: ``[n, dimension]``, in the unit of the labels; NaN in the first frames, before the annotation delay.
        observed: ``[n]``: the share of frames behind a prediction in which no feature was missing, 0-1. The prediction
            of a frame that was not observed is what the model carried over to it.
    """

    time: np.ndarray
    values: np.ndarray
    observed: np.ndarray


class Predictor:
    """An exported model, verified and opened.

    Args:
        folder: The export's.
        post_process: Apply the post-processing chain that was fitted with the model.

    Raises:
        InputError: If the export is damaged or was edited, ONNX Runtime is missing, or there is no chain to apply.
    """

    def __init__(self, folder: Path, post_process: bool = False) -> None:
        self.description = ModelDescription.read(folder)
        if post_process and not self.description.post_processing:
            raise InputError("--post-process: this model has no post-processing chain; leave it out", file=folder)
        self._chain = self._read_chain(folder) if post_process else None
        self._apply = open_model(folder, self.description)

    def predict(self, name: str, table: SubjectTable) -> Predicted:
        """Predictions of one recording.

        Args:
            name: The recording's, for messages.
            table: Its features in the model's order; labels are not looked at.

        Raises:
            InputError: If it is shorter than one window of a model with one target per window, or than the delay.
        """
        described = self.description
        check_length(name, table.frames, described.data, described.delay)
        features = self._scaled(name, table)
        there = np.isfinite(features).all(axis=1)
        values, starts = self._values(features)
        if described.target == "window":
            return self._of_windows(table.time, values, there, starts)
        if self._chain is not None:
            values = self._chain.apply(values)
        observed = _later(there.astype(np.float64)[:, np.newaxis], described.delay)[:, 0]
        return Predicted(table.time, _later(values.astype(np.float64), described.delay), observed)

    def _scaled(self, name: str, table: SubjectTable) -> np.ndarray:
        described = self.description
        features = np.where(table.trusted[:, np.newaxis], table.features, np.nan)
        if not np.isfinite(features).any():
            raise InputError("no frame has all features; leave the recording out", subject=name)
        if described.scaling == "subject":
            return Scaling.of_subject(features).apply(features)
        if described.scaling == "federated":
            return Scaling(np.asarray(described.mean), np.asarray(described.deviation)).apply(features)
        return np.asarray(features, np.float32)

    def _values(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions in the order of frames, or of windows, and the windows' first frames."""
        described = self.description
        with staging_folder() as folder:
            features.astype("<f4").tofile(folder / f"{_NAME}.f32")
            staged = StagedCohort(folder, (_NAME,), features.shape[1], (), described.delay, described.data)
            windows, _, starts = staged.windows(_NAME)
            cut = windows.numpy()
            found = [self._apply(cut[i : i + _WINDOWS_AT_ONCE]) for i in range(0, len(cut), _WINDOWS_AT_ONCE)]
            joined = staged.to_frames(np.concatenate(found), starts, len(features))
            return np.asarray(joined), starts.numpy()

    def _of_windows(self, time: np.ndarray, values: np.ndarray, there: np.ndarray, starts: np.ndarray) -> Predicted:
        """A window's prediction is of the middle of its labels."""
        described = self.description
        middles = (time[starts] + time[starts + described.window - 1]) / 2 + described.delay / described.frame_rate
        observed = np.array([there[start : start + described.window].mean() for start in starts])
        return Predicted(middles, np.asarray(values, np.float64), observed)

    def _read_chain(self, folder: Path) -> PostProcessing:
        try:
            chains = self.description.post_processing
            return PostProcessing.from_json({label: chains[label] for label in self.description.labels})
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError("model.json holds no such chain as 'export' writes; export again", file=folder) from error


def _later(series: np.ndarray, frames: int) -> np.ndarray:
    """``[frames, ...]`` moved to later frames; NaN where nothing was."""
    moved = np.full_like(series, np.nan)
    moved[frames:] = series[: len(series) - frames]
    return moved


def columns_of(description: ModelDescription, manifest: CohortManifest, place: Path) -> list[int]:
    """Where the model's features are among a source's.

    Args:
        description: Of the model.
        manifest: What the source gives.
        place: The source, for messages.

    Raises:
        InputError: If a feature is missing, or the numbers are on another scale or clock.
    """
    missing = [name for name in description.features if name not in manifest.features]
    if missing:
        raise InputError(
            f"the model reads {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not here (found "
            f"{', '.join(manifest.features)}); use recordings of the tool that the training cohort was made with",
            file=place,
        )
    if manifest.feature_scale != description.feature_scale:
        raise InputError(
            f"the model reads features on the scale {description.feature_scale}, these are on the scale "
            f"{manifest.feature_scale}; use recordings of the tool that the training cohort was made with",
            file=place,
        )
    if manifest.time_unit != description.time_unit:
        raise InputError(
            f"expected recordings whose time is in units of one {description.time_unit}, as in training, found one "
            f"{manifest.time_unit}",
            file=place,
        )
    return [manifest.features.index(name) for name in description.features]


def same_rate(description: ModelDescription, frame_rate: float) -> bool:
    """Whether a frame rate is the model's, to 1 %."""
    return abs(frame_rate - description.frame_rate) <= _SAME_RATE * description.frame_rate


def with_columns(table: SubjectTable, columns: Sequence[int]) -> SubjectTable:
    """The table with these features alone, and without labels; frames that were masked stay masked."""
    features = np.where(table.trusted[:, np.newaxis], table.features, np.nan)[:, list(columns)].astype(np.float32)
    return SubjectTable.of_complete_frames(table.time, features, np.empty((table.frames, 0), np.float32))
