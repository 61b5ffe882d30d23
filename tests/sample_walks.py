"""Walks in the formats of motion capture, written by tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_prep.skeleton import JOINTS
from data_prep.synthetic_walkers import FRAME_RATE, SyntheticWalkersConfig, draw_walk

WALKERS = SyntheticWalkersConfig(people=3, takes=2, cycles=3, seed=5)
INCH = 0.0254
CODES = {"angry": "an", "happy": "ha", "neutral": "nu", "sad": "sa"}


def walk(person: int = 0, emotion: str = "neutral", take: int = 0) -> np.ndarray:
    """``[time, 15, 3]`` metres at 60 Hz."""
    return draw_walk(WALKERS, person, emotion, take)


def write_ptd(file: Path, joints: np.ndarray, count: int | None = None) -> Path:
    """The Glasgow library's format: the number of frames, then a line of 45 numbers in inches for each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        " ".join("NaN" if np.isnan(value) else f"{value:.4f}" for value in row) for row in joints.reshape(-1, 45) / INCH
    ]
    file.write_text("\n".join([str(len(joints) if count is None else count), *(f"{row} " for row in rows)]) + "\n")
    return file


def write_table(file: Path, joints: np.ndarray, frame_rate: float = FRAME_RATE) -> Path:
    """A CSV with a time and the 15 joints' places in metres."""
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = ["time", *(f"{joint}_{axis}" for joint in JOINTS for axis in "xyz")]
    rows = [
        ",".join([f"{frame / frame_rate:.5f}", *("" if np.isnan(value) else f"{value:.5f}" for value in row.ravel())])
        for frame, row in enumerate(joints)
    ]
    file.write_text("\n".join([",".join(columns), *rows]) + "\n")
    return file


def glasgow(folder: Path, people: int = 2) -> Path:
    """A folder as the Glasgow library has it: made-up people, all emotions, two walks each."""
    for person in range(people):
        name = ("ale", "bob", "chr")[person]
        for emotion, code in CODES.items():
            for take in range(2):
                write_ptd(folder / f"{name}_pt" / f"{name}_walk_{code}_{take + 1}_fin.ptd", walk(person, emotion, take))
    return folder


TWO_BONES = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Knee
  {
    OFFSET 0 -40 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -40 0
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.02
0 90 0 0 0 0 0 0 0
1 91 2 90 0 0 0 0 0
0 90 0 0 0 0 90 0 0
"""
"""A leg of 40 and 40: straight down; turned by 90 degrees about z at the hip; bent by as much at the knee."""
