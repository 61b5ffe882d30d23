"""Frames of a video, one at a time, to landmarks in memory. No image, crop or landmark is written anywhere.

MediaPipe's FaceMesh (Kartynnik et al. 2019, arXiv 1907.06724) on the processor. Importing it drags in TensorFlow where
that is installed, for the sake of a documentation helper, and a microphone's library, for which a compiler is run;
`FaceTracker` hides both for that moment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from data_prep.face_geometry import KEPT
from tff_affect.errors import InputError

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv")
_UNREADABLE = "convert it with 'ffmpeg -i IN -c:v libx264 OUT.mp4'"


def is_video(path: Path) -> bool:
    """Whether a path is a video by its name, or a folder that holds one."""
    candidates = path.iterdir() if path.is_dir() else (path,)
    return any(file.suffix.lower() in SUFFIXES and file.is_file() for file in candidates)


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Native code talks past Python: FFmpeg of every damaged packet, MediaPipe of its models."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@dataclass(frozen=True)
class VideoFacts:
    """What the container says.

    Attributes:
        frames: Frames it claims to hold.
        frame_rate: Frames per second.
        width: Pixels.
        height: Pixels.
    """

    frames: int
    frame_rate: float
    width: int
    height: int

    @property
    def seconds(self) -> float:
        """How long it claims to be; 0 if it does not say."""
        return self.frames / self.frame_rate if self.frame_rate > 0 else 0.0


class Video:
    """A video file, opened; `frames` streams it once."""

    def __init__(self, file: Path) -> None:
        """Opens the file.

        Raises:
            InputError: If it is no readable video.
        """
        self.file = Path(file)
        if not self.file.is_file():
            raise InputError("no such video", file=file)
        if not self.file.stat().st_size:
            raise InputError("the video is empty (zero bytes)", file=file)
        import cv2

        with _quiet_stderr():
            self._capture = cv2.VideoCapture(str(self.file.resolve()), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise InputError(f"expected a video, found nothing that can be decoded; {_UNREADABLE}", file=file)
        size = [self._capture.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        rate, count = (self._capture.get(key) for key in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        self.facts = VideoFacts(max(0, int(count)), float(rate), int(size[0]), int(size[1]))

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yields (seconds, ``[height, width, 3]`` uint8 blue-green-red); the clock is the container's.

        Raises:
            InputError: If not a single frame can be decoded.
        """
        import cv2

        count = 0
        while True:
            with _quiet_stderr():
                more, image = self._capture.read()
            if not more:
                break
            count += 1
            yield float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0, image
        self._capture.release()
        if not count:
            raise InputError(f"not one frame of the video can be decoded; {_UNREADABLE}", file=self.file)


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Hides packages from an import, unless they are there already."""
    absent = [name for name in packages if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


class FaceTracker:
    """Landmarks of the most prominent face, frame after frame; a context manager.

    The mesh is the plain one of 468 points. The finer model for lips and eyes moves the mouth less alike in a mirrored
    video, and is slower.
    """

    def __init__(self, still: bool = False) -> None:
        """Starts the tracker.

        Args:
            still: Whether the images are unrelated photographs, each searched anew.

        Raises:
            InputError: If MediaPipe is not installed.
        """
        try:
            with _quiet_stderr(), _hidden("tensorflow", "sounddevice"):
                from mediapipe.python.solutions.face_mesh import FaceMesh

                self._mesh = FaceMesh(static_image_mode=still, max_num_faces=1, refine_landmarks=False)
                # The models load behind the scenes and greet as they do; the first image waits for them.
                self._mesh.process(np.zeros((64, 64, 3), np.uint8))
        except ImportError as error:
            reason = f"faces in video need the extra 'video': pip install 'tff-affect[video]' ({error})"
            raise InputError(reason) from error
        self._met = False  # the models greet again at the first face

    def __enter__(self) -> FaceTracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mesh.close()

    def points(self, image: np.ndarray) -> np.ndarray:
        """Landmarks of one image.

        Args:
            image: ``[height, width, 3]`` uint8, blue-green-red as OpenCV decodes.

        Returns:
            ``[points, 3]`` float32 of ``face_geometry.KEPT``: pixels, y up, z towards the camera; NaN without a face.
        """
        import cv2

        height, width = image.shape[:2]
        # The tracker's depth is right on square images only.
        side = max(height, width)
        square = cv2.copyMakeBorder(image, 0, side - height, 0, side - width, cv2.BORDER_CONSTANT)
        square = cv2.cvtColor(square, cv2.COLOR_BGR2RGB)
        with nullcontext() if self._met else _quiet_stderr():
            found = self._mesh.process(square).multi_face_landmarks
        self._met = self._met or bool(found)
        if not found:
            return np.full((len(KEPT), 3), np.nan, np.float32)
        mesh = found[0].landmark
        return np.array([(mesh[i].x, -mesh[i].y, -mesh[i].z) for i in KEPT], np.float32) * side


def track(frames: Iterable[tuple[float, np.ndarray]]) -> Iterator[tuple[float, np.ndarray]]:
    """Follows the face through the frames of one video: (seconds, landmarks) of each, as they come."""
    with FaceTracker() as tracker:
        for seconds, image in frames:
            yield seconds, tracker.points(image)
