"""Small SYNTHETIC tables as OpenFace, py-feat and LibreFace write them, for the tests of their readers."""

import numpy as np
import pandas as pd

OPENFACE_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
PY_FEAT_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43)
LIBREFACE_UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
BOX = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")
# A number that no reader may let through: it fills every column that is not whitelisted.
FORBIDDEN = 7654.5


def intensities(frames, units, top, seed=0):
    """``[frames, units]`` in 0-top, rounded as the tools do."""
    return np.random.default_rng(seed).uniform(0.05 * top, 0.9 * top, (frames, len(units))).round(3)


def openface(frames=50, rate=25.0, face_id=True, seed=0, everything=False):
    """OpenFace 2.x (or, without ``face_id``, 1.0) with pose; all 714 columns if asked for."""
    table = {"frame": np.arange(1, frames + 1)}
    if face_id:
        table["face_id"] = np.zeros(frames, dtype=int)
    table |= {"timestamp": (np.arange(frames) / rate).round(3), "confidence": np.full(frames, 0.98)}
    table |= {"success": np.ones(frames, dtype=int), "gaze_0_x": np.full(frames, FORBIDDEN)}
    table |= {name: np.full(frames, 0.1 * i) for i, name in enumerate(("pose_Rx", "pose_Ry", "pose_Rz"), start=1)}
    others = 714 - len(table) - 2 * len(OPENFACE_UNITS) - 1 if everything else 4
    table |= {f"x_{i}": np.full(frames, FORBIDDEN) for i in range(others)}
    values = intensities(frames, OPENFACE_UNITS, 5, seed)
    table |= {f"AU{unit:02d}_r": column for unit, column in zip(OPENFACE_UNITS, values.T, strict=True)}
    table |= {f"AU{unit:02d}_c": np.ones(frames, dtype=int) for unit in (*OPENFACE_UNITS, 28)}
    return pd.DataFrame(table)


def py_feat_columns(width):
    """py-feat's header: 173, 695 or 2183 columns."""
    landmarks = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
    units = [f"AU{unit:02d}" for unit in PY_FEAT_UNITS]
    emotions = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    head = [*BOX, "FaceScore", *landmarks]
    if width == 173:
        return [*head, "Pitch", "Roll", "Yaw", *units, *emotions, "input", "frame"]
    pose, gaze = ["Pitch", "Roll", "Yaw", "X", "Y", "Z"], ["gaze_pitch", "gaze_yaw", "gaze_angle"]
    identities = [f"Identity_{i}" for i in range(1, 513)]
    tail = ["FrameHeight", "FrameWidth", "input", "frame", "approx_time", "Identity"]
    if width == 695:
        return [*head, *pose, *units, *emotions, *gaze, *identities, *tail]
    mesh = [f"mesh_{axis}_{i}" for axis in "xyz" for i in range(478)]
    blendshapes = [f"blendshape_{i}" for i in range(52)]
    emotions += ["valence", "arousal"]
    return [*head, *pose, *units, *emotions, *gaze, *identities, *mesh, *blendshapes, *tail]


def py_feat(frames=50, width=173, seed=0):
    """One face a frame, its box moving slowly; everything that is not whitelisted is `FORBIDDEN` or a path."""
    columns = py_feat_columns(width)
    table = {name: np.full(frames, FORBIDDEN) for name in columns}
    box = (100 + np.arange(frames), np.full(frames, 80), np.full(frames, 60), np.full(frames, 60))
    table |= dict(zip(BOX, box, strict=True))
    table |= {"FaceScore": np.full(frames, 0.97), "frame": np.arange(frames)}
    table |= {"Pitch": np.full(frames, 0.1), "Yaw": np.full(frames, 0.2), "Roll": np.full(frames, 0.3)}
    table["input"] = np.full(frames, "/videos/secret_name.mp4")
    if "approx_time" in table:
        table["approx_time"] = np.full(frames, "00:01")
    values = intensities(frames, PY_FEAT_UNITS, 1, seed)
    table |= {f"AU{unit:02d}": column for unit, column in zip(PY_FEAT_UNITS, values.T, strict=True)}
    return pd.DataFrame(table)[columns]


def libreface(frames=50, rate=25.0, unit=1000.0, seed=0):
    """LibreFace; ``unit`` is 1000 for times in milliseconds, 1 for seconds."""
    time = np.arange(frames) / rate * unit
    table = {"frame_idx": np.arange(frames), "frame_time_in_ms": time.round(6)}
    table |= {"pitch": np.full(frames, 10.0), "yaw": np.full(frames, 20.0), "roll": np.full(frames, 30.0)}
    table |= {"lm_mp_0_x": np.full(frames, FORBIDDEN)}
    table |= {f"au_{k}": np.ones(frames, dtype=int) for k in LIBREFACE_UNITS}
    values = intensities(frames, LIBREFACE_UNITS, 5, seed)
    table |= {f"au_{k}_intensity": column for k, column in zip(LIBREFACE_UNITS, values.T, strict=True)}
    table["facial_expression"] = np.full(frames, "Happiness")
    return pd.DataFrame(table)


def write_labels(folder, subjects, frames=50, rate=25.0):
    """``<folder>/<dimension>/<subject>.csv`` with a ramp for arousal and a constant for valence."""
    time = np.arange(frames) / rate
    for dimension, values in (("arousal", np.linspace(-0.5, 0.5, frames)), ("valence", np.full(frames, 0.25))):
        (folder / dimension).mkdir(parents=True, exist_ok=True)
        for subject in subjects:
            table = pd.DataFrame({"time": time.round(6), "value": values})
            table.to_csv(folder / dimension / f"{subject}.csv", index=False)
