"""A made-up face for tests: points that are rigid, and a mouth, cheeks and lids that move as told."""

import numpy as np

from data_prep.face_geometry import CHEEKS, KEPT, LIP_CORNERS, columns

RIGHT_CORNER, LEFT_CORNER = LIP_CORNERS


def neutral_face(seed=0):
    """``[points, 3]`` in arbitrary pixels, y up: roughly where a face's points are."""
    from data_prep import face_geometry as geometry

    rng = np.random.default_rng(seed)
    face = rng.normal(0, 0.1, (len(KEPT), 3))
    places = {
        33: (-0.5, 0, 0), 263: (0.5, 0, 0), 133: (-0.2, 0, 0.05), 362: (0.2, 0, 0.05),
        10: (0, 0.7, 0.1), 152: (0, -1.1, 0.1),
        61: (-0.3, -0.7, 0.15), 291: (0.3, -0.7, 0.15), 13: (0, -0.68, 0.2), 14: (0, -0.7, 0.2), 2: (0, -0.45, 0.3),
        0: (0, -0.6, 0.25), 37: (-0.05, -0.6, 0.25), 267: (0.05, -0.6, 0.25),
    }  # fmt: skip
    for landmark, place in places.items():
        face[columns((landmark,))[0]] = place
    assert set(geometry.RIGID) <= set(KEPT)
    return 120 * face + [320, -200, 0]


def smiling(face, strength):
    """The face with its lip corners out and up and its cheeks up, by parts of the distance between the eyes."""
    moved = face.copy()
    right, left = columns((RIGHT_CORNER, LEFT_CORNER))
    moved[right] += 120 * strength * np.array([-0.5, 0.5, 0])
    moved[left] += 120 * strength * np.array([0.5, 0.5, 0])
    moved[columns(CHEEKS), 1] += 120 * strength * 0.15
    return moved


def rotation(degrees, axis):
    """The rotation matrix about ``x``, ``y`` or ``z``, for row vectors."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler(axis, degrees, degrees=True).as_matrix().T
