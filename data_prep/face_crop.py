"""Faces cut out of photographs: found, turned so that the eyes are level, and of one size.

- ``none``: the largest square in the middle of the image.
- ``haar``: OpenCV's cascades (Viola & Jones 2001; Lienhart & Maydt 2002): the largest frontal face, then one eye in
  each half of its upper part. With both eyes the image is turned and scaled so that they come to fixed places; without
  them the face's box is cut out, which shows about the same.
- ``facemesh``: the same places from MediaPipe's eye corners, as `data_prep.video_frames` finds them.

What is cut out is averaged over the pixels that fall together (`cv2.INTER_AREA`); beyond the photograph's edge its last
pixels go on. The same image gives the same crop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep.face_geometry import INNER_EYES, OUTER_EYES, columns
from data_prep.video_frames import FaceTracker
from tff_affect.errors import InputError

ALIGNMENTS = ("none", "haar", "facemesh")
CONTRASTS = ("as it is", "standard")
WHOLE, BOX, EYES, MESH = "whole image", "face box", "eyes", "eye corners of the mesh"
# Of a crop's side: where the eyes come to. The mouth, open or not, stays within.
EYE_ROW, LEFT_EYE, RIGHT_EYE = 0.37, 0.32, 0.68
# Of a face's box, as the cascade draws it: where eyes usually are (80 faces of the London Set: spread 0.015).
_BOX_EYES = np.array([[0.3, 0.4], [0.7, 0.4]])
STANDARD_MEAN, STANDARD_DEVIATION = 0.5, 0.2
_SEARCHED_SIDE = (320, 640)
_SMALLEST_FACE = 0.2
_EYES_ROWS, _EYES_COLUMNS = (0.15, 0.6), 0.55
_EYE_DISTANCE, _LARGEST_TILT = (0.25, 0.65), 0.45
_FINEST = 16
_LONGEST_SIDE = 4096

_CASCADES = Path(cv2.__file__).parent / "data"

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Crop:
    """A face cut out.

    Attributes:
        image: ``[row, column]`` float32, 0 to 1, square.
        found: How: `WHOLE`, `BOX`, `EYES` or `MESH`.
    """

    image: np.ndarray
    found: str


# An image ``[row, column]`` to the crop, or None where no face is found.
Cropper = Callable[[np.ndarray], Crop | None]


@contextmanager
def open_cropper(alignment: str, size: int) -> Iterator[Cropper]:
    """Opens what cuts faces out, to squares of some pixels a side.

    Raises:
        InputError: If the alignment is not one of `ALIGNMENTS`, or its library is not installed.
    """
    if alignment == "none":
        yield lambda image: whole(image, size)
    elif alignment == "haar":
        cascades = _Cascades()
        yield lambda image: cascades.crop(_limited(image), size)
    elif alignment == "facemesh":
        with FaceTracker(still=True) as tracker:
            yield lambda image: _by_mesh(tracker, _limited(image), size)
    else:
        raise InputError(f"faces: alignment: expected one of {', '.join(ALIGNMENTS)}, found {alignment!r}")


def whole(image: np.ndarray, size: int) -> Crop:
    """The largest square in the middle."""
    rows, columns_ = image.shape
    side = min(rows, columns_)
    top, left = (rows - side) // 2, (columns_ - side) // 2
    square = image[top : top + side, left : left + side]
    return Crop(_resized(square, size), WHOLE)


def standard_contrast(image: np.ndarray) -> np.ndarray:
    """The image with mean 0.5 and standard deviation 0.2, what then exceeds 0 or 1 cut off; one grey stays as it is."""
    spread = float(image.std())
    if spread < 1e-6:
        return image
    made = (image - image.mean()) / spread * STANDARD_DEVIATION + STANDARD_MEAN
    return np.clip(made, 0, 1).astype(np.float32)


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    made = cv2.resize(np.ascontiguousarray(image, np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return np.clip(made, 0, 1)


class _Cascades:
    """OpenCV's trained cascades, which come with it."""

    def __init__(self) -> None:
        self._face = self._open("haarcascade_frontalface_alt2.xml")
        # The second sees eyes behind glasses, and fewer that are none.
        self._eyes = [self._open(f"haarcascade_eye{name}.xml") for name in ("_tree_eyeglasses", "")]

    @staticmethod
    def _open(name: str) -> cv2.CascadeClassifier:
        cascade = cv2.CascadeClassifier(str(_CASCADES / name))
        if cascade.empty():
            raise InputError(f"alignment 'haar' needs {name}, which comes with opencv-python; install it again")
        return cascade

    def crop(self, image: np.ndarray, size: int) -> Crop | None:
        """The largest face, by its eyes where both are found."""
        searched, scale = _searchable(image)
        box = self._largest_face(searched)
        if box is None:
            return None
        eyes = self._both_eyes(searched, box)
        if eyes is not None:
            return Crop(_placed(image, (eyes + 0.5) * scale - 0.5, size), EYES)
        left, top, side, _ = box
        return Crop(_placed(image, ((left, top) + side * _BOX_EYES) * scale - 0.5, size), BOX)

    def _largest_face(self, image: np.ndarray) -> Box | None:
        least = max(24, round(_SMALLEST_FACE * min(image.shape)))
        found = self._face.detectMultiScale(image, scaleFactor=1.1, minNeighbors=4, minSize=(least, least))
        # Threads may find them in another order.
        boxes = sorted(map(_as_box, found), key=lambda box: (-box[2], box[1], box[0]))
        return boxes[0] if boxes else None

    def _both_eyes(self, image: np.ndarray, box: Box) -> np.ndarray | None:
        """``[2, 2]`` x and y of the image's left eye and right eye."""
        left, right = (self._eye(image, box, on_the_right) for on_the_right in (False, True))
        if left is None or right is None:
            return None
        across = right - left
        distance, tilt = float(np.linalg.norm(across)) / box[2], abs(across[1]) / max(across[0], 1e-6)
        plausible = _EYE_DISTANCE[0] < distance < _EYE_DISTANCE[1] and across[0] > 0 and tilt < _LARGEST_TILT
        return np.stack([left, right]) if plausible else None

    def _eye(self, image: np.ndarray, box: Box, on_the_right: bool) -> np.ndarray | None:
        """The middle of the eye that most of the cascade's windows agree on, in one half of a face's upper part."""
        left, top, side, _ = box
        first = left + (round((1 - _EYES_COLUMNS) * side) if on_the_right else 0)
        rows = slice(top + round(_EYES_ROWS[0] * side), top + round(_EYES_ROWS[1] * side))
        part = np.ascontiguousarray(image[rows, first : first + round(_EYES_COLUMNS * side)])
        least, most = round(0.12 * side), round(0.5 * side)
        for cascade in self._eyes:
            boxes, votes = cascade.detectMultiScale2(
                part, scaleFactor=1.05, minNeighbors=3, minSize=(least, least), maxSize=(most, most)
            )
            if len(boxes):
                _, (x, y, width, height) = max(
                    (int(vote), _as_box(found)) for vote, found in zip(votes, boxes, strict=True)
                )
                return np.array([first + x + width / 2, rows.start + y + height / 2]) - 0.5
        return None


def _limited(image: np.ndarray) -> np.ndarray:
    """The image, made smaller where OpenCV could not turn it (above 32767 pixels a side) or it would take long."""
    return _scaled(image, max(image.shape) / _LONGEST_SIDE) if max(image.shape) > _LONGEST_SIDE else image


def _scaled(image: np.ndarray, scale: float) -> np.ndarray:
    """The image with so many times fewer pixels a side."""
    size = max(1, round(image.shape[1] / scale)), max(1, round(image.shape[0] / scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR))


def _as_box(found: np.ndarray) -> Box:
    x, y, width, height = (int(value) for value in found)
    return x, y, width, height


def _searchable(image: np.ndarray) -> tuple[np.ndarray, float]:
    """The image as the cascades search it, uint8 of spread contrast, and how many of its pixels are one of those."""
    longest = max(image.shape)
    side = min(max(longest, _SEARCHED_SIDE[0]), _SEARCHED_SIDE[1])
    scale = longest / side
    if scale != 1:
        image = _scaled(image, scale)
    return cv2.equalizeHist(_as_bytes(image)), scale


def _as_bytes(image: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.round(image * 255), 0, 255).astype(np.uint8))


def _by_mesh(tracker: FaceTracker, image: np.ndarray, size: int) -> Crop | None:
    points = tracker.points(cv2.cvtColor(_as_bytes(image), cv2.COLOR_GRAY2BGR))
    if not np.isfinite(points).all():
        return None
    corners = points[columns((OUTER_EYES[0], INNER_EYES[0], INNER_EYES[1], OUTER_EYES[1]))][:, :2].astype(np.float64)
    eyes = corners.reshape(2, 2, 2).mean(axis=1) * (1, -1)
    return Crop(_placed(image, eyes, size), MESH)


def _placed(image: np.ndarray, eyes: np.ndarray, size: int) -> np.ndarray:
    """Turns and scales an image so that the eyes come to their places.

    Args:
        image: ``[row, column]``, 0 to 1.
        eyes: ``[2, 2]`` x and y of the image's left eye and right eye; a pixel's middle is a whole number.
        size: Side of what is returned, pixels.
    """
    across = eyes[1] - eyes[0]
    per_pixel = float(np.linalg.norm(across)) / ((RIGHT_EYE - LEFT_EYE) * size)
    # Warped about as fine as the photograph is, then averaged: warping alone would skip pixels.
    fine = int(np.clip(np.ceil(per_pixel), 1, _FINEST))
    side = fine * size
    turned = across / ((RIGHT_EYE - LEFT_EYE) * side)
    matrix = np.array([[turned[0], -turned[1], 0.0], [turned[1], turned[0], 0.0]])
    place = np.array([LEFT_EYE, EYE_ROW]) * side - 0.5
    matrix[:, 2] = eyes[0] - matrix[:, :2] @ place
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return _resized(warped, size)
