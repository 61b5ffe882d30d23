"""A SYNTHETIC cohort in which everything occurs that a stored sequence has to keep, and graphs that read its store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from sample_cohort import FRAME_RATE, PARTITIONS, small_manifest

from tff_affect.cohort import Cohort, SubjectEntry, SubjectTable, write_cohort

FRAMES = {"P1": 200, "P2": 173, "P3": 60, "P10": 91}


def uneven_subjects() -> Iterator[tuple[SubjectEntry, SubjectTable]]:
    """Frames without features, that are not trusted, without labels and with a part of them; a constant feature."""
    for (subject, frames), partition in zip(FRAMES.items(), PARTITIONS, strict=True):
        rng = np.random.default_rng([5, frames])
        features = rng.uniform(0, 5, (frames, 3)).astype(np.float32)
        features[:, 2] = 4.2 if subject == "P2" else features[:, 2]
        labels = rng.uniform(-1, 1, (frames, 2)).astype(np.float32)
        kind = rng.choice(5, frames, p=[0.7, 0.1, 0.1, 0.05, 0.05])
        features[kind == 1, 1] = np.nan
        labels[kind == 3] = np.nan
        labels[kind == 4, 0] = np.nan
        table = SubjectTable(np.arange(frames) / FRAME_RATE, features, labels, kind == 0)
        yield SubjectEntry(subject, partition, {"site": subject[:2]}, quality={"frames without a face": 3}), table


def uneven_cohort(path: Path) -> Cohort:
    provenance = {"generator": "tests", "note": "of no concern to others"}
    return write_cohort(path, replace(small_manifest(), provenance=provenance), uneven_subjects())


@contextmanager
def worker_in(folder: Path) -> Iterator[None]:
    """TFF computations run on a worker whose working directory is ``folder``; that of this process is another."""
    from tff_affect.learning.runtime import local_runtime

    here = os.getcwd()
    with chdir(folder), local_runtime():
        os.chdir(here)
        yield
        os.chdir(folder)
