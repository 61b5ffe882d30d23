"""Pictures of transformed faces side by side, for people to look at; the title says SYNTHETIC where faces are drawn.

Of real people such a picture shows who they are: it is drawn only where somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet
from tff_affect.report.svg import INK, to_png

GRID_NAME = "faces.png"
_GAP = 3
_INCHES = 0.86
_DOTS_PER_INCH = 150
_MARGINS = 1.5, 1.5


def rows_to_show(faces: FaceSet, people: int = 3, emotions: int = 2) -> np.ndarray:
    """``[row]`` numbers of images: of each of the first people, one image of several emotions.

    Emotions are as far apart in the sorted list as can be, so that a smile stands beside something else.
    """
    classes = [faces.classes[at] for at in np.linspace(0, len(faces.classes) - 1, emotions).round().astype(int)]
    subjects, shown = np.array(faces.subjects), np.array(faces.emotions)
    found = []
    for person in faces.people[:people]:
        for emotion in dict.fromkeys(classes):
            found += np.flatnonzero((subjects == person) & (shown == emotion))[:1].tolist()
    return np.array(found, dtype=int)


def face_grid(columns: Mapping[str, np.ndarray], rows: Sequence[str], title: str, synthetic: bool) -> bytes:
    """A picture with a row for each image and a column for each thing done to it.

    Args:
        columns: Heading -> ``[row, row of pixels, column of pixels]`` images, 0 (black) to 1 (white).
        rows: What stands left of each row.
        title: Above the picture.
        synthetic: Whether the faces are drawn; the title then starts with SYNTHETIC.

    Returns:
        A PNG, the same bytes for the same images.

    Raises:
        InputError: If a column has another shape than the first.
    """
    shapes = {images.shape for images in columns.values()}
    if len(shapes) != 1 or next(iter(shapes))[0] != len(rows):
        raise InputError(f"picture grid: expected {len(rows)} images of one size in each column, found {shapes}")
    return _drawn(_mosaic(list(columns.values())), list(columns), list(rows), _titled(title, synthetic))


def _titled(title: str, synthetic: bool) -> str:
    return f"SYNTHETIC data\n{title}" if synthetic else title


def _mosaic(columns: Sequence[np.ndarray]) -> np.ndarray:
    """All images in one, with white between them."""
    count, height, width = columns[0].shape
    step, stride = height + _GAP, width + _GAP
    picture = np.ones((count * step - _GAP, len(columns) * stride - _GAP), np.float32)
    for place, images in enumerate(columns):
        for row, image in enumerate(images):
            picture[row * step : row * step + height, place * stride : place * stride + width] = image
    return picture


def _drawn(picture: np.ndarray, columns: list[str], rows: list[str], title: str) -> bytes:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    tall, wide = picture.shape
    size = _INCHES * len(columns) + _MARGINS[0], _INCHES * len(rows) + _MARGINS[1]
    with rc_context({"font.size": 8, "text.color": INK, "text.parse_math": False}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xticks(_middles(wide, len(columns)), columns)
        axes.set_yticks(_middles(tall, len(rows)), rows)
        axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        figure.suptitle(title, fontsize=10, fontweight="bold")
        return to_png(figure, _DOTS_PER_INCH)


def _middles(length: int, count: int) -> np.ndarray:
    step = (length + _GAP) / count
    return step * np.arange(count) + (step - _GAP - 1) / 2
