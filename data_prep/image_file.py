"""One image file, whatever it is called, to grey values.

A file is known by its content: Yale's images are GIF without an ending. Of several frames or pages the first is taken;
what the camera noted of its rotation (EXIF) is undone; what is transparent lies over mid grey; colours become luma
(ITU-R BT.601).

Values are divided by the largest that the file's depth can hold. Integers of 32 bits and floating-point numbers do not
say what white is: it is the smallest of 255, 65535 and the depth's largest, for floating point 1, 255 and 65535, that
no pixel exceeds.
"""

from __future__ import annotations

import logging
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from data_prep.image_signs import content_of
from tff_affect.errors import InputError

LEAST_SIDE = 16
MOST_PIXELS = 100_000_000
# Formats with a signature. Left out: those that start other programs (EPS) or drawing instructions (WMF), and those
# that take nearly any file for theirs (TGA).
_FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "PPM", "BMP", "WEBP", "JPEG2000", "AVIF", "PCX", "SGI", "SUN")
_MID_GREY = 0.5
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2
_DO = "save it as PNG, JPEG or TIFF, or take it out of the folder"


def read_image(file: Path) -> np.ndarray:
    """Reads an image of any mode and depth.

    Args:
        file: PNG, JPEG, GIF, TIFF, PGM, BMP, WebP, JPEG 2000, AVIF, PCX, SGI or Sun raster, under any name.

    Returns:
        ``[row, column]`` float32, 0 (black) to 1 (white), upright.

    Raises:
        InputError: If it is no image, damaged, cut short, of one grey all over, not of finite numbers, smaller than
            `LEAST_SIDE` on a side, or larger than `MOST_PIXELS`.
    """
    with _opened(file) as stream, _quietly():
        try:
            image = Image.open(stream, formats=_FORMATS)
            _check_size(image, file)
            grey = _grey(_upright(image), file)
        except InputError:
            raise
        except UnidentifiedImageError as error:
            found = _head(stream)
            raise InputError(f"expected an image, found {content_of(found)}; {_DO}", file=file) from error
        except Image.DecompressionBombError as error:
            raise InputError(
                f"expected at most {MOST_PIXELS:,} pixels, found more; scale it down", file=file
            ) from error
        # Decoders raise whatever a damaged file makes them stumble over, of a dozen kinds.
        except Exception as error:
            said = " ".join(str(error).split())[:120] or type(error).__name__
            raise InputError(
                f"the image is damaged or cut short ({said}); fetch it again, or {_DO}", file=file
            ) from error
    _check_values(grey, file)
    return np.ascontiguousarray(grey)


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """A regular file, opened without waiting for the other end of a pipe."""
    if os.path.isdir(file):
        raise InputError("expected an image, found a folder; name a file", file=file)
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        reason = "the link leads nowhere" if _dangles(file) else error.strerror
        raise InputError(f"cannot read the image: {reason}; put a readable file there", file=file) from error
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise InputError("expected an image, found a pipe or a device; put the file itself there", file=file)
        if not found.st_size:
            raise InputError("the image is empty (zero bytes); fetch it again", file=file)
        yield stream


def _dangles(file: Path) -> bool:
    return os.path.islink(file) and not os.path.exists(file)


@contextmanager
def _quietly() -> Iterator[None]:
    """What is wrong with a file is said once, by `InputError`; decoders warn and log beside it."""
    logger = logging.getLogger("PIL")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _head(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read(512)


def _check_size(image: Image.Image, file: Path) -> None:
    width, height = image.size
    if min(width, height) < LEAST_SIDE:
        found = f"{width}x{height}"
        raise InputError(f"expected at least {LEAST_SIDE} pixels a side, found {found}; leave it out", file=file)
    if width * height > MOST_PIXELS:
        raise InputError(f"expected at most {MOST_PIXELS:,} pixels, found {width}x{height}; scale it down", file=file)


def _check_values(grey: np.ndarray, file: Path) -> None:
    low, high = float(grey.min()), float(grey.max())
    if low == high:
        reason = f"every pixel has the same grey ({low:.3g}); fetch the image again, or leave it out"
        raise InputError(reason, file=file)


def _upright(image: Image.Image) -> Image.Image:
    """The first frame, decoded, as it was seen; a rotation that cannot be read is none, as viewers have it."""
    image.load()
    try:
        image.getexif()
    except Exception:
        return image
    # In place, so that a TIFF stays one and keeps its tags.
    ImageOps.exif_transpose(image, in_place=True)
    return image


def _grey(image: Image.Image, file: Path) -> np.ndarray:
    """``[row, column]`` float32, 0 to 1."""
    if image.mode.startswith("I;16"):
        return _sixteen_bits(image)
    if image.mode in ("I", "F"):
        return _numbers(image, file)
    if not image.has_transparency_data:
        return _luma(image)
    layers = image.convert("RGBA")
    opacity = np.asarray(layers.getchannel("A"), np.float32) / 255
    return opacity * _luma(layers.convert("RGB")) + (1 - opacity) * np.float32(_MID_GREY)


def _luma(image: Image.Image) -> np.ndarray:
    straight = image if image.mode in ("1", "L", "RGB") else image.convert("RGB")
    return np.asarray(straight.convert("L"), np.float32) / 255


def _sixteen_bits(image: Image.Image) -> np.ndarray:
    values = np.asarray(image)
    grey = values.astype(np.float32) / (2 ** min(16, _tag(image, _BITS_PER_SAMPLE, 16)) - 1)
    if _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO:
        grey = 1 - grey
    see_through = image.info.get("transparency")
    return grey if see_through is None else np.where(values == see_through, np.float32(_MID_GREY), grey)


def _numbers(image: Image.Image, file: Path) -> np.ndarray:
    """Of 32-bit integers, 16-bit ones with a sign, and floating point."""
    values = np.asarray(image)
    if image.mode == "F":
        whites: tuple[int, ...] = (1, 255, 65535)
    else:
        bits = _tag(image, _BITS_PER_SAMPLE, 16)
        signed = _tag(image, _SAMPLE_FORMAT, 1) == _SIGNED
        values = values if signed else values.view(np.uint32)
        largest = 2 ** (bits - signed) - 1
        whites = (255, 65535, largest) if bits > 16 else (largest,)
    if not np.isfinite(values).all():
        raise InputError("expected finite pixels, found NaN or infinite ones; save it anew", file=file)
    low, high = values.min(), values.max()
    white = next((white for white in whites if high <= white), None)
    if low < 0 or white is None:
        found = f"{low:g} to {high:g}"
        raise InputError(f"expected pixels of 0 to {whites[-1]}, found {found}; save it in 8 bits", file=file)
    grey = (values / np.float64(white)).astype(np.float32)
    return 1 - grey if _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO else grey


def _tag(image: Image.Image, number: int, otherwise: int) -> int:
    """A TIFF's tag; other formats have none."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return otherwise
    value = image.tag_v2.get(number, otherwise)
    return int(value[0] if isinstance(value, tuple) else value)
