"""How fast a folder of OpenFace tables becomes a cohort, and in how much memory, beside pandas reading the same files.

Writes 27 SYNTHETIC recordings of 7500 frames x 714 columns (RECOLA's size: five minutes at 25 Hz) with labels to a
temporary folder; converts the folder, and reads the needed columns of the same files with ``pandas.read_csv``, in turn.
Every measurement is a process of its own, so that its peak memory is its own.

    python -m benchmarks.readers --repeats 3
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.au_tables import detect_dialect
from data_prep.convert import convert
from data_prep.files.wide_csv import read_header
from data_prep.labels.label_folder import write_label

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
COLUMNS = 714
FRAME_RATE = 25.0
TARGET_RATIO = 1.5
TARGET_SECONDS = 60.0
TARGET_MEMORY = 1e9


def synthetic_openface(frames: int, seed: int = 0) -> pd.DataFrame:
    """A SYNTHETIC OpenFace 2.x table, ``[frames, 714]``: noise of the right widths in the right columns."""
    rng = np.random.default_rng(seed)
    table: dict[str, np.ndarray] = {"frame": np.arange(1, frames + 1), "face_id": np.zeros(frames, dtype=int)}
    table |= {"timestamp": (np.arange(frames) / FRAME_RATE).round(3), "confidence": np.full(frames, 0.98)}
    table["success"] = np.ones(frames, dtype=int)
    landmarks = COLUMNS - len(table) - 2 * len(UNITS) - 1
    table |= {f"x_{i}": rng.normal(300, 50, frames).round(1) for i in range(landmarks)}
    table |= {f"AU{unit:02d}_r": rng.uniform(0, 5, frames).round(2) for unit in UNITS}
    table |= {f"AU{unit:02d}_c": rng.integers(0, 2, frames) for unit in (*UNITS, 28)}
    return pd.DataFrame(table)


def write_folder(folder: Path, recordings: int, frames: int) -> Path:
    """Writes one recording and its labels, and links the others to it."""
    (folder / "SYNTHETIC.txt").write_text("SYNTHETIC: noise, for benchmarks/readers.py\n", encoding="utf-8")
    first = folder / "P001.csv"
    synthetic_openface(frames).to_csv(first, index=False)
    time_s = np.arange(frames) / FRAME_RATE
    for dimension in ("arousal", "valence"):
        (folder / "labels" / dimension).mkdir(parents=True)
        write_label(folder / "labels" / dimension / first.name, time_s, np.sin(time_s / 10))
    for number in range(2, recordings + 1):
        for file in (first, *(folder / "labels" / name / first.name for name in ("arousal", "valence"))):
            os.link(file, file.with_name(f"P{number:03d}.csv"))
    return folder


def convert_folder(folder: Path) -> None:
    """What ``tff-affect data convert`` does."""
    with tempfile.TemporaryDirectory() as place:
        convert(folder, Path(place) / "cohort")


def read_with_pandas(folder: Path) -> None:
    """The needed columns of the same files, read and thrown away."""
    for file in sorted(folder.glob("*.csv")):
        columns = read_header(file)
        dialect = detect_dialect(columns)
        if dialect is not None:
            pd.read_csv(file, usecols=[*dialect.beside(columns), *dialect.units(columns).values()])


def _in_child(work: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    start = time.perf_counter()
    work(folder)
    # Linux gives the peak in KiB.
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def measure(work: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    """Seconds and peak bytes of ``work`` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_in_child, (work, folder))


def main() -> int:
    """Prints the measurements; returns 0 if the targets are met, else 1."""
    parser = argparse.ArgumentParser(description="Times the reader of action-unit tables on SYNTHETIC files.")
    parser.add_argument("--recordings", type=int, default=27)
    parser.add_argument("--frames", type=int, default=7500)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    ours: list[tuple[float, float]] = []
    pandas: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = write_folder(Path(place), options.recordings, options.frames)
        for repeat in range(options.repeats):
            ours.append(measure(convert_folder, folder))
            pandas.append(measure(read_with_pandas, folder))
            print(f"repeat {repeat + 1}: convert {ours[-1][0]:.2f} s, pandas {pandas[-1][0]:.2f} s", flush=True)
    seconds = statistics.median(taken for taken, _ in ours)
    ratio = seconds / statistics.median(taken for taken, _ in pandas)
    peak = max(used for _, used in ours)
    print(f"{options.recordings} SYNTHETIC recordings of {options.frames} x {COLUMNS}, on {os.cpu_count()} cores")
    print(f"convert: {seconds:.2f} s (target < {TARGET_SECONDS:g}), peak {peak / 1e6:.0f} MB (target < 1000)")
    print(f"convert / pandas.read_csv(usecols=...): {ratio:.2f} (target <= {TARGET_RATIO:g})")
    met = seconds < TARGET_SECONDS and ratio <= TARGET_RATIO and peak < TARGET_MEMORY
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
