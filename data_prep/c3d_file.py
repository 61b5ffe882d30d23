"""C3D files (https://www.c3d.org), read by ezc3d, an extra of the package.

Some damaged headers make that library crash, and the process with it, or count without end: files are read in a
process of their own.
"""

from __future__ import annotations

import multiprocessing
import os
import struct
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import numpy as np

from data_prep.point_motion import PointMotion, check_duplicates, check_frame_rate
from tff_affect.errors import InputError

_MOST_SECONDS = 120.0
_SATURATED, _BIG_ENDIAN = 65535, b"V"
UNITS = {"mm": 0.001, "cm": 0.01, "dm": 0.1, "m": 1.0, "in": 0.0254, "inch": 0.0254, "inches": 0.0254, "ft": 0.3048}


def read_c3d(file: Path) -> PointMotion:
    """Reads the points of a C3D file as `read_c3d_here` does, in a process of its own (about half a second).

    Raises:
        InputError: Likewise, and if the library crashes over the file or comes to no end.
    """
    spawn = multiprocessing.get_context("spawn")
    answer, end = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_answer, args=(end, file), daemon=True)
    process.start()
    end.close()
    try:
        if not answer.poll(_MOST_SECONDS):
            raise InputError(f"the C3D file could not be read within {_MOST_SECONDS:g} s; save it again", file=file)
        found = answer.recv()
    except EOFError as error:
        reason = "the C3D file is so damaged that the library that reads it crashed; save it again"
        raise InputError(reason, file=file) from error
    finally:
        process.kill()
        process.join()
    if isinstance(found, InputError):
        raise found
    return cast(PointMotion, found)


def _answer(end: Connection, file: Path) -> None:
    try:
        end.send(read_c3d_here(file))
    except InputError as error:
        end.send(error)


def read_c3d_here(file: Path) -> PointMotion:
    """Reads the points of a C3D file in this process, which some damaged files end.

    A point that was not seen (NaN, a negative residual, or exactly at the origin, as older programs write it) is NaN.
    A prefix that all labels share, such as ``Anna:``, is left out.

    Raises:
        InputError: If ezc3d is not installed, the file is no C3D, damaged or cut short, it has no points, two of one
            name, an unknown unit, or a frame rate that no camera has.
    """
    content = _opened(file)
    try:
        point = content["parameters"]["POINT"]
        positions = np.asarray(content["data"]["points"], np.float64)[:3].transpose(2, 1, 0).copy()
        residuals = np.asarray(content["data"]["meta_points"]["residuals"], np.float64)[0].T
        names = _labels(point, positions.shape[1])
        rate = float(np.ravel(point["RATE"]["value"])[0])
        unit = str(np.ravel(point["UNITS"]["value"])[0]).strip().lower() if len(point["UNITS"]["value"]) else ""
    # Which of the parameters a damaged file lacks, and how ezc3d shows it, cannot be told beforehand.
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"the C3D file is damaged or incomplete ({error}); save it again", file=file) from error
    if not positions.size:
        raise InputError("expected points over time, found none; analogue channels alone are of no use", file=file)
    if len(positions) < _frames(file):
        reason = f"expected {_frames(file)} frames, as its header says, found {len(positions)}; the file is cut short"
        raise InputError(reason, file=file)
    check_duplicates(names, "point", file)
    positions[(positions == 0).all(axis=2) | _unseen(residuals, positions)] = np.nan
    return PointMotion(names, positions, check_frame_rate(rate, file), _metres(unit, file))


def _opened(file: Path) -> Any:
    if not os.path.isfile(file):
        raise InputError("cannot read the file: it is missing, or no file", file=file)
    try:
        import ezc3d
    except ImportError as error:
        reason = "C3D files need the package ezc3d, which is not installed; install it with: pip install ezc3d"
        raise InputError(reason, file=file) from error
    try:
        return ezc3d.c3d(str(file))
    # The library's C++ raises OSError, RuntimeError, ValueError or MemoryError of damaged files.
    except Exception as error:
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"expected a C3D file, found something else or a damaged one ({said})", file=file) from error


def _frames(file: Path) -> int:
    """How many frames the header counts, which the library overwrites by what it finds; 0 where it cannot say."""
    with open(file, "rb") as stream:
        head = stream.read(512)
        if len(head) < 512 or not head[0]:
            return 0
        stream.seek(512 * (head[0] - 1) + 3)
        order = ">" if stream.read(1) == _BIG_ENDIAN else "<"
    first, last = struct.unpack(f"{order}HH", head[6:10])
    return 0 if last == _SATURATED else last - first + 1


def _labels(point: Any, count: int) -> tuple[str, ...]:
    # More than 255 labels go on in LABELS2, LABELS3, ...
    more = sorted((key for key in point if key.startswith("LABELS")), key=lambda key: int(key[6:] or 1))
    labels = [str(label).strip() for key in more for label in point[key]["value"]]
    if len(labels) < count:
        raise ValueError(f"{count} points have {len(labels)} labels")
    prefixes = {label.rpartition(":")[0] for label in labels[:count]}
    return tuple(label.rpartition(":")[2] if len(prefixes) == 1 else label for label in labels[:count])


def _unseen(residuals: np.ndarray, positions: np.ndarray) -> np.ndarray:
    return residuals < 0 if residuals.shape == positions.shape[:2] else np.zeros(positions.shape[:2], bool)


def _metres(unit: str, file: Path) -> float:
    if unit not in UNITS:
        raise InputError(f"expected a unit of {', '.join(UNITS)} in POINT:UNITS, found {unit[:40]!r}", file=file)
    return UNITS[unit]
