"""Point files of the Glasgow Body Movement Library (``.ptd``).

Ma, Paterson & Pollick (2006). A motion capture library for the study of identity, gender, and emotion perception from
biological motion. Behavior Research Methods, 38(1), 134-141.

Plain text: the number of frames, then 45 numbers for each frame, which are 15 joints by x, y, z in inches with z up, at
60 frames a second; ``NaN`` where a joint was not seen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_prep.files.delimited import read_text
from data_prep.point_motion import MOST_FRAMES, PointMotion
from data_prep.skeleton import JOINTS
from tff_affect.errors import InputError

FRAME_RATE = 60.0
INCH = 0.0254
_VALUES = 3 * len(JOINTS)


def read_ptd(file: Path) -> PointMotion:
    """Reads a ``.ptd`` file.

    Returns:
        The 15 joints of `data_prep.skeleton.JOINTS`, in inches, NaN where the file has it.

    Raises:
        InputError: If the file is unreadable, a value is no number, or there are not as many as its first number says.
    """
    text = read_text(file)
    words = text.split()
    frames = _count(words[0], file)
    try:
        values = np.fromiter(map(float, words[1:]), np.float64)
    except ValueError as error:
        raise _no_number(text, file) from error
    if np.isinf(values).any():
        raise _no_number(text, file)
    if len(values) != frames * _VALUES:
        complete, rest = divmod(len(values), _VALUES)
        found = f"{complete} frames" + (f" and {rest} values" if rest else "")
        reason = (
            f"expected {frames} frames of {_VALUES} values, as its first number says, found {found}; fetch it again"
        )
        raise InputError(reason, file=file)
    return PointMotion(JOINTS, values.reshape(frames, len(JOINTS), 3), FRAME_RATE, INCH)


def _count(word: str, file: Path) -> int:
    try:
        count = float(word)
    except ValueError:
        count = np.nan
    if not (count == np.floor(count) and 1 <= count <= MOST_FRAMES):
        reason = f"expected the number of frames (1 to {MOST_FRAMES:,}) as the first number, found {word[:40]!r}"
        raise InputError(reason, file=file, line=1)
    return int(count)


def _no_number(text: str, file: Path) -> InputError:
    """Where the first word stands that is no finite number and no NaN."""
    for line, row in enumerate(text.splitlines(), start=1):
        for word in row.split():
            try:
                if not np.isinf(float(word)):
                    continue
            except ValueError:
                pass
            return InputError(f"expected numbers or NaN, found {word[:40]!r}", file=file, line=line)
    return InputError("expected numbers or NaN", file=file)
