"""What is done to faces without learning anything: blur, coarse cells, noise; and the two ends, everything and nothing.

Each is called with ``images [image, row, column]`` float32 from 0 to 1 and returns as many of the same size and range.
The same images come out the same; and but for noise, which is drawn anew in other company, so does each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from tff_affect.errors import InputError
from tff_affect.streams import stream_of

GREY = 0.5


def _checked(name: str, value: float, least: float, unit: str) -> None:
    if not value >= least or not np.isfinite(value):
        raise InputError(f"{name}: expected {unit} of at least {least:g}, found {value:g}")


def _each(images: np.ndarray, changed: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """As float32 from 0 to 1; no images stay no images."""
    return np.clip(np.reshape(changed, images.shape), 0, 1).astype(np.float32)


@dataclass(frozen=True)
class Unchanged:
    """The images as they are: what an attacker reaches at most, and what a reader of emotions does."""

    name: ClassVar[str] = "unchanged"
    strength: ClassVar[float] = 0.0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The same images."""
        return np.asarray(images, np.float32)


@dataclass(frozen=True)
class Constant:
    """Mid grey for everybody: neither emotion nor identity is left, and what is found is luck."""

    name: ClassVar[str] = "constant"
    strength: ClassVar[float] = 0.0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Mid grey."""
        return np.full(images.shape, GREY, np.float32)


@dataclass(frozen=True)
class Blur:
    """Gaussian blur.

    Attributes:
        sigma: Standard deviation of the kernel, pixels.
    """

    sigma: float
    name: ClassVar[str] = "blur"

    def __post_init__(self) -> None:
        _checked("blur", self.sigma, 0.1, "a standard deviation in pixels")

    @property
    def strength(self) -> float:
        """Pixels; the more, the stronger."""
        return float(self.sigma)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Blurred images."""
        return _each(images, [cv2.GaussianBlur(image, (0, 0), self.sigma) for image in images])


@dataclass(frozen=True)
class Pixelate:
    """Coarse cells, each with the mean of its pixels.

    Attributes:
        cells: A side.
    """

    cells: int
    name: ClassVar[str] = "pixelate"

    def __post_init__(self) -> None:
        _checked("pixelate", self.cells, 1, "cells a side")

    @property
    def strength(self) -> float:
        """Cells a side; the fewer, the stronger."""
        return float(self.cells)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Pixelated images.

        Raises:
            InputError: If there are fewer pixels a side than cells.
        """
        rows, columns = images.shape[1:]
        if min(rows, columns) < self.cells:
            raise InputError(f"pixelate: expected at most {min(rows, columns)} cells a side, found {self.cells}")
        coarse = [cv2.resize(image, (self.cells, self.cells), interpolation=cv2.INTER_AREA) for image in images]
        return _each(images, [cv2.resize(c, (columns, rows), interpolation=cv2.INTER_NEAREST) for c in coarse])


@dataclass(frozen=True)
class GaussianNoise:
    """Noise of its own on each image; what leaves the range from 0 to 1 is cut off.

    The noise derives from the seed and all the images together: by its place alone, images of one person that come in
    order could share noise, and would be known by it; by the image alone, no noise would ever be drawn again.

    Attributes:
        deviation: Standard deviation of the noise, where white is 1.
        seed: Of the noise.
    """

    deviation: float
    seed: int = 0
    name: ClassVar[str] = "noise"

    def __post_init__(self) -> None:
        _checked("noise", self.deviation, 0.0, "a standard deviation")

    @property
    def strength(self) -> float:
        """Standard deviation; the more, the stronger."""
        return float(self.deviation)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Noisy images."""
        noise = stream_of(self.seed, "noise", images).normal(size=images.shape)
        return _each(images, images + self.deviation * noise)
