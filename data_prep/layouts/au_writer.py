"""Writes SYNTHETIC recordings as OpenFace, py-feat and LibreFace write them: a CSV per subject, labels beside.

Everything that the tools write beside action-unit intensities is there too, as noise, for readers to leave behind:
presence flags, gaze, pose, landmarks, identity embeddings, predicted emotions. Frames without a face look as the tool
leaves them: OpenFace gives zeros or the last values again, both with success 0; the others leave cells empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.labels.label_folder import write_label
from data_prep.labels.subjects_csv import SUBJECTS_CSV
from data_prep.layouts.layout_subject import LayoutSubject, decoys, milliseconds, with_frame_zero, write_table
from data_prep.recola_layout import DIMENSIONS

OPENFACE_UNITS = tuple(f"AU{u:02d}" for u in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45))
# The first versions gave fewer: 14 intensities and 6 presence flags, as in the files of the DAIC-WOZ corpus.
OPENFACE_0_UNITS = tuple(unit for unit in OPENFACE_UNITS if unit not in ("AU07", "AU23", "AU45"))
PY_FEAT_UNITS = tuple(f"AU{u:02d}" for u in (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43))
LIBREFACE_UNITS = tuple(f"AU{u:02d}" for u in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26))

_POSE = tuple(f"pose_{name}" for name in ("Tx", "Ty", "Tz", "Rx", "Ry", "Rz"))
_GAZE = tuple(f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz")
_EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_FLAGS = tuple(sorted({*OPENFACE_UNITS, "AU28"}))
_FLAGS_0 = ("AU04", "AU12", "AU15", "AU23", "AU28", "AU45")
_FLAG_SHARE = 0.1
_FLAG_FROM = 1.0


def write_labels(folder: Path, subjects: Iterable[LayoutSubject]) -> Iterator[LayoutSubject]:
    """Passes subjects on and writes ``labels/<dimension>/<subject>.csv`` of each, and ``subjects.csv`` at the end."""
    for dimension in DIMENSIONS:
        (folder / "labels" / dimension).mkdir(parents=True)
    people = []
    for subject in subjects:
        for d, dimension in enumerate(DIMENSIONS):
            file = folder / "labels" / dimension / f"{subject.subject}.csv"
            write_label(file, subject.table.time, subject.table.labels[:, d])
        people.append({"subject": subject.subject, "partition": subject.entry.partition, **subject.entry.groups})
        yield subject
    write_table(pd.DataFrame(people), folder / SUBJECTS_CSV)


def openface_frame(subject: LayoutSubject, version: str = "2", landmarks: bool = False) -> pd.DataFrame:
    """What OpenFace's FeatureExtraction writes.

    Args:
        subject: The recording.
        version: ``0``, ``1`` (neither has ``face_id``; 0 has no gaze angles either), ``2.0`` or ``2``.
        landmarks: Whether eye and face landmarks and shape parameters come along: all 714 columns of version 2.

    Returns:
        ``[1 + frames, columns]``: the first row is the recording's frame 1 at 0 s, without a face.
    """
    time, values = with_frame_zero(subject.table.time, subject.features)
    rng, rows = subject.noise(), len(time)
    tracked = np.isfinite(values).all(axis=1)
    head = {"frame": np.arange(1, rows + 1), "timestamp": time}
    head["confidence"] = np.where(tracked, np.round(rng.uniform(0.8, 0.98, rows), 2), 0.0)
    head["success"] = tracked.astype(int)
    if version.startswith("2"):
        head = {"frame": head.pop("frame"), "face_id": np.zeros(rows, int), **head}
    gaze = _GAZE if version == "0" else (*_GAZE, "gaze_angle_x", "gaze_angle_y")
    blocks = [pd.DataFrame(head), decoys(rng, rows, gaze, 0.1)]
    blocks += [decoys(rng, rows, _eye_landmarks(), 100.0)] if landmarks else []
    blocks += [decoys(rng, rows, _POSE, 0.05)]
    blocks += [decoys(rng, rows, _face_landmarks(), 100.0)] if landmarks else []
    flags = _FLAGS_0 if version == "0" else _FLAGS
    return pd.concat([*blocks, *_units(subject, _as_openface_leaves(values), flags, rng)], axis=1)


def _eye_landmarks() -> list[str]:
    return [f"eye_lmk_{axis}_{i}" for axis in ("x", "y", "X", "Y", "Z") for i in range(56)]


def _face_landmarks() -> list[str]:
    shape = [f"p_{name}" for name in ("scale", "rx", "ry", "rz", "tx", "ty", *range(34))]
    return [f"{axis}_{i}" for axis in ("x", "y", "X", "Y", "Z") for i in range(68)] + shape


def _as_openface_leaves(values: np.ndarray) -> np.ndarray:
    """Frames without a face: zeros in even rows, the last values that were found in odd ones."""
    lost = np.isnan(values).any(axis=1)
    stale = pd.DataFrame(values).ffill().fillna(0.0).to_numpy()
    stale[lost & (np.arange(len(values)) % 2 == 0)] = 0.0
    return stale


def _units(
    subject: LayoutSubject, values: np.ndarray, flags: Sequence[str], rng: np.random.Generator
) -> list[pd.DataFrame]:
    """Intensities, and presence flags: random ones, of units that need not have an intensity."""
    intensities = pd.DataFrame(values, columns=[f"{unit}_r" for unit in subject.config.action_units])
    present = (rng.uniform(size=(len(values), len(flags))) < _FLAG_SHARE).astype(float)
    return [intensities, pd.DataFrame(present, columns=[f"{unit}_c" for unit in flags])]


def write_openface(
    folder: Path, subjects: Iterable[LayoutSubject], version: str = "2", landmarks: bool = False
) -> None:
    """Writes a folder of OpenFace files; version 2.0 separates by comma and blank. Arguments as `openface_frame`."""
    for subject in write_labels(folder, subjects):
        frame = openface_frame(subject, version, landmarks)
        write_table(frame, folder / f"{subject.subject}.csv", ", " if version in ("0", "2.0") else ",")


def py_feat_frame(subject: LayoutSubject) -> pd.DataFrame:
    """What py-feat's ``Detector`` writes of a video: no clock but frame numbers from 0, intensities from 0 to 1.

    Returns:
        ``[1 + frames, columns]``: the first row is frame 0, without a face.
    """
    time, values = with_frame_zero(subject.table.time, subject.features)
    rng, rows = subject.noise(), len(time)
    lost = np.isnan(values).any(axis=1)
    box = np.round([100, 80, 120, 150, 0.98] + rng.normal(size=(rows, 5)) * [2, 2, 1, 1, 0.001], 3)
    blocks = [
        pd.DataFrame(box, columns=["FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore"]),
        decoys(rng, rows, [f"{axis}_{i}" for axis in "xy" for i in range(68)], 100.0),
        decoys(rng, rows, ("Pitch", "Roll", "Yaw"), 0.05),
        pd.DataFrame(values, columns=list(subject.config.action_units)),
        decoys(rng, rows, (*_EMOTIONS, "valence", "arousal", *(f"Identity_{i}" for i in range(1, 9))), 0.2),
    ]
    found = pd.concat(blocks, axis=1)
    found[lost] = np.nan
    place = {"input": "SYNTHETIC.mp4", "frame": np.arange(rows), "approx_time": [_clock(t) for t in time]}
    return pd.concat([found, pd.DataFrame(place)], axis=1)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def write_py_feat(folder: Path, subjects: Iterable[LayoutSubject]) -> None:
    """Writes a folder of py-feat files."""
    for subject in write_labels(folder, subjects):
        write_table(py_feat_frame(subject), folder / f"{subject.subject}.csv")


def libreface_frame(subject: LayoutSubject) -> pd.DataFrame:
    """What LibreFace writes of a video: times in milliseconds, presence flags and intensities.

    Returns:
        ``[1 + frames, columns]``: the first row is the frame at 0 ms, without a face.
    """
    time, values = with_frame_zero(subject.table.time, subject.features)
    rng, rows = subject.noise(), len(time)
    lost = np.isnan(values).any(axis=1)
    units = [int(unit[2:]) for unit in subject.config.action_units]
    flags = pd.DataFrame((values > _FLAG_FROM).astype(float), columns=[f"au_{unit}" for unit in units])
    intensities = pd.DataFrame(values, columns=[f"au_{unit}_intensity" for unit in units])
    found = pd.concat([decoys(rng, rows, ("pitch", "yaw", "roll"), 3.0), flags, intensities], axis=1)
    found[lost] = np.nan
    found.insert(0, "facial_expression", np.where(lost, "", "Neutral"))
    place = pd.DataFrame({"frame_idx": np.arange(rows), "frame_time_in_ms": milliseconds(time)})
    return pd.concat([place, found], axis=1)


def write_libreface(folder: Path, subjects: Iterable[LayoutSubject]) -> None:
    """Writes a folder of LibreFace files."""
    for subject in write_labels(folder, subjects):
        write_table(libreface_frame(subject), folder / f"{subject.subject}.csv")
