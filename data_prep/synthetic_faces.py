"""Drawn faces: SYNTHETIC people whose identity, expression and circumstances are known, and known apart.

A person is a head: its width, jaw, hair, skin, where eyes, nose and mouth sit and how large they are, how the brows and
corners of the mouth hang when nothing is felt, and a blotchy texture of the skin. An expression moves mouth, brows and
lids by what the emotion is drawn with, more or less strongly. Circumstances are light, place, size, tilt and noise.

Everything random derives from ``(seed, purpose, person, image)``. Sizes are relative to the side of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet

NAME = "SYNTHETIC drawn faces"
_PERSON, _IMAGE, _TEXTURE = 1, 2, 3
_FINE = 4
_TEXTURE_CELLS = 12


@dataclass(frozen=True)
class Expression:
    """How an emotion moves a face at full strength; 0 is at rest.

    Attributes:
        smile: Corners of the mouth, up.
        opening: Height of the open mouth.
        stretch: Width of the mouth.
        brow: Brows, up.
        frown: Inner ends of the brows, down.
        lids: Height of the eyes.
    """

    smile: float = 0.0
    opening: float = 0.0
    stretch: float = 0.0
    brow: float = 0.0
    frown: float = 0.0
    lids: float = 0.0


EXPRESSIONS: Mapping[str, Expression] = {
    "afraid": Expression(smile=-0.3, opening=0.4, stretch=0.3, brow=0.7, frown=-0.7, lids=0.8),
    "angry": Expression(smile=-0.3, stretch=-0.3, brow=-0.7, frown=1.0, lids=-0.1),
    "disgusted": Expression(smile=-0.7, opening=0.3, stretch=-0.4, brow=-0.4, frown=0.3, lids=-0.8),
    "happy": Expression(smile=1.0, opening=0.3, stretch=0.5, lids=-0.2),
    "neutral": Expression(),
    "sad": Expression(smile=-0.8, frown=-0.9, lids=-0.5),
    "surprised": Expression(opening=1.0, stretch=-0.3, brow=1.0, lids=1.0),
}


@dataclass(frozen=True)
class SyntheticFacesConfig:
    """What makes a set of drawn faces; equal configurations make equal images.

    Attributes:
        people: How many.
        images: Of each person and emotion.
        size: Side of an image, pixels.
        seed: Of everything random.
        strength: Range of an expression's strength, 1 as `EXPRESSIONS` says.
        blend: Standard deviation of what moves by chance beside the expression.
        circumstances: How much light, place, size, tilt and noise vary; 0 not at all.
    """

    people: int = 60
    images: int = 6
    size: int = 48
    seed: int = 0
    strength: tuple[float, float] = (0.5, 1.1)
    blend: float = 0.12
    circumstances: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("people", 1), ("images", 1), ("size", 16), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"drawn faces: {name}: expected at least {least}, found {getattr(self, name)}")


def draw_faces(config: SyntheticFacesConfig) -> FaceSet:
    """Draws the faces of all people, each with every emotion equally often."""
    images, subjects, emotions, files = [], [], [], []
    for person in range(config.people):
        head = _Head.drawn(config, person)
        for number in range(config.images * len(EXPRESSIONS)):
            emotion = list(EXPRESSIONS)[number % len(EXPRESSIONS)]
            images.append(_image(config, head, emotion, np.random.default_rng([config.seed, _IMAGE, person, number])))
            subjects.append(f"S{person:03d}")
            emotions.append(emotion)
            files.append(f"S{person:03d}/{emotion}/{number // len(EXPRESSIONS)}.png")
    return FaceSet(NAME, np.stack(images), tuple(subjects), tuple(emotions), tuple(files), synthetic=True)


@dataclass(frozen=True)
class _Head:
    """A person's own measures."""

    width: float
    jaw: float
    eyes: float
    eye_height: float
    eye_size: float
    nose: float
    nose_width: float
    mouth: float
    mouth_height: float
    brow_height: float
    brow_thickness: float
    resting_smile: float
    resting_frown: float
    hairline: float
    hair: float
    skin: float
    texture: np.ndarray

    @classmethod
    def drawn(cls, config: SyntheticFacesConfig, person: int) -> _Head:
        rng = np.random.default_rng([config.seed, _PERSON, person])

        def about(middle: float, spread: float) -> float:
            return middle + spread * float(rng.uniform(-1, 1))

        cells = rng.normal(size=(_TEXTURE_CELLS, _TEXTURE_CELLS)).astype(np.float32)
        side = config.size * _FINE
        return cls(
            width=about(0.34, 0.05), jaw=about(0.8, 0.16), eyes=about(0.155, 0.025), eye_height=about(-0.07, 0.025),
            eye_size=about(0.055, 0.014), nose=about(0.13, 0.03), nose_width=about(0.05, 0.018),
            mouth=about(0.125, 0.025), mouth_height=about(0.215, 0.025), brow_height=about(0.095, 0.015),
            brow_thickness=about(0.018, 0.009), resting_smile=about(0.0, 0.25), resting_frown=about(0.0, 0.25),
            hairline=about(-0.3, 0.06), hair=about(0.22, 0.2), skin=about(0.68, 0.16),
            texture=cv2.resize(cells, (side, side), interpolation=cv2.INTER_CUBIC),
        )  # fmt: skip


def _image(config: SyntheticFacesConfig, head: _Head, emotion: str, rng: np.random.Generator) -> np.ndarray:
    strength = rng.uniform(*config.strength)
    full = np.array([getattr(EXPRESSIONS[emotion], part) for part in Expression.__dataclass_fields__])
    shown = Expression(*(strength * full + config.blend * rng.normal(size=len(full))))
    drawn = _Canvas(config.size * _FINE, head).drawn(shown)
    return _under_circumstances(drawn, config, rng)


class _Canvas:
    """A face four times as large as its image, y down, the middle of the head at the middle."""

    def __init__(self, side: int, head: _Head) -> None:
        self._side, self._head = side, head
        self._image = np.full((side, side), 0.45, np.float32)

    def drawn(self, shown: Expression) -> np.ndarray:
        """``[side, side]`` with values about 0 to 1."""
        self._skull()
        self._eyes_and_brows(shown)
        self._nose()
        self._mouth(shown)
        return self._image

    def _point(self, x: float, y: float) -> tuple[int, int]:
        return round((0.5 + x) * self._side), round((0.5 + y) * self._side)

    def _length(self, size: float) -> int:
        return max(1, round(size * self._side))

    def _skull(self) -> None:
        head = self._head
        angle = np.linspace(0, 2 * np.pi, 80)
        # The lower half narrows to the chin.
        narrowed = np.where(np.sin(angle) > 0, 1 - (1 - head.jaw) * np.sin(angle) ** 2, 1.0)
        outline = np.stack([head.width * np.cos(angle) * narrowed, 0.02 + 0.42 * np.sin(angle)], axis=1)
        mask = np.zeros_like(self._image)
        cv2.fillPoly(mask, [self._polygon(outline)], 1.0)
        skin = head.skin + 0.035 * head.texture
        hair = np.arange(self._side)[:, np.newaxis] < self._point(0, head.hairline)[1]
        self._image = np.where(mask > 0, np.where(hair, head.hair, skin), self._image).astype(np.float32)

    def _eyes_and_brows(self, shown: Expression) -> None:
        head = self._head
        frown = head.resting_frown + shown.frown
        for side in (-1, 1):
            eye = self._point(side * head.eyes, head.eye_height)
            height = head.eye_size * float(np.clip(0.55 * (1 + 0.75 * shown.lids), 0.12, 1.1))
            axes = self._length(1.1 * head.eye_size), self._length(height)
            cv2.ellipse(self._image, eye, axes, 0, 0, 360, 0.93, -1)
            cv2.circle(self._image, eye, min(axes[1], self._length(0.5 * head.eye_size)), 0.12, -1)
            cv2.ellipse(self._image, eye, axes, 0, 0, 360, 0.25, self._length(0.006))
            height = head.eye_height - head.brow_height - 0.035 * shown.brow
            inner = self._point(side * 0.5 * head.eyes, height + 0.03 * frown)
            outer = self._point(side * 1.5 * head.eyes, height - 0.012 * frown)
            cv2.line(self._image, inner, outer, 0.8 * head.hair, self._length(head.brow_thickness))

    def _nose(self) -> None:
        head = self._head
        tip = head.eye_height + 0.02 + head.nose
        bridge = np.array([[0.0, head.eye_height], [-head.nose_width, tip], [head.nose_width, tip]])
        cv2.polylines(self._image, [self._polygon(bridge[[1, 2]])], False, 0.6 * head.skin, self._length(0.012))
        cv2.polylines(self._image, [self._polygon(bridge[[0, 1]])], False, 0.85 * head.skin, self._length(0.01))

    def _mouth(self, shown: Expression) -> None:
        head = self._head
        smile = head.resting_smile + shown.smile
        width = head.mouth * (1 + 0.3 * shown.stretch)
        across = np.linspace(-1, 1, 21)
        line = head.mouth_height - 0.05 * smile * (across**2 - 0.4)
        opening = 0.075 * max(0.0, shown.opening) * (1 - across**2)
        upper = np.stack([width * across, line - 0.4 * opening], axis=1)
        lower = np.stack([width * across, line + opening], axis=1)
        cv2.fillPoly(self._image, [self._polygon(np.concatenate([upper, lower[::-1]]))], 0.15)
        for lip in (upper, lower):
            cv2.polylines(self._image, [self._polygon(lip)], False, 0.5 * head.skin, self._length(0.016))

    def _polygon(self, points: np.ndarray) -> np.ndarray:
        return np.round((0.5 + points) * self._side).astype(np.int32)[:, np.newaxis]


def _under_circumstances(face: np.ndarray, config: SyntheticFacesConfig, rng: np.random.Generator) -> np.ndarray:
    """Places, lights and photographs a face: ``[size, size]`` float32."""
    much, side = config.circumstances, len(face)
    tilt, scale = 4.0 * much * rng.normal(), 1 + 0.03 * much * rng.normal()
    shift = 0.015 * side * much * rng.normal(size=2)
    placed = cv2.getRotationMatrix2D((side / 2, side / 2), tilt, scale)
    placed[:, 2] += shift
    turned = cv2.warpAffine(face, placed, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(turned, (config.size, config.size), interpolation=cv2.INTER_AREA)
    slope = 0.15 * much * rng.normal(size=2)
    rows, columns = np.meshgrid(*[np.linspace(-1, 1, config.size)] * 2, indexing="ij")
    light = 1 + 0.1 * much * rng.normal() + slope[0] * rows + slope[1] * columns
    noise = 0.02 * much * rng.normal(size=small.shape)
    return np.clip(small * light + noise, 0, 1).astype(np.float32)
