"""One recording to gait cycles of the common skeleton; it is read apart from all others.

Nothing of one person reaches another's cycles: gaps, size and heading are of the recording alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.bvh_file import read_bvh
from data_prep.c3d_file import read_c3d
from data_prep.gait_cycles import find_cycles, resample
from data_prep.gait_normalise import body_size, check_body, fill_gaps, is_static, normalise, walks_backwards
from data_prep.joint_table import read_joint_table
from data_prep.point_motion import PointMotion
from data_prep.ptd_file import read_ptd
from data_prep.skeleton import JointMap, fitting_map
from tff_affect.errors import InputError

READERS: Mapping[str, Callable[[Path], PointMotion]] = {
    ".ptd": read_ptd,
    ".bvh": read_bvh,
    ".c3d": read_c3d,
    ".csv": read_joint_table,
}
UNREADABLE, GAP, STATIC, NO_BODY, NO_CYCLE = (
    "unreadable", "a gap too long", "a static pose", "no walking body", "no gait cycle",
)  # fmt: skip


class Unusable(InputError):
    """A recording that can be read, but holds no walk.

    Attributes:
        kind: Why, in a few words that many recordings share.
    """

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        super().__init__(reason)


@dataclass(frozen=True)
class CycleOptions:
    """How a recording becomes gait cycles.

    Attributes:
        samples: How many samples a cycle gets.
        root: Whether the pelvis becomes the origin in every frame.
        heading: Whether cycles are turned so that the body faces x.
        size: Whether bodies are scaled to one size; each body's own is the median of its recording.
        longest_gap: The longest gap that is filled, seconds.
    """

    samples: int = 64
    root: bool = True
    heading: bool = True
    size: bool = True
    longest_gap: float = 0.1

    def __post_init__(self) -> None:
        if not 8 <= self.samples <= 1000:
            raise InputError(f"gait: samples: expected 8 to 1000 a cycle, found {self.samples}")
        if not 0 <= self.longest_gap <= 1:
            raise InputError(f"gait: longest_gap: expected 0 to 1 s, found {self.longest_gap:g}")


@dataclass(frozen=True, eq=False)
class Cycles:
    """The gait cycles of a recording.

    Attributes:
        motions: ``[cycle, time, joint, 3]`` float32 metres.
        spans: ``[cycle, 2]`` seconds from the recording's first frame.
        left_out: Why other cycles were not taken -> how many.
        backwards: Whether the body goes to where its back is.
    """

    motions: np.ndarray
    spans: np.ndarray
    left_out: Mapping[str, int] = field(default_factory=dict)
    backwards: bool = False


def read_joints(file: Path, joint_map: JointMap | None = None) -> tuple[np.ndarray, float]:
    """Reads a recording as the 15 joints of `data_prep.skeleton.JOINTS`.

    Args:
        file: ``.ptd``, ``.bvh``, ``.c3d`` or ``.csv``.
        joint_map: What its points are; None: recognised by their names.

    Returns:
        ``[time, joint, 3]`` metres, z up, NaN where a joint was not seen; frames per second.

    Raises:
        InputError: If the ending is another, the file is wrong, or no map fits its points.
    """
    file = Path(file)
    read = READERS.get(file.suffix.lower())
    if read is None:
        raise InputError(f"expected a file of {', '.join(READERS)}, found {file.suffix or 'no ending'}", file=file)
    motion = read(file)
    return fitting_map(motion, file, joint_map).apply(motion), motion.frame_rate


def cut_cycles(joints: np.ndarray, frame_rate: float, options: CycleOptions) -> Cycles:
    """Cuts a recording into gait cycles.

    Args:
        joints: ``[time, joint, 3]`` metres, z up, NaN where a joint was not seen.
        frame_rate: Frames per second.
        options: How.

    Raises:
        Unusable: If a gap is too long, nobody walks, it is no upright body in metres, or no cycle is complete.
    """
    joints, first = _or(GAP, fill_gaps, joints, frame_rate, options.longest_gap)
    _or(NO_BODY, check_body, joints)
    if is_static(joints):
        raise Unusable(STATIC, f"the feet do not move in {len(joints) / frame_rate:.1f} s")
    found = _or(NO_CYCLE, find_cycles, joints, frame_rate)
    size = body_size(joints) if options.size else None
    cycles = resample(joints, found.spans, options.samples)
    backwards = np.mean([walks_backwards(cycle) for cycle in cycles]) > 0.5
    motions = np.stack([normalise(cycle, options.root, options.heading, size) for cycle in cycles])
    spans = (found.spans + first) / frame_rate
    return Cycles(motions.astype(np.float32), spans, found.left_out, bool(backwards))


def _or(kind: str, step: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return step(*arguments)
    except InputError as error:
        raise Unusable(kind, error.reason) from error
