"""Writes SYNTHETIC recordings in the layout of the MuSe packages: feature sets, labels, ``partition.csv``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.layouts.layout_subject import LayoutSubject, decoys, milliseconds, write_table
from data_prep.recola_layout import DIMENSIONS

UNITS_SET = "fau_intensity"
EMBEDDING_SET = "facenet"
_PROPOSALS = {"train": "train", "development": "devel", "test": "test"}


def write_muse(folder: Path, subjects: Iterable[LayoutSubject]) -> None:
    """Writes the layout; times are milliseconds, labels of test subjects are withheld.

    Args:
        folder: An empty folder.
        subjects: The subjects, in the order of ``partition.csv``.
    """
    for place in (*(f"features/{name}" for name in (UNITS_SET, EMBEDDING_SET)), *(f"labels/{d}" for d in DIMENSIONS)):
        (folder / place).mkdir(parents=True)
    rows = []
    for subject in subjects:
        clock = pd.DataFrame({"timestamp": milliseconds(subject.table.time), "segment_id": _segments(subject)})
        for name, values in ((UNITS_SET, _units(subject)), (EMBEDDING_SET, _embedding(subject))):
            file = folder / "features" / name / f"{subject.subject}.csv"
            write_table(pd.concat([clock, values], axis=1), file)
        if subject.labelled:
            _write_labels(folder / "labels", subject, clock)
        rows.append({"Id": subject.subject, "Proposal": _PROPOSALS[subject.entry.partition]})
    write_table(pd.DataFrame(rows), folder / "partition.csv")


def _segments(subject: LayoutSubject) -> np.ndarray:
    """Segments of ten seconds, from 1."""
    return 1 + np.arange(subject.table.frames) // max(1, round(10 * subject.config.frame_rate))


def _units(subject: LayoutSubject) -> pd.DataFrame:
    values, units = subject.features, subject.config.action_units
    flags = pd.DataFrame((values > 1.0).astype(float), columns=[f"{unit}_c" for unit in units])
    return pd.concat([pd.DataFrame(values, columns=[f"{unit}_r" for unit in units]), flags], axis=1)


def _embedding(subject: LayoutSubject) -> pd.DataFrame:
    return decoys(subject.noise(), subject.table.frames, [f"{EMBEDDING_SET}_{i}" for i in range(8)])


def _write_labels(place: Path, subject: LayoutSubject, clock: pd.DataFrame) -> None:
    for d, dimension in enumerate(DIMENSIONS):
        frame = clock.copy()
        frame.insert(1, "value", subject.table.labels[:, d].astype(np.float64))
        write_table(frame, place / dimension / f"{subject.subject}.csv")
