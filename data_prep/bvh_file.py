"""BVH files: a hierarchy of joints with channels, and their values in every frame.

Biovision's format as described by Meredith & Maddock (2001), Motion capture file formats explained, University of
Sheffield CS-01-11. Every joint may have position channels, not the root alone, and rotations come in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.files.delimited import read_text
from data_prep.forward_kinematics import forward_kinematics
from data_prep.point_motion import MOST_FRAMES, PointMotion, check_duplicates, check_frame_rate
from tff_affect.errors import InputError

CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
_CHANNELS = {name.lower(): name for name in CHANNELS}
MOST_JOINTS = 1000


@dataclass
class BvhJoint:
    """A joint of a hierarchy.

    Attributes:
        name: Its name; an end of a limb has its parent's with ``_end``.
        parent: Number of its parent, always a lower one; -1 for the root.
        offset: ``[3]`` from its parent, at rest.
        channels: What moves it, of `CHANNELS`, in the order of the file.
        is_end: Whether it is the end of a limb, which nothing moves.
    """

    name: str
    parent: int
    offset: tuple[float, float, float] | None = None
    channels: tuple[str, ...] | None = None
    is_end: bool = False


@dataclass(frozen=True, eq=False)
class BvhFile:
    """What stands in a BVH file.

    Attributes:
        joints: Parents before their children.
        values: ``[time, channel]`` of all joints' channels in their order: the file's unit of length, and degrees.
        frame_time: Seconds.
    """

    joints: tuple[BvhJoint, ...]
    values: np.ndarray
    frame_time: float

    def motion(self) -> PointMotion:
        """Where every joint is in every frame, by forward kinematics; a BVH file does not say its unit."""
        names = tuple(joint.name for joint in self.joints)
        parents = [joint.parent for joint in self.joints]
        places = [joint.offset or (0.0, 0.0, 0.0) for joint in self.joints]
        channels = [joint.channels or () for joint in self.joints]
        positions = forward_kinematics(parents, np.array(places), channels, self.values)
        return PointMotion(names, positions, 1 / self.frame_time)


def read_bvh(file: Path) -> PointMotion:
    """Reads a BVH file and finds where its joints are, in the file's unit and axes.

    Raises:
        InputError: As `parse_bvh`.
    """
    return parse_bvh(file).motion()


def parse_bvh(file: Path) -> BvhFile:
    """Reads a BVH file as it is written.

    Raises:
        InputError: With the line: if a brace, a name, an offset or channels are missing or wrong, there are several
            roots, two joints have one name, or a frame has not a number for each channel, or their count is wrong.
    """
    lines = _Lines(file, read_text(file))
    joints = _Hierarchy(lines).read()
    check_duplicates(tuple(joint.name for joint in joints), "joint", file)
    return _motion(lines, joints)


@dataclass
class _Lines:
    """The lines of a file that hold something, one after the other."""

    file: Path
    text: str
    number: int = 0
    rest: Iterator[tuple[int, str]] = field(init=False)

    def __post_init__(self) -> None:
        stripped = ((number, line.strip()) for number, line in enumerate(self.text.splitlines(), start=1))
        self.rest = ((number, line) for number, line in stripped if line)

    def next(self, expected: str) -> str:
        """The next line; an error that says what was expected where the file ends."""
        number, line = next(self.rest, (0, ""))
        if not line:
            raise InputError(f"expected {expected}, found the end of the file; it is cut short", file=self.file)
        self.number = number
        return line

    def all(self) -> Iterator[str]:
        """All lines that are left."""
        for number, line in self.rest:
            self.number = number
            yield line

    def wrong(self, expected: str, found: str) -> InputError:
        """That this line is not what was expected."""
        return InputError(f"expected {expected}, found {found[:60]!r}", file=self.file, line=self.number)

    def numbers(self, words: list[str], count: int, expected: str, line: str) -> np.ndarray:
        """Finite numbers or NaN."""
        try:
            values = np.fromiter(map(float, words), np.float64)
        except ValueError:
            bad = next(word for word in words if not _is_number(word))
            raise self.wrong(expected, bad) from None
        if len(values) != count:
            raise InputError(f"expected {expected}, found {len(values)}", file=self.file, line=self.number)
        if np.isinf(values).any():
            raise self.wrong(expected, words[int(np.argmax(np.isinf(values)))])
        return values


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


class _Hierarchy:
    """Reads the part from HIERARCHY to MOTION."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._joints: list[BvhJoint] = []
        # Numbers of the joints whose braces are open.
        self._open: list[int] = []

    def read(self) -> tuple[BvhJoint, ...]:
        line = self._lines.next("HIERARCHY")
        if line.upper() != "HIERARCHY":
            raise self._lines.wrong("HIERARCHY, as a BVH file begins", line)
        self._begin(self._lines.next("ROOT and a name"), root=True)
        while self._open:
            self._take(self._lines.next("the hierarchy's closing brace"))
        line = self._lines.next("MOTION")
        if line.upper().startswith("ROOT"):
            raise self._lines.wrong("one ROOT, so one person in a file", line)
        if line.upper() != "MOTION":
            raise self._lines.wrong("MOTION after the hierarchy's closing brace", line)
        return tuple(self._joints)

    def _take(self, line: str) -> None:
        word = line.split()[0].upper()
        if word == "}":
            self._close()
        elif word in ("JOINT", "END"):
            self._begin(line, root=False)
        elif word == "OFFSET":
            self._offset(line)
        elif word == "CHANNELS":
            self._channels(line)
        else:
            raise self._lines.wrong("OFFSET, CHANNELS, JOINT, End Site or a brace", line)

    def _begin(self, line: str, root: bool) -> None:
        word, _, name = line.partition(" ")
        name = name.strip().removesuffix("{").strip()
        parent = -1 if root else self._open[-1]
        is_end = word.upper() == "END"
        if not (is_end or word.upper() == ("ROOT" if root else "JOINT")) or not name or (root and is_end):
            raise self._lines.wrong(f"{'ROOT' if root else 'JOINT'} and a name", line)
        if not root and self._joints[parent].is_end:
            raise self._lines.wrong("nothing below an End Site but its OFFSET", line)
        if len(self._joints) == MOST_JOINTS:
            raise self._lines.wrong(f"at most {MOST_JOINTS} joints", line)
        self._joints.append(BvhJoint(self._end_name(parent) if is_end else name, parent, is_end=is_end))
        self._open.append(len(self._joints) - 1)
        if not line.endswith("{"):
            brace = self._lines.next("an opening brace")
            if brace != "{":
                raise self._lines.wrong("an opening brace", brace)

    def _end_name(self, parent: int) -> str:
        name = f"{self._joints[parent].name}_end"
        earlier = sum(joint.is_end and joint.parent == parent for joint in self._joints)
        return f"{name}{earlier + 1}" if earlier else name

    def _close(self) -> None:
        joint = self._joints[self._open.pop()]
        if joint.offset is None or (joint.channels is None and not joint.is_end):
            lacking = "OFFSET" if joint.offset is None else "CHANNELS"
            reason = f"joint {joint.name!r}: expected {lacking} before its closing brace, found none"
            raise InputError(reason, file=self._lines.file, line=self._lines.number)

    def _offset(self, line: str) -> None:
        joint = self._joints[self._open[-1]]
        if joint.offset is not None:
            raise self._lines.wrong(f"one OFFSET of {joint.name!r}", line)
        values = self._lines.numbers(line.split()[1:], 3, "OFFSET with 3 numbers", line)
        if np.isnan(values).any():
            raise self._lines.wrong("OFFSET with 3 numbers", line)
        joint.offset = (float(values[0]), float(values[1]), float(values[2]))

    def _channels(self, line: str) -> None:
        joint = self._joints[self._open[-1]]
        if joint.channels is not None or joint.is_end:
            raise self._lines.wrong(f"one list of CHANNELS of {joint.name!r}, and none of an End Site", line)
        words = line.split()[1:]
        names = tuple(_CHANNELS.get(word.lower(), "") for word in words[1:])
        if "" in names or len(set(names)) != len(names):
            raise self._lines.wrong(f"channels of {', '.join(CHANNELS)}, each once", line)
        if not words or words[0] != str(len(names)):
            raise self._lines.wrong(f"the number of channels, {len(names)}, after CHANNELS", line)
        joint.channels = names


def _motion(lines: _Lines, joints: tuple[BvhJoint, ...]) -> BvhFile:
    frames = _after(lines, "Frames:")
    if frames != np.floor(frames) or not 1 <= frames <= MOST_FRAMES:
        raise lines.wrong(f"1 to {MOST_FRAMES:,} frames", f"{frames:g}")
    seconds = _after(lines, "Frame Time:")
    check_frame_rate(1 / seconds if seconds > 0 else 0.0, lines.file, lines.number)
    width = sum(len(joint.channels or ()) for joint in joints)
    if not width:
        raise InputError("expected channels that move the joints, found none", file=lines.file)
    values = [lines.numbers(row.split(), width, f"{width} numbers, one for each channel", row) for row in lines.all()]
    if len(values) != frames:
        reason = f"expected {frames:.0f} frames, as it says, found {len(values)}; it is cut short or was put together"
        raise InputError(reason, file=lines.file)
    return BvhFile(joints, np.stack(values), seconds)


def _after(lines: _Lines, word: str) -> float:
    line = lines.next(f"{word} and a number")
    head, _, value = line.partition(":")
    if " ".join(head.lower().split()) != word[:-1].lower() or not _is_number(value) or not np.isfinite(float(value)):
        raise lines.wrong(f"{word} and a number", line)
    return float(value)
