"""Level 1's speed: frames per second of one video on one core, from file to intensities, and the memory it takes.

python -m benchmarks.video VIDEO [--repeats 5] [--loops 20]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_prep.facemesh import GeometryConfig, face_activity
from data_prep.video_frames import Video, track


def one_core() -> None:
    """Leaves this process, with all threads that it starts, a single core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def seconds_for(file: Path) -> tuple[float, int]:
    """Seconds and frames of one pass, the models' loading in it; the first pass also pays for the imports."""
    started = time.perf_counter()
    clock, points = zip(*track(Video(file).frames()), strict=True)
    face_activity(np.array(clock), np.stack(points), GeometryConfig())
    return time.perf_counter() - started, len(clock)


def resident() -> float:
    """Megabytes in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def memory_over(file: Path, loops: int) -> list[float]:
    """Megabytes in memory after each time round."""

    def looped() -> Iterator[tuple[float, np.ndarray]]:
        for _ in range(loops):
            yield from Video(file).frames()
            marks.append(resident())

    marks: list[float] = []
    kept = [points for _, points in track(looped())]
    print(f"{len(kept)} frames; landmarks alone {sum(points.nbytes for points in kept) / 2**20:.1f} MB")
    return marks


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--loops", type=int, default=20)
    arguments = parser.parse_args()
    one_core()
    facts = Video(arguments.video).facts
    rates = [frames / seconds for seconds, frames in (seconds_for(arguments.video) for _ in range(arguments.repeats))]
    print(
        f"{facts.width}x{facts.height}, one core: median {statistics.median(rates):.0f} frames/s "
        f"(least {min(rates):.0f}, most {max(rates):.0f}, {len(rates)} runs)"
    )
    marks = memory_over(arguments.video, arguments.loops)
    print(f"memory after 1, 2, {len(marks)} times round: {marks[0]:.0f}, {marks[1]:.0f}, {marks[-1]:.0f} MB")


if __name__ == "__main__":
    main()
