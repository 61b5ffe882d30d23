"""Faces as point clouds: each frame aligned to the head by points that expressions do not move.

Coordinates are in units of the distance between the outer eye corners: x to the image's right, y up, z towards the
camera. The alignment is a similarity by orthogonal Procrustes analysis (Schönemann 1966; Umeyama 1991, eq. 40).
"""

from __future__ import annotations

import numpy as np

# Landmarks of MediaPipe's face mesh (468 points; Kartynnik et al. 2019, arXiv 1907.06724), the image's left ones first.
OUTER_EYES = (33, 263)
INNER_EYES = (133, 362)
LID_PAIRS = ((159, 145), (158, 153), (160, 144), (386, 374), (385, 380), (387, 373))
LOWER_LIDS = (145, 153, 144, 374, 380, 373)
CHEEKS = (50, 101, 36, 205, 117, 118, 119, 280, 330, 266, 425, 346, 347, 348)
LIP_CORNERS = (61, 291)
INNER_LIPS = (13, 14)
UPPER_LIP = (0, 37, 267)
NOSE_BASE = 2
INNER_BROWS = (55, 107, 285, 336)
OUTER_BROWS = (70, 63, 105, 300, 293, 334)
CHIN = (152, 199, 175)
FOREHEAD = 10
# Around the eyes and along the nose. Points at the temples and the hairline follow the outline of the visible face, and
# so the head's turning, rather than the skull.
RIGID = (9, 8, 168, 6, 197, 195, 5, NOSE_BASE, 98, 327, *OUTER_EYES, *INNER_EYES)
KEPT = tuple(
    sorted(
        {
            *RIGID, *(i for pair in LID_PAIRS for i in pair), *LOWER_LIDS, *CHEEKS, *LIP_CORNERS, *INNER_LIPS,
            *UPPER_LIP, *INNER_BROWS, *OUTER_BROWS, *CHIN, FOREHEAD,
        }
    )
)  # fmt: skip
_COLUMN = {landmark: column for column, landmark in enumerate(KEPT)}
_REFERENCE_FRAMES = 1000
_REFERENCE_ROUNDS = 5


def columns(landmarks: tuple[int, ...]) -> list[int]:
    """Where landmarks stand among the points that are kept."""
    return [_COLUMN[landmark] for landmark in landmarks]


def frontal(shape: np.ndarray) -> np.ndarray:
    """Turns one shape ``[points, 3]`` to the front: eyes level, forehead above chin, outer eye corners 1 apart."""
    left, right, forehead, chin = shape[columns((*OUTER_EYES, FOREHEAD, CHIN[0]))]
    across = right - left
    size = float(np.linalg.norm(across))
    across = across / size
    up = forehead - chin
    up = up - (up @ across) * across
    up = up / np.linalg.norm(up)
    axes = np.stack([across, up, np.cross(across, up)], axis=1)
    return np.asarray((shape - (left + right) / 2) @ axes / size)


def align(points: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Moves, turns and scales every frame onto a reference by the rigid points.

    Args:
        points: ``[frames, points, 3]`` of `KEPT`, finite.
        reference: ``[points, 3]``, as `frontal` gives it.

    Returns:
        The aligned points ``[frames, points, 3]``; the root-mean-square distance that the rigid points keep
        ``[frames]``; and the rotations ``[frames, 3, 3]`` from the camera to the head, for row vectors.
    """
    rigid = columns(RIGID)
    source, target = points[:, rigid], reference[rigid]
    centre, middle = source.mean(axis=1, keepdims=True), target.mean(axis=0)
    away = source - centre
    u, stretch, vt = np.linalg.svd(np.einsum("fki,kj->fij", away, target - middle))
    handed = np.ones_like(stretch)
    handed[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * handed[:, None, :]) @ vt
    scale = (stretch * handed).sum(axis=1) / (away**2).sum(axis=(1, 2))
    aligned = scale[:, None, None] * ((points - centre) @ rotation) + middle
    residual = np.sqrt(((aligned[:, rigid] - target) ** 2).sum(axis=-1).mean(axis=1))
    return aligned, residual, rotation


def reference_shape(points: np.ndarray) -> np.ndarray:
    """The usual face of a clip, turned to the front: the median of aligned frames, found by repetition.

    Args:
        points: ``[frames, points, 3]``, finite, at least one frame; of a long clip evenly spaced frames are used.

    Returns:
        ``[points, 3]``.
    """
    points = points[:: max(1, len(points) // _REFERENCE_FRAMES)]
    reference = np.median([frontal(shape) for shape in points], axis=0)
    for _ in range(_REFERENCE_ROUNDS):
        reference = frontal(np.median(align(points, reference)[0], axis=0))
    return np.asarray(reference)


def head_angles(rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pitch (up), yaw (to the image's right) and roll (counter-clockwise in the image), ``[frames]`` degrees each.

    Args:
        rotation: ``[frames, 3, 3]`` from `align`. Rows are the camera's axes seen from the head.
    """
    pitch = np.degrees(np.arcsin(np.clip(rotation[:, 1, 2], -1.0, 1.0)))
    yaw = np.degrees(np.arctan2(rotation[:, 0, 2], rotation[:, 2, 2]))
    roll = np.degrees(np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]))
    return pitch, yaw, roll


def turn_from_usual(rotation: np.ndarray) -> np.ndarray:
    """Angle ``[frames]`` in degrees between each frame's pose and the clip's usual one (mean rotation), any axis."""
    u, _, vt = np.linalg.svd(rotation.mean(axis=0))
    usual = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    trace = np.einsum("fij,ij->f", rotation, usual)
    return np.asarray(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1.0, 1.0))))
