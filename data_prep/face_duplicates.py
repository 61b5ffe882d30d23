"""The same picture found twice: told by its decoded pixels, whatever the files' formats.

A picture that stands in two places would be known to an attacker who learnt from the one and is asked of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from data_prep.face_names import FaceFile
from data_prep.labelled_report import Dropped

AGAIN = "the same picture again"
TWO_EMOTIONS = "the same picture under two emotions"
TWO_PEOPLE = "the same picture under two people"
NEARLY = 0.999
_SHOWN = 5


@dataclass(frozen=True)
class ReadFace:
    """An image that was read.

    Attributes:
        file: What its name says.
        digest: Of its decoded pixels, from `digest_of`.
        crop: ``[row, column]`` as it goes into the set.
        found: How the face was found.
        thumbnail: ``[row, column]`` of the whole image, for `near_duplicates`.
    """

    file: FaceFile
    digest: bytes
    crop: np.ndarray
    found: str
    thumbnail: np.ndarray


def digest_of(image: np.ndarray) -> bytes:
    """A digest of decoded pixels ``[row, column]`` float32 and their shape."""
    return sha256(repr(image.shape).encode() + np.ascontiguousarray(image, np.float32).tobytes()).digest()


def drop_duplicates(faces: Sequence[ReadFace]) -> tuple[list[ReadFace], list[Dropped]]:
    """Leaves each picture once, or not at all where its labels contradict each other.

    Of identical pictures of one person with one emotion the first name is kept. Under two emotions, at least one label
    is wrong, and none is kept; a condition of light or glasses contradicts no expression, and gives way to it. Under
    two people, none is kept.

    Returns:
        What is left, in order; what is dropped.
    """
    groups: dict[bytes, list[FaceFile]] = {}
    for face in faces:
        groups.setdefault(face.digest, []).append(face.file)
    dropped = [row for group in groups.values() if len(group) > 1 for row in _dropped(group)]
    gone = {row.name for row in dropped}
    return [face for face in faces if face.file.name not in gone], dropped


def _dropped(group: list[FaceFile]) -> list[Dropped]:
    """Of identical pictures, those that go."""
    if len({file.subject for file in group}) > 1:
        return _all(group, TWO_PEOPLE)
    expressions = [file for file in group if file.is_expression]
    telling = expressions or group
    if len({file.emotion for file in telling}) > 1:
        return _all(group, TWO_EMOTIONS)
    kept = telling[0]
    return [Dropped(file.name, AGAIN, f"as {kept.name}") for file in group if file is not kept]


def _all(group: list[FaceFile], kind: str) -> list[Dropped]:
    names = {file.name: ", ".join(other.name for other in group if other is not file) for file in group}
    return [Dropped(name, kind, f"as {others}") for name, others in names.items()]


def near_duplicates(faces: Sequence[ReadFace]) -> list[tuple[FaceFile, FaceFile]]:
    """Pairs of one person's images whose thumbnails correlate above `NEARLY`, as a picture's saved again do.

    Crops would not tell, since faces are found a pixel aside in a picture that was saved again. On the London Set, JPEG
    of quality 30 keeps thumbnails above .999, and of crops by cascades not a single one; two expressions of one person
    reach .974 in thumbnails.
    """
    by_subject: dict[str, list[ReadFace]] = {}
    for face in faces:
        by_subject.setdefault(face.file.subject, []).append(face)
    return [pair for group in by_subject.values() for pair in _alike(group)]


def _alike(group: list[ReadFace]) -> list[tuple[FaceFile, FaceFile]]:
    flat = np.stack([face.thumbnail.ravel() for face in group]).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    pairs = np.argwhere(np.triu(flat @ flat.T > NEARLY, k=1))
    return [(group[first].file, group[second].file) for first, second in pairs]


def near_notes(pairs: Sequence[tuple[FaceFile, FaceFile]]) -> tuple[str, ...]:
    """What to say of `near_duplicates`: no sentence, one, or two."""
    same = [pair for pair in pairs if pair[0].emotion == pair[1].emotion]
    other = [pair for pair in pairs if pair[0].emotion != pair[1].emotion]
    advice = "they are kept; take one of each out if it is the same picture"
    kinds = ((same, "of one person and emotion"), (other, "of one person under two emotions"))
    return tuple(f"{_count(found)} {of} nearly the same ({_listed(found)}); {advice}" for found, of in kinds if found)


def _count(pairs: Sequence[object]) -> str:
    return "1 pair of images" if len(pairs) == 1 else f"{len(pairs)} pairs of images"


def _listed(pairs: Sequence[tuple[FaceFile, FaceFile]]) -> str:
    named = [f"{first.name} and {second.name}" for first, second in pairs[:_SHOWN]]
    return "; ".join([*named, *(["..."] if len(pairs) > _SHOWN else [])])
