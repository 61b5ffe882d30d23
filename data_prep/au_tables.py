"""What the tables of OpenFace, py-feat and LibreFace hold, and which few of their columns come through.

OpenFace 2.0: Baltrusaitis et al. (2018); py-feat: Cheong et al. (2023); LibreFace: Chang et al. (2024). A `Dialect` is
a whitelist: presence flags, gaze, landmarks, shape parameters, identity embeddings, meshes, blendshapes, emotions,
predicted valence or arousal, and paths never pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.source import POSE
from tff_affect.errors import InputError

SECONDS = (1.0,)
MILLISECONDS_OR_SECONDS = (1e-3, 1.0)
TOOLS = ("openface", "py-feat", "libreface")


@dataclass(frozen=True)
class Dialect:
    """How one tool, or one version of it, writes a recording.

    Attributes:
        kind: The tool, in a word: ``openface``, ``py-feat``, ``libreface``.
        title: The tool's own spelling.
        name: Tool and version.
        marks: Columns by which the dialect is known.
        unit: Matches an intensity column; its first group is the action unit's number.
        scale: Key of the cohort's feature scales: ``0-5`` or ``0-1``.
        frame: Column of frame numbers; files without it count their rows.
        first_frame: Number of a recording's first frame.
        time: Column of timestamps, or None.
        time_units: Seconds that one unit of ``time`` may mean; the first that gives a plausible frame rate holds.
        confidence: Column of the tracker's confidence, 0-1, or None.
        success: Column that is 1 where the tracker succeeded, or None.
        positive_confidence: Whether a confidence of 0 means that no face was found.
        face: Columns that tell faces apart: none, an identifier, or a box (left, top, width, height in pixels).
        pose: Columns of pitch, yaw and roll.
        pose_in_radians: Whether those are in radians; in degrees otherwise.
        refusal: Why such a file cannot be used; empty if it can.
    """

    kind: str
    title: str
    name: str
    marks: frozenset[str]
    unit: re.Pattern[str]
    scale: str
    frame: str
    first_frame: int
    time: str | None
    time_units: tuple[float, ...]
    confidence: str | None = None
    success: str | None = None
    positive_confidence: bool = False
    face: tuple[str, ...] = ()
    pose: tuple[str, str, str] = ("pitch", "yaw", "roll")
    pose_in_radians: bool = False
    refusal: str = ""

    def matches(self, columns: Iterable[str]) -> bool:
        """Whether a header is of this dialect."""
        return self.marks <= set(columns)

    def units(self, columns: Iterable[str]) -> dict[str, str]:
        """Action unit (``AU01``, ``AU12`` ...) -> its intensity column, by number."""
        found = {f"AU{int(match[1]):02d}": match[0] for column in columns if (match := self.unit.fullmatch(column))}
        return dict(sorted(found.items()))

    def beside(self, columns: Iterable[str]) -> tuple[str, ...]:
        """The columns, of those present, that say when, whose and how sure; they are read and left behind."""
        wanted = (self.frame, self.time, self.confidence, self.success, *self.face)
        return tuple(name for name in wanted if name is not None and name in set(columns))

    def select(self, columns: Sequence[str], pose: bool, file: Path, names: Sequence[str] = ()) -> dict[str, str]:
        """Feature name -> source column.

        Args:
            columns: The file's columns.
            pose: Whether pitch, yaw and roll come along.
            file: For messages.
            names: The features to find; all that the file has if empty.

        Raises:
            InputError: If the file cannot be used at all, or a feature is missing.
        """
        if self.refusal:
            raise InputError(self.refusal, file=file, line=1)
        units = self.units(columns)
        if not units:
            raise InputError(
                f"no column of action-unit intensities; let {self.title} write them (its action-unit output)",
                file=file,
                line=1,
            )
        angles = {name: column for name, column in zip(POSE, self.pose, strict=True) if column in columns}
        missing = [name for name in names or (POSE if pose else ()) if name not in units and name not in angles]
        if missing and missing[0] in POSE:
            raise InputError(f"head pose ({', '.join(self.pose)}) is missing; leave pose out", file=file, line=1)
        if missing:
            reason = f"the feature {missing[0]!r}, which the first recording has, is missing"
            raise InputError(reason, file=file, line=1)
        chosen: Mapping[str, str] = {**units, **(angles if pose else {})}
        return {name: chosen[name] for name in names or chosen}

    def to_degrees(self, angles: np.ndarray) -> np.ndarray:
        """Pose as the file has it, in degrees, of any shape. Signs and axes are the tool's own."""
        return np.degrees(angles) if self.pose_in_radians else angles


def _openface(name: str, extra: frozenset[str], face: tuple[str, ...]) -> Dialect:
    return Dialect(
        kind="openface",
        title="OpenFace",
        name=name,
        marks=frozenset({"frame", "timestamp", "confidence", "success"}) | extra,
        unit=re.compile(r"AU(\d{2})_r"),
        scale="0-5",
        frame="frame",
        first_frame=1,
        time="timestamp",
        time_units=SECONDS,
        confidence="confidence",
        success="success",
        face=face,
        pose=("pose_Rx", "pose_Ry", "pose_Rz"),
        pose_in_radians=True,
    )


def _py_feat(name: str, extra: frozenset[str], pose_in_radians: bool) -> Dialect:
    # approx_time holds mm:ss, too coarse to tell frames apart; it is not read.
    box = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")
    return Dialect(
        kind="py-feat",
        title="py-feat",
        name=name,
        marks=frozenset({*box, "FaceScore"}) | extra,
        unit=re.compile(r"AU(\d{2})"),
        scale="0-1",
        frame="frame",
        first_frame=0,
        time=None,
        time_units=(),
        confidence="FaceScore",
        positive_confidence=True,
        face=box,
        pose=("Pitch", "Yaw", "Roll"),
        pose_in_radians=pose_in_radians,
    )


_LIBREFACE = Dialect(
    kind="libreface",
    title="LibreFace",
    name="LibreFace",
    marks=frozenset({"frame_time_in_ms"}),
    unit=re.compile(r"au_(\d{1,2})_intensity"),
    scale="0-5",
    frame="frame_idx",
    first_frame=0,
    time="frame_time_in_ms",
    # The column holds milliseconds, or, where frames were cut by ffmpeg, seconds.
    time_units=MILLISECONDS_OR_SECONDS,
)
_STILL = Dialect(
    kind="openface",
    title="OpenFace",
    name="OpenFace, still images",
    marks=frozenset({"face", "confidence"}),
    unit=re.compile(r"AU(\d{2})_r"),
    scale="0-5",
    frame="frame",
    first_frame=1,
    time=None,
    time_units=(),
    refusal="this is OpenFace's still-image output, whose rows have no time; run FeatureExtraction on the recording",
)
# The most particular first.
DIALECTS = (
    _openface("OpenFace 2.x", frozenset({"face_id"}), ("face_id",)),
    _openface("OpenFace 1.0 or earlier", frozenset(), ()),
    # py-feat writes identities, and angles in radians, since 0.7.
    _py_feat("py-feat 0.7 or later", frozenset({"Identity_1"}), pose_in_radians=True),
    _py_feat("py-feat 0.6 or earlier", frozenset(), pose_in_radians=False),
    _LIBREFACE,
    _STILL,
)


def detect_dialect(columns: Iterable[str]) -> Dialect | None:
    """The dialect of a header, or None if no known tool wrote it.

    Example:
        >>> detect_dialect(["frame", "timestamp", "confidence", "success", "AU01_r"]).name
        'OpenFace 1.0 or earlier'
        >>> detect_dialect(["subject", "AU01", "valence"]) is None
        True
    """
    columns = set(columns)
    found = next((dialect for dialect in DIALECTS if dialect.matches(columns)), None)
    # "face" and "confidence" alone are too common words to tell a tool by.
    return None if found is not None and found.refusal and not found.units(columns) else found
